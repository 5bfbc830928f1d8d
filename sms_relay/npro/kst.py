"""Korean local time, in which all dates of the tables are."""

from datetime import UTC, datetime, timedelta, timezone

KST = timezone(timedelta(hours=9), "KST")
"""Korea has had no summer time since 1988, so a fixed offset needs no time-zone database."""


class KoreanClock:
    """The machine's clock. Tests pass a subclass that stands still until it is told to move."""

    def now(self) -> datetime:
        """Naive Korean local time in whole seconds, as DATETIME columns hold it."""
        return to_korean(datetime.now(UTC))


def to_korean(moment: datetime) -> datetime:
    """An aware time as the tables write it."""
    return moment.astimezone(KST).replace(tzinfo=None, microsecond=0)


def from_korean(moment: datetime) -> datetime:
    """A date of the tables as an aware time in UTC."""
    return moment.replace(tzinfo=KST).astimezone(UTC)
