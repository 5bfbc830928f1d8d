"""Applications for an exemption and policies of sender numbers over HTTP, each tenant for itself."""

from typing import Any

import pytest

from tests.api.conftest import COURIER, MALL, OPERATOR, OTHER_MALL, Platform
from tests.senders.exemptions import ADDRESS, BUSINESS, CORPORATE, REGISTRATION, REPRESENTATIVE

EXEMPTION, NUMBERS, REVIEWS = "/v1/sender-exemption", "/v1/sender-numbers", "/v1/sender-reviews"
BODY: dict[str, Any] = {
    "company": "한빛 주식회사",
    "business_number": BUSINESS,
    "corporate_number": CORPORATE,
    "representative": REPRESENTATIVE,
    "address": ADDRESS,
    "numbers": ["02-1234-5678"],
}


async def submitted(platform: Platform) -> dict[str, Any]:
    drafted = await platform.ask("PUT", EXEMPTION, BODY)
    assert (drafted.status_code, drafted.json()["status"]) == (200, "draft"), drafted.text
    waiting = await platform.post(f"{EXEMPTION}/submission", None)
    assert waiting.status_code == 200, waiting.text
    found: dict[str, Any] = waiting.json()
    return found


async def test_an_application_is_drafted_submitted_decided_on_and_renewed(platform: Platform) -> None:
    assert (await platform.get(EXEMPTION)).json() == {"exemption": None, "application": None}
    waiting = await submitted(platform)
    assert waiting["company"]["numbers"] == ["0212345678"]
    queue = await platform.get(f"{REVIEWS}/exemptions", key=OPERATOR)
    assert queue.json() == {"items": [{"tenant": MALL, "application": waiting}], "next_cursor": None}
    seen = await platform.get(f"{REVIEWS}/{MALL}/exemption", key=OPERATOR)
    assert seen.json() == {"exemption": None, "application": waiting}
    changed = await platform.ask("PUT", EXEMPTION, BODY)
    assert (changed.status_code, changed.json()["code"]) == (409, "conflict")
    decision = f"{REVIEWS}/{MALL}/exemptions/{waiting['id']}/decision"
    silent = await platform.post(decision, {"decision": "refuse"}, key=OPERATOR)
    assert (silent.status_code, silent.json()["code"]) == (422, "invalid_request")
    refused = await platform.post(decision, {"decision": "refuse", "reason": "주소 확인"}, key=OPERATOR)
    assert (refused.json()["status"], refused.json()["reason"]) == ("refused", "주소 확인")
    await platform.post(f"{EXEMPTION}/submission", None)
    approved = await platform.post(decision, {"decision": "approve"}, key=OPERATOR)
    assert (approved.status_code, approved.json()["status"]) == (200, "approved")
    standing = (await platform.get(EXEMPTION)).json()
    assert (standing["exemption"]["route"], standing["application"]) == ("integration", approved.json())
    (number,) = (await platform.get(NUMBERS)).json()["items"]
    assert (number["method"], number["expires_at"]) == ("exempt", standing["exemption"]["ends_at"])
    renewal = await platform.post(f"{EXEMPTION}/renewal", None)
    assert (renewal.status_code, renewal.json()["status"]) == (201, "draft")
    assert renewal.json()["company"] == waiting["company"]
    assert (await platform.post(f"{EXEMPTION}/renewal", None)).status_code == 409
    assert (await platform.ask("DELETE", EXEMPTION)).status_code == 204
    assert (await platform.ask("DELETE", EXEMPTION)).status_code == 404
    assert (await platform.ask("DELETE", f"{REVIEWS}/{MALL}/exemption", key=OPERATOR)).status_code == 204
    assert (await platform.ask("DELETE", f"{REVIEWS}/{MALL}/exemption", key=OPERATOR)).status_code == 404
    assert (await platform.get(EXEMPTION)).json() == {"exemption": None, "application": None}


