"""Copies of what PostgreSQL said about a number, kept in Redis for the time in which PostgreSQL does not answer.

A copy lives for LEASE from the *start* of the read it stems from, in a Redis that keeps nothing on disk. What is kept
is sealed by its owner (vns.routing.copies): Redis sees ciphertexts, virtual numbers and blind indexes. All copies of a
number hang on one key, so that taking them back is one command, and nothing read before that can be kept afterwards:

    vns:copies:<vn>   hash: field (who asked) → epoch | lease end | ciphertext
    vns:gone:<vn>     when the copies of the number were last taken back; outlives every read from before
    vns:copies-epoch  random; a copy of another epoch does not count. A flushed Redis has a new one, and so have
                      all copies been taken back at once
"""

import asyncio
import secrets
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from vns.errors import Unavailable

Answer = TypeVar("Answer")

LEASE: Final = timedelta(seconds=90)
SKEW: Final = timedelta(seconds=2)  # by which the clocks of two machines may differ
GONE_KEPT: Final = LEASE + 2 * SKEW

_EPOCH_KEY: Final = "vns:copies-epoch"
_EPOCH: Final = 16  # bytes
_END: Final = 8  # bytes: milliseconds since 1970

# KEYS epoch, then copies and gone of each. ARGV epoch, skew (ms), now (ms), then of each: field, value, read at (ms),
# life (ms). Which of them are kept. Of a number that many callers have called, copies that are over are taken out as
# their count grows: the lease of one ends long before the key that holds all of them.
_KEEP: Final = """
local epoch = redis.call('get', KEYS[1])
if epoch ~= ARGV[1] then return -1 end
local function is_over(value)
  if string.sub(value, 1, #epoch) ~= epoch then return true end
  local ends = 0
  for place = #epoch + 1, #epoch + 8 do ends = ends * 256 + (string.byte(value, place) or 0) end
  return ends <= tonumber(ARGV[3])
end
local kept = {}
for i = 1, (#KEYS - 1) / 2 do
  local copies, gone = KEYS[2 * i], redis.call('get', KEYS[2 * i + 1])
  local field, value, read_at, life = unpack(ARGV, 4 * i, 4 * i + 3)
  if not gone or tonumber(read_at) > tonumber(gone) + tonumber(ARGV[2]) then
    local is_new = redis.call('hset', copies, field, epoch .. value) == 1
    if redis.call('pttl', copies) < tonumber(life) then redis.call('pexpire', copies, life) end
    kept[#kept + 1] = i
    if is_new and redis.call('hlen', copies) % 64 == 0 then
      local all = redis.call('hgetall', copies)
      for place = 1, #all, 2 do
        if is_over(all[place + 1]) then redis.call('hdel', copies, all[place]) end
      end
    end
  end
end
return kept
"""
_AT_ONCE: Final = 50  # copies in one command

# KEYS epoch, copies. ARGV fields. The values of this epoch, without it.
_FIND: Final = """
local epoch = redis.call('get', KEYS[1])
local found = redis.call('hmget', KEYS[2], unpack(ARGV))
for i, value in ipairs(found) do
  if not value or not epoch or string.sub(value, 1, #epoch) ~= epoch then
    found[i] = ''
  else
    found[i] = string.sub(value, #epoch + 1)
  end
end
return found
"""

# KEYS epoch, then copies of each. ARGV the field of each, bytes of a lease's end. The lease ends of this epoch.
_ENDS: Final = """
local epoch, ends = redis.call('get', KEYS[1]), {}
for i = 2, #KEYS do
  local value = redis.call('hget', KEYS[i], ARGV[i - 1])
  if value and epoch and string.sub(value, 1, #epoch) == epoch then
    ends[i - 1] = string.sub(value, #epoch + 1, #epoch + tonumber(ARGV[#KEYS]))
  else
    ends[i - 1] = ''
  end
end
return ends
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One sealed copy. `read_at`: when the read began that it stems from; `field`: for whom it holds."""

    vn: int
    field: bytes
    sealed: bytes
    read_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """`known_at`: when Redis had told it. Only what was read after that may be kept under it."""

    value: bytes
    known_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    field: bytes
    sealed: bytes
    ends_at: datetime


