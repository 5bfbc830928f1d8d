"""Every code of the contract, and every door by which an error can leave, as problem details."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.problems import MEDIA_TYPE, STATUS_OF, TITLES, status_of
from tests.api.conftest import COURIER, LIMITED_MALL, MALL, OPERATOR, OTHER_MALL, Platform
from vns import errors

ONE_WAY = {"mode": "one_way", "real_number": "010-1111-2222"}
PAIR = {"mode": "bidirectional", "real_number": "010-1111-2222", "peer_number": "010-3333-4444"}
POOL = {"name": "more", "service": "050", "first": "0504-2000-0000", "last": "0504-2000-0099"}

# code, status, key, method, path, body
REFUSED: list[tuple[str, int, str, str, str, Any]] = [
    ("mode_not_supported", 422, MALL, "POST", "/v1/bindings", {**PAIR, "service": "050"}),
    ("mode_not_supported", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "mode": "outbound", "service": "050"}),
    ("same_party", 422, MALL, "POST", "/v1/bindings", {**PAIR, "peer_number": "+82-10-1111-2222"}),
    ("invalid_number", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "real_number": "12345"}),
    ("invalid_number", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "real_number": "+1 212 555 0100"}),
    ("invalid_number", 422, MALL, "GET", "/v1/bindings?virtual_number=x", None),
    ("invalid_number", 422, MALL, "GET", "/v1/calls?virtual_number=x", None),
    ("number_not_mappable", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "real_number": "112"}),
    ("number_not_mappable", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "real_number": "060-700-1234"}),
    ("number_not_mappable", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "real_number": "0504-1000-0000"}),
    ("number_not_mappable", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "real_number": "070-8000-0001"}),
    ("expires_too_soon", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "expires_at": "2026-03-01T12:00:59Z"}),
    ("not_found", 404, MALL, "POST", "/v1/bindings", {**ONE_WAY, "pool": "nobody's"}),
    ("not_found", 404, MALL, "GET", "/v1/bindings/019a0000-0000-7000-8000-000000000000", None),
    ("not_found", 404, COURIER, "GET", "/v1/deliveries/unknown", None),
    ("not_found", 404, MALL, "GET", "/v1/nothing", None),
    ("not_found", 404, MALL, "GET", "/v1/bindings/", None),
    ("not_found", 404, OPERATOR, "POST", "/v1/pools", {**POOL, "owner_id": "019a0000-0000-7000-8000-000000000000"}),
    ("method_not_allowed", 405, MALL, "PUT", "/v1/bindings", {}),
    ("forbidden", 403, COURIER, "POST", "/v1/bindings", ONE_WAY),
    ("forbidden", 403, MALL, "GET", "/v1/deliveries/W-1", None),
    ("forbidden", 403, MALL, "POST", "/v1/pools", POOL),
    ("forbidden", 403, COURIER, "GET", "/v1/calls", None),
    ("pool_overlap", 409, OPERATOR, "POST", "/v1/pools", {**POOL, "first": "0504-1000-0019"}),
    ("invalid_request", 422, OPERATOR, "POST", "/v1/pools", {**POOL, "name": "safe"}),
    (
        "invalid_request",
        422,
        OPERATOR,
        "POST",
        "/v1/pools",
        {**POOL, "first": "050220000000", "last": "050220000099"},
    ),
    ("invalid_request", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "unknown": 1}),
    ("invalid_request", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "ttl_seconds": "60"}),
    ("invalid_request", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "ttl_seconds": 0}),
    ("invalid_request", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "expires_at": "2026-05-01T12:00:00"}),
    ("invalid_request", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "expires_at": 1900000000}),
    ("invalid_request", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "expires_at": "0001-01-01T00:00:00+23:00"}),
    ("invalid_request", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "reference": "a\x00b"}),
    ("invalid_request", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "reference": ""}),
    ("invalid_request", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "channels": []}),
    ("invalid_request", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "peer_number": "010-3333-4444"}),
    ("invalid_request", 422, MALL, "POST", "/v1/bindings", {**ONE_WAY, "pool": "a\x00b"}),
    ("invalid_request", 422, MALL, "POST", "/v1/bindings", [ONE_WAY]),
    ("invalid_request", 422, MALL, "GET", "/v1/bindings?unknown=1", None),
    ("invalid_request", 422, MALL, "GET", "/v1/bindings?cursor=x", None),
    ("invalid_request", 422, MALL, "GET", "/v1/bindings?limit=0", None),
    ("not_found", 404, MALL, "GET", "/v1/bindings/not-an-id", None),
    ("invalid_request", 422, MALL, "GET", "/v1/calls?since=yesterday", None),
    ("invalid_request", 422, COURIER, "GET", "/v1/deliveries/a%00b", None),
    ("invalid_request", 422, COURIER, "GET", "/v1/deliveries/W-1?tenant=A%20B", None),
    ("invalid_request", 422, COURIER, "POST", "/v1/deliveries/lookup", {"references": ["x"] * 1001}),
]


async def expect(answer: Any, code: str, status: int, context: str = "") -> dict[str, Any]:
    assert answer.status_code == status, (context, answer.text)
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem: dict[str, Any] = answer.json()
    assert (problem["code"], problem["status"], problem["type"]) == (code, status, "about:blank"), context
    assert problem["title"]
    assert problem["detail"]
    return problem


async def test_every_refusal_is_a_problem_with_its_code(platform: Platform) -> None:
    for case in REFUSED:
        code, status, key, method, path, body = case
        await expect(await platform.ask(method, path, body, key=key), code, status, str(case))


async def test_exhausted_pools_used_numbers_and_pairs(platform: Platform) -> None:
    await platform.pool("0504-3000-0000", "0504-3000-0000", name="one")
    made = await platform.bind(pool="one")
    answer = await platform.post("/v1/bindings", {**ONE_WAY, "pool": "one"})
    await expect(answer, "pool_exhausted", 409)
    answer = await platform.post("/v1/bindings", {**ONE_WAY, "virtual_number": made["virtual_number"]})
    await expect(answer, "virtual_number_in_use", 409)
    pair = await platform.bind(mode="bidirectional", peer_number="01033334444")
    answer = await platform.post("/v1/bindings", {**PAIR, "virtual_number": pair["virtual_number"]})
    await expect(answer, "pair_in_use", 409)


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": ""}, {"authorization": "Basic dTpw"}, {"authorization": "Bearer vns_wrong"}],
    ids=["none", "empty", "basic", "wrong"],
)
async def test_no_valid_key_is_unauthorized(platform: Platform, headers: dict[str, str]) -> None:
    answer = await platform.client.get("/v1/bindings", headers=headers)
    await expect(answer, "unauthorized", 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_suspended_tenant_is_forbidden(platform: Platform) -> None:
    await platform.services.access.suspend_tenant("test", OTHER_MALL)
    platform.clock.move(seconds=3)
    await expect(await platform.get("/v1/bindings", key=OTHER_MALL), "forbidden", 403)


async def test_a_limit_of_live_bindings(platform: Platform) -> None:
    answer = await platform.post("/v1/bindings/batch", {"items": [ONE_WAY] * 5}, key=LIMITED_MALL)
    codes = [item.get("error", {}).get("code") for item in answer.json()["items"]]
    assert codes == [None, None, None, "quota_exceeded", "quota_exceeded"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/bindings", "GET, POST"),
        ("/v1/bindings/019a0000-0000-7000-8000-000000000000", "DELETE, GET, PATCH"),
        ("/v1/pools", "GET, POST"),
        ("/v1/deliveries/W-1", "GET"),
        ("/healthz", "GET"),
    ],
)
async def test_405_names_the_methods_there_are(platform: Platform, path: str, allowed: str) -> None:
    answer = await platform.ask("PUT", path, {})
    await expect(answer, "method_not_allowed", 405)
    assert answer.headers["allow"] == allowed


WITH_BODY = [
    ("POST", "/v1/bindings", MALL),
    ("POST", "/v1/bindings/batch", MALL),
    ("POST", "/v1/bindings/release", MALL),
    ("PATCH", "/v1/bindings/019a0000-0000-7000-8000-000000000000", MALL),
    ("POST", "/v1/deliveries/lookup", COURIER),
    ("POST", "/v1/pools", OPERATOR),
    ("PATCH", "/v1/pools/019a0000-0000-7000-8000-000000000000", OPERATOR),
]


@pytest.mark.parametrize(("method", "path", "key"), WITH_BODY)
async def test_no_body_is_looked_at_before_the_key(platform: Platform, method: str, path: str, key: str) -> None:
    headers = {"content-type": "application/json"}
    answer = await platform.client.request(method, path, content=b"{", headers=headers)
    await expect(answer, "unauthorized", 401)
    headers["authorization"] = f"Bearer {platform.keys[key]}"
    answer = await platform.client.request(method, path, content=b"{", headers=headers)
    await expect(answer, "invalid_request", 422)


@pytest.mark.parametrize(("method", "path", "key"), WITH_BODY)
async def test_a_body_says_that_it_is_json(platform: Platform, method: str, path: str, key: str) -> None:
    headers = {"authorization": f"Bearer {platform.keys[key]}", "content-type": "application/x-www-form-urlencoded"}
    answer = await platform.client.request(method, path, content=b"{}", headers=headers)
    problem = await expect(answer, "invalid_request", 422)
    assert "Content-Type" in problem["detail"]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json", None]
)
async def test_ways_to_say_json(platform: Platform, kind: str | None) -> None:
    headers = {"authorization": f"Bearer {platform.keys[MALL]}", **({"content-type": kind} if kind else {})}
    body = b'{"mode": "one_way", "real_number": "010-1111-2222"}'
    answer = await platform.client.post("/v1/bindings", content=body, headers=headers)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"", b"[" * 50_000, b'{"mode": NaN}'])
async def test_a_body_that_is_no_json_is_an_invalid_request(platform: Platform, body: bytes) -> None:
    headers = {"authorization": f"Bearer {platform.keys[MALL]}", "content-type": "application/json"}
    answer = await platform.client.post("/v1/bindings", content=body, headers=headers)
    await expect(answer, "invalid_request", 422)


async def in_pieces(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 4096):
        yield b" " * 4096


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
async def test_a_body_over_the_limit_is_too_large(platform: Platform, chunked: bool) -> None:
    content = in_pieces(2 * 1_048_576) if chunked else b" " * 1_048_577
    headers = {"authorization": f"Bearer {platform.keys[MALL]}", "content-type": "application/json"}
    answer = await platform.client.post("/v1/bindings", content=content, headers=headers)
    assert ("content-length" in answer.request.headers) is not chunked
    await expect(answer, "payload_too_large", 413)


async def test_shape_errors_name_the_field_and_never_the_value(platform: Platform) -> None:
    body = {"mode": "01099998888", "real_number": ["01099998888"], "01099998888": "01099998888"}
    answer = await platform.post("/v1/bindings", body)
    problem = await expect(answer, "invalid_request", 422)
    assert {fault["field"] for fault in problem["errors"]} == {"body.mode", "body.real_number", "body.(unknown)"}
    assert "99998888" not in answer.text


async def test_an_unexpected_error_is_answered_without_detail_and_logged_without_values(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise LookupError("no place for 01099998888")

    monkeypatch.setattr(platform.services.bindings, "allocate", broken)
    with caplog.at_level(logging.ERROR):
        answer = await platform.post("/v1/bindings", ONE_WAY)
    problem = await expect(answer, "internal_error", 500)
    assert "99998888" not in answer.text + caplog.text
    assert problem["instance"] in caplog.text
    assert "LookupError" in caplog.text
    assert "test_problems.py" in caplog.text


async def test_without_postgresql_the_answer_is_503(platform: Platform) -> None:
    await platform.get("/v1/bindings")  # the key is remembered from here on
    await platform.services.database.close()
    await expect(await platform.post("/v1/bindings", ONE_WAY), "unavailable", 503)
    for path in ("/v1/bindings", "/v1/calls", "/readyz"):
        await expect(await platform.get(path), "unavailable", 503, path)
    assert (await platform.client.get("/healthz")).json() == {"status": "ok"}


def every_error() -> list[type[errors.VnsError]]:
    found = [errors.VnsError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == errors.__name__]


def test_every_class_of_errors_has_a_status_and_a_title() -> None:
    assert {kind.code for kind in every_error()} <= set(TITLES)
    assert {status_of(kind) for kind in every_error()} == set(STATUS_OF.values())