async def test_a_carrier_s_certificate_is_read_by_an_operator(platform: Platform) -> None:
    headers = {"authorization": f"Bearer {platform.keys[MALL]}", "content-type": "application/pdf"}
    wrong = await platform.client.post(f"{EXEMPTION}/certificate", content=b"MZ", headers=headers)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_document")
    made = await platform.client.post(f"{EXEMPTION}/certificate", content=REGISTRATION, headers=headers)
    assert (made.status_code, made.json()["route"]) == (201, "carrier")
    paper = made.json()["certificate"]
    assert paper["kind"] == "registration"
    seen = await platform.get(f"{REVIEWS}/{MALL}/documents/{paper['id']}", key=OPERATOR)
    assert seen.content == REGISTRATION
    assert (await platform.get(f"{REVIEWS}/{OTHER_MALL}/documents/{paper['id']}", key=OPERATOR)).status_code == 404


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"business_number": "124-81-00997"}, "invalid_application"),
        ({"corporate_number": "130111-0006247"}, "invalid_application"),
        ({"numbers": ["112"]}, "invalid_application"),
        ({"company": " "}, "invalid_application"),
        ({"numbers": []}, "invalid_request"),
        ({"address": ""}, "invalid_request"),
    ],
)
async def test_what_is_no_application(platform: Platform, change: dict[str, Any], problem: str) -> None:
    answer = await platform.ask("PUT", EXEMPTION, {**BODY, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, problem)
    assert "0099" not in answer.text
    new = await platform.ask(
        "PUT", EXEMPTION, {**BODY, "corporate_number": "130111-0006247", "new_corporate_number": True}
    )
    assert new.status_code == 200, new.text


async def test_an_operator_reads_and_sets_a_tenant_s_policy(platform: Platform) -> None:
    path = f"{REVIEWS}/{MALL}/policy"
    default = {"proof": "required", "max_numbers": 30, "valid_days": 365, "allow_050": False}
    assert (await platform.get(path, key=OPERATOR)).json() == default
    wanted = {"proof": "listed", "max_numbers": 1, "valid_days": 30, "allow_050": True}
    assert (await platform.ask("PUT", path, wanted, key=OPERATOR)).json() == wanted
    assert (await platform.post(NUMBERS, {"number": "02-1234-5678"})).json()["method"] == "listed"
    assert (await platform.post(NUMBERS, {"number": "02-1234-5679"})).status_code == 409
    assert (await platform.get(NUMBERS)).json()["allowed"] == 1
    for wrong in ({"max_numbers": -1}, {"valid_days": 0}, {"proof": "none"}, {"allow_050": "yes"}):
        assert (await platform.ask("PUT", path, wrong, key=OPERATOR)).status_code == 422
    assert (await platform.get(f"{REVIEWS}/{OTHER_MALL}/policy", key=OPERATOR)).json() == default
    async with platform.services.database.connection() as connection:
        told = await connection.fetchval("select data->>'max_numbers' from journal where event = 'sender.policy_set'")
    assert told == "1"


async def test_decisions_are_for_operators_and_each_thing_stands_under_its_tenant(platform: Platform) -> None:
    own = (await submitted(platform))["id"]
    decision: dict[str, Any] = {"decision": "approve"}
    calls: list[tuple[str, str, Any]] = [
        ("POST", f"exemptions/{own}/decision", decision),
        ("GET", "exemption", None),
        ("DELETE", "exemption", None),
        ("GET", "policy", None),
        ("PUT", "policy", {}),
    ]
    for method, path, body in calls:
        answer = await platform.ask(method, f"{REVIEWS}/nobody/{path}", body, key=OPERATOR)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)
        for key in (MALL, COURIER):
            assert (await platform.ask(method, f"{REVIEWS}/{MALL}/{path}", body, key=key)).status_code == 403
    theirs = await platform.post(f"{REVIEWS}/{OTHER_MALL}/exemptions/{own}/decision", decision, key=OPERATOR)
    assert (theirs.status_code, theirs.json()["code"]) == (404, "not_found")
    assert (await platform.get(f"{REVIEWS}/exemptions")).status_code == 403
    for key in (OPERATOR, COURIER):
        assert (await platform.get(EXEMPTION, key=key)).status_code == 403
    assert (await platform.get(EXEMPTION, key=OTHER_MALL)).json() == {"exemption": None, "application": None}
    assert (await platform.get(EXEMPTION)).json()["application"]["status"] == "waiting"
