"""Real servers for the tests: one PostgreSQL and one Redis per test session, each on a free port."""

import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from signal import SIGINT

import pytest

from local.children import tied
from local.postgres import PostgresServer, prepare
from tests.sender_file import SenderFile, sender_file_in

pytest_plugins = ["tests.core_world"]

ROLE = "vns"
TEMPLATE = "vns_template"


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], server: subprocess.Popen[bytes], log: Path) -> None:
    """Ask again until `condition` holds; fail with the server's own words when it ends or takes a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        if server.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the server did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def new_port() -> Callable[[], int]:
    """Each call: a TCP port of the loopback that nobody listens on."""
    return free_port


@pytest.fixture(scope="session")
def new_udp_port() -> Callable[[], int]:
    return partial(free_port, socket.SOCK_DGRAM)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vns-tests-") as name:
        Path(name).chmod(0o711)  # the servers run under accounts of their own
        yield Path(name)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL without fsync: what it holds is thrown away with the session."""
    server = prepare(server_folder / "run", free_port())
    log = server_folder / "postgres.log"
    command = server.command(fsync="off", full_page_writes="off", synchronous_commit="off")
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            tied(command, account=server.account, death_signal=SIGINT), cwd="/", stdout=sink, stderr=sink
        ) as process,
    ):
        try:
            wait_until(server.answers, process, log)
            yield server
        finally:
            process.send_signal(SIGINT)
            process.wait(timeout=60)


@pytest.fixture(scope="session")
def database_password(postgres: PostgresServer) -> str:
    password = secrets.token_hex(16)
    postgres.query(f"create role {ROLE} login password '{password}'")
    return password


@pytest.fixture(scope="session")
def template(postgres: PostgresServer, database_password: str) -> str:
    """A migrated database that is only copied from."""
    from vns.storage.migrate import upgrade  # noqa: PLC0415 - tests without a database do not need it

    postgres.query(f"create database {TEMPLATE} owner {ROLE}")
    url = postgres.url(TEMPLATE, role=ROLE, password=database_password)
    with ThreadPoolExecutor(max_workers=1) as apart:  # it may run an event loop of its own
        apart.submit(upgrade, url).result(timeout=120)
    return TEMPLATE


@pytest.fixture
def database_url(postgres: PostgresServer, template: str, database_password: str) -> Iterator[str]:
    """A fresh migrated database for one test: `postgresql://…`, owned by a role without special rights."""
    name = f"test_{secrets.token_hex(8)}"
    postgres.query(f"create database {name} template {template} owner {ROLE}")
    try:
        yield postgres.url(name, role=ROLE, password=database_password)
    finally:
        postgres.query(f"drop database {name} with (force)")


@pytest.fixture
def empty_database_url(postgres: PostgresServer, database_password: str) -> Iterator[str]:
    """A database without any table, for tests of migrations."""
    name = f"empty_{secrets.token_hex(8)}"
    postgres.query(f"create database {name} owner {ROLE}")
    try:
        yield postgres.url(name, role=ROLE, password=database_password)
    finally:
        postgres.query(f"drop database {name} with (force)")


def _redis_answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


@pytest.fixture(scope="session")
def redis_server(server_folder: Path) -> Iterator[str]:
    """A real redis-server without persistence; its URL."""
    port = free_port()
    log = server_folder / "redis.log"
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    with (
        log.open("wb") as sink,
        subprocess.Popen(tied(command), cwd=server_folder, env=environment, stdout=sink, stderr=sink) as process,
    ):
        try:
            wait_until(lambda: _redis_answers(port), process, log)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(timeout=60)


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """The session's Redis, emptied before and after the test."""
    port = int(redis_server.rsplit(":", 1)[1].split("/", maxsplit=1)[0])
    for action in ("before", "after"):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(16) == b"+OK\r\n"
        if action == "before":
            yield redis_server


@pytest.fixture(scope="session")
def sender_file(server_folder: Path) -> SenderFile:
    """Written once: LibreOffice takes its time."""
    folder = server_folder / "sender-file"
    folder.mkdir()
    return sender_file_in(folder)
