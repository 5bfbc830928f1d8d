"""Many allocators on few numbers: several processes' worth of connections, taking and releasing as fast as they can."""

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from tests.core_world import World, request
from vns.bindings.rules import Binding
from vns.bindings.service import Bindings
from vns.errors import Conflict, PairInUse, PoolExhausted, VirtualNumberInUse
from vns.numbering.rules import digits_of
from vns.pools.rules import Mode, Service
from vns.storage.clock import Clock
from vns.storage.database import Database

ALLOCATORS, ROUNDS = 12, 25
PEOPLE = [f"0101111{n:04d}" for n in range(6)]


class Held:
    """What is acknowledged and not yet given back. One event loop sees every acknowledgement in order."""

    def __init__(self) -> None:
        self.exclusive: set[int] = set()
        self.seats: Counter[tuple[int, str]] = Counter()
        self.taken = 0

    def take(self, binding: Binding, people: tuple[str, ...]) -> None:
        self.taken += 1
        if len(people) == 1:
            assert binding.vn not in self.exclusive
            assert not any(vn == binding.vn for vn, _ in +self.seats)
            self.exclusive.add(binding.vn)
            return
        assert binding.vn not in self.exclusive
        for person in people:
            assert not self.seats[binding.vn, person]
            self.seats[binding.vn, person] += 1

    def give_back(self, binding: Binding, people: tuple[str, ...]) -> None:
        if len(people) == 1:
            self.exclusive.discard(binding.vn)
        else:
            self.seats.subtract({(binding.vn, person): 1 for person in people})


@pytest.mark.slow
@pytest.mark.parametrize("named", [False, True], ids=["any number", "named numbers"])
async def test_no_number_is_ever_held_twice(world: World, database_url: str, *, named: bool) -> None:
    pool = await world.pool("070-9000-0000", "070-9000-0005", Service.VOIP, name="few", quarantine_seconds=0)
    held = Held()
    expected: tuple[type[Conflict], ...] = (PoolExhausted, VirtualNumberInUse, PairInUse) if named else (PoolExhausted,)

    async def work(bindings: Bindings, seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(ROUNDS):
            people = tuple(dice.sample(PEOPLE, dice.choice([1, 2])))
            vn = digits_of(dice.randint(pool.first, pool.last)) if named else None
            fields = {"mode": Mode.BIDIRECTIONAL, "peer": people[1]} if len(people) == 2 else {}
            try:
                answer = await bindings.allocate(world.mall, request(people[0], pool="few", vn=vn, **fields))
            except expected:
                continue
            assert answer.binding is not None
            held.take(answer.binding, people)
            await asyncio.wait_for(bindings.get(world.mall, answer.binding.id), 30)
            held.give_back(answer.binding, people)
            await bindings.release(world.mall, answer.binding.id)

    async with AsyncExitStack() as stack:
        several = []
        for _ in range(3):
            db = await Database.open(database_url, size=4)
            stack.push_async_callback(db.close)
            several.append(Bindings(db, world.keyring, Clock(), render=lambda binding: str(binding.id)))
        async with asyncio.TaskGroup() as group:
            for seed in range(ALLOCATORS):
                group.create_task(work(several[seed % 3], seed))
    assert held.taken > ALLOCATORS
    async with world.db.connection() as connection:
        assert await connection.fetchval("select count(*) from bindings where status = 'active'") == 0
