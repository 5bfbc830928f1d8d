"""The line about an ended call: its meaning."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.ami.records import CallRecord, Told
from ivr.callids import arrival_of, call_id_of
from vns.calls.rules import NO_NUMBER, HangupBy, Result

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


@pytest.mark.parametrize("ended", ["inf", "1e30", "nan", "-1e300", "x"])
def test_a_time_that_no_clock_shows_is_no_record(ended: str) -> None:
    for kind in (CallRecord, Told):
        with pytest.raises(ValueError):
            kind.parse(line(ended=ended))


@pytest.mark.parametrize("dialled", ["0504" + "1" * 30, "0504123456789", ""])
def test_what_is_longer_than_any_number_is_none(dialled: str) -> None:
    assert CallRecord.parse(line(vn=dialled)).vn == NO_NUMBER


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
