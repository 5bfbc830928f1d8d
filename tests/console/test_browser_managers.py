"""The manager of sender numbers in a real chromium: designated, decided on, and one code for many numbers."""

from playwright.async_api import Page

from tests.console.browsing import Site, faultless, logged_in
from tests.senders.managers import ATTORNEY, EMPLOYMENT, MOBILE, NAME
from vns.senders.rules import Method, Status
from vns.senders.service import Senders


async def upload(page: Page, paper: str, content: bytes) -> None:
    await page.get_by_label(f"{paper} 파일").set_input_files(
        {"name": "paper.pdf", "mimeType": "application/pdf", "buffer": content}
    )
    await page.get_by_role("button", name=f"{paper} 올리기").click()


async def test_a_manager_from_the_designation_to_its_end(site: Site) -> None:
    page = await logged_in(site, "sender_manager")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("link", name="발신번호", exact=True).click()
    assert await page.get_by_role("link", name="일괄등록").count() == 0, "not offered without a manager"
    await page.goto(f"{site.api.url}/console/senders/file")
    await page.get_by_role("heading", name="승인된 담당자가 필요합니다").wait_for()
    await faultless(page, "sender-file-without-manager")
    await page.get_by_role("link", name="담당자 지정").click()
    await page.get_by_label("담당자 이름").fill(NAME)
    await page.get_by_role("textbox", name="휴대전화").fill("02-1234-5678")
    await page.get_by_role("button", name="지정", exact=True).click()
    await page.get_by_role("alert").get_by_text("휴대전화 번호를").wait_for()
    await faultless(page, "manager-none")
    await page.get_by_role("textbox", name="휴대전화").fill(MOBILE)
    await page.get_by_role("button", name="지정", exact=True).click()
    await page.get_by_text("담당자를 지정했습니다").wait_for()
    await page.get_by_role("button", name="인증번호 문자 받기").click()
    await page.get_by_text("인증번호를 보냈습니다").wait_for()
    await faultless(page, "manager-code")
    await page.get_by_label("인증번호", exact=True).fill(await site.code())
    await page.get_by_role("button", name="인증 확인").click()
    await page.get_by_text("휴대전화를 인증했습니다").wait_for()
    await upload(page, "재직증명서", b"MZ")
    await page.get_by_role("alert").get_by_text("서류를 읽을 수 없습니다").wait_for()
    await upload(page, "재직증명서", EMPLOYMENT)
    await page.get_by_role("link", name="PDF").wait_for()
    assert await page.get_by_role("button", name="승인 요청").count() == 0, "the power of attorney is missing"
    await upload(page, "위임장", ATTORNEY)
    await faultless(page, "manager-complete")
    await page.get_by_role("button", name="승인 요청").click()
    await page.get_by_text("승인대기").wait_for()
    assert await page.get_by_label("재직증명서 파일").count() == 0, "nothing is exchanged under review"
    await page.close()

    page = await logged_in(site, "operator")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("link", name="서류 심사").click()
    await faultless(page, "reviews-manager")
    await page.get_by_role("link", name=NAME).click()
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="PDF").first.click()
    seen = site.folder / "paper.pdf"
    await (await waiting.value).save_as(seen)
    assert seen.read_bytes() == EMPLOYMENT
    await page.get_by_role("button", name="거절").click()
    await page.get_by_role("alert").get_by_text("사유를").wait_for()
    await page.get_by_label("거절 사유").fill("위임장에 날인이 없습니다")
    await page.get_by_role("button", name="거절").click()
    await page.get_by_text("위임장에 날인이 없습니다").wait_for()
    await faultless(page, "manager-refused")
    await page.get_by_role("button", name="승인", exact=True).click()
    await page.get_by_text("심사 결과를 저장했습니다").wait_for()
    await faultless(page, "manager-approved")
    await page.close()

    page = await logged_in(site, "sender_manager")
    page.on("dialog", lambda dialog: dialog.accept())
    await proves_many(site, page)
    await page.get_by_role("link", name="담당자", exact=True).click()
    await page.get_by_role("button", name="지정 해제").click()
    await page.get_by_role("heading", name="담당자 지정").wait_for()
    await page.close()
    acts = ("designated", "code_sent", "mobile_proven", "submitted", "refused", "approved", "ended")
    await site.audited([f"sender.manager_{act}" for act in acts] + ["sender.selection_sent", "sender.verified"])


async def proves_many(site: Site, page: Page) -> None:
    """A file of numbers, of which one is chosen first, and then all that are left."""
    await page.get_by_role("link", name="발신번호", exact=True).click()
    await page.get_by_role("link", name="일괄등록").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("발신번호 파일").set_input_files(
        {"name": "some.txt", "mimeType": "text/plain", "buffer": b"061-700-0001\n061-700-0002\n1588-7777\n"}
    )
    await dialog.get_by_role("button", name="확인").click()
    await page.get_by_role("button", name="등록", exact=True).click()
    await page.get_by_text("등록했습니다").wait_for()
    await page.get_by_role("button", name="선택 인증").click()
    await page.get_by_role("alert").get_by_text("선택해 주세요").wait_for()
    await page.get_by_role("checkbox", name="1588-7777 선택").check()
    await faultless(page, "senders-choosing")
    await page.get_by_role("button", name="선택 인증").click()
    await page.get_by_role("heading", name="선택 인증").wait_for()
    await faultless(page, "selection")
    await page.get_by_label("인증번호", exact=True).fill(await site.code())
    await page.get_by_role("button", name="인증 확인").click()
    await page.get_by_text("선택한 번호를 인증했습니다").wait_for()
    await page.get_by_role("button", name="인증대기 모두 인증").click()
    code = await site.code()
    await page.get_by_label("인증번호", exact=True).fill(f"{(int(code) + 1) % 10**6:06}")
    await page.get_by_role("button", name="인증 확인").click()
    await page.get_by_role("alert").get_by_text("인증번호가 다릅니다").wait_for()
    await page.get_by_label("인증번호", exact=True).fill(code)
    await page.get_by_role("button", name="인증 확인").click()
    await page.get_by_text("선택한 번호를 인증했습니다").wait_for()
    await faultless(page, "senders-chosen")
    found = (await Senders(site.world.db, site.world.keyring, site.world.clock).list(site.world.mall.tenant_id)).items
    assert [(one.status, one.method) for one in found] == [(Status.VERIFIED, Method.MANAGER)] * 3


async def test_the_operator_puts_another_in_the_place(site: Site) -> None:
    page = await logged_in(site, "operator")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("link", name="담당자", exact=True).click()
    for name, button in ((NAME, "지정"), ("박담당", "변경")):
        await page.get_by_label("담당자 이름").fill(name)
        await page.get_by_role("textbox", name="휴대전화").fill(MOBILE)
        await page.get_by_role("button", name=button, exact=True).click()
        await page.get_by_text(name, exact=True).wait_for()
    await faultless(page, "manager-replaced")
    await page.close()
