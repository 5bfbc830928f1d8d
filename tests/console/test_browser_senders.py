"""The pages of sender numbers in a real chromium: one number, a thousand of a file, and their proof by text."""

import openpyxl
import pytest
from playwright.async_api import Page, expect

from tests.console.browsing import Site, faultless, logged_in
from tests.sender_file import SenderFile
from vns.senders.rules import Policy, Proof, Status
from vns.senders.service import Senders
from vns.verifications.rules import Failure, Outcome
from vns.verifications.service import Verifications

CERTIFICATE = b"%PDF-1.4\n% the certificate of subscription\n%%EOF\n"
YELLOW = "rgb(255, 236, 138)"


def senders_of(site: Site) -> Senders:
    return Senders(site.world.db, site.world.keyring, site.world.clock)


async def offered(site: Site) -> None:
    """Many at once, which need no proof of each."""
    policy = Policy(max_numbers=2_000, proof=Proof.LISTED)
    await senders_of(site).set_policy("test", site.world.mall.tenant_id, policy)


async def register(page: Page, number: str, label: str = "") -> None:
    await page.get_by_label("발신번호", exact=True).fill(number)
    await page.get_by_label("이름(선택)").fill(label)
    await page.get_by_role("button", name="등록", exact=True).click()


async def test_one_number_from_its_registration_to_its_end(site: Site) -> None:
    page = await logged_in(site, "sender_manager")
    page.on("dialog", lambda dialog: dialog.accept())
    assert await page.get_by_role("navigation", name="주 메뉴").get_by_role("link").all_inner_texts() == [
        "발신번호",
        "담당자",
        "예외 적용",
        "등록 계정",
        "내 정보",
    ], "a manager of sender numbers sees nothing else"
    await page.get_by_role("link", name="발신번호", exact=True).click()
    await page.get_by_text("등록한 발신번호가 없습니다").wait_for()
    await faultless(page, "senders-empty")
    await register(page, "112")
    await page.get_by_role("alert").get_by_text("쓸 수 없는 번호").wait_for()
    await faultless(page, "senders-malformed")
    await register(page, "010-5555-7777", "=대표 휴대전화")
    await page.get_by_role("heading", name="발신번호 010-5555-7777").wait_for()
    await page.get_by_text("인증대기").wait_for()
    await page.get_by_role("button", name="인증번호 문자 받기").click()
    await page.get_by_text("인증번호를 보냈습니다").wait_for()
    await faultless(page, "sender-code")
    code = await site.code()
    await page.get_by_label("인증번호", exact=True).fill(f"{(int(code) + 1) % 10**6:06}")
    await page.get_by_role("button", name="인증 확인").click()
    await page.get_by_role("alert").get_by_text("인증번호가 다릅니다").wait_for()
    await page.get_by_label("인증번호", exact=True).fill(code)
    await page.get_by_role("button", name="인증 확인").click()
    await page.get_by_text("인증완료").wait_for()
    await faultless(page, "sender-verified")

    await page.get_by_role("link", name="목록으로").click()
    await register(page, "0215880000")
    await page.get_by_role("alert").wait_for()
    await register(page, "02-555-0100", "본사")
    await page.get_by_role("button", name="인증 전화 받기").wait_for()
    await faultless(page, "sender-call")
    await page.get_by_role("link", name="목록으로").click()
    await page.get_by_text("등록 2개 / 허용 30개").wait_for()
    await faultless(page, "senders")
    newest = await page.locator("tbody td.tel").all_inner_texts()
    await page.get_by_role("link", name="등록일시").click()
    await page.locator("th[aria-sort=ascending]").wait_for()
    assert await page.locator("tbody td.tel").all_inner_texts() == newest[::-1] == ["010-5555-7777", "02-555-0100"]
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="목록 내려받기").click()
    result = site.folder / "senders.xlsx"
    await (await waiting.value).save_as(result)
    rows = list(openpyxl.load_workbook(result).worksheets[0].iter_rows(min_row=2, values_only=True))
    assert [row[:3] for row in rows] == [
        ("본사", "02-555-0100", "인증대기"),
        ("'=대표 휴대전화", "010-5555-7777", "인증완료"),
    ]
    await page.get_by_label("찾을 번호").fill("02 555 0100")
    await page.get_by_role("button", name="검색").click()
    await page.get_by_role("link", name="전체 목록 보기").wait_for()
    assert "0100" not in page.url
    assert await page.locator("tbody td.tel").all_inner_texts() == ["02-555-0100"]
    await page.get_by_role("checkbox", name="02-555-0100 선택").check()
    await page.get_by_role("button", name="선택 삭제").click()
    await page.get_by_text("삭제했습니다").wait_for()
    assert await page.locator("tbody td.tel").all_inner_texts() == ["010-5555-7777"]
    await page.close()
    await site.audited(
        ["sender.registered", "sender.code_sent", "sender.verified", "sender.removed", "sender.exported"]
    )


