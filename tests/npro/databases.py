"""Real databases for the tables: the session's PostgreSQL on Korean time, and a MariaDB started here."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.children import tied
from local.postgres import PostgresServer
from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock


@dataclass(frozen=True)
class MariaDb:
    """A running server: administered over its socket as root, used over TCP as `npro`."""

    port: int
    socket: Path
    password: str

    def query(self, statement: str, database: str = "mysql") -> str:
        """What a customer's own client prints: tab-separated, no headings."""
        command = [
            "mariadb",
            "--no-defaults",
            f"--socket={self.socket}",
            "-uroot",
            "--batch",
            "--skip-column-names",
        ]
        return subprocess.run(
            [*command, "--default-character-set=utf8mb4", database],
            input=statement,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    def url(self, database: str) -> str:
        return f"mysql://npro:{self.password}@127.0.0.1:{self.port}/{database}"


def _require_mariadb() -> None:
    for program in ("mariadbd", "mariadb-install-db", "mariadb"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing; remedy: apt-get install --no-install-recommends mariadb-server")


@pytest.fixture(scope="session")
def mariadb(new_port: Callable[[], int]) -> Iterator[MariaDb]:
    """A MariaDB without fsync on a free port, its clock on Korean time; data is thrown away."""
    _require_mariadb()
    with tempfile.TemporaryDirectory(prefix="vns-mariadb-") as name:
        folder = Path(name)
        account = pwd.getpwuid(os.geteuid()).pw_name
        data = folder / "data"
        install = [
            "mariadb-install-db",
            "--no-defaults",
            f"--user={account}",
            f"--datadir={data}",
            "--skip-test-db",
        ]
        subprocess.run(
            [*install, "--auth-root-authentication-method=normal"],
            check=True,
            capture_output=True,
            timeout=120,
        )
        server = MariaDb(new_port(), folder / "server.sock", secrets.token_hex(8))
        log = folder / "log"
        command = [
            "mariadbd",
            "--no-defaults",
            f"--user={account}",
            f"--datadir={data}",
            f"--port={server.port}",
        ]
        command += [f"--socket={server.socket}", f"--pid-file={folder / 'pid'}", "--bind-address=127.0.0.1"]
        command += ["--innodb-flush-log-at-trx-commit=0", "--default-time-zone=+09:00", "--skip-log-bin"]
        with log.open("wb") as sink, subprocess.Popen(tied(command), stdout=sink, stderr=sink) as process:
            try:
                _wait_for(server, process, log)
                server.query(f"create user npro@'127.0.0.1' identified by '{server.password}'")
                yield server
            finally:
                process.terminate()
                process.wait(timeout=60)


def _wait_for(server: MariaDb, process: "subprocess.Popen[bytes]", log: Path) -> None:
    while True:
        with socket.socket() as probe:
            probe.settimeout(5)
            if server.socket.exists() and probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        if process.poll() is not None:
            pytest.fail(f"mariadbd did not start:\n{log.read_text()}")


@pytest.fixture
def npro_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A fresh PostgreSQL database on Korean time, without tables."""
    name, password = f"npro_{secrets.token_hex(6)}", secrets.token_hex(8)
    postgres.query(f"create role {name} login password '{password}'")
    postgres.query(f"create database {name} owner {name}")
    postgres.query(f"alter database {name} set timezone = 'Asia/Seoul'")
    try:
        yield postgres.url(name, role=name, password=password)
    finally:
        postgres.query(f"drop database {name} with (force)")
        postgres.query(f"drop role {name}")


@pytest.fixture
def npro_mariadb_url(mariadb: MariaDb) -> Iterator[str]:
    """A fresh MariaDB database, without tables."""
    name = f"npro_{secrets.token_hex(6)}"
    mariadb.query(f"create database {name} character set utf8mb4; grant all on {name}.* to npro@'127.0.0.1'")
    try:
        yield mariadb.url(name)
    finally:
        mariadb.query(f"drop database {name}")


@pytest.fixture(params=["postgresql", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def npro_url(request: pytest.FixtureRequest) -> str:
    """Every test that takes it runs on both makes."""
    fixture = "npro_postgres_url" if request.param == "postgresql" else "npro_mariadb_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture
async def database(npro_url: str) -> AsyncIterator[NproDatabase]:
    """The tables, just created by `prepare`."""
    opened = NproDatabase.open(npro_url, size=4)
    await opened.prepare(KoreanClock())
    yield opened
    await opened.close()
