"""Rules by telephone: what callers hear, how long they talk, and who is not connected."""

from typing import Any

import pytest

from simulators.phones.scenarios import Behaviour, Identity
from tests.core_world import COURIER, CUSTOMER, STRANGER
from tests.e2e.conftest import Platform
from tests.e2e.test_calls import assert_hidden, shown
from tests.routing.rows import Row, write
from vns.bindings.rules import Status
from vns.numbering.rules import digits_of
from vns.pools.rules import Mode
from vns.prompts.service import Prompts

pytestmark = pytest.mark.asterisk

VN = 7080000000
DIALLED = digits_of(VN)
OTHER_PROMPTS = 25  # packets


def one_way(rules: dict[str, Any], **fields: Any) -> Row:
    return Row(mode=Mode.ONE_WAY, vn=VN, rules=rules, **fields)


async def prompt(platform: Platform, text: str) -> tuple[str, int]:
    """A prompt of the mall's: its id, and how many voice packets it takes: many more than any other of these tests."""
    prompts = Prompts(platform.world.db, platform.world.clock)
    spoken = await prompts.speak(platform.world.mall, text, text)
    packets = int(spoken.seconds * 50)
    assert packets > 2 * OTHER_PROMPTS
    return str(spoken.id), packets


async def test_a_call_is_cut_when_its_time_is_over_and_both_were_told(platform: Platform) -> None:
    binding_id = await write(platform.world, one_way({"max_seconds": 60}))
    async with (
        platform.world.db.connection() as connection
    ):  # shorter than a customer may ask for: nobody waits so long
        await connection.execute(
            "update bindings set rules = jsonb_set(rules, '{max_seconds}', '4') where id = $1", binding_id
        )
    async with platform.carrier.phone(mute=True) as customer:
        async with platform.carrier.calling(DIALLED, Identity.plain(COURIER), talk_seconds=60) as courier:
            caller = await courier.ended()
        callee = await customer.hung_up()
    for report in (caller, callee):
        assert any(message.method == "BYE" and message.status is None for message in report.received)
    told = callee.rtp_received - callee.heard_from(caller)
    assert told >= 20, "half a second that was not the caller's voice"
    assert caller.rtp_received >= 20, "the customer is mute"
    [call] = await platform.ended_calls()
    assert (call["result"], call["hangup_by"]) == ("answered", "platform")
    assert call["billed_seconds"] in {4, 5}


async def test_own_announcements_are_heard_where_there_are_any(platform: Platform) -> None:
    own, packets = await prompt(platform, "가게 문을 닫았습니다.")
    await write(platform.world, one_way({"prompts": {"busy": own}}))
    async with platform.carrier.phone(Behaviour(status=486)):
        caller = await platform.carrier.call(DIALLED, Identity.plain(COURIER))
    assert caller.status == 486
    assert caller.early_media
    assert caller.rtp_received > packets * 0.8


async def test_own_words_about_hours(platform: Platform) -> None:
    own, packets = await prompt(platform, "오늘은 쉬는 날입니다.")
    await write(platform.world, one_way({"hours": {"open": {}}, "prompts": {"not_allowed": own}}))
    async with platform.carrier.phone() as customer:
        caller = await platform.carrier.call(DIALLED, Identity.plain(COURIER))
        assert not customer.messages()
    assert caller.status == 403
    assert caller.rtp_received > packets * 0.8
    [call] = await platform.ended_calls()
    assert call["result"] == "not_allowed"


async def test_an_own_ringback_is_heard_while_it_rings(platform: Platform) -> None:
    own, packets = await prompt(platform, "잠시만.")
    await write(platform.world, one_way({"ringback": own, "ring_seconds": 60}))
    ringing = 2.5 * packets / 50  # seconds: the tone begins anew
    async with platform.carrier.phone(Behaviour(ring_seconds=ringing), mute=True) as customer:
        async with platform.carrier.calling(DIALLED, Identity.plain(COURIER), talk_seconds=0.3) as courier:
            caller = await courier.ended()
        callee = await customer.hung_up()
    assert (caller.status, caller.early_media) == (200, True)
    assert caller.rtp_received > packets * 1.5
    assert callee.heard_from(caller) > 0
    [call] = await platform.ended_calls()
    assert (call["result"], call["hangup_by"]) == ("answered", "caller")
    assert call["billed_seconds"] <= 2, "not the time in which the tone was played"


async def test_who_answers_for_a_number_that_has_ended(platform: Platform) -> None:
    await write(platform.world, one_way({"fallback_number": "02-1234-5678"}, status=Status.RELEASED, ended=True))
    async with platform.carrier.phone() as fallback:
        caller = await platform.carrier.call(DIALLED, Identity.plain(COURIER), talk_seconds=0.3)
        callee = await fallback.hung_up()
    assert caller.status == 200
    assert callee.received[0].uri.startswith("sip:0212345678@")
    assert_hidden("0212345678", caller)
    assert CUSTOMER not in "".join(message.text for message in callee.received)
    [call] = await platform.ended_calls()
    assert (call["result"], call["direction"]) == ("answered", "to_fallback")


async def test_no_more_calls_at_a_time_than_a_number_may_have(platform: Platform) -> None:
    await write(platform.world, one_way({"concurrent_calls": 1}))
    async with (
        platform.carrier.phone() as customer,
        platform.carrier.calling(DIALLED, Identity.plain(COURIER), talk_seconds=4) as first,
    ):
        await first.answered()
        second = await platform.carrier.call(DIALLED, Identity.plain(STRANGER))
        assert len({message.header("Call-ID") for message in customer.messages()}) == 1, "one call has reached it"
        await first.ended()
    assert second.status == 486


async def test_a_blocked_caller_reaches_nobody(platform: Platform) -> None:
    binding_id = await write(platform.world, one_way({}))
    world = platform.world
    async with world.db.connection() as connection:
        await connection.execute(
            "insert into blocked_parties (tenant_id, binding_id, party, number, direction, created_at)"
            " values ($1, $2, $3, 'sealed', 'from', now())",
            world.mall.tenant_id,
            binding_id,
            world.keyring.index(STRANGER),
        )
    async with platform.carrier.phone() as customer:
        refused = await platform.carrier.call(DIALLED, Identity.plain(STRANGER))
        assert not customer.messages()
        allowed = await platform.carrier.call(DIALLED, Identity.plain(COURIER), talk_seconds=0.3)
        callee = await customer.hung_up()
    assert (refused.status, allowed.status) == (403, 200)
    assert shown(callee) == {DIALLED}


async def test_it_rings_as_long_as_the_rules_say(platform: Platform) -> None:
    """Longer than the two seconds of these tests' settings."""
    await write(platform.world, one_way({"ring_seconds": 6}))
    async with platform.carrier.phone(Behaviour(ring_seconds=3.5)) as customer:
        caller = await platform.carrier.call(DIALLED, Identity.plain(COURIER), talk_seconds=0.3)
        await customer.hung_up()
    assert caller.status == 200


async def test_a_recorded_call_tells_both_first(platform: Platform) -> None:
    await write(platform.world, one_way({"record": True}))
    async with (
        platform.carrier.phone(mute=True) as customer,
        platform.carrier.calling(DIALLED, Identity.plain(COURIER), talk_seconds=5) as courier,
    ):
        await customer.until(lambda phone: phone.report().heard_from(courier.report()) > 10)
        caller, told = await courier.ended(), customer.report()
    assert told.rtp_received - told.heard_from(caller) >= 20
    assert caller.early_media
    assert caller.rtp_received >= 20, "the customer is mute: nothing but the notice"
