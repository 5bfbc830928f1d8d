"""Every row of the table of refusals: prompt in early media, the final code, and a record."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from local.postgres import PostgresServer
from simulators.phones.carrier import CallReport
from simulators.phones.scenarios import Behaviour, Identity
from tests.core_world import COURIER, CUSTOMER, STRANGER
from tests.e2e.conftest import Platform
from tests.e2e.test_calls import assert_hidden
from vns.bindings.rules import Channel
from vns.calls.rules import NO_NUMBER
from vns.numbering.rules import digits_of, parse
from vns.routing.rules import REFUSALS, Reason

pytestmark = pytest.mark.asterisk

Prepare = Callable[[Platform], Awaitable[str]]
"""Makes the situation; the number to dial."""


async def never_allocated(platform: Platform) -> str:
    return "050499999999"


async def still_free(platform: Platform) -> str:
    return "050410000019"


async def no_number(platform: Platform) -> str:
    return "hello*world"


async def one_way(platform: Platform) -> str:
    return digits_of((await platform.world.allocate()).vn)


async def texts_only(platform: Platform) -> str:
    return digits_of((await platform.world.allocate(channels=frozenset({Channel.SMS}))).vn)


async def pair(platform: Platform) -> str:
    return digits_of((await platform.world.pair()).vn)


async def released(platform: Platform) -> str:
    binding = await platform.world.allocate()
    await platform.world.bindings.release(platform.world.mall, binding.id)
    return digits_of(binding.vn)


async def released_pair(platform: Platform) -> str:
    binding = await platform.world.pair()
    await platform.world.bindings.release(platform.world.mall, binding.id)
    return digits_of(binding.vn)


async def expired(platform: Platform) -> str:
    """No worker has run: the decision alone knows."""
    ends = platform.world.clock.now() + timedelta(seconds=60)
    binding = await platform.world.allocate(expires_at=ends)
    platform.world.clock.move(seconds=61)
    return digits_of(binding.vn)


@dataclass(frozen=True)
class Row:
    reason: Reason
    prepare: Prepare
    caller: str | Identity = COURIER
    phone: Behaviour | None = None


ROWS = {
    "in no pool": Row(Reason.UNALLOCATED, never_allocated),
    "free": Row(Reason.UNALLOCATED, still_free),
    "not a number": Row(Reason.UNALLOCATED, no_number),
    "released": Row(Reason.ENDED, released),
    "a released pair": Row(Reason.ENDED, released_pair),
    "expired": Row(Reason.ENDED, expired),
    "a stranger to the pair": Row(Reason.NOT_A_PARTY, pair, STRANGER),
    "withheld": Row(Reason.NOT_A_PARTY, one_way, Identity.withheld()),
    "withheld to a pair": Row(Reason.NOT_A_PARTY, pair, Identity.withheld()),
    "the owner dials its own": Row(Reason.NOT_ALLOWED, one_way, CUSTOMER),
    "for texts only": Row(Reason.NOT_ALLOWED, texts_only),
    "busy": Row(Reason.BUSY, one_way, phone=Behaviour(status=486)),
    "declined": Row(Reason.BUSY, one_way, phone=Behaviour(status=603)),
    "not available": Row(Reason.NO_ANSWER, one_way, phone=Behaviour(status=480)),
    "rings without end": Row(Reason.NO_ANSWER, one_way, phone=Behaviour(status=None)),
    "fails": Row(Reason.UNREACHABLE, one_way, phone=Behaviour(status=500)),
    "unknown to the carrier": Row(Reason.UNREACHABLE, one_way, phone=Behaviour(status=404)),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
async def test_a_refusal(platform: Platform, row: Row) -> None:
    dialled = await row.prepare(platform)
    identity = Identity.plain(row.caller) if isinstance(row.caller, str) else row.caller
    callee = None
    if row.phone is None:
        caller = await platform.carrier.call(dialled, identity)
    else:
        async with platform.carrier.phone(row.phone) as phone:
            caller = await platform.carrier.call(dialled, identity)
            callee = await phone.hung_up()
    assert_refused(caller, row.reason)
    if row.caller != CUSTOMER:
        assert_hidden(CUSTOMER, caller)
    assert (callee is None) == (row.phone is None)
    [call] = await platform.ended_calls()
    assert (call["result"], call["cause"], call["billed_seconds"]) == (row.reason, REFUSALS[row.reason].cause, 0)
    assert call["answered_at"] is None
    assert call["hangup_by"] == ("callee" if row.reason is Reason.BUSY else "platform")
    assert (call["ringing_at"] is None) == (callee is None)


def assert_refused(caller: CallReport, reason: Reason) -> None:
    """The prompt is heard before the code comes, and the call is never answered."""
    assert caller.status == REFUSALS[reason].sip
    assert caller.early_media
    assert caller.rtp_received > 10


async def test_a_carrier_that_does_not_answer_at_all_is_unreachable(platform: Platform) -> None:
    dialled = await one_way(platform)
    caller = await platform.carrier.call(dialled, Identity.plain(COURIER))
    assert_refused(caller, Reason.UNREACHABLE)


async def test_without_any_bridge_callers_are_asked_to_try_later_and_recorded_afterwards(
    quiet_platform: Platform,
) -> None:
    dialled = await one_way(quiet_platform)
    caller = await quiet_platform.carrier.call(dialled, Identity.plain(COURIER))
    assert_refused(caller, Reason.OVERLOAD)
    async with quiet_platform.bridge("b"):
        [call] = await quiet_platform.ended_calls()
    assert (call["result"], call["cause"], digits_of(call["vn"])) == ("overload", 42, dialled)


async def test_what_is_too_long_for_a_number_holds_up_no_other_record(quiet_platform: Platform) -> None:
    dialled = await one_way(quiet_platform)
    for number in (f"0504{'1' * 30}", dialled):
        caller = await quiet_platform.carrier.call(number, Identity.plain(COURIER))
        assert_refused(caller, Reason.OVERLOAD)
    async with quiet_platform.bridge("b"):
        calls = await quiet_platform.ended_calls(2)
    assert [call["vn"] for call in calls] == [NO_NUMBER, parse(dialled).key]


async def test_without_a_database_callers_are_asked_to_try_later_and_recorded_afterwards(
    platform: Platform, postgres: PostgresServer
) -> None:
    dialled = await one_way(platform)
    name = platform.world.db.url.rpartition("/")[2]
    postgres.query(f"alter database {name} with allow_connections false")
    postgres.query(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")  # noqa: S608 - a test's own
    caller = await platform.carrier.call(dialled, Identity.plain(COURIER))
    postgres.query(f"alter database {name} with allow_connections true")
    assert_refused(caller, Reason.OVERLOAD)
    [call] = await platform.ended_calls()
    assert (call["result"], call["cause"], digits_of(call["vn"])) == ("overload", 42, dialled)


async def test_one_call_too_many_is_turned_away_at_once_and_recorded(quiet_platform: Platform) -> None:
    """Without an announcement: it would hold up an Asterisk that has too much to do."""
    dialled = await never_allocated(quiet_platform)
    async with quiet_platform.bridge("a", calls_a_second=1) as bridge:
        await bridge.wait_ready()
        together = [quiet_platform.carrier.call(dialled, Identity.plain(COURIER)) for _ in range(4)]
        callers = await asyncio.gather(*together)
        calls = await quiet_platform.ended_calls(4)
    turned_away = [caller for caller in callers if caller.status == REFUSALS[Reason.OVERLOAD].sip]
    assert 0 < len(turned_away) < 4
    assert not any(caller.early_media for caller in turned_away)
    for caller in callers:
        if caller not in turned_away:
            assert_refused(caller, Reason.UNALLOCATED)
    results = [(call["result"], call["cause"], digits_of(call["vn"])) for call in calls]
    assert results.count(("overload", 42, dialled)) == len(turned_away)
