"""Calls whose end no record tells of."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from ivr.ami.actions import Action
from ivr.ami.connection import AmiUnavailable
from ivr.ami.messages import ChannelListed, Reply
from ivr.ami.reconcile import Vanished
from ivr.ami.records import RecordsFolder
from ivr.callids import call_id_of
from ivr.endings import Endings
from tests.core_world import MovedClock
from tests.ivr.fake_calls import FakeCalls
from tests.ivr.test_records import line
from vns.calls.rules import Result
from vns.calls.service import OpenCall
from vns.errors import Unavailable


class FakeAmi:
    """`alive`: the channels that Asterisk has; None: it cannot be asked."""

    def __init__(self) -> None:
        self.alive: list[str] | None = []

    async def send(self, action: Action) -> Reply:
        assert action.name == "CoreShowChannels"
        if self.alive is None:
            raise AmiUnavailable("no connection")
        return Reply(True, "", tuple(ChannelListed(unique_id) for unique_id in self.alive))


def vanished(ami: FakeAmi, calls: FakeCalls, caught_up: Callable[[], bool] = lambda: True) -> Vanished:
    clock = MovedClock()
    return Vanished(ami, calls, clock, bridge="a", caught_up=caught_up, patience=timedelta())  # type: ignore[arg-type]  # fakes


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


async def test_nothing_is_concluded_before_all_records_are_read() -> None:
    """And a call has to be missing twice from then on: what was seen before tells nothing of what is written now."""
    calls, ami = FakeCalls(), FakeAmi()
    calls.open = [OpenCall(id=call_id_of("vns-1700000000.1"), channel="vns-1700000000.1")]
    calls.known = {call.id for call in calls.open}
    caught_up = True
    work = vanished(ami, calls, lambda: caught_up)
    await work.one_round()
    caught_up = False
    for _ in range(3):
        assert await work.one_round() == 0
    caught_up = True
    assert await work.one_round() == 0
    assert await work.one_round() == 1


async def test_a_record_that_waited_for_the_database_comes_before(tmp_path: Path) -> None:
    """PostgreSQL was away while the call ended, and whoever asks first afterwards asks about open calls."""
    calls, ami = FakeCalls(), FakeAmi()
    [call] = calls.open = [OpenCall(id=call_id_of("vns-1700000000.7"), channel="vns-1700000000.7")]
    calls.known = {call.id}
    endings = Endings(RecordsFolder(tmp_path), calls, MovedClock(), bridge="a")  # type: ignore[arg-type]  # a fake
    work = vanished(ami, calls, lambda: endings.caught_up)
    await endings.one_round()
    (tmp_path / "20260228.csv").write_text(f"{line()}\n")
    calls.down = True
    with pytest.raises(Unavailable):
        await endings.one_round()
    calls.down = False
    for _ in range(3):
        await work.one_round()
    await endings.one_round()
    assert [outcome.result for outcome in calls.finished] == [Result.ANSWERED]
