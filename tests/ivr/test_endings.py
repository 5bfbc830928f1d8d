"""The ends of calls, as Asterisk's records tell them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from ivr.ami.records import RecordsFolder
from ivr.callids import call_id_of
from ivr.endings import BATCH, LOOKS, Endings
from tests.core_world import MovedClock
from tests.ivr.fake_calls import FakeCalls
from tests.ivr.test_records import line
from vns.calls.rules import CallOutcome, Result
from vns.errors import Unavailable

SEVEN = "vns-1700000000.7"
LATER = f"{MovedClock().now().timestamp() + 5:.3f}"  # than the bridge began
HOUR = 3600.0


def endings(folder: Path, calls: FakeCalls, *, patience: float = HOUR) -> Endings:
    return Endings(RecordsFolder(folder), calls, MovedClock(), bridge="a", patience=patience)  # type: ignore[arg-type]  # a fake


def write(folder: Path, *lines: str) -> None:
    with (folder / "20260301.csv").open("a") as file:
        file.writelines(f"{text}\n" for text in lines)


@pytest.fixture
def calls() -> FakeCalls:
    calls = FakeCalls()
    calls.known = {call_id_of(SEVEN)}
    return calls


async def test_an_own_call_is_finished_at_once_and_once(tmp_path: Path, calls: FakeCalls) -> None:
    work = endings(tmp_path, calls)
    write(tmp_path, line(ended=LATER))
    assert await work.one_round()
    [outcome] = calls.finished
    assert (outcome.result, outcome.reconciled) == (Result.ANSWERED, False)
    assert not await work.one_round()
    assert (len(calls.finished), calls.asked) == (1, [])


async def test_what_ends_while_others_ends_are_written_waits_for_the_next_round(
    tmp_path: Path, calls: FakeCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written by itself it would take as long as many together, and others would end meanwhile, for ever."""
    rounds: list[int] = []

    async def sleep(_: float) -> None:
        rounds.append(len(calls.finished))
        if len(rounds) == 2:
            raise asyncio.CancelledError

    async def finish(outcomes: Sequence[CallOutcome]) -> int:
        if not calls.finished:
            write(tmp_path, line(unique_id="vns-1700000000.8", ended=LATER))
        return await FakeCalls.finish(calls, outcomes)

    calls.known |= {call_id_of("vns-1700000000.8")}
    monkeypatch.setattr(calls, "finish", finish)
    monkeypatch.setattr("ivr.endings.asyncio.sleep", sleep)
    write(tmp_path, line(ended=LATER))
    with pytest.raises(asyncio.CancelledError):
        await endings(tmp_path, calls).run()
    assert rounds == [1, 2]


