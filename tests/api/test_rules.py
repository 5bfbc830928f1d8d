"""Rules over HTTP: written in full, kept per binding and per pool, shown with the fallback number masked."""

from typing import Any

import pytest

from tests.api.conftest import OPERATOR, Platform

HOURS: dict[str, Any] = {"open": {"mon": [["09:00", "18:00"]]}, "holidays": "closed"}


async def test_rules_of_a_binding_are_kept_changed_field_by_field_and_taken_away(platform: Platform) -> None:
    made = await platform.bind(rules={"hours": HOURS, "max_seconds": 600, "fallback_number": "02-1234-5678"})
    assert made["rules"] == {"hours": HOURS, "max_seconds": 600, "fallback_number": "02-****-5678"}
    path = f"/v1/bindings/{made['id']}"
    assert (await platform.get(path)).json()["rules"] == made["rules"]
    changed = await platform.ask("PATCH", path, {"rules": {"max_seconds": None, "record": True}})
    assert changed.status_code == 200, changed.text
    expected = {"hours": HOURS, "record": True, "fallback_number": "02-****-5678"}
    assert changed.json()["rules"] == expected
    untouched = await platform.ask("PATCH", path, {"caller_id": "virtual"})
    assert untouched.json()["rules"] == expected
    emptied = await platform.ask("PATCH", path, {"rules": dict.fromkeys(expected)})
    assert emptied.json()["rules"] is None
    listed = (await platform.get("/v1/bindings?virtual_number=" + made["virtual_number"])).json()
    assert [item["rules"] for item in listed["items"]] == [None]


async def test_rules_of_a_pool(platform: Platform) -> None:
    body = {"name": "p", "service": "050", "first": "0504-5000-0000", "last": "0504-5000-0099"}
    made = await platform.post("/v1/pools", {**body, "rules": {"fallback_number": "1588-1234"}}, key=OPERATOR)
    assert made.status_code == 201, made.text
    assert made.json()["rules"] == {"fallback_number": "1588-****"}
    path = f"/v1/pools/{made.json()['id']}"
    changed = await platform.ask("PATCH", path, {"rules": {"ring_seconds": 20}}, key=OPERATOR)
    assert changed.json()["rules"] == {"fallback_number": "1588-****", "ring_seconds": 20}
    listed = (await platform.get("/v1/pools")).json()["items"]
    assert {pool["name"]: pool["rules"] for pool in listed}["p"] == changed.json()["rules"]


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"colour": "red"}, "invalid_rules"),
        ({"hours": {"open": {"mon": [["9", "18"]]}}}, "invalid_rules"),
        ({"ring_seconds": 1}, "invalid_rules"),
        ({"fallback_number": "112"}, "number_not_mappable"),
        ({"fallback_number": "+1 212 555 0100"}, "invalid_number"),
        ([], "invalid_request"),
    ],
)
async def test_wrong_rules_are_refused_with_a_code_and_without_the_number(
    platform: Platform, rules: object, code: str
) -> None:
    answer = await platform.post("/v1/bindings", {"mode": "one_way", "real_number": "01011112222", "rules": rules})
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert "555" not in answer.text


async def test_a_batch_judges_the_rules_of_each_item(platform: Platform) -> None:
    items = [
        {"mode": "one_way", "real_number": "01011112222", "rules": rules}
        for rules in ({"record": True}, {"record": 1}, None)
    ]
    answers = (await platform.post("/v1/bindings/batch", {"items": items})).json()["items"]
    assert answers[0]["binding"]["rules"] == {"record": True}
    assert answers[1]["error"]["code"] == "invalid_rules"
    assert answers[2]["binding"]["rules"] is None


async def test_the_same_key_with_other_rules_is_another_request(platform: Platform) -> None:
    body = {"mode": "one_way", "real_number": "01011112222", "rules": {"fallback_number": "02-1234-5678"}}
    first = await platform.post("/v1/bindings", body, idempotency="k")
    again = await platform.post("/v1/bindings", body, idempotency="k")
    assert (first.status_code, first.text) == (again.status_code, again.text)
    other = await platform.post("/v1/bindings", {**body, "rules": {"fallback_number": "02-1234-5679"}}, idempotency="k")
    assert other.json()["code"] == "idempotency_mismatch"