async def test_a_certificate_is_uploaded_read_and_decided_on(site: Site) -> None:
    page = await logged_in(site, "sender_manager")
    await page.goto(f"{site.api.url}/console/senders")
    await register(page, "030-1234-5678", "팩스")
    await page.get_by_role("button", name="인증 전화 받기").click()
    await page.get_by_role("alert").get_by_text("이용증명원을 올려 주세요").wait_for()
    for name, content in (("letter.pdf", b"MZ no certificate"), ("certificate.pdf", CERTIFICATE)):
        await page.get_by_label("서류 파일").set_input_files(
            {"name": name, "mimeType": "application/pdf", "buffer": content}
        )
        await page.get_by_role("button", name="서류 올리기").click()
        await page.get_by_text("서류를 올렸습니다" if content is CERTIFICATE else "서류를 읽을 수 없습니다").wait_for()
    await faultless(page, "sender-document")
    await page.close()

    page = await logged_in(site, "operator")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("link", name="서류 심사").click()
    await faultless(page, "reviews")
    await page.get_by_role("link", name="030-1234-5678").click()
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="PDF").click()
    seen = site.folder / "seen.pdf"
    await (await waiting.value).save_as(seen)
    assert seen.read_bytes() == CERTIFICATE
    await page.get_by_label("승인 근거 또는 거절 사유").fill("다른 회사의 서류")
    await page.get_by_role("button", name="거절").click()
    await page.get_by_text("인증실패").wait_for()
    await page.get_by_label("승인 근거 또는 거절 사유").fill("이용증명원 확인")
    await page.get_by_role("button", name="승인").click()
    await page.get_by_text("인증완료").wait_for()
    await faultless(page, "sender-decided")
    await page.get_by_role("button", name="삭제").click()
    await page.get_by_text("삭제했습니다").wait_for()
    await page.get_by_role("link", name="서류 심사").click()
    await page.get_by_text("심사를 기다리는 서류가 없습니다").wait_for()
    await page.close()
    await site.audited([f"sender.{act}" for act in ("document_uploaded", "document_read", "rejected", "verified")])


async def test_why_a_call_failed_is_shown_while_the_page_stands(site: Site) -> None:
    page = await logged_in(site, "sender_manager")
    await page.goto(f"{site.api.url}/console/senders")
    await register(page, "02-555-0300")
    await page.get_by_role("button", name="인증 전화 받기").click()
    await page.get_by_text("전화를 걸 준비를 하고 있습니다").wait_for()
    calls = Verifications(site.world.db, site.world.keyring, site.world.clock)
    claim = await calls.claim("a")
    assert claim is not None
    await page.get_by_text("전화를 걸고 있습니다").wait_for()
    now = site.world.clock.now()
    await calls.finish("a", Outcome(id=claim.id, attempt=claim.attempt, ended_at=now, failure=Failure.NO_ANSWER))
    await page.get_by_text("전화를 받지 않았습니다").wait_for()
    assert await page.get_by_text("인증번호를 보냈습니다").count() == 0, "it does not say that all went well, too"
    await faultless(page, "sender-call-failed")
    await page.close()


async def test_accounts_that_share_the_numbers(site: Site) -> None:
    page = await logged_in(site, "operator")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("link", name="등록 계정").click()
    await page.get_by_label("추가할 계정").select_option("courier")
    await page.get_by_role("button", name="추가", exact=True).click()
    await page.get_by_role("button", name="courier 제외").wait_for()
    await faultless(page, "accounts-operator")
    await page.close()
    page = await logged_in(site, "sender_manager")
    await page.get_by_role("link", name="등록 계정").click()
    await page.get_by_role("cell", name="courier").first.wait_for()
    assert await page.get_by_role("button", name="제외").count() == 0
    await faultless(page, "accounts")
    await page.close()
    page = await logged_in(site, "operator")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.goto(f"{site.api.url}/console/accounts")
    await page.get_by_role("button", name="courier 제외").click()
    await page.get_by_text("등록된 계정이 없습니다").wait_for()
    await page.close()
    await site.audited(["sender.account_added", "sender.account_removed"])


async def test_who_may_only_look_has_no_way_to_change_anything(site: Site) -> None:
    page = await logged_in(site, "read_only")
    await page.goto(f"{site.api.url}/console/senders")
    await page.get_by_role("button", name="목록 내려받기").wait_for()
    for name in ("등록", "선택 삭제", "일괄등록"):
        assert await page.get_by_text(name, exact=True).count() == 0
    await page.close()


async def background(page: Page) -> dict[int, str]:
    """The colour of each row of the file, by its place."""
    colours: list[str] = await page.locator("form.rows tbody tr").evaluate_all(
        "rows => rows.map(row => getComputedStyle(row.cells[0]).backgroundColor)"
    )
    return dict(enumerate(colours))


