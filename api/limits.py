"""How many requests a second a tenant may make: counted in Redis for all processes, in the process when Redis is away.

The rule is the generic cell rate algorithm: one timestamp per tenant says when its next request is due. A tenant that
was quiet may make one second's worth of requests at once.
"""

import asyncio
import logging
import time
from typing import Final
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from api.metrics import HttpMetrics
from vns.errors import RateLimited

log = logging.getLogger(__name__)

_MICROSECONDS: Final = 1_000_000
_BURST: Final = _MICROSECONDS  # requests of one second may come at once
_MINUTE: Final = 60 * _MICROSECONDS
_REMEMBERED: Final = 10_000  # whom a process counts alone, before it forgets those who have nothing to wait for
_PAUSE: Final = 1.0  # seconds without asking Redis after it did not answer

# KEYS[1]: the tenant's due time. ARGV[1]: microseconds per request, ARGV[2]: burst in microseconds.
# Answers the microseconds to wait; 0 lets the request pass.
_TAKE: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + tonumber(ARGV[1])
local wait = due - tonumber(ARGV[2]) - now
if wait > 0 then return wait end
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1000)
return 0
"""


class Local:
    """The same rule inside one process. Times in microseconds."""

    def __init__(self) -> None:
        self._due: dict[UUID | str, int] = {}

    def take(self, who: UUID | str, interval: int, now: int, burst: int = _BURST) -> int:
        """Microseconds to wait; 0 lets the request pass."""
        due = max(self._due.get(who, 0), now) + interval
        wait = due - burst - now
        if wait > 0:
            return wait
        if len(self._due) >= _REMEMBERED:
            self._due = {known: then for known, then in self._due.items() if then > now}
        self._due[who] = due
        return 0


class RateLimiter:
    """Owns one Redis client; end it with `close()`."""

    def __init__(self, url: str, *, timeout: float, metrics: HttpMetrics) -> None:
        """`timeout`: seconds in which Redis must answer."""
        self._redis = Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        )
        self._script = self._redis.register_script(_TAKE)
        self._timeout = timeout
        self._metrics = metrics
        self._local = Local()
        self._ask_again = 0.0

    async def take(self, tenant_id: UUID, requests_per_second: int) -> None:
        """Count one request. Raises RateLimited."""
        wait = await self._wait(tenant_id, _MICROSECONDS // requests_per_second, _BURST)
        if wait:
            raise RateLimited(f"at most {requests_per_second} requests a second", retry_after=wait)

    async def attempt(self, who: str, per_minute: int) -> None:
        """Count one try of `who`, such as an address that tries to log in. Raises RateLimited."""
        wait = await self._wait(who, _MINUTE // per_minute, _MINUTE)
        if wait:
            raise RateLimited(f"at most {per_minute} tries a minute", retry_after=wait)

    async def _wait(self, who: UUID | str, interval: int, burst: int) -> int:
        """Whole seconds to wait; 0 lets the request pass."""
        wait = await self._ask_redis(who, interval, burst)
        if wait is None:
            self._metrics.counted_alone()
            wait = self._local.take(who, interval, time.monotonic_ns() // 1000, burst)
        return -(-wait // _MICROSECONDS)

    async def _ask_redis(self, who: UUID | str, interval: int, burst: int) -> int | None:
        if time.monotonic() < self._ask_again:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                return int(await self._script(keys=[f"vns:rate:{who}"], args=[interval, burst]))
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("rate limits: Redis does not answer (%s); each process counts alone", type(error).__name__)
            self._ask_again = time.monotonic() + _PAUSE
            return None

    async def close(self) -> None:
        await self._redis.aclose()
