"""Bindings over HTTP: allocated, read, changed, released, and nobody else's."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from api.routes.bindings.schemas import BindingOut, render
from tests.api.conftest import MALL, OTHER_MALL, Platform
from vns.bindings.rules import Binding, CallerId, Channel, Status
from vns.pools.rules import Mode

FIELDS = {
    "id",
    "mode",
    "status",
    "virtual_number",
    "peer_virtual_number",
    "extension",
    "real_number",
    "peer_number",
    "members",
    "ring",
    "reference",
    "expires_at",
    "channels",
    "caller_id",
    "purpose",
    "exposes",
    "rules",
    "created_at",
    "ended_at",
}


async def test_a_one_way_binding_is_made_and_read_back(platform: Platform) -> None:
    answer = await platform.post(
        "/v1/bindings",
        {"mode": "one_way", "real_number": "+82 10-1111-2222", "reference": "W-1", "ttl_seconds": 600},
    )
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == FIELDS
    assert made["virtual_number"].startswith("0504100000")
    assert (made["status"], made["real_number"], made["exposes"]) == ("active", "010-****-2222", ["caller"])
    assert (made["created_at"], made["expires_at"]) == ("2026-03-01T12:00:00Z", "2026-03-01T12:10:00Z")
    assert made["peer_virtual_number"] is None
    assert made["extension"] is None
    assert (await platform.get(f"/v1/bindings/{made['id']}")).json() == made


async def test_a_pair_hides_both_numbers(platform: Platform) -> None:
    made = await platform.bind(mode="bidirectional", peer_number="010.3333.4444", channels=["sms"])
    assert made["virtual_number"].startswith("0708000")
    assert (made["peer_number"], made["exposes"], made["caller_id"]) == ("010-****-4444", [], "virtual")
    assert made["channels"] == ["sms"]


async def test_the_same_idempotency_key_gets_the_same_answer(platform: Platform) -> None:
    body = {"mode": "one_way", "real_number": "01011112222"}
    first = await platform.post("/v1/bindings", body, idempotency="order-1")
    await platform.ask("DELETE", f"/v1/bindings/{first.json()['id']}")
    again = await platform.post("/v1/bindings", body, idempotency="order-1")
    assert (again.status_code, again.content) == (201, first.content)
    other = await platform.post("/v1/bindings", body, idempotency="order-2")
    assert other.json()["id"] != first.json()["id"]
    elsewhere = await platform.post("/v1/bindings", body, idempotency="order-1", key=OTHER_MALL)
    assert elsewhere.json()["id"] != first.json()["id"]
    changed = await platform.post("/v1/bindings", {**body, "caller_id": "virtual"}, idempotency="order-1")
    assert (changed.status_code, changed.json()["code"]) == (422, "idempotency_mismatch")


async def test_many_at_once_with_one_idempotency_key_make_one_binding(platform: Platform) -> None:
    body = {"mode": "one_way", "real_number": "01011112222", "reference": "W-1"}
    answers = await asyncio.gather(*(platform.post("/v1/bindings", body, idempotency="order-1") for _ in range(12)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    listed = (await platform.get("/v1/bindings?reference=W-1")).json()
    assert len(listed["items"]) == 1


async def test_ensure_answers_the_live_binding_with_200(platform: Platform) -> None:
    body = {"mode": "one_way", "real_number": "01011112222", "reference": "W-1", "ensure": True}
    first = await platform.post("/v1/bindings", body)
    again = await platform.post("/v1/bindings", body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


async def test_many_at_once_with_ensure_make_one_binding(platform: Platform) -> None:
    body = {"mode": "one_way", "real_number": "01011112222", "reference": "W-1", "ensure": True}
    answers = await asyncio.gather(*(platform.post("/v1/bindings", body) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_null_is_as_good_as_left_out(platform: Platform) -> None:
    optional = (
        "peer_number",
        "pool",
        "expires_at",
        "ttl_seconds",
        "expire_after_call",
        "channels",
        "purpose",
        "ensure",
    )
    answer = await platform.post(
        "/v1/bindings", {"mode": "one_way", "real_number": "010-1111-2222", **dict.fromkeys(optional)}
    )
    assert answer.status_code == 201
    assert answer.json()["channels"] == ["voice", "sms"]


async def test_the_same_again_without_ensure_gets_another_number(platform: Platform) -> None:
    first, second = await platform.bind(reference="W-1"), await platform.bind(reference="W-1")
    assert first["virtual_number"] != second["virtual_number"]


async def test_one_bad_item_of_a_batch_spoils_no_other(platform: Platform) -> None:
    good = {"mode": "one_way", "real_number": "01011112222"}
    items: list[Any] = [
        good,
        {"mode": "one_way"},
        {"mode": "one_way", "real_number": "112"},
        "not an object",
        {**good, "virtual_number": "0504-9999-9999"},
        {**good, "colour": "red"},
        good,
    ]
    answer = await platform.post("/v1/bindings/batch", {"items": items})
    assert answer.status_code == 200
    got = answer.json()["items"]
    assert [set(item) for item in got] == [{"binding"}] + [{"error"}] * 5 + [{"binding"}]
    assert [item["error"]["code"] for item in got[1:6]] == [
        "invalid_request",
        "number_not_mappable",
        "invalid_request",
        "not_found",
        "invalid_request",
    ]
    assert got[1]["error"]["errors"] == [{"field": "items.1.real_number", "message": "Field required"}]
    assert got[5]["error"]["errors"][0]["field"] == "items.5.colour"
    assert got[0]["binding"]["id"] != got[6]["binding"]["id"]


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_batch_has_1_to_1000_items(platform: Platform, count: int) -> None:
    answer = await platform.post("/v1/bindings/batch", {"items": [{}] * count})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_release_is_idempotent_and_ends_the_binding(platform: Platform) -> None:
    made = await platform.bind()
    path = f"/v1/bindings/{made['id']}"
    first = await platform.ask("DELETE", path)
    platform.clock.move(seconds=30)
    again = await platform.ask("DELETE", f"{path}?terminate_calls=true")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["status"] == "released"
    assert first.json()["ended_at"] == "2026-03-01T12:00:00Z"
    assert again.json() == first.json()


async def test_bulk_release_by_each_kind_of_name(platform: Platform) -> None:
    for name in ("ids", "references", "virtual_numbers"):
        two = [await platform.bind(reference=f"{name}-{n}") for n in range(2)]
        given = {
            "ids": [binding["id"] for binding in two],
            "references": [binding["reference"] for binding in two],
            "virtual_numbers": [binding["virtual_number"] for binding in two],
        }[name]
        unknown = {"ids": str(uuid4()), "references": "nobody's", "virtual_numbers": "050499999999"}[name]
        answer = await platform.post("/v1/bindings/release", {name: [*given, unknown]})
        assert answer.status_code == 200
        items = answer.json()["items"]
        assert [item["given"] for item in items] == [*given, unknown]
        assert [item["bindings"][0]["id"] for item in items[:2]] == [binding["id"] for binding in two]
        assert {item["bindings"][0]["status"] for item in items[:2]} == {"released"}
        assert (items[2]["bindings"], items[2]["error"]["code"]) == ([], "not_found")


async def test_bulk_release_wants_exactly_one_list(platform: Platform) -> None:
    for body in ({}, {"references": ["W-1"], "virtual_numbers": ["050410000000"]}):
        answer = await platform.post("/v1/bindings/release", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_binding_is_changed(platform: Platform) -> None:
    made = await platform.bind(expires_at="2026-03-02T12:00:00Z")
    path = f"/v1/bindings/{made['id']}"
    longer = await platform.ask("PATCH", path, {"expires_at": "2026-04-01T09:00:00+09:00", "channels": ["voice"]})
    assert longer.status_code == 200, longer.text
    assert longer.json() == {**made, "expires_at": "2026-04-01T00:00:00Z", "channels": ["voice"]}
    moved = await platform.ask("PATCH", path, {"real_number": "010-5555-6666", "expires_at": None})
    assert (moved.json()["real_number"], moved.json()["expires_at"]) == ("010-****-6666", None)


async def test_lists_filter_and_page(platform: Platform) -> None:
    made = [await platform.bind(reference=f"W-{n % 2}") for n in range(5)]
    await platform.ask("DELETE", f"/v1/bindings/{made[0]['id']}")
    newest_first = [binding["id"] for binding in reversed(made)]

    seen, path = [], "/v1/bindings?limit=2"
    while path:
        page = (await platform.get(path)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        path = f"/v1/bindings?limit=2&cursor={cursor}" if cursor else ""
    assert seen == newest_first

    async def ids(query: str) -> list[str]:
        return [item["id"] for item in (await platform.get(f"/v1/bindings?{query}")).json()["items"]]

    assert await ids("reference=W-1") == [made[3]["id"], made[1]["id"]]
    assert await ids("status=released") == [made[0]["id"]]
    assert await ids(f"virtual_number={made[2]['virtual_number']}") == [made[2]["id"]]


async def test_another_tenants_binding_is_not_found(platform: Platform) -> None:
    made = await platform.bind(reference="W-1")
    path = f"/v1/bindings/{made['id']}"
    for method, body in (("GET", None), ("PATCH", {"channels": ["voice"]}), ("DELETE", None)):
        answer = await platform.ask(method, path, body, key=OTHER_MALL)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), method
    for given in ({"ids": [made["id"]]}, {"references": ["W-1"]}, {"virtual_numbers": [made["virtual_number"]]}):
        item = (await platform.post("/v1/bindings/release", given, key=OTHER_MALL)).json()["items"][0]
        assert (item["bindings"], item["error"]["code"]) == ([], "not_found")
    assert (await platform.get("/v1/bindings?reference=W-1", key=OTHER_MALL)).json()["items"] == []
    assert (await platform.get(path, key=MALL)).json() == made


async def test_the_fast_rendering_is_the_documented_schema(platform: Platform) -> None:
    now = platform.clock.now()
    for channels in (frozenset(Channel), frozenset({Channel.SMS}), frozenset({Channel.VOICE})):
        for peer, expiry in ((None, None), ("02-****-1234", now)):
            binding = Binding(
                id=uuid4(),
                tenant_id=uuid4(),
                mode=Mode.ONE_WAY,
                status=Status.EXPIRED,
                vn=50_410_000_000,
                real_masked="010-****-2222",
                peer_masked=peer,
                reference='홍길동 "1"',
                purpose="delivery",
                expires_at=expiry,
                ttl_seconds=None,
                expire_after_call=False,
                channels=channels,
                caller_id=CallerId.CALLER,
                created_at=now,
                ended_at=expiry,
            )
            assert BindingOut.model_validate_json(render(binding)).model_dump(mode="json") == json.loads(
                render(binding)
            )
