"""How many calls a second pass."""

from hypothesis import given
from hypothesis import strategies as st

from ivr.agi.rate import CallRate


def passed(rate: CallRate, calls_a_second: int, seconds: int, *, start: int = 0, asterisk: str = "vns") -> int:
    moments = [start + second + place / calls_a_second for second in range(seconds) for place in range(calls_a_second)]
    return sum(not rate.exceeded(asterisk, moment) for moment in moments)


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 5))
def test_as_many_pass_as_may_and_a_burst_of_one_second(most: int, calls_a_second: int, seconds: int) -> None:
    through = passed(CallRate(most), calls_a_second, seconds)
    if calls_a_second <= most:
        assert through == calls_a_second * seconds
    else:
        assert min(most * seconds, calls_a_second * seconds) - 1 <= through <= most * (seconds + 1)


def test_after_a_crowd_all_pass_again() -> None:
    rate = CallRate(10)
    assert passed(rate, 100, 2) < 200
    assert passed(rate, 10, 2, start=3) == 20


def test_one_asterisk_takes_nothing_from_another() -> None:
    rate = CallRate(10)
    assert passed(rate, 100, 1, asterisk="north") < 100
    assert passed(rate, 10, 1, asterisk="south") == 10


def test_without_a_limit_all_pass() -> None:
    assert passed(CallRate(0), 1_000, 2) == 2_000
