"""Whether somebody may be reached at a time: weekdays, public holidays and closed dates, in Korean time."""

from datetime import date, datetime, timedelta, timezone
from functools import lru_cache

from vns.rulebook.rules import END_OF_DAY, Hours

KOREA = timezone(timedelta(hours=9), "KST")
"""Korea has had no summer time since 1988, so a fixed offset needs no time-zone database."""

_ONE_DAY = timedelta(days=1)


def open_at(hours: Hours, at: datetime) -> bool:
    """`at`: an aware time. The day's own windows count, and those of the day before that go on past midnight."""
    local = at.astimezone(KOREA)
    today, minute = local.date(), local.hour * 60 + local.minute
    return _open_on(hours, today, minute) or _open_on(hours, today - _ONE_DAY, minute + END_OF_DAY)


def _open_on(hours: Hours, day: date, minute: int) -> bool:
    """Whether a window that starts on `day` holds `minute`, counted from that day's midnight."""
    if day in hours.closed_dates or (not hours.on_holidays and is_holiday(day)):
        return False
    if hours.open is None:
        return minute < END_OF_DAY
    return any(
        window.start <= minute < (window.end if window.end > window.start else window.end + END_OF_DAY)
        for window in hours.open.get(day.weekday(), ())
    )


def is_holiday(day: date) -> bool:
    """Whether `day` is a public holiday in Korea, lunar, substitute and temporary ones included."""
    return day in _holidays_of(day.year)


@lru_cache(maxsize=16)
def _holidays_of(year: int) -> frozenset[date]:
    from holidays import country_holidays  # noqa: PLC0415 - takes a while, and few installations have such rules

    return frozenset(country_holidays("KR", years=year))
