"""Every page and flow in a real chromium: without faults of accessibility, and within 360 px. Screenshots in var/."""

import httpx
import openpyxl
import pytest
import uuid_utils.compat as uuids

from tests.console.browsing import SHOTS, Site, faultless, logged_in
from tests.console.codes import PASSWORD


async def test_axe_would_find_a_fault(site: Site) -> None:
    page = await site.page("/login")
    await page.evaluate("document.querySelectorAll('label').forEach((label) => label.replaceWith(...label.children))")
    with pytest.raises(AssertionError, match="label"):
        await faultless(page, "planted")
    (SHOTS / "planted-1280.png").unlink()
    await page.close()


async def test_the_way_in(site: Site) -> None:
    await site.context.clear_cookies()
    page = await site.page("/")
    await page.get_by_role("heading", name="로그인").wait_for()
    await faultless(page, "login")
    assert await page.get_by_role("link", name="1544-1234").count() == 1
    await page.get_by_label("아이디").fill("mall_admin")
    await page.get_by_label("비밀번호").fill("not-the-password")
    await page.keyboard.press("Enter")
    await page.get_by_role("alert").get_by_text("올바르지 않습니다").wait_for()
    await faultless(page, "login-wrong")
    await page.get_by_label("비밀번호").fill(site.passwords["mall_admin"])
    await page.keyboard.press("Enter")
    await page.get_by_text("남은 시간").wait_for()
    await faultless(page, "code")
    first = await site.code()
    await page.get_by_role("button", name="인증번호 다시 받기").click()
    await page.get_by_text("인증번호를 다시 보냈습니다").wait_for()
    second = await site.code()
    if first != second:
        await page.get_by_label("인증번호", exact=True).fill(first)
        await page.keyboard.press("Enter")
        await page.get_by_text("인증번호가 다릅니다").wait_for()
    await page.get_by_label("인증번호", exact=True).fill(second)
    await page.keyboard.press("Enter")
    await page.get_by_text("임시 비밀번호로 로그인하셨습니다").wait_for()
    await faultless(page, "password")
    await page.get_by_label("현재 비밀번호").fill(site.passwords["mall_admin"])
    await page.get_by_label("새 비밀번호", exact=True).fill(PASSWORD)
    await page.get_by_label("새 비밀번호 확인").fill(PASSWORD)
    await page.get_by_role("button", name="변경", exact=True).click()
    await page.get_by_text("비밀번호를 변경했습니다").wait_for()
    site.passwords["mall_admin"] = PASSWORD
    await faultless(page, "profile")
    await page.get_by_role("button", name="로그아웃").click()
    await page.get_by_text("로그아웃했습니다").wait_for()
    await page.close()


async def test_bindings_of_a_mall(site: Site) -> None:
    page = await logged_in(site, "mall_admin")
    await page.get_by_role("link", name="안심번호", exact=True).click()
    await faultless(page, "bindings")
    await page.get_by_label("주문·운송장 번호").fill("주문-00003")
    await page.get_by_role("button", name="검색").click()
    rows = page.locator("tbody tr")
    assert await rows.count() == 1
    await page.get_by_label("주문·운송장 번호").fill("없는 주문")
    await page.get_by_role("button", name="검색").click()
    await page.get_by_text("조건에 맞는 안심번호가 없습니다").wait_for()
    await page.get_by_label("주문·운송장 번호").fill("주문-00003")
    await page.get_by_role("button", name="검색").click()
    await rows.get_by_role("link").click()
    await faultless(page, "binding")
    await page.get_by_label("사유").fill("고객 문의")
    await page.get_by_role("button", name="실번호 보기").click()
    await page.get_by_text("010-1111-0003").wait_for()
    await faultless(page, "binding-revealed")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="해제", exact=True).click()
    await page.get_by_text("해제했습니다").wait_for()
    assert await page.get_by_role("button", name="해제", exact=True).count() == 0
    await page.get_by_role("link", name="감사 기록").click()
    await page.get_by_text("고객 문의").first.wait_for()
    await faultless(page, "audit")
    await page.close()


