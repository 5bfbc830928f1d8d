"""Calls whose end no event told of."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from ivr.ami.actions import Action
from ivr.ami.connection import AmiUnavailable
from ivr.ami.messages import ChannelListed, Reply
from ivr.ami.reconcile import CatchUp, Vanished
from ivr.ami.records import RecordsFolder
from ivr.callids import call_id_of
from tests.core_world import MovedClock
from tests.ivr.test_records import line
from vns.calls.rules import CallOutcome, Result
from vns.calls.service import OpenCall
from vns.errors import Unavailable


class FakeCalls:
    """`known`: which calls have a record without an end. `down`: the database does not answer."""

    def __init__(self) -> None:
        self.known: set[UUID] = set()
        self.finished: list[CallOutcome] = []
        self.open: list[OpenCall] = []
        self.down = False
        self.answers: dict[UUID, datetime] = {}

    async def note_answers(self, answers: dict[UUID, datetime]) -> None:
        self.answers |= answers

    async def unfinished(self, call_ids: list[UUID]) -> dict[UUID, bool]:
        if self.down:
            raise Unavailable("down")
        done = {outcome.call_id for outcome in self.finished}
        return {call_id: call_id in self.known for call_id in call_ids if call_id not in done}

    async def finish(self, outcomes: list[CallOutcome]) -> int:
        self.finished += outcomes
        return len(outcomes)

    async def open_since(self, _: object) -> list[OpenCall]:
        return self.open


class FakeAmi:
    """`alive`: the channels that Asterisk has; None: it cannot be asked."""

    def __init__(self) -> None:
        self.alive: list[str] | None = []

    async def send(self, action: Action) -> Reply:
        assert action.name == "CoreShowChannels"
        if self.alive is None:
            raise AmiUnavailable("no connection")
        return Reply(True, "", tuple(ChannelListed(unique_id) for unique_id in self.alive))


def catch_up(folder: Path, calls: FakeCalls) -> CatchUp:
    return CatchUp(RecordsFolder(folder), calls, MovedClock())  # type: ignore[arg-type]  # a fake


def vanished(ami: FakeAmi, calls: FakeCalls) -> Vanished:
    return Vanished(ami, calls, MovedClock(), bridge="a", patience=timedelta())  # type: ignore[arg-type]  # fakes


def write(folder: Path, *lines: str) -> None:
    with (folder / "20260301.csv").open("a") as file:
        file.writelines(f"{text}\n" for text in lines)


async def test_a_line_is_looked_at_one_round_after_it_was_read(tmp_path: Path) -> None:
    """So that the event about the same call has gone first."""
    calls = FakeCalls()
    calls.known = {call_id_of("vns-1700000000.7")}
    write(tmp_path, line())
    work = catch_up(tmp_path, calls)
    await work.one_round()
    assert calls.finished == []
    await work.one_round()
    assert [outcome.result for outcome in calls.finished] == [Result.ANSWERED]
    await work.one_round()
    assert len(calls.finished) == 1


async def test_only_unknown_calls_that_nobody_decided_get_a_record(tmp_path: Path) -> None:
    calls = FakeCalls()
    unasked = line(unique_id="vns-1700000000.8", bridge="", reason="overload", status="")
    write(tmp_path, line(), unasked, "nonsense")
    work = catch_up(tmp_path, calls)
    await work.one_round()
    await work.one_round()
    assert [outcome.channel for outcome in calls.finished] == ["vns-1700000000.8"]


async def test_answers_are_noted_and_are_no_ends(tmp_path: Path) -> None:
    calls = FakeCalls()
    write(
        tmp_path, "answered|vns-1700000000.7|1700000060.500", "answered|?|1700000060.500", "answered|vns-1700000000.8"
    )
    work = catch_up(tmp_path, calls)
    await work.one_round()
    await work.one_round()
    assert calls.answers == {call_id_of("vns-1700000000.7"): datetime.fromtimestamp(1_700_000_060.5, UTC)}
    assert calls.finished == []


async def test_lines_wait_while_the_database_is_down(tmp_path: Path) -> None:
    calls = FakeCalls()
    calls.known = {call_id_of("vns-1700000000.7")}
    calls.down = True
    write(tmp_path, line())
    work = catch_up(tmp_path, calls)
    await work.one_round()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await work.one_round()
    calls.down = False
    await work.one_round()
    assert len(calls.finished) == 1


async def test_a_call_that_asterisk_has_no_more_ends_as_unknown() -> None:
    calls, ami = FakeCalls(), FakeAmi()
    calls.open = [OpenCall(id=call_id_of(name), channel=name) for name in ("vns-1700000000.1", "vns-1700000000.2")]
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