async def test_a_backlog_is_read_without_a_pause(
    tmp_path: Path, calls: FakeCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(_: float) -> None:
        raise asyncio.CancelledError

    ids = [f"vns-1700000000.{number}" for number in range(BATCH + 1)]
    calls.known = {call_id_of(unique_id) for unique_id in ids}
    monkeypatch.setattr("ivr.endings.asyncio.sleep", sleep)
    write(tmp_path, *(line(unique_id=unique_id, ended=LATER) for unique_id in ids))
    folder, size = RecordsFolder(tmp_path), (tmp_path / "20260301.csv").stat().st_size
    monkeypatch.setattr(folder, "read", partial(folder.read, at_most=size - 1))  # all but the last line
    work = Endings(folder, calls, MovedClock(), bridge="a")  # type: ignore[arg-type]  # a fake
    with pytest.raises(asyncio.CancelledError):
        await work.run()
    assert len(calls.finished) == BATCH + 1


async def test_what_ended_before_the_bridge_began_is_finished_and_marked(tmp_path: Path, calls: FakeCalls) -> None:
    write(tmp_path, line(), line(unique_id="vns-1700000000.6"))
    await endings(tmp_path, calls).one_round()
    assert [(outcome.channel, outcome.reconciled) for outcome in calls.finished] == [(SEVEN, True)]


async def test_another_s_call_is_left_to_it_for_a_while(tmp_path: Path, calls: FakeCalls) -> None:
    write(tmp_path, line(ended=LATER, bridge="b"))
    await endings(tmp_path, calls).one_round()
    assert calls.finished == []
    await endings(tmp_path, calls, patience=0.0).one_round()
    assert [(outcome.channel, outcome.reconciled) for outcome in calls.finished] == [(SEVEN, True)]


async def test_a_record_that_comes_after_the_end_gets_it_all_the_same(tmp_path: Path, calls: FakeCalls) -> None:
    """A call that a copy connected is written down once PostgreSQL is back, and that may be after its end was read."""
    calls.known = set()
    work = endings(tmp_path, calls, patience=0.0)
    write(tmp_path, line(ended=LATER))
    for _ in range(3):
        await work.one_round()
    assert calls.finished == []
    calls.known = {call_id_of(SEVEN)}
    await work.one_round()
    assert [outcome.channel for outcome in calls.finished] == [SEVEN]
    looked = len(calls.asked)
    await work.one_round()
    assert len(calls.asked) == looked


async def test_a_call_whose_begin_is_lost_for_good_gets_its_record_from_the_line(
    tmp_path: Path, calls: FakeCalls
) -> None:
    """PostgreSQL and the bridge that decided crashed together."""
    calls.known = set()
    work = endings(tmp_path, calls, patience=0.0)
    write(tmp_path, line(), line(unique_id="vns-1700000000.8", ended=LATER))
    for _ in range(LOOKS + 2):
        await work.one_round()
    assert len([one for one in calls.asked if one == call_id_of(SEVEN)]) == LOOKS + 1, "it was looked for before"
    told = {outcome.channel: outcome for outcome in calls.finished}
    assert set(told) == {SEVEN, "vns-1700000000.8"}
    assert {outcome.arrived_at for outcome in told.values()} == {datetime.fromtimestamp(1_700_000_000, UTC)}
    assert all(outcome.reconciled for outcome in told.values())
    looked = len(calls.asked)
    await work.one_round()
    assert len(calls.asked) == looked


async def test_only_unknown_calls_that_nobody_decided_get_a_record(tmp_path: Path, calls: FakeCalls) -> None:
    calls.known = set()
    unasked = {"unique_id": "vns-1700000000.8", "bridge": "", "reason": "overload", "status": ""}
    write(
        tmp_path, line(), line(**unasked), "nonsense", line(**{**unasked, "unique_id": "vns-1700000000.9"}, ended=LATER)
    )
    await endings(tmp_path, calls, patience=0.0).one_round()
    assert {outcome.channel for outcome in calls.finished} == {"vns-1700000000.8", "vns-1700000000.9"}


async def test_answers_are_noted_and_are_no_ends(tmp_path: Path, calls: FakeCalls) -> None:
    write(tmp_path, f"answered|{SEVEN}|1700000060.500", "answered|?|1700000060.500", "answered|vns-1700000000.8")
    await endings(tmp_path, calls).one_round()
    assert calls.answers == {call_id_of(SEVEN): datetime.fromtimestamp(1_700_000_060.5, UTC)}
    assert calls.finished == []


@pytest.mark.parametrize("ended", [{}, {"ended": LATER}], ids=["of an earlier life", "own"])
async def test_lines_wait_while_the_database_is_down(tmp_path: Path, calls: FakeCalls, ended: dict[str, str]) -> None:
    calls.down = True
    work = endings(tmp_path, calls)
    write(tmp_path, line(**ended))
    for _ in range(3):
        with pytest.raises(Unavailable):
            await work.one_round()
    calls.down = False
    await work.one_round()
    assert len(calls.finished) == 1


async def test_more_lines_than_one_batch(tmp_path: Path, calls: FakeCalls) -> None:
    ids = [f"vns-17000001{number // 1000:02}.{number % 1000}" for number in range(1_203)]
    calls.known = {call_id_of(one) for one in ids}
    write(tmp_path, *(line(unique_id=one, **({"ended": LATER} if place % 2 else {})) for place, one in enumerate(ids)))
    await endings(tmp_path, calls).one_round()
    assert len(calls.finished) == len(ids)
