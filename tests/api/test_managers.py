"""Managers, selections and an operator's decisions over HTTP, each tenant for itself."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.conftest import COURIER, MALL, OPERATOR, OTHER_MALL, Platform
from tests.senders.codes import last_code
from tests.senders.managers import ATTORNEY, EMPLOYMENT, MOBILE, NAME

MANAGER, NUMBERS, SELECTIONS, REVIEWS = (
    "/v1/sender-manager",
    "/v1/sender-numbers",
    "/v1/sender-selections",
    "/v1/sender-reviews",
)
CERTIFICATE = b"%PDF-1.7\ncertificate of subscription\n%%EOF\n"


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VNS_VERIFICATION_CALLER_ID", "070-8000-0019")


async def code(platform: Platform) -> str:
    services = platform.services
    return (await last_code(services.database, services.pools._keyring))[1]  # type: ignore[arg-type]


async def upload(platform: Platform, path: str, content: bytes, key: str = MALL) -> httpx.Response:
    headers = {"authorization": f"Bearer {platform.keys[key]}", "content-type": "application/pdf"}
    return await platform.client.post(path, content=content, headers=headers)


async def submitted(platform: Platform) -> dict[str, Any]:
    made = await platform.post(MANAGER, {"name": NAME, "mobile": MOBILE})
    assert made.status_code == 201, made.text
    assert (await platform.post(f"{MANAGER}/verification", None)).status_code == 200
    confirmed = await platform.post(f"{MANAGER}/confirm", {"code": await code(platform)})
    assert confirmed.json()["missing"] == ["employment", "attorney"]
    for kind, content in (("employment", EMPLOYMENT), ("attorney", ATTORNEY)):
        answer = await upload(platform, f"{MANAGER}/documents?kind={kind}", content)
        assert answer.status_code == 201, answer.text
    waiting = await platform.post(f"{MANAGER}/submission", None)
    assert waiting.status_code == 200, waiting.text
    found: dict[str, Any] = waiting.json()
    return found


async def approved(platform: Platform) -> dict[str, Any]:
    waiting = await submitted(platform)
    path = f"{REVIEWS}/{MALL}/managers/{waiting['id']}/decision"
    answer = await platform.post(path, {"decision": "approve"}, key=OPERATOR)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def registered(platform: Platform, *numbers: str, key: str = MALL) -> list[str]:
    return [(await platform.post(NUMBERS, {"number": number}, key=key)).json()["id"] for number in numbers]


async def test_a_manager_is_gathered_submitted_read_and_decided_on(platform: Platform) -> None:
    assert (await platform.get(MANAGER)).status_code == 404
    waiting = await submitted(platform)
    assert (waiting["status"], waiting["name"], waiting["mobile"]) == ("waiting", NAME, "010-****-5432")
    assert (await platform.get(MANAGER)).json() == waiting
    queue = await platform.get(f"{REVIEWS}/managers", key=OPERATOR)
    assert queue.json() == {"items": [{"tenant": MALL, "manager": waiting}], "next_cursor": None}
    paper = waiting["documents"][0]
    assert (paper["kind"], paper["sender_number_id"]) == ("employment", None)
    seen = await platform.get(f"{REVIEWS}/{MALL}/documents/{paper['id']}", key=OPERATOR)
    assert (seen.content, seen.headers["content-disposition"]) == (EMPLOYMENT, "attachment")
    decision = f"{REVIEWS}/{MALL}/managers/{waiting['id']}/decision"
    silent = await platform.post(decision, {"decision": "refuse"}, key=OPERATOR)
    assert (silent.status_code, silent.json()["code"]) == (422, "invalid_request")
    refused = await platform.post(decision, {"decision": "refuse", "reason": "날인 없음"}, key=OPERATOR)
    assert (refused.json()["status"], refused.json()["reason"]) == ("refused", "날인 없음")
    assert (await upload(platform, f"{MANAGER}/documents?kind=attorney", ATTORNEY)).status_code == 201
    await platform.post(f"{MANAGER}/submission", None)
    done = await platform.post(decision, {"decision": "approve"}, key=OPERATOR)
    assert done.json()["status"] == "approved"
    exchanged = await upload(platform, f"{MANAGER}/documents?kind=attorney", ATTORNEY)
    assert (exchanged.status_code, exchanged.json()["code"]) == (409, "conflict")
    again = await platform.post(MANAGER, {"name": "박담당", "mobile": MOBILE})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


async def test_another_takes_the_place_by_the_operator_or_after_the_former_has_ended(platform: Platform) -> None:
    await approved(platform)
    body = {"name": "박담당", "mobile": "010-1111-3333"}
    replaced = await platform.ask("PUT", f"{REVIEWS}/{MALL}/manager", body, key=OPERATOR)
    assert (replaced.json()["name"], replaced.json()["status"]) == ("박담당", "draft")
    assert (await platform.ask("DELETE", f"{REVIEWS}/{MALL}/manager", key=OPERATOR)).status_code == 204
    assert (await platform.ask("PUT", f"{REVIEWS}/{MALL}/manager", body, key=OPERATOR)).status_code == 404
    assert (await platform.post(MANAGER, body)).status_code == 201
    assert (await platform.ask("DELETE", MANAGER)).status_code == 204
    assert (await platform.ask("DELETE", MANAGER)).status_code == 404


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"name": NAME, "mobile": "02-1234-5678"}, "invalid_number"),
        ({"name": " ", "mobile": MOBILE}, "invalid_request"),
        ({"name": "", "mobile": MOBILE}, "invalid_request"),
        ({"name": NAME}, "invalid_request"),
    ],
)
async def test_who_cannot_be_a_manager(platform: Platform, body: dict[str, str], problem: str) -> None:
    answer = await platform.post(MANAGER, body)
    assert (answer.status_code, answer.json()["code"]) == (422, problem)


async def test_one_code_proves_a_whole_file(platform: Platform) -> None:
    await approved(platform)
    numbers = ["02-1234-5678", "1588-1234", "070-7000-1234"]
    assert (await platform.post(f"{NUMBERS}/bulk", {"numbers": numbers})).json()["registered"] == 3
    chosen = await platform.post(SELECTIONS, {"all_waiting": True})
    assert chosen.status_code == 201, chosen.text
    selection = chosen.json()
    assert (selection["numbers"], selection["mobile"]) == (3, "010-****-5432")
    confirm = f"{SELECTIONS}/{selection['id']}/confirm"
    sent = await code(platform)
    wrong = await platform.post(confirm, {"code": f"{(int(sent) + 1) % 10**6:06}"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "wrong_code")
    for key in (OTHER_MALL, MALL):
        answer = await platform.post(confirm, {"code": sent}, key=key)
        assert answer.status_code == (404 if key == OTHER_MALL else 200)
    assert answer.json() == {"verified": 3}
    items = (await platform.get(NUMBERS)).json()["items"]
    assert {(one["status"], one["method"]) for one in items} == {("verified", "manager")}
    nothing = await platform.post(SELECTIONS, {"all_waiting": True})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "invalid_request")


async def test_some_of_the_numbers_are_chosen(platform: Platform) -> None:
    first, second = await registered(platform, "02-1234-5678", "1588-1234")
    (theirs,) = await registered(platform, "02-1234-9999", key=OTHER_MALL)
    without = await platform.post(SELECTIONS, {"sender_number_ids": [first]})
    assert (without.status_code, without.json()["code"]) == (409, "manager_needed")
    await approved(platform)
    for ids in ([first, theirs], [str(uuid4())]):
        assert (await platform.post(SELECTIONS, {"sender_number_ids": ids})).status_code == 404
    wrong: list[dict[str, Any]] = [{}, {"sender_number_ids": [first], "all_waiting": True}, {"sender_number_ids": []}]
    for body in wrong:
        assert (await platform.post(SELECTIONS, body)).status_code == 422
    selection = (await platform.post(SELECTIONS, {"sender_number_ids": [first]})).json()
    confirm = f"{SELECTIONS}/{selection['id']}/confirm"
    assert (await platform.post(confirm, {"code": await code(platform)})).json() == {"verified": 1}
    assert [(await platform.get(f"{NUMBERS}/{one}")).json()["status"] for one in (first, second)] == [
        "verified",
        "waiting",
    ]


async def test_an_operator_reads_a_certificate_and_decides(platform: Platform) -> None:
    (own,) = await registered(platform, "02-1234-5678")
    assert (await platform.get(f"{REVIEWS}/numbers", key=OPERATOR)).json()["items"] == []
    made = (await upload(platform, f"/v1/sender-documents?sender_number_id={own}", CERTIFICATE)).json()
    (waiting,) = (await platform.get(f"{REVIEWS}/numbers", key=OPERATOR)).json()["items"]
    assert (waiting["tenant"], waiting["sender_number"]["id"]) == (MALL, own)
    path = f"{REVIEWS}/{MALL}/numbers/{own}"
    assert (await platform.get(path, key=OPERATOR)).json() == {**waiting, "documents": [made]}
    seen = await platform.get(f"{REVIEWS}/{MALL}/documents/{made['id']}", key=OPERATOR)
    assert seen.content == CERTIFICATE
    refused = await platform.post(f"{path}/decision", {"decision": "refuse", "reason": "다른 회사"}, key=OPERATOR)
    assert (refused.json()["status"], refused.json()["reason"]) == ("failed", "다른 회사")
    done = await platform.post(f"{path}/decision", {"decision": "approve", "reason": "file 7"}, key=OPERATOR)
    assert (done.json()["status"], done.json()["method"]) == ("verified", "document")
    assert (await platform.post(f"{path}/decision", {"decision": "approve"}, key=OPERATOR)).status_code == 422
    async with platform.services.database.connection() as connection:
        rows = await connection.fetch("select event, actor from journal where event like 'sender.%' order by id")
    by_operator = {row["event"] for row in rows if row["actor"] == rows[-1]["actor"]}
    assert by_operator == {"sender.document_read", "sender.rejected", "sender.verified"}


async def test_decisions_are_for_operators_and_each_thing_stands_under_its_tenant(platform: Platform) -> None:
    (own,) = await registered(platform, "02-1234-5678")
    manager = await submitted(platform)
    document = manager["documents"][0]["id"]
    approve = {"decision": "approve", "reason": "x"}
    calls: list[tuple[str, str, Any]] = [
        ("GET", f"numbers/{own}", None),
        ("POST", f"numbers/{own}/decision", approve),
        ("GET", f"documents/{document}", None),
        ("POST", f"managers/{manager['id']}/decision", approve),
        ("PUT", "manager", {"name": NAME, "mobile": MOBILE}),
        ("DELETE", "manager", None),
    ]
    for method, path, body in calls:
        for tenant in (OTHER_MALL, "nobody", "No Tenant"):
            answer = await platform.ask(method, f"{REVIEWS}/{tenant}/{path}", body, key=OPERATOR)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path, tenant)
        for key in (MALL, COURIER):
            assert (await platform.ask(method, f"{REVIEWS}/{MALL}/{path}", body, key=key)).status_code == 403
    for queue in ("numbers", "managers"):
        assert (await platform.get(f"{REVIEWS}/{queue}")).status_code == 403
    for key in (OPERATOR, COURIER):
        assert (await platform.get(MANAGER, key=key)).status_code == 403
    assert (await platform.get(MANAGER)).json()["status"] == "waiting"
