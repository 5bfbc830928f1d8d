"""How full pools are: counted now and then, kept for a month."""

from tests.core_world import World
from vns.pools.occupancy import KEPT, Occupancy


async def test_counts_are_kept_and_told_in_order(world: World) -> None:
    occupancy = Occupancy(world.db, world.clock)
    begun = world.clock.now()
    assert await occupancy.take() == 2
    binding = await world.allocate()
    await world.allocate("01022223333")
    world.clock.move(minutes=5)
    await world.bindings.release(world.mall, binding.id)
    await occupancy.take()
    pool = await world.pools.get("safe")
    course = await occupancy.since(pool.id, begun)
    assert [(one.counts.live, one.counts.quarantined, one.counts.free) for one in course] == [(0, 0, 20), (1, 1, 18)]
    latest = await occupancy.latest([pool.id])
    assert latest[pool.id] == course[-1]
    world.clock.move(seconds=KEPT.total_seconds())
    await occupancy.take()
    assert len(await occupancy.since(pool.id, begun)) == 2, "the first is older than what is kept"