class CopyStore:
    """Owns one Redis client; end it with `close()`. Every method raises Unavailable when Redis does not answer, or
    answers that it cannot (full, loading, a replica)."""

    def __init__(self, url: str, *, timeout: float = 0.5) -> None:
        """`timeout`: seconds in which Redis must answer."""
        self._redis = Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        )
        self._timeout = timeout

    async def close(self) -> None:
        await self._redis.aclose()

    async def forgets(self) -> bool:
        """Whether this Redis keeps nothing on disk, so that it never comes back with what was taken back, and drops
        nothing by itself, so that it never forgets alone that something was."""

        async def ask() -> bool:
            try:
                found: dict[str | None, str | None] = {}
                for name in ("save", "appendonly", "maxmemory", "maxmemory-policy"):
                    found |= await self._redis.config_get(name)
            except ResponseError:  # a Redis whose settings may not be read is none that is known to forget
                return False
            drops = found.get("maxmemory") != "0" and found.get("maxmemory-policy") != "noeviction"
            return found.get("save") == "" and found.get("appendonly") == "no" and not drops

        return await self._answered(ask())

    async def epoch(self) -> bytes:
        """The epoch in force; a Redis that has none gets one."""

        async def ask() -> bytes:
            await self._redis.set(_EPOCH_KEY, secrets.token_bytes(_EPOCH), nx=True)
            value = await self._redis.get(_EPOCH_KEY)
            return value if isinstance(value, bytes) else b""  # gone again: nothing is kept under it

        return await self._answered(ask())

    async def keep(self, epoch: Epoch, copies: Sequence[Kept], now: datetime) -> list[bool] | None:
        """Keep what is still true; which of `copies` that was. None where the epoch has changed."""
        kept = [False] * len(copies)
        due = [place for place, one in enumerate(copies) if one.read_at > epoch.known_at and one.read_at + LEASE > now]

        async def send() -> bool:
            for start in range(0, len(due), _AT_ONCE):
                places = due[start : start + _AT_ONCE]
                keys: list[str | bytes] = [_EPOCH_KEY]
                arguments: list[str | bytes] = [epoch.value, str(_in_ms(SKEW)), str(_ms(now))]
                for one in (copies[place] for place in places):
                    keys += [_copies_key(one.vn), _gone_key(one.vn)]
                    value = _ms(one.read_at + LEASE).to_bytes(_END, "big") + one.sealed
                    life = max(1, _in_ms(one.read_at + LEASE - now))
                    arguments += [one.field, value, str(_ms(one.read_at)), str(life)]
                answer: list[int] | int = await self._redis.eval(_KEEP, len(keys), *keys, *arguments)
                if isinstance(answer, int):
                    return False
                for told in answer:
                    kept[places[told - 1]] = True
            return True

        return kept if await self._answered(send()) else None

    async def reads(self, copies: Sequence[tuple[int, bytes]], now: datetime) -> list[datetime | None]:
        """When the read began that the copy of each (number, field) stems from; None where none is kept."""

        async def ask() -> list[bytes]:
            keys: list[str | bytes] = [_EPOCH_KEY, *(_copies_key(vn) for vn, _ in copies)]
            arguments: list[str | bytes] = [*(field for _, field in copies), str(_END)]
            ends: list[bytes] = await self._redis.eval(_ENDS, len(keys), *keys, *arguments)
            return ends

        return [_read_at(end, now) for end in await self._answered(ask())]

    async def find(self, vn: int, fields: Sequence[bytes], now: datetime) -> list[Found]:
        """Copies of the number for any of `fields`, in their order, whose lease is not over."""

        async def ask() -> list[bytes]:
            answer: list[bytes] = await self._redis.eval(
                _FIND,
                2,
                _EPOCH_KEY,
                _copies_key(vn),
                *fields,
            )
            return answer

        found = []
        for field, value in zip(fields, await self._answered(ask()), strict=True):
            read_at = _read_at(value[:_END], now)
            if read_at is not None and len(value) > _END:
                found.append(Found(field, value[_END:], read_at + LEASE))
        return found

    async def revoke(self, vns: Collection[int], now: datetime) -> None:
        """Once this returns, no copy of these numbers that was read before `now` is found any more."""

        async def send() -> None:
            pipeline = self._redis.pipeline(transaction=True)
            for vn in vns:
                pipeline.set(_gone_key(vn), str(_ms(now)), px=_in_ms(GONE_KEPT))
                pipeline.delete(_copies_key(vn))
            await pipeline.execute()

        if vns:
            await self._answered(send())

    async def revoke_all(self) -> None:
        """The same for every number: a new epoch."""

        async def send() -> None:
            await self._redis.set(_EPOCH_KEY, secrets.token_bytes(_EPOCH))

        await self._answered(send())

    async def _answered(self, asking: Awaitable[Answer]) -> Answer:
        try:
            async with asyncio.timeout(self._timeout):
                return await asking
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable("Redis does not answer") from error


def _read_at(end: bytes, now: datetime) -> datetime | None:
    """None for what is over, or is no end of a lease."""
    if len(end) != _END:
        return None
    ends_at = int.from_bytes(end, "big")
    if not _ms(now) < ends_at <= _ms(now + LEASE + SKEW):
        return None
    return datetime.fromtimestamp(ends_at / 1000, UTC) - LEASE


def _copies_key(vn: int) -> str:
    return f"vns:copies:{vn}"


def _gone_key(vn: int) -> str:
    return f"vns:gone:{vn}"


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _in_ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
