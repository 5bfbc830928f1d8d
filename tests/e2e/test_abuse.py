"""Who guesses numbers by telephone is found out and turned away."""

import asyncio

import pytest

from ivr.bridge import running
from simulators.phones.scenarios import Behaviour, Identity
from tests.core_world import COURIER, CUSTOMER, STRANGER
from tests.e2e.conftest import Platform
from vns.abuse.flags import CallerFlags
from vns.abuse.rules import FlagStatus
from vns.abuse.settings import AbuseSettings
from vns.numbering.rules import digits_of

pytestmark = pytest.mark.asterisk

FREE = ("050410000011", "050410000012", "050410000013")


async def test_a_scanner_reaches_nobody_and_a_courier_still_does(quiet_platform: Platform, redis_url: str) -> None:
    platform, world = quiet_platform, quiet_platform.world
    binding = await world.allocate()
    core = platform.core.model_copy(update={"redis_url": redis_url})
    ivr = platform.switch.settings
    flags = CallerFlags(world.db, world.clock)
    async with running(
        "a", ivr.agi_ports[0], core=core, ivr=ivr, abuse=AbuseSettings(scan_numbers=3), clock=world.clock
    ):
        for vn in FREE:
            assert (await platform.carrier.call(vn, Identity.plain(STRANGER))).status == 404
        async with asyncio.timeout(30):
            while not (listed := await flags.list()):
                continue
        [flag] = listed
        assert (flag.status, flag.masked, flag.counted) == (FlagStatus.STOPPED, "010-****-6666", 3)
        async with platform.carrier.phone(Behaviour()) as customer:
            assert (await platform.carrier.call(digits_of(binding.vn), Identity.plain(STRANGER))).status == 403
            assert (await platform.carrier.call(FREE[0], Identity.plain(STRANGER))).status == 403
            assert not customer.messages()
            reached = await platform.carrier.call(digits_of(binding.vn), Identity.plain(COURIER), talk_seconds=0.2)
            called = await customer.hung_up()
    assert reached.status == 200
    assert called.received[0].uri.startswith(f"sip:{CUSTOMER}@")
