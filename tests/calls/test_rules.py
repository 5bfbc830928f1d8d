"""What a record may say, as tables."""

from datetime import UTC, datetime, timedelta

import pytest

from vns.calls.rules import Result, billed_seconds, cause_of, recorded_vn, result_of
from vns.numbering.rules import parse
from vns.routing.rules import REFUSALS, Reason

END = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("talked", "billed"), [(0, 0), (0.001, 1), (1, 1), (1.001, 2), (59.999, 60), (3600, 3600), (-1, 0)]
)
def test_a_begun_second_is_billed(talked: float, billed: int) -> None:
    assert billed_seconds(END - timedelta(seconds=talked), END) == billed


def test_an_unanswered_call_costs_nothing() -> None:
    assert billed_seconds(None, END) == 0


@pytest.mark.parametrize("reason", Reason)
def test_every_refusal_is_a_result_with_the_cause_of_the_table(reason: Reason) -> None:
    assert result_of(reason).value == reason.value
    assert cause_of(result_of(reason)) == REFUSALS[reason].cause


@pytest.mark.parametrize("result", Result)
def test_every_result_knows_its_cause_or_leaves_it_to_the_network(result: Result) -> None:
    assert (cause_of(result) is None) == (result in {Result.ANSWERED, Result.IN_PROGRESS})


@pytest.mark.parametrize(
    ("dialled", "kept"),
    [
        ("050412345678", 50412345678),
        ("07012345678", 7012345678),
        ("18771234", 18771234),
        ("01012345678", 0),
        ("0212345678", 0),
    ],
)
def test_only_numbers_that_safe_numbers_look_like_are_kept(dialled: str, kept: int) -> None:
    assert recorded_vn(parse(dialled)) == kept
    assert recorded_vn(None) == 0
