"""PostgreSQL is killed in the middle of allocations: what was acknowledged is there, and nothing is there twice."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from signal import SIGINT
from uuid import UUID

import psutil
import pytest

from local.children import tied
from local.postgres import PostgresServer, clear_lock, prepare
from tests.conftest import ROLE, wait_until
from tests.core_world import World, open_world
from vns.bindings.rules import Binding, Status
from vns.errors import Unavailable
from vns.pools.rules import Service
from vns.storage.migrate import upgrade

CLIENTS, ACKNOWLEDGED_FIRST, ROUNDS = 12, 60, 2


class DurableServer:
    """A PostgreSQL of this test's own that writes through to the disk, and is killed with all its processes."""

    def __init__(self, folder: Path, port: int) -> None:
        self._log = folder / "postgres.log"
        self.server: PostgresServer = prepare(folder / "run", port)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        clear_lock(self.server.data)
        with self._log.open("ab") as sink:
            self._process = subprocess.Popen(
                tied(self.server.command(), account=self.server.account, death_signal=SIGINT),
                cwd="/",
                stdout=sink,
                stderr=sink,
            )
        wait_until(self.server.answers, self._process, self._log)

    def kill(self) -> None:
        assert self._process is not None
        family = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
        for process in family:
            process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=60)
        psutil.wait_procs(family, timeout=60)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(SIGINT)
            self._process.wait(timeout=60)


@pytest.fixture
def durable(server_folder: Path, new_port: Callable[[], int]) -> Iterator[DurableServer]:
    folder = server_folder / "durable"
    folder.mkdir(mode=0o711)
    server = DurableServer(folder, new_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
async def world_on_it(durable: DurableServer, tmp_path: Path) -> AsyncIterator[World]:
    password = "only-here"
    durable.server.query(f"create role {ROLE} login password '{password}'")
    durable.server.query(f"create database {ROLE} owner {ROLE}")
    url = durable.server.url(ROLE, role=ROLE, password=password)
    await asyncio.to_thread(upgrade, url)
    async with open_world(url, tmp_path) as world:
        await world.pool("0504-2000-0000", "0504-2099-9999", name="many")
        await world.pool("070-8200-0000", "070-8299-9999", Service.VOIP, name="pairs")
        yield world


class Acknowledged(dict[UUID, Binding]):
    """What clients were told. `enough` is set once there are `wanted` of them."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted, self.enough = 0, asyncio.Event()

    def want_more(self, more: int) -> None:
        self.wanted = len(self) + more
        self.enough.clear()

    def note(self, binding: Binding) -> None:
        assert binding.id not in self
        self[binding.id] = binding
        if len(self) >= self.wanted:
            self.enough.set()


async def allocate_until_it_is_gone(world: World, client: int, acknowledged: Acknowledged) -> None:
    """Ends with the first answer that says the database is away."""
    turn = 0
    with suppress(Unavailable):
        while True:
            turn += 1
            real = f"010{1000 + client}{turn % 10_000:04d}"
            if turn % 3 == 0:
                binding = await world.pair(real, f"0109{100 + client}{turn % 10_000:04d}", pool="pairs")
            else:
                binding = await world.allocate(real, pool="many")
            acknowledged.note(binding)


async def once_it_allocates(world: World) -> Binding:
    """The same pool of connections finds the server again."""
    async with asyncio.timeout(60):
        while True:
            with suppress(Unavailable):
                return await world.allocate(pool="many")


TWICE = """
select vn from bindings where status = 'active' and mode = 'one_way' group by vn having count(*) > 1
union all
select vn from (select vn, real_index as party from bindings where status = 'active' and mode = 'bidirectional'
                union all select vn, peer_index from bindings where status = 'active' and mode = 'bidirectional') p
group by vn, party having count(*) > 1
union all
select b.vn from bindings b left join numbers n on n.vn = b.vn
where b.status = 'active' and b.mode = 'one_way' and n.binding_id is distinct from b.id
union all
select b.vn from bindings b
where b.status = 'active' and b.mode = 'bidirectional' and (select count(*) from seats s where s.binding_id = b.id) <> 2
"""


@pytest.mark.slow
async def test_what_was_acknowledged_survives_the_death_of_the_database(
    world_on_it: World, durable: DurableServer
) -> None:
    world, acknowledged = world_on_it, Acknowledged()
    for _ in range(ROUNDS):
        acknowledged.want_more(ACKNOWLEDGED_FIRST)
        async with asyncio.timeout(120), asyncio.TaskGroup() as clients:
            for client in range(CLIENTS):
                clients.create_task(allocate_until_it_is_gone(world, client, acknowledged))
            await acknowledged.enough.wait()
            await asyncio.to_thread(durable.kill)
        await asyncio.to_thread(durable.start)
        acknowledged.note(await once_it_allocates(world))
    async with world.db.connection() as connection:
        rows = await connection.fetch("select id, vn, status from bindings")
        assert not await connection.fetch(TWICE)
    stored = {row["id"]: (row["vn"], row["status"]) for row in rows}
    assert {key: stored.get(key) for key in acknowledged} == {
        key: (binding.vn, Status.ACTIVE) for key, binding in acknowledged.items()
    }
