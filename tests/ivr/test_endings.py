"""The ends of calls, as Asterisk's records tell them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ivr.ami.records import BEGINNING, Part, Position, RecordsFolder
from ivr.callids import call_id_of
from ivr.endings import BATCH, BEHIND, LOOKS, Endings
from tests.core_world import MovedClock
from tests.ivr.fake_calls import FakeCalls
from tests.ivr.test_records import line
from vns.calls.rules import CallOutcome, Result
from vns.errors import Unavailable

SEVEN, EIGHT, NINE = "vns-1700000000.7", "vns-1700000000.8", "vns-1700000000.9"
LATER = f"{MovedClock().now().timestamp() + 5:.3f}"  # than the bridge began
HOUR = 3600.0


def endings(
    folder: Path | RecordsFolder, calls: FakeCalls, *, clock: MovedClock | None = None, patience: float = HOUR
) -> Endings:
    folder = RecordsFolder(folder) if isinstance(folder, Path) else folder
    return Endings(folder, calls, clock or MovedClock(), bridge="a", patience=patience)  # type: ignore[arg-type]  # a fake


def write(folder: Path, *lines: str, day: str = "20260301") -> None:
    with (folder / f"{day}.csv").open("a") as file:
        file.writelines(f"{text}\n" for text in lines)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


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
            write(tmp_path, line(unique_id=EIGHT, ended=LATER))
        return await FakeCalls.finish(calls, outcomes)

    calls.known |= {call_id_of(EIGHT)}
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
    work = endings(folder, calls)
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
    write(tmp_path, line(), line(unique_id=EIGHT, ended=LATER))
    for _ in range(LOOKS + 2):
        await work.one_round()
    assert len([one for one in calls.asked if one == call_id_of(SEVEN)]) == LOOKS + 1, "it was looked for before"
    told = {outcome.channel: outcome for outcome in calls.finished}
    assert set(told) == {SEVEN, EIGHT}
    assert {outcome.arrived_at for outcome in told.values()} == {datetime.fromtimestamp(1_700_000_000, UTC)}
    assert all(outcome.reconciled for outcome in told.values())
    looked = len(calls.asked)
    await work.one_round()
    assert len(calls.asked) == looked


async def test_only_unknown_calls_that_nobody_decided_get_a_record(tmp_path: Path, calls: FakeCalls) -> None:
    calls.known = set()
    unasked = {"unique_id": EIGHT, "bridge": "", "reason": "overload", "status": ""}
    write(tmp_path, line(), line(**unasked), "nonsense", line(**{**unasked, "unique_id": NINE}, ended=LATER))
    await endings(tmp_path, calls, patience=0.0).one_round()
    assert {outcome.channel for outcome in calls.finished} == {EIGHT, NINE}


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


async def test_it_has_caught_up_once_the_end_of_the_files_is_reached(
    tmp_path: Path, calls: FakeCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, line(), line(unique_id=EIGHT), day="20260228")
    write(tmp_path, line(unique_id=NINE, ended=LATER))
    folder = RecordsFolder(tmp_path)
    monkeypatch.setattr(folder, "read", partial(folder.read, at_most=len(line()) + 5))  # a line at a time
    work = endings(folder, calls)
    told = [work.caught_up]
    while not work.caught_up:
        assert await work.one_round() == 1, "the last line was read and it had not caught up"
        told.append(work.caught_up)
    assert told == [False] * 3 + [True]


async def test_it_has_caught_up_also_where_lines_come_all_the_time(tmp_path: Path, calls: FakeCalls) -> None:
    work = endings(tmp_path, calls)
    for counter in range(3):
        write(tmp_path, line(unique_id=f"vns-1700000000.{counter}", ended=LATER))
        assert await work.one_round() == 1
        assert work.caught_up


async def test_it_has_not_caught_up_where_there_is_no_folder(
    tmp_path: Path, calls: FakeCalls, caplog: pytest.LogCaptureFixture
) -> None:
    """What it lacks is read on another machine."""
    work = endings(tmp_path / "elsewhere", calls)
    for _ in range(2):
        assert await work.one_round() == 0
        assert not work.caught_up
    assert caplog.text.count("is not there") == 1
    folder = RecordsFolder(tmp_path / "elsewhere")
    folder.path.mkdir()
    write(folder.path, line())
    folder.keep("a", Position("20260301", len(line()) + 1))
    write(folder.path, line(unique_id=EIGHT))
    await work.one_round()
    assert work.caught_up
    assert calls.asked == [call_id_of(EIGHT)], "a volume that comes late has its position with it"


@pytest.mark.parametrize("ended", [{}, {"ended": LATER}], ids=["of an earlier life", "own"])
async def test_after_an_error_it_has_not_caught_up_until_all_is_done(
    tmp_path: Path, calls: FakeCalls, ended: dict[str, str]
) -> None:
    work = endings(tmp_path, calls)
    await work.one_round()
    assert work.caught_up
    calls.down = True
    write(tmp_path, line(**ended))
    for _ in range(2):
        with pytest.raises(Unavailable):
            await work.one_round()
        assert not work.caught_up
    calls.down = False
    await work.one_round()
    assert work.caught_up
    assert len(calls.finished) == 1


async def test_while_calls_are_being_finished_it_has_not_caught_up(
    tmp_path: Path, calls: FakeCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    async def finish(outcomes: Sequence[CallOutcome]) -> int:
        told.append(work.caught_up)
        return await FakeCalls.finish(calls, outcomes)

    def read(position: Position) -> Part:
        told.append(work.caught_up)
        return RecordsFolder(tmp_path).read(position)

    folder = RecordsFolder(tmp_path)
    monkeypatch.setattr(calls, "finish", finish)
    monkeypatch.setattr(folder, "read", read)
    work = endings(folder, calls)
    await work.one_round()
    write(tmp_path, line(ended=LATER))
    assert work.caught_up
    await work.one_round()
    assert work.caught_up
    assert told == [False] * 3, "two reads and an end"


async def test_what_is_left_to_another_counts_once_its_time_has_come(tmp_path: Path, calls: FakeCalls) -> None:
    calls.known = set()
    write(tmp_path, line(ended=LATER, bridge="b"))
    patient, impatient = endings(tmp_path, calls), endings(tmp_path, calls, patience=0.0)
    for work in (patient, impatient):
        await work.one_round()
    assert patient.caught_up
    assert not impatient.caught_up
    calls.known = {call_id_of(SEVEN)}
    await impatient.one_round()
    assert impatient.caught_up


async def test_the_first_start_reads_everything_that_is_there(tmp_path: Path, calls: FakeCalls) -> None:
    """From Friday to Monday no bridge ran."""
    write(tmp_path, line(), day="20260224")
    write(tmp_path, line(unique_id=EIGHT, bridge="", reason="overload", status=""), day="20260226")
    work = endings(tmp_path, calls)
    for _ in range(2):
        await work.one_round()
    assert {outcome.channel for outcome in calls.finished} == {SEVEN, EIGHT}


async def reach(work: Endings, clock: MovedClock) -> None:
    """What has been read by now is old enough to be kept."""
    await work.one_round()
    clock.time += BEHIND
    await work.one_round()


async def test_the_next_start_goes_on_where_the_records_were_read_to_a_while_ago(
    tmp_path: Path, calls: FakeCalls
) -> None:
    clock, folder = MovedClock(), RecordsFolder(tmp_path)
    calls.known.add(call_id_of(EIGHT))
    write(tmp_path, line(ended=LATER))
    size = (tmp_path / "20260301.csv").stat().st_size
    work = endings(tmp_path, calls, clock=clock)
    await work.one_round()
    write(tmp_path, line(unique_id=EIGHT, ended=LATER))
    clock.time += BEHIND - timedelta(seconds=1)
    await work.one_round()
    assert folder.kept("a", clock.now()) == BEGINNING, "too early: lines may wait in memory"
    clock.move(seconds=1)
    await work.one_round()
    assert folder.kept("a", clock.now()) == Position("20260301", size)
    assert folder.kept("b", clock.now()) == BEGINNING
    await endings(tmp_path, calls, clock=clock).one_round()
    assert calls.asked == [call_id_of(EIGHT)], "the first line was not read again"
    clock.time += BEHIND
    await work.one_round()
    assert folder.kept("a", clock.now()) == Position("20260301", 2 * size)


async def test_an_error_puts_off_what_is_kept(tmp_path: Path, calls: FakeCalls) -> None:
    clock, folder = MovedClock(), RecordsFolder(tmp_path)
    calls.known.add(call_id_of(EIGHT))
    work = endings(tmp_path, calls, clock=clock)
    write(tmp_path, line(ended=LATER))
    await work.one_round()
    calls.down = True
    write(tmp_path, line(unique_id=EIGHT, ended=LATER))
    with pytest.raises(Unavailable):
        await work.one_round()
    calls.down = False
    clock.time += BEHIND
    await work.one_round()
    assert folder.kept("a", clock.now()) == BEGINNING
    clock.time += BEHIND
    await work.one_round()
    assert folder.kept("a", clock.now()) == Position("20260301", (tmp_path / "20260301.csv").stat().st_size)


async def test_a_line_that_still_waits_is_read_again_after_a_restart(tmp_path: Path, calls: FakeCalls) -> None:
    """PostgreSQL may be that slow, without an error."""
    clock, folder = MovedClock(), RecordsFolder(tmp_path)
    calls.known = set()
    work = endings(tmp_path, calls, clock=clock, patience=0.0)
    write(tmp_path, line(ended=LATER))
    for _ in range(2):
        await reach(work, clock)
        assert folder.kept("a", clock.now()) == BEGINNING
    calls.known = {call_id_of(SEVEN)}
    await work.one_round()
    assert folder.kept("a", clock.now()).day == "20260301"


async def test_without_a_file_of_records_nothing_is_kept(tmp_path: Path, calls: FakeCalls) -> None:
    clock = MovedClock()
    await reach(endings(tmp_path, calls, clock=clock), clock)
    assert names(tmp_path) == []


async def test_a_position_that_cannot_be_written_holds_up_no_call(
    tmp_path: Path, calls: FakeCalls, caplog: pytest.LogCaptureFixture
) -> None:
    clock = MovedClock()
    (tmp_path / "a.read").mkdir()
    work = endings(tmp_path, calls, clock=clock)
    write(tmp_path, line(ended=LATER))
    for _ in range(3):
        await reach(work, clock)
    calls.known.add(call_id_of(EIGHT))
    write(tmp_path, line(unique_id=EIGHT, ended=LATER))
    await work.one_round()
    assert [outcome.channel for outcome in calls.finished] == [SEVEN, EIGHT]
    assert caplog.text.count("is not kept") == 1
    (tmp_path / "a.read").rmdir()
    await reach(work, clock)
    assert RecordsFolder(tmp_path).kept("a", clock.now()).day == "20260301"


async def test_old_files_are_removed_once_they_are_read(
    tmp_path: Path, calls: FakeCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, line(), line(unique_id=EIGHT), day="20260201")
    write(tmp_path, line(unique_id=NINE, ended=LATER))
    folder = RecordsFolder(tmp_path)
    monkeypatch.setattr(folder, "read", partial(folder.read, at_most=len(line()) + 5))  # a line at a time
    work = endings(folder, calls)
    for _ in range(2):
        await work.one_round()
        assert (tmp_path / "20260201.csv").exists()
    await work.one_round()
    assert names(tmp_path) == ["20260301.csv"]


async def test_old_files_that_cannot_be_removed_hold_up_no_call(
    tmp_path: Path, calls: FakeCalls, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(_: datetime) -> None:
        raise PermissionError

    folder = RecordsFolder(tmp_path)
    monkeypatch.setattr(folder, "remove_before", refused)
    work = endings(folder, calls)
    for _ in range(2):
        await work.one_round()
        assert work.caught_up
    assert caplog.text.count("old records stay") == 1, "once a day is enough"
