"""The real thing: `bin/up` on ports and a folder of its own, from READY through kill -9 to the second start."""

import os
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

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


def test_from_ready_to_ctrl_c(up: Start) -> None:
    one = up()
    assert one.ready == f"READY {one.credentials['base_url']}"
    assert one.credentials.keys() == KEYS
    assert stat.S_IMODE((one.run_dir / "credentials.json").stat().st_mode) == 0o600
    with one.client() as client:
        binding_id = allocate(client)

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

    postmaster = next(part for part in one.parts() if part.name() == "postgres")
    postmaster.kill()
    until(lambda: any(part.name() == "postgres" and part != postmaster for part in one.parts()), one.process)
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
    assert not {"postgres", "redis-server"} & {part.name() for part in one.parts()}
