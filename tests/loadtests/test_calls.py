"""When the records of `bin/bench calls` differ from what the phone saw."""

from collections import Counter

import pytest

from loadtests.calls import differences


@pytest.mark.parametrize(
    ("seen", "answered", "given_up", "count"),
    [
        pytest.param(3, 3, 0, 0, id="the same"),
        pytest.param(3, 2, 0, 1, id="a call without a record"),
        pytest.param(2, 3, 0, 1, id="a record without a call"),
        pytest.param(3, 2, 1, 0, id="given up while the phone picked up"),
        pytest.param(2, 2, 1, 0, id="given up before"),
        pytest.param(2, 3, 1, 1, id="given up does not make up for a record too many"),
        pytest.param(4, 2, 1, 1, id="nor for two that are missing"),
    ],
)
def test_calls_of_one_number(seen: int, answered: int, given_up: int, count: int) -> None:
    assert differences(Counter(a=seen), Counter(a=answered), Counter(a=given_up)) == count


def test_one_number_does_not_make_up_for_another() -> None:
    assert differences(Counter(a=1), Counter(b=1), Counter()) == 2
    assert differences(Counter(a=1), Counter(), Counter(b=1)) == 1
