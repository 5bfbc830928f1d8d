"""Allocations by many clients while the servers are killed with -9 and started again: nothing twice, nothing lost.

Sizes by environment: VNS_CRASH_ALLOCATIONS (the platform's promise is shown with 20000), VNS_CRASH_CLIENTS.
"""

import asyncio
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT
from typing import Any

import asyncpg
import pytest

from loadtests.wire_client import WireClient, request_bytes
from local.children import tied
from local.postgres import PostgresServer, prepare
from tests.api_process import ApiProcesses, api_processes
from tests.conftest import free_port
from vns.access.rules import NewTenant, TenantKind
from vns.access.service import Access
from vns.crypto.rules import KeyRing
from vns.numbering.rules import digits_of
from vns.pools.rules import NewPool, Service
from vns.pools.service import Pools
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.migrate import upgrade

ALLOCATIONS = int(os.environ.get("VNS_CRASH_ALLOCATIONS", "4000"))
CLIENTS = int(os.environ.get("VNS_CRASH_CLIENTS", "32"))
WORKERS = 2
PATIENCE = 120  # seconds until a client gives a request up
FIRST, LAST = 50_410_000_000, 50_410_999_999


class OwnPostgres:
    """A PostgreSQL of this test's own, durable as in production, that may be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.server: PostgresServer | None = None

    def start(self) -> PostgresServer:
        self.server = server = prepare(self._folder / "run", self._port)
        command = tied(server.command(), account=server.account, death_signal=SIGINT)
        with (self._folder / "postgres.log").open("ab") as sink:
            self._process = process = subprocess.Popen(command, cwd="/", stdout=sink, stderr=sink)
        while not server.answers():
            assert process.poll() is None, (self._folder / "postgres.log").read_text()
        return server

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=60)

    def close(self) -> None:
        assert self._process is not None
        self._process.send_signal(SIGINT)
        self._process.wait(timeout=60)


@pytest.fixture
def own_postgres(server_folder: Path) -> Iterator[OwnPostgres]:
    folder = server_folder / "crash"
    folder.mkdir(mode=0o711)
    with closing(OwnPostgres(folder)) as own:
        own.start()
        yield own


async def seeded(url: str) -> str:
    """A pool of a million numbers and a mall; its key."""
    database, clock = await Database.open(url), Clock()
    access = Access(database, clock)
    await access.create_tenant("test", NewTenant(code="mall", name="mall", kind=TenantKind.MALL))
    await Pools(database, clock).create("test", NewPool(name="safe", service=Service.PERSONAL, first=FIRST, last=LAST))
    key = (await access.issue_key("test", "mall")).secret
    await database.close()
    return key


@dataclass
class Ledger:
    """What the clients were told: the body of each 201 by order number."""

    told: dict[int, dict[str, Any]] = field(default_factory=dict)
    broken_connections: int = 0
    serving: asyncio.Event = field(default_factory=asyncio.Event)
    _grown: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, order: int, answer: dict[str, Any]) -> None:
        self.told[order] = answer
        self._grown.set()

    async def reach(self, count: int) -> None:
        """Until that many answers have come."""
        while len(self.told) < count:
            self._grown.clear()
            await asyncio.wait_for(self._grown.wait(), PATIENCE)


class Client:
    """Takes orders and allocates for each, again and again with the same Idempotency-Key until it is answered."""

    def __init__(self, port: int, key: str, ledger: Ledger) -> None:
        self._port, self._key, self._ledger = port, key, ledger
        self._connection: WireClient | None = None

    async def work(self, orders: Iterator[int]) -> None:
        for order in orders:
            async with asyncio.timeout(PATIENCE):
                await self._allocate(order)
        if self._connection is not None:
            self._connection.close()

    async def _allocate(self, order: int) -> None:
        body = {"mode": "one_way", "real_number": f"010{20_000_000 + order}", "reference": f"W-{order}"}
        request = request_bytes(
            "POST",
            "/v1/bindings",
            key=self._key,
            body=json.dumps(body).encode(),
            headers=f"idempotency-key: order-{order}\r\n",
        )
        while True:
            try:
                self._connection = self._connection or await WireClient.connect(self._port)
                status, answer = await self._connection.ask(request)
            except (OSError, TimeoutError):
                self._connection = None
                self._ledger.broken_connections += 1
                await self._ledger.serving.wait()
                continue
            if status == 201:
                self._ledger.tell(order, json.loads(answer))
                return
            assert status == 503, answer
            await self._ledger.serving.wait()


async def kill_and_restart(servers: ApiProcesses, own: OwnPostgres, ledger: Ledger, *, database_too: bool) -> None:
    """On a thread, so that the clients go on meanwhile."""

    def work() -> None:
        if database_too:
            own.kill()
        servers.kill()
        if database_too:
            own.start()
        for _ in range(WORKERS):
            servers.start()

    ledger.serving.clear()
    await asyncio.get_running_loop().run_in_executor(None, work)
    ledger.serving.set()


async def bindings_in(url: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    rows: list[asyncpg.Record] = await connection.fetch(
        "select b.id, b.vn, b.reference, b.status, n.binding_id from bindings b left join numbers n using (vn)"
    )
    await connection.close()
    return rows


@pytest.mark.slow
async def test_kill_9_amid_allocations_loses_and_doubles_nothing(own_postgres: OwnPostgres, tmp_path: Path) -> None:
    server = own_postgres.start() if own_postgres.server is None else own_postgres.server
    server.query("create database vns")
    url = server.url("vns")
    await asyncio.get_running_loop().run_in_executor(None, upgrade, url)
    key = await seeded(url)
    KeyRing.generate(tmp_path / "keys.json")
    environment = {"VNS_DATABASE_URL": url, "VNS_KEYS_FILE": str(tmp_path / "keys.json")}
    ledger, orders = Ledger(), iter(range(ALLOCATIONS))
    with api_processes(WORKERS, environment, tmp_path / "api.log") as servers:
        ledger.serving.set()
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(Client(servers.port, key, ledger).work(orders))
            await ledger.reach(ALLOCATIONS // 3)
            await kill_and_restart(servers, own_postgres, ledger, database_too=False)
            await ledger.reach(max(ALLOCATIONS * 2 // 3, len(ledger.told) + 1))
            await kill_and_restart(servers, own_postgres, ledger, database_too=True)
    assert ledger.broken_connections >= CLIENTS, "the servers were not killed amid the work"
    judge(ledger, await bindings_in(url))


def judge(ledger: Ledger, stored: list[asyncpg.Record]) -> None:
    assert len(ledger.told) == ALLOCATIONS
    by_reference = {row["reference"]: row for row in stored}
    assert len(stored) == len(by_reference) == ALLOCATIONS, "a binding was made twice or lost"
    assert len({row["vn"] for row in stored}) == ALLOCATIONS, "a number was given out twice"
    assert {row["status"] for row in stored} == {"active"}
    assert all(row["binding_id"] == row["id"] for row in stored), "a number is not held by its binding"
    for order, answer in ledger.told.items():
        row = by_reference[f"W-{order}"]
        assert (uuid.UUID(answer["id"]), answer["virtual_number"]) == (row["id"], digits_of(row["vn"])), order
