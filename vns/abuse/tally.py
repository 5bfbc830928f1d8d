"""Counts that all bridges share in Redis, and that each keeps alone while Redis is away. They may be lost.

Counting never makes a caller wait: what is noted is sent a moment later, in one round trip for all of it.
"""

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass, field

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

PAUSE = 1.0  # seconds without asking Redis after it did not answer
SWEEP_EVERY = 5.0  # seconds; a key that is over counts no more before that either
MOST_KEYS = 100_000  # that a process counts alone; beyond, it begins anew rather than grow


@dataclass(slots=True)
class Noted:
    """What has happened since the last round trip. Keys are ready for Redis and hold no number."""

    counts: Counter[str] = field(default_factory=Counter)
    members: dict[str, set[str]] = field(default_factory=dict)
    seconds: dict[str, int] = field(default_factory=dict)  # how long each key lives from its first count on

    def count(self, key: str, seconds: int) -> None:
        self.counts[key] += 1
        self.seconds[key] = seconds

    def join(self, key: str, member: str, seconds: int) -> None:
        self.members.setdefault(key, set()).add(member)
        self.seconds[key] = seconds

    def __bool__(self) -> bool:
        return bool(self.counts or self.members)


class _Alone:
    """The same counts inside one process."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._members: dict[str, set[str]] = {}
        self._over_at: dict[str, float] = {}
        self._sweep_at = 0.0

    def add(self, noted: Noted) -> dict[str, int]:
        now = time.monotonic()
        looked_at = noted.seconds if now < self._sweep_at else list(self._over_at)
        for key in looked_at:
            if self._over_at.get(key, now + 1) <= now:
                self._forget(key)
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_EVERY
        if len(self._over_at) > MOST_KEYS:
            self._counts.clear()
            self._members.clear()
            self._over_at.clear()
        for key, count in noted.counts.items():
            self._counts[key] += count
            self._over_at.setdefault(key, now + noted.seconds[key])
        for key, members in noted.members.items():
            self._members.setdefault(key, set()).update(members)
            self._over_at.setdefault(key, now + noted.seconds[key])
        totals = {key: self._counts[key] for key in noted.counts}
        return totals | {key: len(self._members[key]) for key in noted.members}

    def _forget(self, key: str) -> None:
        self._counts.pop(key, None)
        self._members.pop(key, None)
        del self._over_at[key]


# Adds to each key and lets a new one end after its seconds: for a bridge this is less work than two commands a key.
_COUNT = """
local totals = {}
for place, key in ipairs(KEYS) do
    local count = tonumber(ARGV[2 * place - 1])
    totals[place] = redis.call('incrby', key, count)
    if totals[place] == count then redis.call('expire', key, ARGV[2 * place]) end
end
return totals
"""


class Tally:
    """Owns one Redis client; end it with `close()`."""

    def __init__(self, url: str, *, timeout: float = 0.5) -> None:
        """`timeout`: seconds in which Redis must answer."""
        self._redis = Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        )
        self._timeout = timeout
        self._count = self._redis.register_script(_COUNT)
        self._alone = _Alone()
        self._ask_again = 0.0

    async def add(self, noted: Noted) -> dict[str, int]:
        """The totals of all keys in `noted` now: sums, and how many different members. Raises nothing of Redis."""
        if time.monotonic() >= self._ask_again:
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._add_shared(noted)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("Redis does not answer (%s): this process counts calls alone", type(error).__name__)
                self._ask_again = time.monotonic() + PAUSE
        return self._alone.add(noted)

    async def _add_shared(self, noted: Noted) -> dict[str, int]:
        totals: dict[str, int] = {}
        if noted.counts:
            given = [value for key, count in noted.counts.items() for value in (count, noted.seconds[key])]
            counted = await self._count(keys=list(noted.counts), args=given)
            totals.update(zip(noted.counts, map(int, counted), strict=True))
        if not noted.members:
            return totals
        pipeline = self._redis.pipeline(transaction=False)
        for key, members in noted.members.items():
            pipeline.sadd(key, *members)
            pipeline.expire(key, noted.seconds[key], nx=True)
            pipeline.scard(key)
        answers = await pipeline.execute()
        totals.update(zip(noted.members, map(int, answers[2::3]), strict=True))
        return totals

    async def close(self) -> None:
        await self._redis.aclose()
