"""Limits, scanners and callers who reach everybody, on a real database and a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from tests.core_world import COURIER, STRANGER, World
from tests.waiting import until
from vns.abuse.flags import CallerFlags
from vns.abuse.rules import FlagReason, FlagStatus, Policy
from vns.abuse.tally import Tally
from vns.abuse.watch import Watch
from vns.errors import NotFound
from vns.numbering.rules import parse
from vns.routing.rules import Reason, Refuse

POLICY = Policy(
    calls_per_caller=3,
    calls_per_number=5,
    scan_numbers=4,
    scan_window=timedelta(minutes=10),
    scan_stop=timedelta(hours=1),
    reach_customers=3,
    reach_window=timedelta(days=1),
    reach_stops=False,
    reach_stop=timedelta(days=1),
)


@pytest.fixture
async def tally(redis_url: str) -> AsyncIterator[Tally]:
    opened = Tally(redis_url)
    yield opened
    await opened.close()


@pytest.fixture
def flags(world: World) -> CallerFlags:
    return CallerFlags(world.db, world.clock)


@pytest.fixture
def watch(flags: CallerFlags, tally: Tally) -> Watch:
    return Watch(flags, tally, POLICY)


async def noted(watch: Watch, world: World, caller: str, *numbers: int, refused: Reason | None = None) -> None:
    for vn in numbers:
        watch.note(world.keyring.index(caller), parse(caller).masked, vn, world.clock.now(), refused)
    await watch.flush()


async def test_a_caller_over_its_limit_waits_for_the_next_minute(world: World, watch: Watch) -> None:
    caller, now = world.keyring.index(COURIER), world.clock.now
    await noted(watch, world, COURIER, 1, 2)
    assert watch.exceeded(caller, 4, now()) is None
    await noted(watch, world, COURIER, 3)
    assert watch.exceeded(caller, 4, now()) == "more than 3 calls a minute from this caller"
    assert watch.exceeded(world.keyring.index(STRANGER), 4, now()) is None
    assert watch.exceeded(None, 4, now()) is None
    world.clock.move(seconds=60)
    assert watch.exceeded(caller, 4, now()) is None


async def test_a_number_over_its_limit_takes_nobody(world: World, watch: Watch) -> None:
    for last in range(5):
        await noted(watch, world, f"0102222000{last}", 7)
    assert watch.exceeded(world.keyring.index(COURIER), 7, world.clock.now()) is not None
    assert watch.exceeded(None, 7, world.clock.now()) is not None
    assert watch.exceeded(world.keyring.index(COURIER), 8, world.clock.now()) is None


async def test_limits_that_are_off(world: World, flags: CallerFlags, tally: Tally) -> None:
    off = Policy(
        calls_per_caller=0,
        calls_per_number=0,
        scan_numbers=0,
        scan_window=timedelta(minutes=1),
        scan_stop=timedelta(minutes=1),
        reach_customers=0,
        reach_window=timedelta(days=1),
        reach_stops=True,
        reach_stop=timedelta(days=1),
    )
    watch = Watch(flags, tally, off)
    await noted(watch, world, COURIER, *range(20), refused=Reason.UNALLOCATED)
    assert watch.exceeded(world.keyring.index(COURIER), 1, world.clock.now()) is None
    assert await flags.list() == []
    assert await flags.flag_far_reaching(off) == 0


async def test_who_guesses_numbers_is_stopped_whatever_is_dialled_then(world: World, watch: Watch) -> None:
    binding = await world.allocate()
    await noted(watch, world, STRANGER, 1, 2, 3, 3, 3, refused=Reason.UNALLOCATED)
    assert (await world.ask(binding.vn, STRANGER)).target is not None
    await noted(watch, world, STRANGER, 4, refused=Reason.NOT_A_PARTY)
    for vn in (binding.vn, binding.vn + 1):
        decision = (await world.ask(vn, STRANGER)).decision
        assert isinstance(decision, Refuse)
        assert decision.reason is Reason.NOT_ALLOWED
    assert (await world.ask(binding.vn, COURIER)).target is not None
    world.clock.move(hours=1)
    assert (await world.ask(binding.vn, STRANGER)).target is not None


async def test_yesterdays_numbers_are_no_scan(world: World, watch: Watch, flags: CallerFlags) -> None:
    await noted(watch, world, COURIER, *range(9), refused=Reason.ENDED)
    await noted(watch, world, COURIER, *range(9))
    assert await flags.list() == []


async def test_who_guesses_extensions_of_one_number_is_a_scanner_too(
    world: World, watch: Watch, flags: CallerFlags
) -> None:
    caller, masked = world.keyring.index(STRANGER), parse(STRANGER).masked
    for digits in (None, "1111", "2222", "2222"):
        watch.note(caller, masked, 7, world.clock.now(), Reason.NOT_A_PARTY if digits else None, digits)
        await watch.flush()
    assert watch.exceeded(caller, 7, world.clock.now()) is None, "it was one call"
    assert await flags.list() == []
    for digits in ("3333", "4444"):
        watch.note(caller, masked, 7, world.clock.now(), Reason.NOT_A_PARTY, digits)
        await watch.flush()
    assert [flag.counted for flag in await flags.list()] == [4]


async def test_the_operators_word_holds(world: World, watch: Watch, flags: CallerFlags) -> None:
    binding, stranger = await world.allocate(), parse(STRANGER)
    await flags.decide("cli:test", world.keyring, stranger, FlagStatus.STOPPED)
    assert (await world.ask(binding.vn, STRANGER)).target is None
    await flags.decide("cli:test", world.keyring, stranger, FlagStatus.TRUSTED)
    await noted(watch, world, STRANGER, *range(9), refused=Reason.UNALLOCATED)
    assert (await world.ask(binding.vn, STRANGER)).target is not None
    [flag] = await flags.list()
    assert (flag.status, flag.reason, flag.masked) == (FlagStatus.TRUSTED, FlagReason.OPERATOR, "010-****-6666")
    assert await flags.trusted() == {world.keyring.index(STRANGER)}
    await flags.clear("cli:test", world.keyring, stranger)
    assert await flags.list() == []
    with pytest.raises(NotFound):
        await flags.clear("cli:test", world.keyring, stranger)


async def called(world: World, caller: str, bindings: int) -> None:
    """`caller` was connected to so many bindings, just now."""
    statement = """
        insert into calls (id, binding_id, vn, direction, from_index, from_masked, arrived_at, bridge, channel)
        select $1, gen_random_uuid(), 1, 'to_real', $2, $3, $4, 'a', 'c'
    """
    now = world.clock.now()
    async with world.db.connection() as connection:
        for number in range(bindings):
            call_id = UUID(int=(int(now.timestamp() * 1000) << 80) + (world.keyring.index(caller)[0] << 32) + number)
            masked = parse(caller).masked
            await connection.execute(statement, call_id, world.keyring.index(caller), masked, now)


@pytest.mark.parametrize(("stops", "status"), [(False, FlagStatus.FLAGGED), (True, FlagStatus.STOPPED)])
async def test_who_reaches_everybody_is_flagged_once(
    world: World, flags: CallerFlags, stops: bool, status: FlagStatus
) -> None:
    policy = Policy(**{**{name: getattr(POLICY, name) for name in POLICY.__slots__}, "reach_stops": stops})
    await called(world, STRANGER, 2)
    assert await flags.flag_far_reaching(policy) == 0
    await called(world, COURIER, 3)
    assert await flags.flag_far_reaching(policy) == 1
    assert await flags.flag_far_reaching(policy) == 0
    [flag] = await flags.list()
    assert (flag.masked, flag.status, flag.reason, flag.counted) == ("010-****-4444", status, FlagReason.REACH, 3)
    binding = await world.allocate()
    assert ((await world.ask(binding.vn, COURIER)).target is None) == stops
    async with world.db.connection() as connection:
        events = await connection.fetch("select event from journal where event like 'caller.%'")
    assert [row["event"] for row in events] == [f"caller.{status}"]
    world.clock.move(days=1, seconds=1)
    await flags.clear_over()
    assert await flags.list() == []


async def test_calls_are_counted_while_postgresql_is_away(
    world: World, flags: CallerFlags, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies connect them."""
    asked = asyncio.Event()

    async def away() -> frozenset[bytes]:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(flags, "trusted", away)
    caller, now = world.keyring.index(COURIER), world.clock.now()
    watching = asyncio.create_task(watch.run())
    try:
        await asked.wait()
        for vn in range(3):
            watch.note(caller, parse(COURIER).masked, vn, now, None)

        async def counted() -> bool:
            return watch.exceeded(caller, 4, now) is not None

        await until(counted)
    finally:
        watching.cancel()


async def test_a_scanner_who_cannot_be_written_down_ends_no_bridge(
    world: World, flags: CallerFlags, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, or a PostgreSQL that only reads."""
    tried = asyncio.Event()

    async def full(*_: object) -> bool:
        tried.set()
        raise asyncpg.DiskFullError("no space left")

    monkeypatch.setattr(flags, "flag", full)
    caller, now = world.keyring.index(STRANGER), world.clock.now()
    watching = asyncio.create_task(watch.run())
    try:
        for _ in range(2):
            for vn in range(4):
                watch.note(caller, parse(STRANGER).masked, vn, now, Reason.UNALLOCATED)
            await tried.wait()
            tried.clear()
        assert not watching.done()
    finally:
        watching.cancel()
