"""A courier looks safe numbers up, of the malls that let it, and sees four fields."""

from typing import Any

from tests.api.conftest import COURIER, MALL, OTHER_MALL, Platform

FIELDS = {"reference", "virtual_number", "status", "expires_at"}


async def delivery(platform: Platform, reference: str, query: str = "") -> tuple[int, dict[str, Any]]:
    answer = await platform.get(f"/v1/deliveries/{reference}{query}", key=COURIER)
    return answer.status_code, answer.json()


async def test_the_live_binding_else_the_last(platform: Platform) -> None:
    old = await platform.bind(reference="W-1")
    live = await platform.bind(reference="W-1", ttl_seconds=60)
    last = await platform.bind(reference="W-1")
    for gone in (old, last):
        await platform.ask("DELETE", f"/v1/bindings/{gone['id']}")
    status, found = await delivery(platform, "W-1")
    assert status == 200
    assert found == {
        "reference": "W-1",
        "virtual_number": live["virtual_number"],
        "status": "active",
        "expires_at": "2026-03-01T12:01:00Z",
    }
    platform.clock.move(seconds=60)
    status, found = await delivery(platform, "W-1")
    assert set(found) == FIELDS
    assert (found["virtual_number"], found["status"]) == (last["virtual_number"], "released")


async def test_a_reference_may_hold_anything_printable(platform: Platform) -> None:
    await platform.bind(reference="2026/03 주문#1")
    status, found = await delivery(platform, "2026%2F03%20%EC%A3%BC%EB%AC%B8%231")
    assert (status, found["reference"]) == (200, "2026/03 주문#1")
    await platform.bind(reference="lookup")
    assert (await delivery(platform, "lookup"))[0] == 200


async def test_only_malls_that_granted_it(platform: Platform) -> None:
    await platform.bind(reference="W-1", key=OTHER_MALL)
    assert (await delivery(platform, "W-1"))[0] == 404
    assert (await delivery(platform, "W-1", "?tenant=other-mall"))[0] == 404


async def test_several_malls_with_one_waybill(platform: Platform) -> None:
    await platform.services.access.grant_lookup("test", courier=COURIER, mall=OTHER_MALL)
    platform.clock.move(seconds=3)
    mine = await platform.bind(reference="W-1", key=MALL)
    await platform.bind(reference="W-1", key=OTHER_MALL)
    status, found = await delivery(platform, "W-1")
    assert (status, found["code"]) == (409, "ambiguous_reference")
    status, found = await delivery(platform, "W-1", "?tenant=mall")
    assert (status, found["virtual_number"]) == (200, mine["virtual_number"])


async def test_bulk_look_up(platform: Platform) -> None:
    one, two = await platform.bind(reference="W-1"), await platform.bind(reference="W-2")
    answer = await platform.post("/v1/deliveries/lookup", {"references": ["W-2", "none", "W-1", "W-2"]}, key=COURIER)
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert [item["reference"] for item in items] == ["W-2", "none", "W-1", "W-2"]
    numbers = [item["delivery"]["virtual_number"] for item in items if "delivery" in item]
    assert numbers == [two["virtual_number"], one["virtual_number"], two["virtual_number"]]
    assert {frozenset(item["delivery"]) for item in items if "delivery" in item} == {frozenset(FIELDS)}
    assert items[1]["error"]["code"] == "not_found"
