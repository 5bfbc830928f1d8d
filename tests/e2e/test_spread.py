"""Calls are spread over the trunk's endpoints by a real Asterisk, and whatever is no plain number comes in as ever."""

import pytest

from simulators.phones.scenarios import Identity
from tests.core_world import COURIER, CUSTOMER
from tests.e2e.conftest import Platform
from tests.waiting import until
from vns.numbering.rules import digits_of

pytestmark = pytest.mark.asterisk


@pytest.mark.parametrize("written", ["{}", "+82{}", "{};npdi"], ids=["national", "international", "with a parameter"])
async def test_a_call_comes_in_and_goes_out_by_the_last_digit(platform: Platform, written: str) -> None:
    vn = digits_of((await platform.world.allocate()).vn)
    dialled = written.format(vn.removeprefix("0") if written.startswith("+") else vn)
    door = "trunk-in" if ";" in written else f"trunk-in-{vn[-1]}"

    async def both_legs() -> bool:
        shown = platform.switch.console("core show channels concise")
        legs = {line.split("!")[0].rpartition("-")[0] for line in shown.splitlines() if line.startswith("PJSIP/")}
        return legs == {f"PJSIP/{door}", f"PJSIP/trunk-{CUSTOMER[-1]}"}

    async with (
        platform.carrier.phone(),
        platform.carrier.calling(dialled, Identity.plain(COURIER), talk_seconds=5) as caller,
    ):
        await until(both_legs)
        assert (await caller.ended()).status == 200
