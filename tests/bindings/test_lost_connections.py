"""A connection or a client that is lost in the middle of an allocation leaves nothing half done."""

import asyncio
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

from tests.core_world import World, request
from vns.bindings import queries
from vns.bindings.rules import AllocationRequest
from vns.errors import Unavailable
from vns.pools.rules import Mode

OF_OURS = "datname = current_database() and pid <> pg_backend_pid()"
LEFT_OPEN = f"select count(*) from pg_stat_activity where {OF_OURS} and state like 'idle in%'"  # noqa: S608
TERMINATE_OTHERS = f"select pg_terminate_backend(pid) from pg_stat_activity where {OF_OURS}"  # noqa: S608
WAITING = f"select pid from pg_stat_activity where {OF_OURS} and wait_event_type = 'Lock'"  # noqa: S608 - texts of this file


async def one_that_waits(world: World, work: "asyncio.Task[Any]") -> int:
    """The server process that answers `work`, once it waits for a lock."""
    async with asyncio.timeout(30), world.db.connection() as connection:
        while (pid := await connection.fetchval(WAITING)) is None:
            assert not work.done()
            await asyncio.wait([work], timeout=0.01)
        assert isinstance(pid, int)
        return pid


async def held_stripe(connection: asyncpg.Connection) -> None:
    """Makes every allocation of a never-used number wait."""
    await connection.execute("select from pool_stripes for update")


async def nothing_is_left(world: World) -> None:
    async with world.db.connection() as connection:
        for table in ("bindings", "numbers", "seats", "idempotency_keys"):
            assert await connection.fetchval(f"select count(*) from {table}") == 0  # noqa: S608 - names from this file


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(request(), id="one way"),
        pytest.param(request(mode=Mode.BIDIRECTIONAL, peer="01033334444"), id="pair"),
    ],
)
async def test_a_server_process_that_is_terminated(world: World, asked: AllocationRequest) -> None:
    async with world.db.transaction() as holder:
        await held_stripe(holder)
        task = asyncio.create_task(world.bindings.allocate(world.mall, asked, "key"))
        pid = await one_that_waits(world, task)
        await holder.execute("select pg_terminate_backend($1)", pid)
        with pytest.raises(Unavailable):
            await task
    await nothing_is_left(world)
    assert (await world.bindings.allocate(world.mall, asked, "key")).created


async def test_every_connection_is_terminated_at_once(world: World) -> None:
    await asyncio.gather(*(world.bindings.find(world.mall) for _ in range(10)))
    async with world.db.connection() as connection:
        await connection.execute(TERMINATE_OTHERS)
    answers = await asyncio.gather(*(world.allocate() for _ in range(10)), return_exceptions=True)
    assert {type(answer) for answer in answers if isinstance(answer, BaseException)} <= {Unavailable}
    async with asyncio.timeout(30):
        while True:
            with suppress(Unavailable):
                await asyncio.gather(*(world.allocate() for _ in range(2)))
                break


async def test_a_client_that_goes_away_spoils_no_other(world: World) -> None:
    async with world.db.transaction() as holder:
        await held_stripe(holder)
        gone = asyncio.create_task(world.allocate(reference="gone"))
        stays = asyncio.create_task(world.allocate(reference="stays"))
        await one_that_waits(world, stays)
        gone.cancel()
    assert (await stays).reference == "stays"
    with pytest.raises(asyncio.CancelledError):
        await gone
    async with world.db.connection() as connection:
        assert await connection.fetchval(LEFT_OPEN) == 0


async def test_a_release_whose_client_goes_away_is_done_or_not_done(world: World) -> None:
    binding = await world.allocate()
    async with world.db.transaction() as holder:
        await holder.fetchrow(queries.LOCK_ONE, binding.id, world.mall.tenant_id)
        task = asyncio.create_task(world.bindings.release(world.mall, binding.id))
        await one_that_waits(world, task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await world.bindings.get(world.mall, binding.id)).status == "active"
    assert (await world.bindings.release(world.mall, binding.id)).status == "released"


async def test_a_release_in_a_ring_of_locks_is_done_again(world: World) -> None:
    """The database ends one of two that wait for each other; if it is the release, nobody notices."""
    binding = await world.allocate()
    async with world.db.connection() as holder:
        ring = holder.transaction()
        await ring.start()
        await holder.execute("select from numbers where vn = $1 for update", binding.vn)
        task = asyncio.create_task(world.bindings.release(world.mall, binding.id))
        await one_that_waits(world, task)
        await holder.fetchrow(queries.LOCK_ONE, binding.id, world.mall.tenant_id)  # the other has waited longer
        await ring.rollback()
    assert (await task).status == "released"
