"""Servers of a benchmark's own: PostgreSQL, API processes, the floors; on free ports, with data that is thrown away."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

from local.children import tied
from local.postgres import PostgresServer, prepare

ROOT = Path(__file__).parent.parent
START_SECONDS = 120.0
STOP_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def folder() -> Iterator[Path]:
    """Reachable by the database's own account, closed to listing."""
    with tempfile.TemporaryDirectory(prefix="vns-bench-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@contextmanager
def running(
    command: Sequence[str], log: Path, ready: Callable[[], bool], *, end: Signals = SIGTERM, cwd: str | Path = ROOT
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is ended on leaving. Raises RuntimeError with its log when it does not get ready."""
    with log.open("wb") as sink, subprocess.Popen(command, cwd=cwd, stdout=sink, stderr=sink) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[-1]} did not start:\n{log.read_text()}")
                time.sleep(0.1)
            yield process
        finally:
            process.send_signal(end)
            process.wait(timeout=STOP_SECONDS)


@contextmanager
def postgres(place: Path) -> Iterator[PostgresServer]:
    """As the platform runs it: fsync on."""
    server = prepare(place / "run", free_port())
    command = tied(server.command(), account=server.account, death_signal=SIGINT)
    with running(command, place / "postgres.log", server.answers, end=SIGINT, cwd="/"):
        yield server


def redis_command(port: int) -> list[str]:
    """Without persistence: what it held is gone when it comes back."""
    line = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    return tied(line)


@contextmanager
def redis(place: Path) -> Iterator[str]:
    """Its URL."""
    port = free_port()
    with running(redis_command(port), place / "redis.log", lambda: listens(port)):
        yield f"redis://127.0.0.1:{port}/0"


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def with_environment(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """`command` with these variables and a bare environment otherwise."""
    given = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", **environment}
    return tied(["env", "-i", *(f"{name}={value}" for name, value in given.items()), *command])


@contextmanager
def floor_handler(place: Path, database_url: str) -> Iterator[int]:
    """The plain handler and the empty route on one uvicorn worker; its port."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "loadtests.plain_handler:app", "--port", str(port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    line = with_environment(command, {"VNS_DATABASE_URL": database_url})
    with running(line, place / "floor.log", lambda: listens(port)):
        yield port


@contextmanager
def api(place: Path, port: int, environment: Mapping[str, str], name: str) -> Iterator["subprocess.Popen[bytes]"]:
    """One API process on `port`; several may share it."""
    log = place / f"api-{name}.log"
    line = with_environment([sys.executable, "-m", "api"], {"VNS_HTTP_PORT": str(port), **environment})
    with running(line, log, lambda: "startup complete" in log.read_text() and listens(port)) as process:
        yield process
