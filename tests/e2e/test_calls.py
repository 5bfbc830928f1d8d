"""Calls through a real Asterisk with sipp on both sides: who is connected, what each sees, what is recorded."""

import asyncio

import pytest

from simulators.phones.scenarios import Identity
from tests.core_world import COURIER, CUSTOMER
from tests.e2e.conftest import Platform
from vns.calls.rules import Call, HangupBy, Result
from vns.numbering.rules import digits_of

pytestmark = pytest.mark.asterisk


async def ended_calls(platform: Platform, count: int = 1) -> list[Call]:
    """The mall's calls, newest first, once `count` of them have ended."""
    calls = next(iter(platform.bridges.values())).calls
    async with asyncio.timeout(30):
        while True:
            page = await calls.list(platform.world.mall)
            ended = [call for call in page.items if call.ended_at is not None]
            if len(ended) >= count:
                return ended


async def test_a_one_way_call_is_connected_and_carries_voice_both_ways(platform: Platform) -> None:
    binding = await platform.world.allocate()
    async with platform.carrier.phone() as customer:
        async with platform.carrier.calling(digits_of(binding.vn), Identity.plain(COURIER), talk_seconds=1) as courier:
            caller = await courier.ended()
        callee = await customer.hung_up()
    assert caller.status == 200
    assert callee.received[0].uri.startswith(f"sip:{CUSTOMER}@")
    assert f"sip:{COURIER}@" in callee.received[0].header("From")
    assert f"sip:{COURIER}@" in callee.received[0].header("P-Asserted-Identity")
    assert caller.heard_from(callee) > 10
    assert callee.heard_from(caller) > 10
    [call] = await ended_calls(platform)
    assert (call.result, call.hangup_by, call.cause) == (Result.ANSWERED, HangupBy.CALLER, 16)
    assert call.binding_id == binding.id
    assert call.answered_at is not None
    assert call.ringing_at is not None
    assert call.ringing_at <= call.answered_at
    assert call.billed_seconds in {1, 2}
