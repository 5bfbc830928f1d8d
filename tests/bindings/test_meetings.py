"""Two transactions that meet at one number: one of them is held open by the test at the very point where they cross."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World, request
from vns.bindings.allocation import Batch, Item
from vns.bindings.rules import Allocation, AllocationRequest, Binding
from vns.errors import PoolExhausted, VirtualNumberInUse
from vns.numbering.rules import digits_of
from vns.pools.rules import Mode, Service

BLOCKED = "select count(*) from pg_locks where not granted and pid <> pg_backend_pid()"


@asynccontextmanager
async def half_way(world: World, asked: AllocationRequest) -> AsyncIterator[Binding]:
    """An allocation of another process, done up to its commit."""
    item = Item(
        principal=world.mall,
        request=asked,
        real_index=world.keyring.index(asked.real_number.digits),
        peer_index=world.keyring.index(asked.peer_number.digits) if asked.peer_number else None,
    )
    async with world.db.transaction() as connection:
        batch = Batch(connection, world.keyring, lambda _: "", world.clock.now(), [item])
        [answer] = await batch.run()
        assert isinstance(answer, Allocation)
        assert answer.binding is not None
        yield answer.binding


async def start_and_wait_until_blocked(world: World, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    task = asyncio.create_task(work)
    async with asyncio.timeout(30), world.db.connection() as connection:
        while not task.done() and not await connection.fetchval(BLOCKED):
            await asyncio.wait([task], timeout=0.01)
    return task


async def one_number(world: World) -> str:
    pool = await world.pool("070-9000-0000", "070-9000-0000", Service.VOIP, name="one", quarantine_seconds=0)
    return digits_of(pool.first)


async def ended_pair(world: World) -> None:
    """Leaves the seats of both parties on the number, free to be taken over."""
    pair = await world.pair(pool="one")
    await world.bindings.release(world.mall, pair.id)


@pytest.mark.parametrize("named", [False, True], ids=["any number", "the number by name"])
async def test_a_number_becomes_nobodys_own_while_a_pair_takes_its_seats(world: World, *, named: bool) -> None:
    vn = await one_number(world)
    await ended_pair(world)
    one_way = request(STRANGER, pool="one", vn=vn if named else None)
    async with half_way(world, request(mode=Mode.BIDIRECTIONAL, peer=COURIER, pool="one")) as pair:
        task = await start_and_wait_until_blocked(world, world.bindings.allocate(world.mall, one_way))
    with pytest.raises(VirtualNumberInUse if named else PoolExhausted):
        await task
    routed = await world.ask(pair.vn, CUSTOMER)
    assert routed.target is not None
    assert routed.target.digits == COURIER


async def test_a_pair_takes_no_number_that_is_being_named(world: World) -> None:
    vn = await one_number(world)
    pair = request(mode=Mode.BIDIRECTIONAL, peer=COURIER, pool="one")
    async with half_way(world, request(STRANGER, pool="one", vn=vn)) as binding:
        task = await start_and_wait_until_blocked(world, world.bindings.allocate(world.mall, pair))
    with pytest.raises(PoolExhausted):
        await task
    routed = await world.ask(binding.vn, COURIER)
    assert routed.target is not None
    assert routed.target.digits == STRANGER
