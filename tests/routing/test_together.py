"""Facts that are asked for at the same moment are fetched in one statement, and are those of one asked for alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest

from tests.bindings.test_meetings import start_and_wait_until_blocked
from tests.calls.test_service import attempt, reason
from tests.core_world import COURIER, CUSTOMER, STRANGER, World
from tests.waiting import until
from vns.bindings.rules import Channel
from vns.calls.service import Calls
from vns.errors import Unavailable
from vns.numbering.rules import parse
from vns.routing import queries
from vns.routing.rules import Question
from vns.routing.service import NOBODY
from vns.routing.together import FactsTogether

WAITING = "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


@pytest.fixture
def loans(world: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that a connection is taken."""
    taken: list[int] = []
    take = world.db.take

    async def counted() -> object:
        taken.append(1)
        return await take()

    monkeypatch.setattr(world.db, "take", counted)
    return taken


async def alone(world: World, vn: int, caller: bytes) -> asyncpg.Record:
    async with world.db.connection() as connection:
        return await connection.fetchrow(queries.FACTS, vn, caller, world.clock.now())


def question(world: World, vn: int) -> Question:
    return Question(vn=vn, caller=None, channel=Channel.VOICE, at=world.clock.now())


def asked_by(world: World, vn: int, callers: int) -> list["asyncio.Task[asyncpg.Record | None]"]:
    facts = FactsTogether(world.db)
    return [asyncio.create_task(facts.of(question(world, vn), None)) for _ in range(callers)]


async def all_of(asking: list["asyncio.Task[asyncpg.Record | None]"]) -> list[object]:
    return list(await asyncio.gather(*asking, return_exceptions=True))


@asynccontextmanager
async def held_up(world: World) -> AsyncIterator[None]:
    async with world.db.transaction() as connection:
        await connection.execute("lock table bindings in access exclusive mode")
        yield


async def test_each_gets_what_it_would_have_got_alone(world: World, loans: list[int]) -> None:
    own, pair, over = await world.allocate(), await world.pair(), await world.allocate("01055550001")
    await world.bindings.release(world.mall, over.id)
    index = world.keyring.index
    asked = [
        (own.vn, index(COURIER)),
        (pair.vn, index(COURIER)),
        (pair.vn, index(STRANGER)),
        (own.vn, None),
        (over.vn, index(CUSTOMER)),
        (parse("0504-1999-9999").key, index(COURIER)),
    ]
    expected = [await alone(world, vn, caller or NOBODY) for vn, caller in asked]
    assert [row["id"] for row in expected] == [own.id, pair.id, None, own.id, over.id, None]
    facts = FactsTogether(world.db)
    loans.clear()
    found = await asyncio.gather(*(facts.of(question(world, vn), caller) for vn, caller in asked))
    assert len(loans) == 1
    assert [dict(row or {}) for row in found] == [dict(row) for row in expected]
    assert found == expected, "a copy of one is told from another by this"


async def test_one_at_a_time_is_asked_alone(world: World, loans: list[int]) -> None:
    binding = await world.allocate()
    facts = FactsTogether(world.db)
    loans.clear()
    for _ in range(2):
        row = await facts.of(question(world, binding.vn), None)
        assert row is not None
        assert row["id"] == binding.id
    assert len(loans) == 2


async def test_what_needs_more_than_plain_facts_is_not_asked_here(world: World, loans: list[int]) -> None:
    vn = (await world.allocate()).vn
    loans.clear()
    for one in (replace(question(world, vn), digits="1234"), replace(question(world, vn), vn=None)):
        assert await FactsTogether(world.db).of(one, None) is None
    assert loans == []


async def test_a_caller_who_has_gone_takes_nobody_along(world: World) -> None:
    binding = await world.allocate()
    asking = asked_by(world, binding.vn, 3)
    async with held_up(world):
        pending = await start_and_wait_until_blocked(world, all_of(asking))
        asking[0].cancel()
        await asyncio.wait([asking[0]])
    gone, *others = await pending
    assert isinstance(gone, asyncio.CancelledError)
    assert [isinstance(row, asyncpg.Record) and row["id"] for row in others] == [binding.id] * 2


async def test_what_nobody_waits_for_is_given_up(world: World) -> None:
    asking = asked_by(world, (await world.allocate()).vn, 2)
    async with held_up(world):
        pending = await start_and_wait_until_blocked(world, all_of(asking))
        for one in asking:
            one.cancel()
        assert [type(answer) for answer in await pending] == [asyncio.CancelledError] * 2

        async def given_up() -> bool:
            async with world.db.connection() as connection:
                return not await connection.fetch(WAITING)

        await until(given_up)


async def test_those_who_left_before_it_was_asked_are_not_asked_for(world: World, loans: list[int]) -> None:
    binding = await world.allocate()
    loans.clear()
    asking = asked_by(world, binding.vn, 2)
    asyncio.get_running_loop().call_soon(asking[0].cancel)
    gone, row = await all_of(asking)
    assert isinstance(gone, asyncio.CancelledError)
    assert isinstance(row, asyncpg.Record)
    assert len(loans) == 1


async def test_everybody_is_told_that_postgresql_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    binding = await world.allocate()

    async def away() -> None:
        raise Unavailable("PostgreSQL does not answer")

    monkeypatch.setattr(world.db, "take", away)
    assert [type(one) for one in await all_of(asked_by(world, binding.vn, 3))] == [Unavailable] * 3


async def test_calls_that_come_together_are_decided_together(world: World, loans: list[int]) -> None:
    calls = Calls(world.db, world.router, world.clock)
    binding, pair = await world.allocate(), await world.pair()
    await calls.begin(attempt(world, f"0{binding.vn}", COURIER))  # learns the ranges of pools
    loans.clear()
    begun = await asyncio.gather(
        *(calls.begin(attempt(world, f"0{vn}", caller)) for vn, caller in ((binding.vn, COURIER), (pair.vn, STRANGER)))
    )
    assert [one.routed.target for one in begun] == [parse(CUSTOMER), None]
    assert reason(begun[1]) is not None
    assert len(loans) == 1 + len(begun), "one for the facts, and one for each record without a file"


@pytest.mark.parametrize(("gathering", "statements"), [(False, 2), (True, 1)])
async def test_where_nobody_else_is_expected_each_asks_at_once(
    world: World, loans: list[int], gathering: bool, statements: int
) -> None:
    calls = Calls(world.db, world.router, world.clock, gathering=lambda: gathering)
    binding = await world.allocate()
    await calls.begin(attempt(world, f"0{binding.vn}", COURIER))  # learns the ranges of pools
    loans.clear()
    begun = await asyncio.gather(*(calls.begin(attempt(world, f"0{binding.vn}", COURIER)) for _ in range(2)))
    assert [one.routed.target for one in begun] == [parse(CUSTOMER)] * 2
    assert len(loans) == statements + len(begun)