async def test_why(site: Site) -> None:
    page = await logged_in(site, "mall_admin")
    await page.get_by_role("link", name="연결 확인").click()
    await faultless(page, "why")
    binding = await site.world.allocate("010-5151-5151")
    for caller, outcome in (("010-9999-8888", "연결합니다."), ("010-5151-5151", "연결 제한"), ("", "연결 대상 아님")):
        await page.get_by_label("안심번호", exact=True).fill(f"0{binding.vn}")
        await page.get_by_label("발신번호").fill(caller)
        await page.get_by_role("button", name="확인", exact=True).click()
        await page.locator("#outcome").get_by_text(outcome).first.wait_for()
        assert "9999" not in page.url
    await faultless(page, "why-explained")
    await page.close()


async def test_calls_and_texts_appear_by_themselves(site: Site) -> None:
    page = await logged_in(site, "mall_admin")
    await page.get_by_role("link", name="통화", exact=True).click()
    await faultless(page, "calls")
    binding = await site.world.allocate("010-6161-6161")
    async with site.world.db.connection() as connection:
        await connection.execute(
            """insert into calls (id, tenant_id, binding_id, vn, direction, from_masked, result, arrived_at, bridge,
                                  channel)
               values ($1, $2, $3, $4, 'none', '010-****-4321', 'in_progress', now(), 'a', 'c')""",
            uuids.uuid7(),
            binding.tenant_id,
            binding.id,
            binding.vn,
        )
    await page.get_by_text("010-****-4321").wait_for()
    await page.get_by_role("link", name="문자", exact=True).click()
    await faultless(page, "messages")
    await page.get_by_role("link", name="다음").click()
    await page.get_by_role("link", name="처음으로").wait_for()
    await page.get_by_role("link", name="통계").click()
    await page.get_by_text("표로 보기").first.click()
    await faultless(page, "traffic")
    await page.get_by_role("heading", name="통계").click()  # what somebody is busy in is left alone
    await page.get_by_text("통화 24").wait_for()
    async with site.world.db.connection() as connection:
        await connection.execute(
            """insert into calls (id, tenant_id, binding_id, vn, direction, from_masked, to_masked, result, arrived_at,
                                  answered_at, ended_at, billed_seconds, bridge, channel)
               values ($1, $2, $3, $4, 'to_real', '010-****-4321', '010-****-0001', 'answered', now(), now(), now(), 1,
                       'a', 'd')""",
            uuids.uuid7(),
            binding.tenant_id,
            binding.id,
            binding.vn,
        )
    await page.get_by_text("통화 25").wait_for()
    assert await page.locator("details[open]").count() == 1, "the table stays open"
    await page.get_by_role("link", name="번호 대역").click()
    await page.get_by_role("img", name="safe 점유").wait_for()
    await faultless(page, "pools")
    await page.close()
    page = await logged_in(site, "operator")
    await page.get_by_role("link", name="번호 대역").click()
    await page.get_by_text("통화 발신번호 증빙").first.click()
    await faultless(page, "pools-operator")
    await page.close()


async def test_orders_by_spreadsheet(site: Site) -> None:
    page = await logged_in(site, "mall_admin")
    await page.get_by_role("link", name="일괄 할당").click()
    await faultless(page, "orders")
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="견본 파일 내려받기").click()
    sample = site.folder / "sample.xlsx"
    await (await waiting.value).save_as(sample)
    book = openpyxl.load_workbook(sample)
    book.worksheets[0].append(["B-9", "112", None])
    book.save(sample)
    await page.get_by_label("주문 파일").set_input_files(sample)
    await page.get_by_label("번호 종류").select_option("070")
    await page.get_by_role("button", name="안심번호 만들기").click()
    await page.get_by_text("3건 중 2건").wait_for()
    await faultless(page, "orders-result")
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="엑셀로 내려받기").click()
    result = site.folder / "numbers.xlsx"
    await (await waiting.value).save_as(result)
    rows = list(openpyxl.load_workbook(result).worksheets[0].iter_rows(min_row=2, values_only=True))
    assert [row[0] for row in rows] == ["A-1001", "A-1002"]
    assert all(str(row[1]).startswith("070-8000-") for row in rows)
    await page.close()


