"""Phones call while PostgreSQL is away."""

from datetime import timedelta

import pytest
from redis.asyncio import Redis

from local.postgres import PostgresServer
from simulators.phones.scenarios import Identity
from tests.core_world import COURIER, CUSTOMER, STRANGER
from tests.e2e.conftest import Platform
from tests.waiting import until
from vns.numbering.rules import digits_of
from vns.routing.rules import REFUSALS, Reason

pytestmark = pytest.mark.asterisk


async def test_a_known_number_is_connected_and_recorded_afterwards(
    quiet_platform: Platform, postgres: PostgresServer, redis_url: str
) -> None:
    platform, world = quiet_platform, quiet_platform.world
    platform.core = platform.core.model_copy(update={"redis_url": redis_url})
    known, unknown = await world.allocate(), await world.allocate(STRANGER, expire_after_call=True)
    redis = Redis.from_url(redis_url)
    database = world.db.url.rpartition("/")[2]

    async def copied() -> bool:
        return bool(await redis.exists(f"vns:copies:{known.vn}"))

    async with platform.bridge("a") as bridge:
        await bridge.wait_ready()
        begun = world.clock.now()

        async def copies_are_kept() -> bool:
            return bridge.copies.is_open(begun + timedelta(seconds=1))

        await until(copies_are_kept)
        world.clock.move(seconds=1)
        async with platform.carrier.phone() as customer:
            first = await platform.carrier.call(digits_of(known.vn), Identity.plain(COURIER), talk_seconds=0.2)
            await customer.hung_up()
        await platform.ended_calls()
        await until(copied)
        world.clock.move(seconds=1)
        postgres.query(f"alter database {database} with allow_connections false")
        postgres.query(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'")  # noqa: S608 - a test's own
        async with platform.carrier.phone() as again:
            second = await platform.carrier.call(digits_of(known.vn), Identity.plain(COURIER), talk_seconds=0.2)
            heard = await again.hung_up()
        third = await platform.carrier.call(digits_of(unknown.vn), Identity.plain(COURIER))
        postgres.query(f"alter database {database} with allow_connections true")
        calls = await platform.ended_calls(3)
    await redis.aclose()
    assert (first.status, second.status, third.status) == (200, 200, REFUSALS[Reason.OVERLOAD].sip)
    assert heard.status == 200
    one, two = sorted((call for call in calls if call["vn"] == known.vn), key=lambda call: call["arrived_at"])
    assert [(call["from_copy"], call["result"]) for call in (one, two)] == [(False, "answered"), (True, "answered")]
    assert one["binding_id"] == two["binding_id"] == known.id
    assert one["to_masked"] == two["to_masked"]
    assert CUSTOMER not in str(two["to_masked"])
    assert two["billed_seconds"] >= 1
