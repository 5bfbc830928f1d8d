"""Calls and messages over HTTP: filtered, paged, masked, and each tenant its own."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat as uuids

from tests.api.conftest import MALL, OTHER_MALL, Platform

CALL = """
insert into calls (id, tenant_id, binding_id, vn, direction, from_masked, to_masked, result, cause, hangup_by,
                   arrived_at, ringing_at, answered_at, ended_at, billed_seconds, bridge, channel)
values ($1, $2, $3, $4, 'to_real', '010-****-4444', '010-****-2222', 'answered', 16, 'caller', $5, $5, $5, $5, 7,
        'a', 'c')
"""
MESSAGE = """
insert into messages (id, tenant_id, binding_id, vn, from_masked, to_masked, status, code, kind, fingerprint, session,
                      received_at, sent_at, finished_at)
values ($1, $2, $3, $4, '010-****-4444', '010-****-2222', 'delivered', '0', 'sms', '\\x00', 's', $5, $5, $5)
"""
TIMES = {"calls": "arrived_at", "messages": "received_at"}
FIELDS = {
    "calls": {
        "id",
        "binding_id",
        "virtual_number",
        "direction",
        "from",
        "to",
        "result",
        "cause",
        "hangup_by",
        "arrived_at",
        "ringing_at",
        "answered_at",
        "ended_at",
        "billed_seconds",
        "reconciled",
    },
    "messages": {
        "id",
        "binding_id",
        "virtual_number",
        "from",
        "to",
        "status",
        "reason",
        "code",
        "kind",
        "received_at",
        "sent_at",
        "finished_at",
        "send_at",
    },
}


async def recorded(platform: Platform, what: str, binding: dict[str, Any], key: str, hours: int) -> str:
    """A record of `what`, that many hours after the beginning; its id."""
    tenant = (await platform.services.access.get_tenant(key)).id
    at, made = platform.clock.now() + timedelta(hours=hours), uuids.uuid7()
    async with platform.services.database.transaction() as connection:
        statement = CALL if what == "calls" else MESSAGE
        await connection.execute(statement, made, tenant, UUID(binding["id"]), int(binding["virtual_number"]), at)
    return str(made)


@pytest.mark.parametrize("what", ["calls", "messages"])
async def test_lists_filter_page_and_keep_to_their_tenant(platform: Platform, what: str) -> None:
    one, two = await platform.bind(), await platform.bind()
    ids = [await recorded(platform, what, binding, MALL, hours) for hours, binding in enumerate([one, two, one, one])]
    await recorded(platform, what, await platform.bind(key=OTHER_MALL), OTHER_MALL, 1)

    async def found(query: str) -> list[str]:
        answer = await platform.get(f"/v1/{what}?{query}")
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert await found("") == [ids[3], ids[2], ids[1], ids[0]]
    assert await found(f"binding_id={two['id']}") == [ids[1]]
    assert await found(f"virtual_number={one['virtual_number']}&since=2026-03-01T13:30:00Z") == [ids[3], ids[2]]
    assert await found("since=2026-03-01T22:00:00%2B09:00&until=2026-03-01T14:00:00Z") == [ids[1]]
    page = (await platform.get(f"/v1/{what}?limit=3")).json()
    assert [item["id"] for item in page["items"]] == [ids[3], ids[2], ids[1]]
    assert await found(f"limit=3&cursor={page['next_cursor']}") == [ids[0]]


@pytest.mark.parametrize("what", ["calls", "messages"])
async def test_a_record_has_the_fields_of_the_contract(platform: Platform, what: str) -> None:
    binding = await platform.bind()
    await recorded(platform, what, binding, MALL, 0)
    (item,) = (await platform.get(f"/v1/{what}")).json()["items"]
    assert set(item) == FIELDS[what]
    assert (item["from"], item["to"]) == ("010-****-4444", "010-****-2222")
    assert item["virtual_number"] == binding["virtual_number"]
    assert item[TIMES[what]] == "2026-03-01T12:00:00Z"
