"""The newer modes by telephone: who is reached, what each side sees and hears, what is recorded.

The bindings are those of tests/routing/rows.py.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import asyncpg
import pytest

from simulators.phones.carrier import CallReport, Phone
from simulators.phones.scenarios import Behaviour, Identity
from simulators.phones.traces import Message
from tests.core_world import COURIER, CUSTOMER, STRANGER
from tests.e2e.conftest import Platform
from tests.e2e.test_calls import assert_hidden, showing, shown
from tests.routing.rows import Row, write
from vns.numbering.rules import digits_of
from vns.pools.rules import Mode

pytestmark = pytest.mark.asterisk

X, Y, SAFE = 7080000000, 7080000001, 50410000000
FIRST, SECOND, THIRD = "01077770001", "01077770002", "01077770003"
PER_SIDE = Row(mode=Mode.PER_SIDE, vn=X, peer_vn=Y, peer=COURIER)
EXTENSION = Row(mode=Mode.EXTENSION, vn=SAFE, extension="1234", caller_id="caller")
OUTBOUND = Row(mode=Mode.OUTBOUND, vn=X)
GROUP = Row(mode=Mode.GROUP, vn=X, members=(FIRST, SECOND, THIRD))


def dialling(
    platform: Platform, vn: int, caller: str, *, talk_seconds: float = 30.0
) -> AbstractAsyncContextManager[Phone]:
    return platform.carrier.calling(digits_of(vn), Identity.plain(caller), talk_seconds=talk_seconds)


async def heard_more(phone: Phone, packets: int = 5) -> None:
    """Until a prompt has begun."""
    before = phone.packets
    await phone.until(lambda phone: phone.packets >= before + packets, timeout=60)


async def press_when_asked(phone: Phone, keys: str) -> None:
    await heard_more(phone)
    await phone.press(keys)


def cause_of_end(report: CallReport) -> str:
    bye = next(message for message in report.received if message.method == "BYE" and message.status is None)
    return bye.header("Reason")


@pytest.mark.parametrize(
    ("caller", "dialled", "target", "seen"),
    [
        pytest.param(CUSTOMER, Y, COURIER, X, id="the customer calls the courier"),
        pytest.param(COURIER, X, CUSTOMER, Y, id="the courier calls the customer"),
    ],
)
async def test_per_side_each_sees_the_number_on_which_it_reaches_the_other(
    platform: Platform, caller: str, dialled: int, target: str, seen: int
) -> None:
    binding_id = await write(platform.world, PER_SIDE)
    async with platform.carrier.phone(showing(target)) as phone:
        async with dialling(platform, dialled, caller, talk_seconds=0.5) as calling:
            own = await calling.ended()
        other = await phone.hung_up()
    assert own.status == 200
    assert other.received[0].uri.startswith(f"sip:{target}@")
    assert shown(other) == {digits_of(seen)}
    assert_hidden(target, own)
    assert_hidden(caller, other)
    assert own.heard_from(other) > 0
    assert other.heard_from(own) > 0
    [call] = await platform.ended_calls()
    assert (call["result"], call["binding_id"], call["vn"]) == ("answered", binding_id, dialled)


async def test_per_side_a_party_that_dials_the_other_s_number_is_refused(platform: Platform) -> None:
    await write(platform.world, PER_SIDE)
    report = await platform.carrier.call(digits_of(X), Identity.plain(CUSTOMER))
    assert report.status == 403
    [call] = await platform.ended_calls()
    assert call["result"] == "not_a_party"


async def test_a_stranger_dials_an_extension_and_the_owner_calls_back(platform: Platform) -> None:
    binding_id = await write(platform.world, EXTENSION)
    async with platform.carrier.phone(replace(showing(CUSTOMER), hang_up_after=0.5)) as owner:
        async with dialling(platform, SAFE, STRANGER) as stranger:
            await press_when_asked(stranger, "1234#")
            caller = await stranger.ended()
        callee = await owner.hung_up()
    assert caller.status == 200
    assert callee.received[0].uri.startswith(f"sip:{CUSTOMER}@")
    assert shown(callee) == {STRANGER}
    assert_hidden(CUSTOMER, caller)
    assert caller.heard_from(callee) > 0
    assert callee.heard_from(caller) > 0
    [call] = await platform.ended_calls()
    assert (call["result"], call["hangup_by"], call["binding_id"]) == ("answered", "callee", binding_id)
    assert call["billed_seconds"] in {1, 2}, "only from the owner's answer"
    assert call["arrived_at"] < call["ringing_at"] <= call["answered_at"]
    async with platform.carrier.phone(showing(STRANGER)) as last_caller:
        async with dialling(platform, SAFE, CUSTOMER, talk_seconds=0.3) as owner:
            back = await owner.ended()
        called_back = await last_caller.hung_up()
    assert back.status == 200
    assert called_back.received[0].uri.startswith(f"sip:{STRANGER}@")
    assert shown(called_back) == {digits_of(SAFE)}
    assert_hidden(CUSTOMER, called_back)
    assert_hidden(STRANGER, back)


async def test_the_extension_may_be_right_the_second_time(platform: Platform) -> None:
    await write(platform.world, EXTENSION)
    async with platform.carrier.phone(Behaviour(hang_up_after=0.2)) as owner:
        async with dialling(platform, SAFE, STRANGER) as stranger:
            await press_when_asked(stranger, "9*#")
            await press_when_asked(stranger, "1234#")
            await stranger.ended()
        await owner.hung_up()
    [call] = await platform.ended_calls()
    assert call["result"] == "answered"


async def test_three_wrong_extensions_end_the_call(platform: Platform) -> None:
    await write(platform.world, EXTENSION)
    async with platform.carrier.phone() as owner, dialling(platform, SAFE, STRANGER) as stranger:
        for wrong in ("4321#", "12#", "12345#"):
            await press_when_asked(stranger, wrong)
        caller = await stranger.ended()
        assert not owner.messages()
    assert "cause=21" in cause_of_end(caller)
    [call] = await platform.ended_calls()
    assert (call["result"], call["cause"], call["hangup_by"]) == ("not_a_party", 21, "platform")
    assert (call["answered_at"], call["billed_seconds"]) == (None, 0)


async def test_who_dials_no_extension_is_asked_three_times(platform: Platform) -> None:
    await write(platform.world, EXTENSION)
    async with dialling(platform, SAFE, STRANGER) as stranger:
        caller = await stranger.ended()
    assert "cause=21" in cause_of_end(caller)
    [call] = await platform.ended_calls()
    assert (call["result"], call["billed_seconds"]) == ("not_a_party", 0)


async def test_who_hangs_up_while_asked_has_given_up(platform: Platform) -> None:
    await write(platform.world, EXTENSION)
    async with dialling(platform, SAFE, STRANGER, talk_seconds=0.3) as stranger:
        await stranger.ended()
    [call] = await platform.ended_calls()
    assert (call["result"], call["hangup_by"], call["billed_seconds"]) == ("cancelled", "caller", 0)


async def test_a_subscriber_calls_out_and_shows_its_number(platform: Platform) -> None:
    await write(platform.world, OUTBOUND)
    async with platform.carrier.phone(showing(STRANGER)) as phone:
        caller = await platform.carrier.call(STRANGER, Identity.plain(CUSTOMER), talk_seconds=0.3)
        callee = await phone.hung_up()
    assert caller.status == 200
    assert shown(callee) == {digits_of(X)}
    assert_hidden(CUSTOMER, callee)
    [call] = await platform.ended_calls()
    assert (call["vn"], call["result"], call["direction"]) == (X, "answered", "to_peer")


async def test_a_subscriber_dials_its_own_number_and_is_asked_whom_to_call(platform: Platform) -> None:
    await write(platform.world, OUTBOUND)
    async with platform.carrier.phone(Behaviour(hang_up_after=0.3)) as phone:
        async with dialling(platform, X, CUSTOMER) as subscriber:
            await press_when_asked(subscriber, "112#")
            await press_when_asked(subscriber, f"{STRANGER}#")
            await subscriber.ended()
        callee = await phone.hung_up()
    assert callee.received[0].uri.startswith(f"sip:{STRANGER}@")
    assert shown(callee) == {digits_of(X)}
    assert_hidden(CUSTOMER, callee)
    [call] = await platform.ended_calls()
    assert (call["vn"], call["result"], call["billed_seconds"] <= 2) == (X, "answered", True)


@pytest.mark.parametrize("wanted", ["112", "0602001234", "00112125550100", "050410000003"])
async def test_a_subscriber_reaches_nothing_foreign_premium_virtual_or_for_emergencies(
    platform: Platform, wanted: str
) -> None:
    await write(platform.world, OUTBOUND)
    async with platform.carrier.phone() as phone:
        report = await platform.carrier.call(wanted, Identity.plain(CUSTOMER))
        assert not phone.messages()
    assert report.status in {403, 404}
    [call] = await platform.ended_calls()
    assert call["result"] in {"not_allowed", "unallocated"}


async def test_nobody_else_calls_out_through_a_subscriber_s_number(platform: Platform) -> None:
    await write(platform.world, OUTBOUND)
    async with platform.carrier.phone() as phone:
        own_number = await platform.carrier.call(digits_of(X), Identity.plain(STRANGER))
        directly = await platform.carrier.call(COURIER, Identity.plain(STRANGER))
        assert not phone.messages()
    assert (own_number.status, directly.status) == (403, 404)


def final_status(messages: tuple[Message, ...]) -> int | None:
    return next((m.status for m in messages if m.method == "INVITE" and (m.status or 0) >= 200), None)


async def call_of_team(
    platform: Platform, row: Row, phones: dict[str, Behaviour], *, talk_seconds: float = 0.3
) -> tuple[CallReport, dict[str, int | None], asyncpg.Record]:
    """The customer calls; the final status of each member that was called, and the record."""
    await write(platform.world, row)
    async with platform.carrier.phone(numbers=phones) as team:
        async with dialling(platform, X, CUSTOMER, talk_seconds=talk_seconds) as customer:
            report = await customer.ended()
        [call] = await platform.ended_calls()
        await team.until(
            lambda team: all(final_status(team.called(number)) for number in phones if team.called(number))
        )
        seen = {number: team.called(number) for number in phones}
    finals = {number: final_status(messages) for number, messages in seen.items() if messages}
    for number, messages in seen.items():
        for message in messages:
            assert CUSTOMER not in message.text or not message.received
            for other in set(phones) - {number}:
                assert other not in message.text
    return report, finals, call


ANSWERS_LATER = Behaviour(ring_seconds=1.0)  # when whoever is busy has said so
BUSY, SILENT, ANSWERS, FAILS = Behaviour(status=486), Behaviour(status=None), Behaviour(), Behaviour(status=500)


@pytest.mark.parametrize(
    ("ring", "phones", "finals", "status", "result"),
    [
        pytest.param(
            "order",
            {FIRST: BUSY, SECOND: SILENT, THIRD: ANSWERS},
            {FIRST: 486, SECOND: 487, THIRD: 200},
            200,
            "answered",
            id="in order until one answers",
        ),
        pytest.param(
            "order", {FIRST: ANSWERS, SECOND: ANSWERS, THIRD: ANSWERS}, {FIRST: 200}, 200, "answered", id="the first"
        ),
        pytest.param(
            "order",
            {FIRST: BUSY, SECOND: FAILS, THIRD: BUSY},
            {FIRST: 486, SECOND: 500, THIRD: 486},
            486,
            "busy",
            id="in order, none is free",
        ),
        pytest.param(
            "order",
            {FIRST: SILENT, SECOND: BUSY, THIRD: FAILS},
            {FIRST: 487, SECOND: 486, THIRD: 500},
            480,
            "no_answer",
            id="in order, one rang",
        ),
        pytest.param(
            "all",
            {FIRST: SILENT, SECOND: ANSWERS_LATER, THIRD: BUSY},
            {FIRST: 487, SECOND: 200, THIRD: 486},
            200,
            "answered",
            id="all at once, one answers",
        ),
        pytest.param(
            "all",
            {FIRST: BUSY, SECOND: BUSY, THIRD: BUSY},
            {FIRST: 486, SECOND: 486, THIRD: 486},
            486,
            "busy",
            id="all at once, all busy",
        ),
        pytest.param(
            "all",
            {FIRST: SILENT, SECOND: SILENT, THIRD: BUSY},
            {FIRST: 487, SECOND: 487, THIRD: 486},
            480,
            "no_answer",
            id="all at once, nobody answers",
        ),
    ],
)
async def test_a_team_rings(
    platform: Platform,
    ring: str,
    phones: dict[str, Behaviour],
    finals: dict[str, int],
    status: int,
    result: str,
) -> None:
    report, seen, call = await call_of_team(platform, replace(GROUP, ring=ring), phones)
    assert (report.status, seen, call["result"]) == (status, finals, result)
    for member in phones:
        assert_hidden(member, report)


async def test_a_member_reaches_the_customer_under_the_team_s_number(platform: Platform) -> None:
    await write(platform.world, GROUP)
    async with platform.carrier.phone(showing(CUSTOMER)) as customer:
        async with dialling(platform, X, SECOND, talk_seconds=0.3) as member:
            caller = await member.ended()
        callee = await customer.hung_up()
    assert shown(callee) == {digits_of(X)}
    assert_hidden(CUSTOMER, caller)
    assert_hidden(SECOND, callee)
