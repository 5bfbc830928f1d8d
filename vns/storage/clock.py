"""Where the time comes from, so that tests can move it."""

from datetime import UTC, datetime


class Clock:
    """The machine's clock. Tests pass a subclass that stands still until it is told to move."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return datetime.now(UTC)