@pytest.mark.slow
async def test_a_thousand_numbers_of_a_file_are_mended_in_the_page(site: Site, sender_file: SenderFile) -> None:
    mall, senders = site.world.mall.tenant_id, senders_of(site)
    await offered(site)
    before = await senders.count(mall)
    file = site.folder / "numbers.xls"
    file.write_bytes(sender_file.content)
    page = await logged_in(site, "mall_admin")
    await page.get_by_role("link", name="발신번호", exact=True).click()
    await page.get_by_role("link", name="일괄등록").click()
    await faultless(page, "sender-file-dialog")
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("발신번호 파일").set_input_files(file)
    await dialog.get_by_role("button", name="확인").click()
    await page.get_by_text("형식 오류 40개, 중복 20개").wait_for()
    wrong = sender_file.malformed | sender_file.doubled
    colours = await background(page)
    assert len(colours) == 1_000
    assert {place for place, colour in colours.items() if colour == YELLOW} == wrong

    await page.get_by_role("button", name="등록", exact=True).click()
    await page.get_by_role("alert").get_by_text("노란 행이 있어 등록하지 않았습니다").wait_for()
    assert await senders.count(mall) == before
    await page.get_by_label("노란 행만 보기").check()
    await expect(page.locator("form.rows tbody tr:visible")).to_have_count(60)
    await faultless(page, "sender-file-yellow")
    for place in sorted(sender_file.malformed):
        await page.locator(f"[aria-label='{place + 1}행 발신번호']").fill(f"031-{3000 + place}-{place:04}")
    for place in sorted(sender_file.doubled)[:-1]:
        await page.locator(f"[aria-label='{place + 1}행 빼기']").click()
    await page.get_by_role("button", name="등록", exact=True).click()
    await page.get_by_text("중복 1개").wait_for()
    assert await senders.count(mall) == before, "one is yellow still"
    await page.locator("tr.yellow").get_by_role("button").click()
    await page.get_by_role("button", name="등록", exact=True).click()
    await page.get_by_text("등록했습니다").wait_for()
    assert await senders.count(mall) == before + 980
    await faultless(page, "senders-many")

    await page.goto(f"{site.api.url}/console/senders/file")
    more = "\n".join(f"051-{4000 + place // 10}-{place:04}" for place in range(1_100))
    await page.get_by_label("발신번호 파일").set_input_files(
        {"name": "more.txt", "mimeType": "text/plain", "buffer": more.encode()}
    )
    await page.get_by_role("button", name="확인").click()
    await page.get_by_role("alert").get_by_text("등록할 수 있는 2,000개를 넘습니다").wait_for()
    await page.get_by_role("button", name="등록", exact=True).click()
    await page.get_by_role("alert").get_by_text(f"{1_100 - (2_000 - before - 980)}개를 빼거나").wait_for()
    assert await senders.count(mall) == before + 980
    assert not set((await background(page)).values()) & {YELLOW}
    await page.close()


async def test_rows_are_taken_out_without_a_script_too(site: Site) -> None:
    await offered(site)
    page = await logged_in(site, "mall_admin")
    await page.route("**/*.js", lambda route: route.abort())
    await page.goto(f"{site.api.url}/console/senders/file")
    await page.get_by_label("발신번호 파일").set_input_files(
        {"name": "some.txt", "mimeType": "text/plain", "buffer": b"061-700-0001\nabc\n061-700-0002\n"}
    )
    await page.get_by_role("button", name="확인").click()
    await page.get_by_text("형식 오류 1개").wait_for()
    await page.get_by_role("button", name="2행 빼기", exact=True).click()
    await page.get_by_text("번호 2개를 모두 등록할 수 있습니다").wait_for()
    await page.get_by_role("button", name="등록", exact=True).click()
    await page.get_by_text("등록했습니다").wait_for()
    found = await senders_of(site).list(site.world.mall.tenant_id, limit=2)
    assert {one.number for one in found.items} == {"0617000001", "0617000002"}
    assert {one.status for one in found.items} == {Status.VERIFIED}
    await page.close()


async def test_a_file_that_is_none(site: Site) -> None:
    await offered(site)
    page = await logged_in(site, "mall_admin")
    await page.goto(f"{site.api.url}/console/senders/file")
    await page.get_by_label("발신번호 파일").set_input_files(
        {"name": "numbers.xls", "mimeType": "application/vnd.ms-excel", "buffer": b"\xd0\xcf\x11\xe0 and then nothing"}
    )
    await page.get_by_role("button", name="확인").click()
    await page.get_by_role("alert").get_by_text("파일을 읽을 수 없습니다").wait_for()
    await faultless(page, "sender-file-unreadable")
    await page.close()
