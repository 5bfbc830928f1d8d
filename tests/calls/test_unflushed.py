"""Begins of calls that are committed without waiting for the disk: lost by a crash of PostgreSQL, and written again."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from uuid import UUID, uuid4

import psutil
import pytest

from local.children import tied
from local.postgres import PostgresServer, prepare
from tests.calls.test_service import attempt, outcome, reason
from tests.core_world import COURIER, STRANGER, World, open_world
from vns.bindings.rules import Status
from vns.calls.queries import INSERT_REFUSED
from vns.calls.service import Calls
from vns.errors import Unavailable
from vns.numbering.rules import digits_of
from vns.routing.rules import Reason
from vns.storage.migrate import upgrade

EVER = float("inf")


@pytest.fixture
def calls(world: World) -> Calls:
    return Calls(world.db, world.router, world.clock)


async def records(world: World) -> dict[UUID, dict[str, object]]:
    async with world.db.connection() as connection:
        return {row["id"]: dict(row) for row in await connection.fetch("select * from calls")}


async def lose(world: World, *call_ids: UUID) -> None:
    async with world.db.connection() as connection:
        await connection.execute("delete from calls where id = any($1::uuid[])", list(call_ids))


async def test_what_was_lost_is_written_again_as_it_was(world: World, calls: Calls) -> None:
    vn = digits_of((await world.pair()).vn)
    connected = await calls.begin(attempt(world, vn, COURIER))
    refused = await calls.begin(attempt(world, vn, STRANGER))
    assert (reason(connected), reason(refused)) == (None, Reason.NOT_A_PARTY)
    before = await records(world)
    assert await calls.unflushed.look(0.0) == 0, "they are too young to be looked for"
    await lose(world, connected.call_id)
    assert await calls.unflushed.look(EVER) == 1
    assert await records(world) == before
    await lose(world, connected.call_id, refused.call_id)
    assert await calls.unflushed.look(EVER) == 0, "what was found on disk is not looked for again"


async def test_one_that_cannot_be_written_again_holds_up_no_other(world: World, calls: Calls) -> None:
    """PostgreSQL takes no record without a number: that one is given up, and those behind it are written."""
    nobody = uuid4()
    refused = (nobody, None, None, None, None, None, "ended", 21, world.clock.now(), "a", f"vns-{nobody}")
    calls.unflushed.keep(nobody, INSERT_REFUSED, lambda: refused)
    begun = await calls.begin(attempt(world, digits_of((await world.allocate()).vn), COURIER))
    await lose(world, begun.call_id)
    assert await calls.unflushed.look(EVER) == 1
    assert set(await records(world)) == {begun.call_id}
    assert await calls.unflushed.look(EVER) == 0


async def test_an_end_that_came_meanwhile_finds_the_call_afterwards(world: World, calls: Calls) -> None:
    begun = await calls.begin(attempt(world, digits_of((await world.allocate()).vn), COURIER))
    await lose(world, begun.call_id)
    ended = outcome(world, begun.call_id)
    assert await calls.finish([ended]) == 0
    assert await calls.unflushed.look(EVER) == 1
    assert await calls.finish([ended]) == 1
    assert (await records(world))[begun.call_id]["result"] == "answered"


async def test_a_call_that_a_release_could_not_see_is_cut(world: World, calls: Calls) -> None:
    released, live = await world.allocate(), await world.allocate(STRANGER)
    begun = [await calls.begin(attempt(world, digits_of(one.vn), COURIER)) for one in (released, live)]
    await lose(world, *(one.call_id for one in begun))
    await world.bindings.release(world.mall, released.id)
    assert (await world.bindings.get(world.mall, released.id)).status is Status.RELEASED
    assert await calls.unflushed.look(EVER) == 2
    assert [one.id for one in await calls.to_terminate()] == [begun[0].call_id]


async def test_calls_that_change_more_than_their_record_wait_for_the_disk(world: World, calls: Calls) -> None:
    """And so need not be looked for: their record is as sure as what they changed."""
    once = await world.allocate(expire_after_call=True)
    begun = await calls.begin(attempt(world, digits_of(once.vn), COURIER))
    await lose(world, begun.call_id)
    assert await calls.unflushed.look(EVER) == 0


async def test_the_next_statement_of_the_connection_waits_for_the_disk_again(world: World, calls: Calls) -> None:
    vn = digits_of((await world.allocate()).vn)
    async with world.db.connection() as connection:  # the one that is at hand next, too
        await connection.execute("set synchronous_commit = on")
        used = await connection.fetchval("select pg_backend_pid()")
    await calls.begin(attempt(world, vn, COURIER))
    async with world.db.connection() as connection:
        assert await connection.fetchval("select pg_backend_pid()") == used
        assert await connection.fetchval("show synchronous_commit") == "on"


async def test_nothing_is_forgotten_while_postgresql_is_away(
    world: World, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await calls.begin(attempt(world, digits_of((await world.allocate()).vn), COURIER))
    await lose(world, begun.call_id)
    with monkeypatch.context() as away:
        away.setattr(world.db, "_take", _away)
        with pytest.raises(Unavailable):
            await calls.unflushed.look(EVER)
    assert await calls.unflushed.look(EVER) == 1


async def _away() -> None:
    raise Unavailable("PostgreSQL does not answer")


@pytest.fixture
def durable(server_folder: Path, new_port: Callable[[], int], tmp_path: Path) -> Iterator["Durable"]:
    server = Durable(prepare(server_folder / f"crashing-{uuid4()}", new_port()), tmp_path / "postgres.log")
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass
class Durable:
    """A server that waits for the disk at each commit, and hardly ever writes what nobody waits for."""

    server: PostgresServer
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        command = self.server.command(wal_writer_delay="10s", autovacuum="off")
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                tied(command, account=self.server.account, death_signal=SIGINT), cwd="/", stdout=sink, stderr=sink
            )
        while not self.server.answers():
            assert self.process.poll() is None, self.log.read_text()

    def write_nothing_more(self) -> None:
        """But what a commit waits for: whoever writes in the background stands still."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if any(name in " ".join(child.cmdline()) for name in ("walwriter", "background writer", "checkpointer")):
                child.suspend()

    def kill(self) -> None:
        """All of it at once, with what it had only in memory."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait(timeout=30)
        for child in children:
            with suppress(psutil.NoSuchProcess):  # it ends by itself without its parent
                child.kill()
        psutil.wait_procs(children, timeout=30)


async def test_a_crash_of_postgresql_loses_begins_and_the_bridge_writes_them_again(
    durable: Durable, tmp_path: Path
) -> None:
    durable.server.query("create database crashing")
    url = durable.server.url("crashing")
    upgrade(url)
    async with open_world(url, tmp_path) as world:
        calls = Calls(world.db, world.router, world.clock)
        first, second = await world.allocate(), await world.allocate(STRANGER)
        before = [await calls.begin(attempt(world, digits_of(first.vn), COURIER)) for _ in range(10)]
        await world.bindings.release(world.mall, first.id)
        durable.write_nothing_more()
        after = [await calls.begin(attempt(world, digits_of(second.vn), COURIER)) for _ in range(10)]
        written = await records(world)
        durable.kill()
        prepare(durable.server.data.parent.parent, durable.server.port)
        durable.start()
        found = await until_there(world)
        assert {begun.call_id for begun in before} <= set(found), "what an acknowledged release saw is on disk"
        lost = {begun.call_id for begun in after} - set(found)
        assert lost, "nothing was lost: this proves nothing"
        assert await calls.unflushed.look(EVER) == len(lost)
        assert await records(world) == written


async def until_there(world: World) -> dict[UUID, dict[str, object]]:
    """The records, once the broken connections are gone from the pool."""
    while True:
        with suppress(Unavailable):
            return await records(world)
