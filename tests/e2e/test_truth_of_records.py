"""A call's record says what its phones saw, call by call, also where two things happen at the same moment."""

import asyncio
from dataclasses import dataclass

import pytest

from ivr.agi.question import Questions
from ivr.agi.rate import CallRate
from ivr.agi.server import AgiRequest
from simulators.phones.carrier import CallReport
from simulators.phones.scenarios import Behaviour, Identity
from tests.core_world import COURIER, World
from tests.e2e.conftest import Platform
from vns.calls.service import Attempt, Calls
from vns.calls.standby import Decided
from vns.numbering.rules import digits_of

pytestmark = pytest.mark.asterisk


def was_hung_up_on(report: CallReport) -> bool:
    """The network told this phone that the call is over."""
    return any(message.method == "BYE" and message.status is None for message in report.received)


@dataclass(frozen=True)
class Seen:
    """What a caller's phone can tell of its call."""

    result: str
    by: str
    cause: int
    rang: bool
    billed: bool


@pytest.mark.parametrize(
    ("behaviour", "talk_seconds", "give_up_after", "seen"),
    [
        pytest.param(Behaviour(), 1.2, None, Seen("answered", "caller", 16, True, True), id="the caller hangs up"),
        pytest.param(
            Behaviour(hang_up_after=1.2), 60, None, Seen("answered", "callee", 16, True, True), id="the callee does"
        ),
        pytest.param(
            Behaviour(status=None), 1, 0.5, Seen("cancelled", "caller", 16, True, False), id="given up while it rings"
        ),
        pytest.param(Behaviour(status=486), 1, None, Seen("busy", "callee", 17, True, False), id="busy"),
        pytest.param(
            Behaviour(status=None), 1, None, Seen("no_answer", "platform", 19, True, False), id="nobody answers"
        ),
        pytest.param(Behaviour(status=404), 1, None, Seen("unreachable", "platform", 27, True, False), id="no line"),
    ],
)
async def test_the_record_and_the_phones_agree(
    platform: Platform, behaviour: Behaviour, talk_seconds: float, give_up_after: float | None, seen: Seen
) -> None:
    binding = await platform.world.allocate()
    async with platform.carrier.phone(behaviour) as customer:
        caller = await platform.carrier.call(
            digits_of(binding.vn), Identity.plain(COURIER), talk_seconds=talk_seconds, give_up_after=give_up_after
        )
        callee = await customer.hung_up()
    [call] = await platform.ended_calls()
    assert (call["result"], call["hangup_by"], call["cause"]) == (seen.result, seen.by, seen.cause)
    assert (caller.status == 200) == (call["answered_at"] is not None) == seen.billed == (call["billed_seconds"] > 0)
    if seen.result == "answered":
        assert (was_hung_up_on(caller), was_hung_up_on(callee)) == (seen.by == "callee", seen.by == "caller")
    assert any(message.status == 180 for message in callee.messages) == (call["ringing_at"] is not None) == seen.rang
    times = [call[name] for name in ("arrived_at", "ringing_at", "answered_at", "ended_at") if call[name] is not None]
    assert times[1:] == sorted(times[1:])


async def test_both_hang_up_at_once(platform: Platform) -> None:
    """Whoever was first, it is one call with one end."""
    binding = await platform.world.allocate()
    for number in range(1, 4):
        async with platform.carrier.phone(Behaviour(hang_up_after=1.0)):
            await platform.carrier.call(digits_of(binding.vn), Identity.plain(COURIER), talk_seconds=1.0)
            calls = await platform.ended_calls(number)
        assert len(calls) == number
        assert (calls[-1]["result"], calls[-1]["hangup_by"] in {"caller", "callee"}) == ("answered", True)
        assert calls[-1]["billed_seconds"] >= 1


class Deciding:
    """PostgreSQL alone, without copies for its absence."""

    def __init__(self, world: World) -> None:
        self._calls = Calls(world.db, world.router, world.clock)

    async def begin(self, attempt: Attempt, decided: Decided) -> None:
        decided(await self._calls.begin(attempt))


async def test_a_bridge_that_dies_between_question_and_answer(quiet_platform: Platform) -> None:
    """It had decided and written the record; the next bridge is asked, and it stays one call with one record."""
    world = quiet_platform.world
    binding = await world.allocate(expire_after_call=True)
    decided: list[str] = []

    async def decide_and_die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\n\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.split("\n") if ": " in line)
        questions = Questions(Deciding(world), world.clock, bridge="a", deadline=20, at_once=1, rate=CallRate(0))
        answer = await questions.answer(AgiRequest.of(headers))
        decided.append(answer["ACT"])
        writer.transport.abort()

    port = quiet_platform.switch.settings.agi_ports[0]
    async with (
        await asyncio.start_server(decide_and_die, "127.0.0.1", port),
        quiet_platform.bridge("b") as bridge,
        quiet_platform.carrier.phone(),
    ):
        await bridge.wait_ready()
        caller = await quiet_platform.carrier.call(digits_of(binding.vn), Identity.plain(COURIER), talk_seconds=0.2)
        calls = await quiet_platform.ended_calls()
        again = await quiet_platform.carrier.call(digits_of(binding.vn), Identity.plain(COURIER))
    assert decided == ["connect_once", "ended"]  # the second call asks it first, too
    assert [(call["bridge"], call["result"], call["direction"]) for call in calls] == [("b", "answered", "to_real")]
    assert (caller.status, again.status) == (200, 410)
