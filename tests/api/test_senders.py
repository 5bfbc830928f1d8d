"""The registry over HTTP: registered, listed, proven, taken away, each tenant for itself."""

import io
from uuid import UUID, uuid4

import httpx
import pytest
from openpyxl import Workbook, load_workbook

from tests.api.conftest import COURIER, MALL, OPERATOR, OTHER_MALL, Platform
from tests.senders.codes import last_code
from vns.senders.rules import Policy, Proof
from vns.verifications.rules import Failure, Outcome

PATH, MOBILE, LANDLINE = "/v1/sender-numbers", "010-7777-8888", "02-1234-5678"


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VNS_VERIFICATION_CALLER_ID", "070-8000-0019")


async def registered(platform: Platform, number: str = MOBILE, *, label: str = "") -> str:
    answer = await platform.post(PATH, {"number": number, "label": label})
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


async def policy(platform: Platform, **fields: object) -> None:
    mall = await platform.services.access.get_tenant(MALL)
    await platform.services.senders.set_policy("test", mall.id, Policy(**fields))  # type: ignore[arg-type]


def workbook(*cells: object) -> bytes:
    book = Workbook()
    for cell in cells:
        book.active.append([cell])  # type: ignore[union-attr]  # a new book has a sheet
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


async def test_a_number_is_registered_listed_in_both_orders_and_found(platform: Platform) -> None:
    first, second = await registered(platform, LANDLINE, label="고객센터"), await registered(platform)
    page = (await platform.get(f"{PATH}?limit=1")).json()
    assert ([one["id"] for one in page["items"]], page["registered"], page["allowed"]) == ([second], 2, 30)
    rest = (await platform.get(f"{PATH}?limit=1&cursor={page['next_cursor']}")).json()
    assert ([one["number"] for one in rest["items"]], rest["next_cursor"]) == (["0212345678"], None)
    oldest = (await platform.get(f"{PATH}?sort=oldest")).json()["items"]
    assert [one["id"] for one in oldest] == [first, second]
    found = (await platform.post(f"{PATH}/search", {"number": LANDLINE})).json()["items"]
    assert [(one["id"], one["label"], one["status"]) for one in found] == [(first, "고객센터", "waiting")]
    assert (await platform.get(f"{PATH}/{first}")).json() == found[0]


