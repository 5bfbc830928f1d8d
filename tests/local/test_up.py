"""The real thing: `bin/up` on ports and a folder of its own, from READY through kill -9 to the second start."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from local.postgres import PostgresServer
from tests.local.conftest import ROOT, Start, Up

pytestmark = [pytest.mark.asterisk, pytest.mark.slow]

KEYS = {
    "base_url",
    "mall_key",
    "courier_key",
    "ops_key",
    "console_login",
    "console_password",
    "database_url",
    "npro_database_url",
    "smsc",
    "sms_outbox",
}


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    while not condition():
        assert process.poll() is None, "bin/up has ended"


def allocate(client: httpx.Client) -> str:
    answer = client.post("/v1/bindings", json={"mode": "one_way", "real_number": "010-2345-6789", "service": "050"})
    assert answer.status_code == 201, answer.text
    binding_id: str = answer.json()["id"]
    return binding_id


def still_there(one: Up, binding_id: str) -> bool:
    """Whether the API answers, and with the binding. A process that was just killed may take a connection along."""
    try:
        with one.client() as client:
            return client.get(f"/v1/bindings/{binding_id}").status_code == 200
    except httpx.TransportError:
        return False


def log_in(one: Up) -> None:
    """With the credentials, and the code that came to a handset the way of every text."""
    outbox = Path(one.credentials["sms_outbox"])

    def code() -> str | None:
        found = re.findall(r"인증번호 (\d{6})", outbox.read_text() if outbox.exists() else "")
        return found[-1] if found else None

    with httpx.Client(base_url=f"{one.credentials['base_url']}/console", timeout=60, follow_redirects=True) as browser:

        def send(path: str, page: httpx.Response, **fields: str | None) -> httpx.Response:
            token = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
            assert token is not None
            return browser.post(path, data={"csrf": token[1], **fields})

        credentials = {"login": one.credentials["console_login"], "password": one.credentials["console_password"]}
        page = send("/login", browser.get("/login"), **credentials)
        until(lambda: code() is not None, one.process)
        page = send("/login/code", page, code=code())
        assert "임시 비밀번호로 로그인하셨습니다" in page.text


def test_from_ready_to_ctrl_c(up: Start) -> None:
    one = up()
    assert one.ready == f"READY {one.credentials['base_url']}"
    assert one.credentials.keys() == KEYS
    assert stat.S_IMODE((one.run_dir / "credentials.json").stat().st_mode) == 0o600
    with one.client() as client:
        binding_id = allocate(client)
    log_in(one)

    parts = one.parts()
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(timeout=60) == 0
    assert not [part for part in parts if part.is_running()]

    again = up()
    assert still_there(again, binding_id)


def test_a_killed_part_comes_back_and_nothing_is_lost(up: Start) -> None:
    one = up()
    with one.client() as client:
        binding_id = allocate(client)
    before = one.api_processes()
    assert len(before) == 2
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(one.api_processes() - {victim}) == 2, one.process)
    until(lambda: still_there(one, binding_id), one.process)

    [postmaster] = one.named("postgres")
    postmaster.kill()
    until(lambda: any(part != postmaster for part in one.named("postgres")), one.process)
    until(lambda: still_there(one, binding_id), one.process)


def test_kill_9_of_the_supervisor_takes_every_part_along(up: Start) -> None:
    one = up()
    with one.client() as client:
        binding_id = allocate(client)
    parts = one.parts()
    assert len(parts) >= 9
    one.process.kill()
    one.process.wait(timeout=30)
    assert not psutil.wait_procs(parts, timeout=60)[1]

    again = up()
    assert again.ready.startswith("READY ")
    assert still_there(again, binding_id)


def test_a_second_start_on_the_same_folder_is_refused(up: Start, environment: dict[str, str]) -> None:
    one = up()
    second = subprocess.run(
        [str(ROOT / "bin/up")], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (second.returncode, second.stdout) == (1, "")
    assert f"process {one.process.pid}" in second.stderr


def test_the_command_line_works_on_the_running_platform(up: Start, environment: dict[str, str]) -> None:
    up()
    shown = subprocess.run(
        [str(ROOT / "bin/vns"), "pool", "list"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )
    assert shown.returncode == 0, shown.stderr
    assert "1877" in shown.stdout


def test_servers_of_the_operator_are_used_and_not_started(
    environment: dict[str, str],
    up: Start,
    postgres: PostgresServer,
    database_url: str,
    empty_database_url: str,
    redis_url: str,
    server_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postgres.query(f"alter database {empty_database_url.rpartition('/')[2]} set timezone to 'Asia/Seoul'")
    named = {
        "VNS_RUN_DIR": str(server_folder / "up-named"),
        "VNS_DATABASE_URL": database_url,
        "VNS_NPRO_DATABASE_URL": empty_database_url,
        "VNS_REDIS_URL": redis_url,
    }
    for name, value in named.items():
        monkeypatch.setitem(environment, name, value)
    one = up()
    assert one.credentials["database_url"] == database_url
    with one.client() as client:
        allocate(client)
    assert not one.named("postgres") + one.named("redis-server")


def test_a_handsets_picture_crosses_a_pair_on_one_machine(up: Start, tmp_path: Path) -> None:
    one = up()
    pair = {"mode": "bidirectional", "real_number": "01023456789", "peer_number": "01098765432", "service": "070"}
    with one.client() as client:
        vn = client.post("/v1/bindings", json=pair).json()["virtual_number"]
    settings = dict(line.split("=", 1) for line in (one.run_dir / "vns.env").read_text().splitlines())
    photo = tmp_path / "photo.jpg"
    Image.new("RGB", (64, 48), "navy").save(photo)
    handset = ["--mmsc", settings["VNS_MM7_URL"], "--from", pair["real_number"], "--to", vn, str(photo)]
    subprocess.run([sys.executable, "-m", "simulators.mmsc.handset", *handset], check=True, cwd=ROOT, timeout=60)

    def arrived() -> list[dict[str, Any]]:
        outbox = Path(one.credentials["sms_outbox"])
        lines = outbox.read_text().splitlines(keepends=True) if outbox.exists() else []
        records = [json.loads(line) for line in lines if line.endswith("\n")]
        return [record for record in records if record["to"] == pair["peer_number"]]

    until(lambda: bool(arrived()), one.process)
    (record,) = arrived()
    assert record["from"] == vn
    with Image.open(record["files"][0]["path"]) as seen:
        assert (seen.format, seen.size) == ("JPEG", (64, 48))


def apart(kind: socket.SocketKind, distance: int) -> int:
    """A free port, with another one that far above it."""
    while True:
        with socket.socket(socket.AF_INET, kind) as low, socket.socket(socket.AF_INET, kind) as high:
            low.bind(("127.0.0.1", 0))
            port: int = low.getsockname()[1]
            with suppress(OSError, OverflowError):
                high.bind(("127.0.0.1", port + distance))
                return port


def test_a_second_asterisk_by_a_setting(
    environment: dict[str, str], up: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """READY comes once both bridges are connected to both; a killed one comes back."""
    named = {
        "VNS_ASTERISKS": "2",
        "VNS_AMI_PORT": str(apart(socket.SOCK_STREAM, 1)),
        "VNS_SIP_PORT": str(apart(socket.SOCK_DGRAM, 10)),
    }
    for name, value in named.items():
        monkeypatch.setitem(environment, name, value)
    one = up()
    assert one.ready.startswith("READY ")
    before = one.named("asterisk")
    assert len(before) == 2
    doors = {door.laddr.port for part in before for door in part.net_connections("udp4")}
    assert {int(named["VNS_SIP_PORT"]), int(named["VNS_SIP_PORT"]) + 10} <= doors
    before[1].kill()
    until(lambda: len([part for part in one.named("asterisk") if part != before[1]]) == 2, one.process)
