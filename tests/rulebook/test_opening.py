"""Hours and holidays in Korean time."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vns.rulebook.opening import KOREA, is_holiday, open_at
from vns.rulebook.rules import Hours, Window

DAY = Window(9 * 60, 18 * 60)
NIGHT = Window(22 * 60, 6 * 60)
WEEK = dict.fromkeys(range(5), (DAY,))


def korean(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=KOREA).astimezone(UTC)


# 2026-03-04 is a Wednesday, 2026-03-07 a Saturday
@pytest.mark.parametrize(
    ("hours", "at", "reached"),
    [
        (Hours(), "2026-03-04 03:00", True),
        (Hours(open=WEEK), "2026-03-04 08:59", False),
        (Hours(open=WEEK), "2026-03-04 09:00", True),
        (Hours(open=WEEK), "2026-03-04 17:59", True),
        (Hours(open=WEEK), "2026-03-04 18:00", False),
        (Hours(open=WEEK), "2026-03-07 12:00", False),
        (Hours(open={}), "2026-03-04 12:00", False),
        (Hours(open={2: (Window(0, 1440),)}), "2026-03-04 23:59", True),
        (Hours(open={2: (NIGHT,)}), "2026-03-04 21:59", False),
        (Hours(open={2: (NIGHT,)}), "2026-03-04 23:00", True),
        (Hours(open={2: (NIGHT,)}), "2026-03-05 05:59", True),
        (Hours(open={2: (NIGHT,)}), "2026-03-05 06:00", False),
        (Hours(open={2: (NIGHT,)}), "2026-03-04 05:00", False),
        (Hours(closed_dates=frozenset({date(2026, 3, 4)})), "2026-03-04 12:00", False),
        (Hours(closed_dates=frozenset({date(2026, 3, 4)})), "2026-03-05 00:00", True),
        (Hours(open={2: (NIGHT,)}, closed_dates=frozenset({date(2026, 3, 4)})), "2026-03-05 03:00", False),
        (Hours(open={2: (NIGHT,)}, closed_dates=frozenset({date(2026, 3, 5)})), "2026-03-05 03:00", True),
        (Hours(open=WEEK, on_holidays=False), "2026-02-17 12:00", False),
        (Hours(open=WEEK), "2026-02-17 12:00", True),
        (Hours(on_holidays=False), "2026-02-17 23:59", False),
        (Hours(on_holidays=False), "2026-02-19 00:00", True),
    ],
)
def test_hours(hours: Hours, at: str, reached: bool) -> None:
    assert open_at(hours, korean(at)) is reached


@pytest.mark.parametrize(
    "day",
    [
        *("2025-01-28", "2025-10-06", "2026-02-17", "2026-09-25", "2026-05-24"),  # lunar: new year, Chuseok, Buddha
        *("2025-10-08", "2026-03-02", "2026-08-17", "2026-10-05", "2027-02-09"),  # substitutes
        *("2025-01-27", "2025-06-03"),  # temporary, and an election
        *("2026-01-01", "2026-12-25"),
    ],
)
def test_korean_holidays(day: str) -> None:
    assert is_holiday(date.fromisoformat(day))


@pytest.mark.parametrize("day", ["2026-02-19", "2026-03-03", "2026-04-05", "2026-12-24"])
def test_working_days(day: str) -> None:
    assert not is_holiday(date.fromisoformat(day))


spans = st.tuples(st.integers(0, 1439), st.integers(0, 1440)).filter(lambda span: span[0] != span[1])
weeks = st.dictionaries(st.integers(0, 6), st.lists(spans.map(lambda span: Window(*span)), max_size=3).map(tuple))


@given(weeks, st.integers(0, 365 * 1440))
def test_open_is_what_lies_in_a_window_laid_out_on_the_calendar(week: dict[int, tuple[Window, ...]], past: int) -> None:
    at = korean("2026-01-01 00:00").astimezone(KOREA) + timedelta(minutes=past)
    naive = False
    for back in (0, 1):
        midnight = at.replace(hour=0, minute=0) - timedelta(days=back)
        for window in week.get(midnight.weekday(), ()):
            start = midnight + timedelta(minutes=window.start)
            end = midnight + timedelta(minutes=window.end)
            naive |= start <= at < (end if end > start else end + timedelta(days=1))
    assert open_at(Hours(open=week), at) is naive
