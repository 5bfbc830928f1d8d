"""The real thing: `bin/up` on ports and a folder of its own, from READY through kill -9 to the second start."""

import json
import os
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from local.postgres import PostgresServer

pytestmark = [pytest.mark.asterisk, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PORTS = ("HTTP_PORT", "AMI_PORT", "SMSC_PORT", "PG_PORT", "REDIS_PORT", "AGI_PORT_A", "AGI_PORT_B")
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


@dataclass
class Up:
    """A running `bin/up`."""

    process: "subprocess.Popen[str]"
    run_dir: Path
    ready: str

    @property
    def credentials(self) -> dict[str, str]:
        content: dict[str, str] = json.loads((self.run_dir / "credentials.json").read_text())
        return content

    def parts(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def api_processes(self) -> set[int]:
        """Those that are Python by now, not still on their way to be."""
        return {part.pid for part in self.parts() if "api" in part.cmdline() and "launch.py" not in str(part.cmdline())}

    def client(self) -> httpx.Client:
        key = {"Authorization": f"Bearer {self.credentials['mall_key']}"}
        return httpx.Client(base_url=self.credentials["base_url"], headers=key, timeout=10)


@pytest.fixture(scope="module")
def environment(server_folder: Path, new_port: Callable[[], int], new_udp_port: Callable[[], int]) -> dict[str, str]:
    ports = {f"VNS_{name}": str(new_port()) for name in PORTS}
    first_rtp = 40_000
    rtp = {"VNS_RTP_FIRST_PORT": str(first_rtp), "VNS_RTP_LAST_PORT": str(first_rtp + 199)}
    sip = {"VNS_SIP_PORT": str(new_udp_port()), "VNS_SIP_TRUNK": f"127.0.0.1:{new_udp_port()}"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VNS_")}
    return {**inherited, **ports, **rtp, **sip, "VNS_RUN_DIR": str(server_folder / "up")}


@pytest.fixture
def up(environment: dict[str, str]) -> Iterator[Callable[[], Up]]:
    """Start it and wait for READY; whatever a test leaves running is stopped."""
    started: list[subprocess.Popen[str]] = []

    def start() -> Up:
        process = subprocess.Popen([str(ROOT / "bin/up")], env=environment, stdout=subprocess.PIPE, text=True, cwd="/")
        started.append(process)
        assert process.stdout is not None
        return Up(process=process, run_dir=Path(environment["VNS_RUN_DIR"]), ready=process.stdout.readline().strip())

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=60)
        assert process.stdout is not None
        process.stdout.close()


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


def test_from_ready_to_ctrl_c(up: Callable[[], Up]) -> None:
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


def test_a_killed_part_comes_back_and_nothing_is_lost(up: Callable[[], Up]) -> None:
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


def test_kill_9_of_the_supervisor_takes_every_part_along(up: Callable[[], Up]) -> None:
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


def test_a_second_start_on_the_same_folder_is_refused(up: Callable[[], Up], environment: dict[str, str]) -> None:
    one = up()
    second = subprocess.run(
        [str(ROOT / "bin/up")], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (second.returncode, second.stdout) == (1, "")
    assert f"process {one.process.pid}" in second.stderr


def test_the_command_line_works_on_the_running_platform(up: Callable[[], Up], environment: dict[str, str]) -> None:
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
    up: Callable[[], Up],
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
