"""Counts in a real Redis, shared; and alone when there is none."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from vns.abuse.tally import Noted, Tally


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Tally]:
    tally = Tally(url)
    try:
        yield tally
    finally:
        await tally.close()


def noted(key: str, times: int = 1, *, members: tuple[str, ...] = ()) -> Noted:
    made = Noted()
    for _ in range(times):
        made.count(key, 60)
    for member in members:
        made.join(f"{key}:set", member, 60)
    return made


async def test_two_bridges_count_together(redis_url: str) -> None:
    async with opened(redis_url) as one, opened(redis_url) as other:
        assert await one.add(noted("k", 3, members=("a", "b"))) == {"k": 3, "k:set": 2}
        assert await other.add(noted("k", 2, members=("b", "c"))) == {"k": 5, "k:set": 3}


async def test_a_count_ends_with_its_window(redis_url: str) -> None:
    async with opened(redis_url) as tally:
        await tally.add(noted("k", 3, members=("a",)))
        remaining = [await tally._redis.ttl(key) for key in ("k", "k:set")]
        await tally.add(noted("k", members=("a",)))
    assert all(0 < seconds <= 60 for seconds in remaining)


async def test_without_redis_each_counts_alone(new_port: Callable[[], int]) -> None:
    async with opened(f"redis://127.0.0.1:{new_port()}") as tally:
        assert await tally.add(noted("k", 3, members=("a", "b"))) == {"k": 3, "k:set": 2}
        assert await tally.add(noted("k", 1, members=("b",))) == {"k": 4, "k:set": 2}
