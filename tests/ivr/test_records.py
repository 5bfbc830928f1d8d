"""The line about an ended call: its meaning, and reading it from a file that is being written."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import RFC_4122

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.ami.records import CallRecord, Position, RecordsFolder
from ivr.callids import arrival_of, call_id_of
from vns.calls.rules import HangupBy, Result

ENDED = 1_700_000_060.500
CHANNEL, OTHER = "PJSIP/trunk-00000001", "PJSIP/trunk-00000002"


def line(**fields: str) -> str:
    known = {
        "unique_id": "vns-1700000000.7",
        "ended": f"{ENDED:.3f}",
        "bridge": "a",
        "reason": "",
        "status": "ANSWER",
        "cause": "16",
        "dialled_at": "1700000001.250",
        "rang": "100",
        "answered": "30000@",
        "channel": CHANNEL,
        "source": CHANNEL,
        "vn": "050412345678",
    }
    return "|".join({**known, **fields}.values())


@pytest.mark.parametrize(
    ("fields", "result", "cause", "by"),
    [
        ({}, Result.ANSWERED, 16, HangupBy.CALLER),
        ({"source": OTHER, "cause": "31"}, Result.ANSWERED, 31, HangupBy.CALLEE),
        ({"source": "", "cause": ""}, Result.ANSWERED, 16, HangupBy.PLATFORM),
        ({"status": "CANCEL", "answered": ""}, Result.CANCELLED, 16, HangupBy.CALLER),
        ({"status": "", "bridge": ""}, Result.CANCELLED, 16, HangupBy.CALLER),
        ({"status": "BUSY", "reason": "busy", "source": "dialplan/builtin"}, Result.BUSY, 17, HangupBy.CALLEE),
        (
            {"status": "NOANSWER", "reason": "no_answer", "source": "dialplan/builtin"},
            Result.NO_ANSWER,
            19,
            HangupBy.PLATFORM,
        ),
        ({"status": "", "reason": "ended", "cause": "22"}, Result.ENDED, 22, HangupBy.CALLER),
        (
            {"status": "", "reason": "overload", "bridge": "", "source": "dialplan/builtin"},
            Result.OVERLOAD,
            42,
            HangupBy.PLATFORM,
        ),
    ],
)
def test_what_a_record_means(fields: dict[str, str], result: Result, cause: int, by: HangupBy) -> None:
    outcome = CallRecord.parse(line(**fields)).outcome()
    assert (outcome.result, outcome.cause, outcome.hangup_by) == (result, cause, by)
    assert (outcome.answered_at is not None) == (result is Result.ANSWERED)


def test_the_times_of_a_record() -> None:
    outcome = CallRecord.parse(line()).outcome()
    ended = datetime.fromtimestamp(ENDED, UTC)
    assert outcome.ended_at == ended
    assert outcome.answered_at == ended - timedelta(seconds=30)
    assert outcome.ringing_at == datetime.fromtimestamp(1_700_000_001.350, UTC)


def test_after_digits_were_asked_for_the_target_s_answer_counts() -> None:
    outcome = CallRecord.parse(line(answered="30000@1700000050.000")).outcome()
    assert outcome.answered_at == datetime.fromtimestamp(1_700_000_050, UTC)
    unanswered = CallRecord.parse(line(answered="30000@", reason="no_answer", status="NOANSWER")).outcome()
    assert unanswered.answered_at is None


def test_only_a_call_that_nobody_decided_can_be_made_from_its_record() -> None:
    unasked = CallRecord.parse(line(bridge="", reason="overload", status="")).outcome()
    failed = CallRecord.parse(line(reason="overload", status="")).outcome()
    decided = CallRecord.parse(line()).outcome()
    assert unasked.arrived_at == failed.arrived_at == arrival_of("vns-1700000000.7")
    assert unasked.vn == 50412345678
    assert decided.arrived_at is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a|b",
        line() + "|",
        line(unique_id="x"),
        line(ended="soon"),
        line(reason="whim"),
        line(cause="high"),
        line(vn="x"),
    ],
)
def test_a_line_without_sense(text: str) -> None:
    with pytest.raises(ValueError):
        CallRecord.parse(text)


@given(st.integers(10**9, 4 * 10**9), st.integers(0, 10**6), st.sampled_from(["", "vns-", "seoul-2-"]))
def test_a_call_has_one_id_of_version_7(seconds: int, counter: int, system: str) -> None:
    unique_id = f"{system}{seconds}.{counter}"
    made = call_id_of(unique_id)
    assert made == call_id_of(unique_id)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made != call_id_of(f"{system}{seconds}.{counter + 1}")
    assert made != call_id_of(f"other-{seconds}.{counter}")
    assert arrival_of(unique_id) == datetime.fromtimestamp(seconds, UTC)


def test_ids_of_one_second_keep_their_order() -> None:
    ids = [call_id_of(f"vns-1700000000.{counter}") for counter in range(900)]
    assert ids == sorted(ids)


def test_reading_on_while_it_is_written(tmp_path: Path) -> None:
    folder = RecordsFolder(tmp_path)
    now = datetime(2026, 3, 2, 0, 5, tzinfo=UTC)
    position = folder.start(now)
    assert folder.read(position) == ([], position)
    (tmp_path / "20260228.csv").write_text("too old\n")
    (tmp_path / "20260301.csv").write_text("one\ntwo\nhal")
    lines, position = folder.read(position)
    assert lines == ["one", "two"]
    assert folder.read(position) == ([], position)
    with (tmp_path / "20260301.csv").open("a") as file:
        file.write("f\n")
    (tmp_path / "20260302.csv").write_text("three\n")
    lines, position = folder.read(position)
    assert lines == ["half"]
    lines, position = folder.read(position)
    assert lines == ["three"]
    assert folder.read(position) == ([], Position("20260302", 6))


def test_a_long_file_is_read_in_parts(tmp_path: Path) -> None:
    (tmp_path / "20260302.csv").write_text("".join(f"{number:04}\n" for number in range(1000)))
    folder, read = RecordsFolder(tmp_path), []
    position = folder.start(datetime(2026, 3, 2, tzinfo=UTC))
    while True:
        lines, position = folder.read(position, at_most=333)
        if not lines:
            break
        read += lines
    assert read == [f"{number:04}" for number in range(1000)]


def test_old_files_are_removed(tmp_path: Path) -> None:
    for name in ("20260220", "20260301"):
        (tmp_path / f"{name}.csv").touch()
    RecordsFolder(tmp_path).remove_before(datetime(2026, 2, 25, tzinfo=UTC))
    assert [path.stem for path in tmp_path.iterdir()] == ["20260301"]
