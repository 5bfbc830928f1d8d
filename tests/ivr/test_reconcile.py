"""Calls whose end no record tells of."""

from datetime import timedelta

import pytest

from ivr.ami.actions import Action
from ivr.ami.connection import AmiUnavailable
from ivr.ami.messages import ChannelListed, Reply
from ivr.ami.reconcile import Vanished
from ivr.callids import call_id_of
from tests.core_world import MovedClock
from tests.ivr.fake_calls import FakeCalls
from vns.calls.rules import Result
from vns.calls.service import OpenCall


class FakeAmi:
    """`alive`: the channels that Asterisk has; None: it cannot be asked."""

    def __init__(self) -> None:
        self.alive: list[str] | None = []

    async def send(self, action: Action) -> Reply:
        assert action.name == "CoreShowChannels"
        if self.alive is None:
            raise AmiUnavailable("no connection")
        return Reply(True, "", tuple(ChannelListed(unique_id) for unique_id in self.alive))


def vanished(ami: FakeAmi, calls: FakeCalls) -> Vanished:
    return Vanished(ami, calls, MovedClock(), bridge="a", patience=timedelta())  # type: ignore[arg-type]  # fakes


async def test_a_call_that_asterisk_has_no_more_ends_as_unknown() -> None:
    calls, ami = FakeCalls(), FakeAmi()
    calls.open = [OpenCall(id=call_id_of(name), channel=name) for name in ("vns-1700000000.1", "vns-1700000000.2")]
    calls.known = {call.id for call in calls.open}
    ami.alive = ["vns-1700000000.2"]
    work = vanished(ami, calls)
    assert await work.one_round() == 0, "its record may still be on its way"
    assert await work.one_round() == 1
    [gone] = calls.finished
    assert (gone.channel, gone.result) == ("vns-1700000000.1", Result.UNKNOWN)


async def test_nothing_is_concluded_while_asterisk_cannot_be_asked() -> None:
    calls, ami = FakeCalls(), FakeAmi()
    calls.open = [OpenCall(id=call_id_of("vns-1700000000.1"), channel="vns-1700000000.1")]
    ami.alive = None
    work = vanished(ami, calls)
    for _ in range(3):
        with pytest.raises(AmiUnavailable):
            await work.one_round()
    assert calls.finished == []