async def test_the_same_number_again_a_wrong_one_and_one_too_many(platform: Platform) -> None:
    await policy(platform, max_numbers=1)
    await registered(platform)
    again = await platform.post(PATH, {"number": "01077778888"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    wrong = await platform.post(PATH, {"number": "112"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_number")
    over = await platform.post(PATH, {"number": LANDLINE})
    assert (over.status_code, over.json()["code"]) == (409, "quota_exceeded")


async def test_a_mobile_is_proven_by_the_code_it_was_sent(platform: Platform) -> None:
    own = await registered(platform)
    sent = await platform.post(f"{PATH}/{own}/verification", None)
    assert sent.status_code == 200, sent.text
    assert (sent.json()["sender_number"]["status"], sent.json()["code_expires_at"]) == (
        "waiting",
        "2026-03-01T12:05:00Z",
    )
    services = platform.services
    to, code = await last_code(services.database, services.pools._keyring)  # type: ignore[arg-type]
    assert to == "01077778888"
    other = f"{(int(code) + 1) % 1_000_000:06}"
    assert (await platform.post(f"{PATH}/{own}/confirm", {"code": other})).json()["code"] == "wrong_code"
    proven = (await platform.post(f"{PATH}/{own}/confirm", {"code": code})).json()
    assert (proven["status"], proven["method"]) == ("verified", "sms")
    used = await platform.post(f"{PATH}/{own}/confirm", {"code": code})
    assert (used.status_code, used.json()["code"]) == (422, "code_over")
    platform.clock.move(days=366)
    assert (await platform.get(f"{PATH}/{own}")).json()["status"] == "expired"


async def test_a_landline_is_called_once_at_a_time(platform: Platform) -> None:
    own = await registered(platform, LANDLINE)
    assert (await platform.post(f"{PATH}/{own}/verification", None)).status_code == 200
    again = await platform.post(f"{PATH}/{own}/verification", None)
    assert (again.status_code, again.json()["code"]) == (409, "call_under_way")


async def test_why_a_call_failed_is_told_to_its_own_tenant(platform: Platform) -> None:
    own = await registered(platform, LANDLINE)
    path = f"{PATH}/{own}/verification"
    assert (await platform.get(path)).status_code == 404
    await platform.post(path, None)
    assert (await platform.get(path)).json()["status"] == "queued"
    services = platform.services
    verifications = services.proving._verifications
    claim = await verifications.claim("a")
    assert claim is not None
    ended = Outcome(id=claim.id, attempt=claim.attempt, ended_at=platform.clock.now(), failure=Failure.NO_ANSWER)
    await verifications.finish("a", ended)
    told = (await platform.get(path)).json()
    assert (told["status"], told["reason"], told["ended_at"]) == ("failed", "no_answer", "2026-03-01T12:00:00Z")
    assert (await platform.get(path, key=OTHER_MALL)).status_code == 404
    platform.clock.move(seconds=1)
    await platform.ask("DELETE", f"{PATH}/{own}")
    again = await registered(platform, LANDLINE)
    assert (await platform.get(f"{PATH}/{again}/verification")).status_code == 404, "that was the former registration's"


@pytest.mark.parametrize("kind", ["json", "text", "xlsx"])
async def test_many_are_registered_only_when_every_row_is_right(platform: Platform, kind: str) -> None:
    await policy(platform, proof=Proof.LISTED)
    wrong, right = [LANDLINE, "nothing", LANDLINE, MOBILE], [LANDLINE, MOBILE]

    async def send(numbers: list[str], *, check: bool = False) -> dict[str, object]:
        if kind == "json":
            answer = await platform.post(f"{PATH}/bulk", {"numbers": numbers, "check_only": check})
        else:
            content = workbook(*numbers) if kind == "xlsx" else "\n".join(numbers).encode()
            types = {"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "text": "text/plain"}
            headers = {"authorization": f"Bearer {platform.keys[MALL]}", "content-type": types[kind]}
            address = f"{PATH}/bulk?check_only={str(check).lower()}"
            answer = await platform.client.post(address, content=content, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    assert await send(wrong) == {
        "rows": 4,
        "registered": 0,
        "faults": [
            {"row": 2, "text": "nothing", "fault": "malformed"},
            {"row": 3, "text": LANDLINE, "fault": "duplicate"},
        ],
    }
    assert await send(right, check=True) == {"rows": 2, "registered": 0, "faults": []}
    assert (await platform.get(PATH)).json()["registered"] == 0
    assert await send(right) == {"rows": 2, "registered": 2, "faults": []}
    assert (await platform.get(PATH)).json()["registered"] == 2
    assert [row["fault"] for row in (await send(right))["faults"]] == ["registered"] * 2  # type: ignore[attr-defined]


async def test_many_at_once_are_not_offered_without_a_manager(platform: Platform) -> None:
    for check in (True, False):
        answer = await platform.post(f"{PATH}/bulk", {"numbers": [LANDLINE], "check_only": check})
        assert (answer.status_code, answer.json()["code"]) == (409, "manager_needed")


async def test_a_file_that_is_none_is_refused(platform: Platform) -> None:
    headers = {"authorization": f"Bearer {platform.keys[MALL]}", "content-type": "application/vnd.ms-excel"}
    answer = await platform.client.post(f"{PATH}/bulk", content=b"PK\x03\x04nothing", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_another_tenants_number_is_not_there_whatever_is_done_with_it(platform: Platform) -> None:
    own = await registered(platform)
    calls = [
        ("GET", f"{PATH}/{own}", None),
        ("DELETE", f"{PATH}/{own}", None),
        ("POST", f"{PATH}/{own}/verification", None),
        ("POST", f"{PATH}/{own}/confirm", {"code": "123456"}),
    ]
    for method, path, body in calls:
        for key, where in ((OTHER_MALL, path), (MALL, path.replace(own, str(uuid4())))):
            answer = await platform.ask(method, where, body, key=key)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)
    assert (await platform.get(PATH, key=OTHER_MALL)).json()["items"] == []
    for key in (COURIER, OPERATOR):
        assert (await platform.get(PATH, key=key)).status_code == 403
    assert (await platform.get(f"{PATH}/{own}")).status_code == 200


async def test_a_number_is_removed_once(platform: Platform) -> None:
    own = await registered(platform)
    assert (await platform.ask("DELETE", f"{PATH}/{own}")).status_code == 204
    assert (await platform.ask("DELETE", f"{PATH}/{own}")).status_code == 404
    assert (await platform.get(PATH)).json()["registered"] == 0


async def test_the_download_holds_all_starts_no_formula_and_is_journalled(platform: Platform) -> None:
    await policy(platform, proof=Proof.LISTED)
    await registered(platform, LANDLINE, label="=1+1")
    answer = await platform.get(f"{PATH}/download")
    rows = list(load_workbook(io.BytesIO(answer.content)).active.values)  # type: ignore[union-attr]
    assert rows[1][:4] == ("0212345678", "'=1+1", "verified", "listed")
    async with platform.services.database.connection() as connection:
        row = await connection.fetchrow("select actor, tenant_id from journal where event = 'sender.exported'")
    assert row is not None
    assert row["actor"].startswith("key:")
    assert row["tenant_id"] == UUID(str((await platform.services.access.get_tenant(MALL)).id))


async def test_a_certificate_goes_up_and_comes_back_for_its_own_tenant(platform: Platform) -> None:
    own, content = await registered(platform), b"%PDF-1.7\ncertificate\n%%EOF\n"
    path = f"/v1/sender-documents?sender_number_id={own}"

    async def send(body: bytes, key: str = MALL) -> httpx.Response:
        headers = {"authorization": f"Bearer {platform.keys[key]}", "content-type": "application/pdf"}
        return await platform.client.post(path, content=body, headers=headers)

    made = await send(content)
    assert made.status_code == 201, made.text
    assert (await platform.get(path)).json() == {"items": [made.json()]}
    file = await platform.get(f"/v1/sender-documents/{made.json()['id']}")
    assert (file.content, file.headers["content-type"]) == (content, "application/pdf")
    wrong = await send(b"MZ")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_document")
    assert (await send(content, OTHER_MALL)).status_code == 404
    assert (await platform.get(path, key=OTHER_MALL)).status_code == 404
    assert (await platform.get(f"/v1/sender-documents/{made.json()['id']}", key=OTHER_MALL)).status_code == 404


async def test_an_administrator_sees_its_accounts(platform: Platform) -> None:
    services = platform.services
    mall, other = [await services.access.get_tenant(code) for code in (MALL, OTHER_MALL)]
    await services.accounts.put("test", mall.id, other.id)
    (shown,) = (await platform.get(f"{PATH}/accounts")).json()["items"]
    assert (shown["tenant"], shown["created_at"]) == (OTHER_MALL, "2026-03-01T12:00:00Z")
    assert (await platform.get(f"{PATH}/accounts", key=OTHER_MALL)).json() == {"items": []}
