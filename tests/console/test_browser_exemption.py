"""The exemption in a real chromium: applied for, refused, approved, renewed; and a tenant's policy."""

from playwright.async_api import Page

from tests.console.browsing import Site, faultless, logged_in
from tests.senders.exemptions import ADDRESS, BUSINESS, CORPORATE, REGISTRATION, REPRESENTATIVE
from vns.senders.rules import Method, Policy, Proof, Status
from vns.senders.service import Senders


def senders_of(site: Site) -> Senders:
    return Senders(site.world.db, site.world.keyring, site.world.clock)


async def fill(page: Page, business: str, corporate: str, numbers: str) -> None:
    await page.get_by_label("회사 이름").fill("한빛 주식회사")
    await page.get_by_label("사업자등록번호").fill(business)
    await page.get_by_label("법인등록번호 (개인사업자는 비워 둡니다)").fill(corporate)
    await page.get_by_label("대표자").fill(REPRESENTATIVE)
    await page.get_by_label("주소").fill(ADDRESS)
    await page.get_by_label("발신번호 (한 줄에 하나씩)").fill(numbers)
    await page.get_by_role("button", name="저장").click()


async def open_page(site: Site, login: str) -> Page:
    page = await logged_in(site, login)
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("link", name="예외 적용", exact=True).click()
    return page


async def test_a_company_from_its_application_to_its_renewal(site: Site) -> None:
    page = await open_page(site, "sender_manager")
    await faultless(page, "exemption-none")
    await fill(page, "124-81-00997", CORPORATE, "02-555-0900")
    await page.get_by_role("alert").get_by_text("사업자등록번호가 맞지 않습니다").wait_for()
    assert await page.get_by_label("주소").input_value() == ADDRESS, "what was typed stays"
    await fill(page, BUSINESS, "130111-0006247", "02-555-0900")
    await page.get_by_role("alert").get_by_text("법인등록번호가 맞지 않습니다").wait_for()
    await fill(page, BUSINESS, CORPORATE, "02-555-0900\n112\n02-555-0900")
    await page.get_by_role("alert").get_by_text("2, 3번째 줄").wait_for()
    await faultless(page, "exemption-wrong")
    await fill(page, BUSINESS, CORPORATE, "02-555-0900\n1588-9090")
    await page.get_by_text("신청 내용을 저장했습니다").wait_for()
    await faultless(page, "exemption-draft")
    await page.get_by_role("button", name="승인 요청").click()
    await page.get_by_text("승인대기").wait_for()
    assert await page.get_by_label("회사 이름").count() == 0, "nothing is changed under review"
    await faultless(page, "exemption-waiting")
    await page.close()

    page = await logged_in(site, "operator")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("link", name="서류 심사").click()
    await faultless(page, "reviews-exemption")
    await page.get_by_role("link", name="mall 예외 적용").click()
    await page.get_by_text(REPRESENTATIVE).wait_for()
    await page.get_by_role("button", name="거절").click()
    await page.get_by_role("alert").get_by_text("사유를").wait_for()
    await page.get_by_label("거절 사유").fill("주소가 등록증과 다릅니다")
    await page.get_by_role("button", name="거절").click()
    await page.get_by_text("주소가 등록증과 다릅니다").wait_for()
    await faultless(page, "exemption-refused")
    await page.close()

    page = await open_page(site, "sender_manager")
    await page.get_by_role("button", name="승인 요청").click()
    await page.get_by_text("승인대기").wait_for()
    await page.close()
    page = await open_page(site, "operator")
    await faultless(page, "exemption-review")
    await page.get_by_role("button", name="승인", exact=True).click()
    await page.get_by_text("적용 중").wait_for()
    found = (await senders_of(site).list(site.world.mall.tenant_id)).items
    assert {(one.number, one.status, one.method) for one in found} == {
        ("025550900", Status.VERIFIED, Method.EXEMPT),
        ("15889090", Status.VERIFIED, Method.EXEMPT),
    }
    await page.close()

    page = await open_page(site, "sender_manager")
    await page.get_by_text("02-555-0900, 1588-9090").wait_for()
    await faultless(page, "exemption-approved")
    assert await page.get_by_role("button", name="예외 적용 취소").count() == 0, "that is for operators"
    await page.get_by_role("button", name="갱신 신청 작성").click()
    await page.get_by_text("갱신 신청을 작성했습니다").wait_for()
    assert await page.get_by_label("대표자").input_value() == REPRESENTATIVE
    await faultless(page, "exemption-renewal")
    await page.get_by_role("button", name="신청 취소").click()
    await page.get_by_text("신청을 취소하고").wait_for()
    await page.close()
    page = await open_page(site, "operator")
    await page.get_by_role("button", name="예외 적용 취소").click()
    await page.get_by_text("예외 적용을 끝냈습니다").wait_for()
    await page.close()
    acts = ("drafted", "submitted", "refused", "approved", "withdrawn", "revoked")
    await site.audited([f"sender.exemption_{act}" for act in acts] + ["sender.exempted"])


async def test_a_carrier_brings_a_copy_of_its_registration(site: Site) -> None:
    page = await open_page(site, "mall_admin")
    for content in (b"MZ", REGISTRATION):
        await page.get_by_label("등록증 파일").set_input_files(
            {"name": "paper.pdf", "mimeType": "application/pdf", "buffer": content}
        )
        await page.get_by_role("button", name="등록증 올리기").click()
        wanted = "신청 내용을 저장했습니다" if content is REGISTRATION else "서류를 읽을 수 없습니다"
        await page.get_by_text(wanted).wait_for()
    await page.get_by_role("button", name="승인 요청").click()
    await page.get_by_text("승인대기").wait_for()
    await page.close()
    page = await open_page(site, "operator")
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="PDF").click()
    seen = site.folder / "registration.pdf"
    await (await waiting.value).save_as(seen)
    assert seen.read_bytes() == REGISTRATION
    await faultless(page, "exemption-carrier")
    await page.get_by_role("button", name="승인", exact=True).click()
    await page.get_by_text("적용 중").wait_for()
    assert await page.get_by_role("button", name="갱신 신청 작성").count() == 0, "another copy renews it"
    await faultless(page, "exemption-carrier-approved")
    await page.get_by_role("button", name="예외 적용 취소").click()
    await page.get_by_text("예외 적용을 끝냈습니다").wait_for()
    await page.close()


async def test_an_operator_sets_what_a_tenant_s_numbers_need(site: Site) -> None:
    page = await logged_in(site, "operator")
    await page.goto(f"{site.api.url}/console/tenants/mall")
    await page.get_by_label("등록할 수 있는 번호 수").fill("many")
    await page.get_by_role("button", name="정책 저장").click()
    await page.get_by_role("alert").get_by_text("사이의 숫자로").wait_for()
    await page.get_by_label("등록할 수 있는 번호 수").fill("70")
    await page.get_by_label("인증이 유효한 일수").fill("180")
    await page.get_by_label("050 번호도").check()
    await page.get_by_role("combobox", name="인증").select_option("listed")
    await page.get_by_role("button", name="정책 저장").click()
    await page.get_by_text("저장했습니다").wait_for()
    await faultless(page, "tenant-policy")
    mall = site.world.mall.tenant_id
    wanted = Policy(proof=Proof.LISTED, max_numbers=70, valid_days=180, allow_050=True)
    assert await senders_of(site).policy(mall) == wanted
    await page.close()
    await site.audited(["sender.policy_set"])
