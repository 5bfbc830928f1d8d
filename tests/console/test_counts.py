"""Hours that are over are counted once in a while; what just happened is always counted."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from api.console.counts import KEPT, HourCounts
from tests.core_world import MovedClock, World
from vns.access.rules import Principal
from vns.storage.traffic import HourCount

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
SINCE = datetime(2026, 2, 28, 13, tzinfo=UTC)
BORDER = datetime(2026, 3, 1, 11, tzinfo=UTC)


class Events:
    """Moments at which something happened, and from when on somebody had them counted."""

    def __init__(self) -> None:
        self.moments = [SINCE + timedelta(minutes=17 * place) for place in range(80)]
        self.asked: list[datetime] = []

    async def count(self, _principal: Principal, since: datetime, until: datetime) -> Sequence[HourCount]:
        self.asked.append(since)
        await asyncio.sleep(0)
        hours: dict[datetime, int] = {}
        for moment in self.moments:
            if since <= moment < until:
                hour = moment.replace(minute=0, second=0, microsecond=0)
                hours[hour] = hours.get(hour, 0) + 1
        return [HourCount(hour=hour, outcome="answered", count=number) for hour, number in sorted(hours.items())]

    async def all(self, principal: Principal) -> Sequence[HourCount]:
        return await Events.count(self, principal, SINCE, NOW + timedelta(seconds=1))


@pytest.fixture
def clock() -> MovedClock:
    made = MovedClock()
    made.time = NOW
    return made


async def test_what_is_over_is_kept_and_what_runs_is_counted(world: World, clock: MovedClock) -> None:
    events, counts = Events(), HourCounts(clock)
    assert await counts.of("calls", events.count, world.mall, SINCE) == await events.all(world.mall)
    events.moments += [NOW, BORDER]
    assert await counts.of("calls", events.count, world.mall, SINCE) == await events.all(world.mall)
    events.moments.append(SINCE)
    clock.move(seconds=KEPT.total_seconds() - 1)
    kept = await counts.of("calls", events.count, world.mall, SINCE)
    assert kept[0].count == (await events.all(world.mall))[0].count - 1, "an old hour is not counted at each look"
    clock.move(seconds=1)
    assert await counts.of("calls", events.count, world.mall, SINCE) == await events.all(world.mall)


async def test_one_count_for_all_who_wait_and_none_for_another_tenant(world: World, clock: MovedClock) -> None:
    events, counts, other = Events(), HourCounts(clock), await world.tenant("other")
    await asyncio.gather(*(counts.of("calls", events.count, world.mall, SINCE) for _ in range(5)))
    assert events.asked.count(SINCE) == 1
    await counts.of("calls", events.count, other, SINCE)
    await counts.of("texts", events.count, world.mall, SINCE)
    assert events.asked.count(SINCE) == 3


async def test_a_new_day_of_hours_is_counted_anew(world: World, clock: MovedClock) -> None:
    events, counts = Events(), HourCounts(clock)
    await counts.of("calls", events.count, world.mall, SINCE)
    clock.move(hours=1)
    await counts.of("calls", events.count, world.mall, SINCE + timedelta(hours=1))
    assert events.asked == [SINCE, BORDER, SINCE + timedelta(hours=1), BORDER + timedelta(hours=1)]