async def test_api_keys(site: Site) -> None:
    page = await logged_in(site, "mall_admin")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("link", name="API 키").click()
    await faultless(page, "keys")
    await page.get_by_role("button", name="발급", exact=True).click()
    secret = await page.locator(".secret").inner_text()
    await faultless(page, "key-issued")
    asked = {"authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=site.api.url, timeout=60) as client:
        assert (await client.get("/v1/bindings", headers=asked)).status_code == 200
        await page.get_by_text("교체·폐기").first.click()
        await page.get_by_role("button", name="폐기", exact=True).first.click()
        await page.get_by_text("키를 폐기했습니다").wait_for()
        assert (await client.get("/v1/bindings", headers=asked)).status_code == 401
    await page.close()


async def test_what_operators_do(site: Site) -> None:
    page = await logged_in(site, "operator")
    await page.get_by_role("link", name="고객사", exact=True).click()
    await faultless(page, "tenants")
    await page.get_by_label("코드").fill("new-mall")
    await page.get_by_label("이름").fill("새 쇼핑몰")
    await page.get_by_role("button", name="등록").click()
    await page.get_by_role("link", name="new-mall").click()
    await page.get_by_label("동시에 쓰는 안심번호").fill("많이")
    await page.get_by_role("button", name="저장", exact=True).click()
    await page.get_by_role("alert").wait_for()
    await page.get_by_label("동시에 쓰는 안심번호").fill("500")
    await page.get_by_role("button", name="저장", exact=True).click()
    await page.get_by_text("저장했습니다").wait_for()
    await faultless(page, "tenant")
    await page.get_by_role("link", name="목록으로").click()
    await page.locator("select[name=mall]").select_option("new-mall")
    await page.get_by_role("button", name="허용", exact=True).click()
    await page.get_by_role("button", name="courier의 new-mall 조회 허용 취소").wait_for()
    await page.get_by_role("link", name="안심번호", exact=True).click()
    await page.get_by_label("고객사").select_option("mall")
    await page.get_by_role("button", name="검색").click()
    assert await page.locator("tbody tr").count() > 5
    await page.get_by_role("link", name="감사 기록").click()
    await page.get_by_label("고객사").select_option("")
    await page.get_by_role("button", name="보기").click()
    await page.get_by_text("한도 변경").first.wait_for()
    await faultless(page, "audit-operator")
    await page.close()


async def test_people(site: Site) -> None:
    page = await logged_in(site, "mall_admin")
    await page.get_by_role("link", name="사용자").click()
    await page.get_by_label("아이디").fill("lee.02")
    await page.get_by_label("이름").fill("이영희")
    await page.get_by_label("휴대전화").fill("010-3333-4444")
    await page.get_by_role("button", name="등록", exact=True).click()
    await page.get_by_text("lee.02의 임시 비밀번호").wait_for()
    await faultless(page, "people")
    await page.close()


async def test_errors_are_pages_too(site: Site) -> None:
    page = await logged_in(site, "read_only")
    for path, name in (("/bindings/nothing", "not-found"), ("/keys", "forbidden")):
        await page.goto(f"{site.api.url}/console{path}")
        await page.get_by_role("alert").wait_for()
        await faultless(page, name)
    await page.close()


async def test_the_keyboard_reaches_the_main_part_first(site: Site) -> None:
    page = await logged_in(site, "mall_user")
    await page.goto(f"{site.api.url}/console/bindings")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "본문으로 건너뛰기"
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    await page.close()
