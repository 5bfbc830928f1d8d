"""Pools over HTTP: made and changed by operators, seen by the malls they are open to."""

from tests.api.conftest import MALL, OPERATOR, OTHER_MALL, Platform

RANGE = {"service": "050", "first": "0504-5000-0000", "last": "0504-5999-9999"}


async def test_a_pool_is_made_from_a_range_and_counts_its_numbers(platform: Platform) -> None:
    answer = await platform.post("/v1/pools", {"name": "million", **RANGE}, key=OPERATOR)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["first"], made["last"], made["modes"]) == ("050450000000", "050459999999", ["extension", "one_way"])
    assert made["counts"] == {"total": 10_000_000, "free": 10_000_000, "live": 0, "quarantined": 0, "locked": 0}
    binding = await platform.bind(pool=made["id"])
    gone = await platform.bind(pool="million")
    await platform.ask("DELETE", f"/v1/bindings/{gone['id']}")
    seen = {pool["name"]: pool for pool in (await platform.get("/v1/pools", key=OPERATOR)).json()["items"]}
    assert seen["million"]["counts"] == {
        "total": 10_000_000,
        "free": 9_999_998,
        "live": 1,
        "quarantined": 1,
        "locked": 0,
    }
    assert binding["virtual_number"].startswith("05045")


async def test_a_locked_pool_and_a_locked_number_are_not_given_out(platform: Platform) -> None:
    made = (await platform.post("/v1/pools", {"name": "p", **RANGE}, key=OPERATOR)).json()
    path = f"/v1/pools/{made['id']}"
    answer = await platform.ask("PATCH", path, {"lock": ["0504-5000-0007"]}, key=OPERATOR)
    assert answer.status_code == 200, answer.text
    assert answer.json()["counts"]["locked"] == 1
    named = {"mode": "one_way", "real_number": "01011112222", "virtual_number": "050450000007"}
    assert (await platform.post("/v1/bindings", named)).json()["code"] == "virtual_number_in_use"
    await platform.ask("PATCH", path, {"unhold": ["050450000007"]}, key=OPERATOR)
    assert (await platform.post("/v1/bindings", named)).status_code == 201
    changed = (await platform.ask("PATCH", path, {"locked": True, "name": "q"}, key=OPERATOR)).json()
    assert (changed["locked"], changed["name"]) == (True, "q")
    body = {"mode": "one_way", "real_number": "01011112222", "pool": "q"}
    assert (await platform.post("/v1/bindings", body)).json()["code"] == "pool_exhausted"


async def test_a_mall_sees_its_own_and_the_operators_pools(platform: Platform) -> None:
    owner = (await platform.services.access.get_tenant(MALL)).id
    await platform.post("/v1/pools", {"name": "own", "owner_id": str(owner), **RANGE}, key=OPERATOR)

    async def names(key: str) -> set[str]:
        return {pool["name"] for pool in (await platform.get("/v1/pools", key=key)).json()["items"]}

    assert await names(OPERATOR) == {"safe", "voip", "own"}
    assert await names(MALL) == {"safe", "voip", "own"}
    assert await names(OTHER_MALL) == {"safe", "voip"}
    body = {"mode": "one_way", "real_number": "01011112222", "pool": "own"}
    assert (await platform.post("/v1/bindings", body, key=OTHER_MALL)).json()["code"] == "not_found"


async def test_pools_of_070_and_1877_are_proven_unless_told_otherwise(platform: Platform) -> None:
    voip: dict[str, str | None] = {"service": "070", "first": "070-9100-0000"}
    ranges: tuple[tuple[dict[str, str | None], str, str], ...] = (
        ({"service": "1877", "first": "1877-1000", "last": "1877-1099"}, "s", "s"),
        (voip | {"last": "070-9100-0009"}, "s", "s"),
        (voip | {"first": "070-9100-0010", "last": "070-9100-0019", "sms_sender_proof": None}, "", ""),
        (voip | {"first": "070-9100-0020", "last": "070-9100-0029", "voice_proof": "allotment"}, "", "s"),
        ({**RANGE}, "", ""),
    )
    for number, (named, texts, calls) in enumerate(ranges):
        answer = await platform.post("/v1/pools", {"name": f"p{number}", **named}, key=OPERATOR)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert bool(made["sms_sender_proof"]) is bool(texts), named
        assert bool(made["voice_proof"]) is bool(calls), named


async def test_proofs_are_filed_shown_and_withdrawn(platform: Platform) -> None:
    body = {"name": "p", **RANGE, "voice_proof": "allotment 7", "voice_proof_until": "2030-01-01T00:00:00+09:00"}
    answer = await platform.post("/v1/pools", body, key=OPERATOR)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["sms_sender_proof"], made["voice_proof"]) == (None, "allotment 7")
    assert made["voice_proof_until"] == "2029-12-31T15:00:00Z"
    path = f"/v1/pools/{made['id']}"

    async def changed(change: dict[str, object]) -> dict[str, object]:
        answer = await platform.ask("PATCH", path, change, key=OPERATOR)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return {name: found[name] for name in ("sms_sender_proof", "voice_proof", "voice_proof_until")}

    nothing = {"sms_sender_proof": None, "voice_proof": None, "voice_proof_until": None}
    assert await changed({"withdraw_proofs": ["voice"]}) == nothing
    assert await changed({"sms_sender_proof": "s"}) == {**nothing, "sms_sender_proof": "s", "voice_proof": "s"}
    assert await changed({"withdraw_proofs": ["voice", "sms"]}) == nothing
    for wrong in (
        {"voice_proof_until": "2030-01-01T00:00:00Z"},
        {"voice_proof": "x", "voice_proof_until": "2020-01-01T00:00:00Z"},
        {"voice_proof": "x", "withdraw_proofs": ["voice"]},
        {"withdraw_proofs": ["calls"]},
        {"voice_proof": ""},
    ):
        answer = await platform.ask("PATCH", path, wrong, key=OPERATOR)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
