"""Counting by hour reads the tenant's rows from the first id of the time on."""

from datetime import UTC, datetime, timedelta

import uuid_utils.compat as uuids

from tests.core_world import World
from vns.storage.traffic import LONGEST, first_id


def test_no_later_id_sorts_before_the_first_of_a_moment() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    made = uuids.uuid7()
    assert first_id(before) <= made < first_id(datetime.now(UTC) + timedelta(seconds=1))


async def test_texts_by_hour_and_outcome(world: World) -> None:
    from vns.messages.service import Messages  # noqa: PLC0415 - its world is larger than that of the other tests here

    messages = Messages(world.db, world.router, world.keyring, world.clock)
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    async with world.db.connection() as connection:
        for age, status in ((0, "delivered"), (0, "failed"), (2, "delivered"), (2, "delivered"), (300, "delivered")):
            await connection.execute(
                """insert into messages (id, tenant_id, vn, status, kind, fingerprint, session, received_at)
                   values (uuidv7(make_interval(hours => -$1::integer)), $2, 50410000001, $3, 'sms', '\\x00', 's',
                           $4)""",
                age,
                world.mall.tenant_id,
                status,
                hour - timedelta(hours=age),
            )
    counted = await messages.by_hour(world.mall, now - timedelta(days=30), now + timedelta(seconds=1))
    assert now - timedelta(hours=300) < now - LONGEST
    assert [(one.hour, one.outcome) for one in counted] == sorted((one.hour, one.outcome) for one in counted)
    found = {(one.hour, one.outcome): one.count for one in counted}
    assert found == {
        (hour, "delivered"): 1,
        (hour, "failed"): 1,
        (hour - timedelta(hours=2), "delivered"): 2,
    }
