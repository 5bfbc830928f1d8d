"""How much happened in each hour, without counting a whole day at every look.

What an hour that is over came to hardly changes: a call has ended, a text gets its receipt late. Such hours are counted
once in KEPT seconds for all who look; the hour that runs and the one before it are counted at each look.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from vns.access.rules import Principal
from vns.storage.clock import Clock
from vns.storage.traffic import HourCount

KEPT: Final = timedelta(minutes=5)
MOST: Final = 1_000  # tenants, times what is counted
_HOUR: Final = timedelta(hours=1)

Count = Callable[[Principal, datetime, datetime], Awaitable[Sequence[HourCount]]]


@dataclass
class _Kept:
    """Counts of hours that are over; the lock lets one count for all who wait."""

    at: datetime | None = None
    counts: Sequence[HourCount] = ()
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class HourCounts:
    """The counts of one process, the longest unasked forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, UUID, datetime], _Kept] = OrderedDict()

    async def of(self, what: str, count: Count, principal: Principal, since: datetime) -> list[HourCount]:
        """From `since`, the beginning of an hour, until now. `what` names `count`, which does the counting."""
        now = self._clock.now()
        border = max(since, now.replace(minute=0, second=0, microsecond=0) - _HOUR)
        kept = self._entry((what, principal.tenant_id, since))
        async with kept.lock:
            if kept.at is None or now >= kept.at + KEPT:
                kept.counts, kept.at = await count(principal, since, border), now
        return [*kept.counts, *await count(principal, border, now + timedelta(seconds=1))]

    def _entry(self, key: tuple[str, UUID, datetime]) -> _Kept:
        """`since` moves with the hours, and so does what is over."""
        entry = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return entry
