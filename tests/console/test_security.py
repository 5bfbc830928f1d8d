"""What keeps the pages to those they are for: roles, tenants, forms of ours only, headers."""

import re

import pytest

from api.console.application import PAGES
from api.console.pages import Page
from api.console.permissions import PERMISSIONS, May
from tests.console.conftest import Browser, Console
from vns.users.rules import Role

NOWHERE = "01900000-0000-7000-8000-000000000000"


def address(page: Page) -> str:
    return re.sub(r"\{code\}", "mall", re.sub(r"\{id\}", NOWHERE, page.path))


async def asked(browser: Browser, page: Page) -> int:
    path = address(page)
    answer = await (browser.get(path) if page.method == "GET" else browser.post(path))
    return answer.status_code


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_gets_its_pages_and_no_others(console: Console, role: Role) -> None:
    browser = await console.login(role)
    token = browser.token
    for page in PAGES:
        if page.open or page.path in ("/logout", "/password"):
            continue
        browser.token = token
        status = await asked(browser, page)
        if page.needs is not None and page.needs not in PERMISSIONS[role]:
            assert status == 403, (role, page.path)
        else:
            assert status in (200, 303, 404, 422), (role, page.path, status)


async def test_nobody_gets_anything_without_logging_in(console: Console) -> None:
    browser = console.browser()
    await browser.get("/login")
    for page in PAGES:
        if not page.open:
            answer = await (browser.get(address(page)) if page.method == "GET" else browser.post(address(page)))
            assert answer.status_code == 303 and answer.headers["location"] == "/console/login", page.path


async def test_every_form_needs_the_token_of_its_session(console: Console) -> None:
    browser, other = await console.login(Role.OPERATOR), await console.login(Role.MALL_ADMIN)
    for page in PAGES:
        if page.method != "POST":
            continue
        for token in ("", "0" * 64, other.token):
            answer = await browser.client.post(f"/console{address(page)}", data={"csrf": token})
            assert answer.status_code == 403, (page.path, token)
    good = await browser.client.post(
        "/console/why", data={"csrf": browser.token}, headers={"sec-fetch-site": "cross-site"}
    )
    assert good.status_code == 403, "the browser says that another site sent it"


async def test_pages_that_take_files_take_larger_bodies_and_others_do_not(console: Console) -> None:
    browser = await console.login(Role.MALL_ADMIN)
    for page in PAGES:
        if page.method != "POST" or page.needs not in PERMISSIONS[Role.MALL_ADMIN]:
            continue  # refused before the body is read
        answer = await browser.post(address(page), files={"file": ("a.pdf", bytes(1_100_000), "application/pdf")})
        assert (answer.status_code == 413) is not page.uploads, (page.path, answer.status_code)


async def test_headers_of_pages_errors_and_files(console: Console) -> None:
    browser = await console.login(Role.MALL_ADMIN)
    for path in ("/bindings", "/nothing", "/static/console.css", "/orders/sample"):
        headers = (await browser.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == ("no-cache" if "static" in path else "no-store")
    assert (await browser.get("/static/../application.py")).status_code == 404


async def test_no_page_has_script_or_style_of_its_own(console: Console) -> None:
    binding = await console.world.allocate(reference="<script>alert(1)</script>")
    browser = await console.login(Role.OPERATOR)
    for path in (
        "/bindings?tenant=mall",
        f"/bindings/{binding.id}?tenant=mall",
        "/traffic",
        "/pools",
        "/keys",
        "/audit",
    ):
        page = (await browser.get(path)).text
        assert "<style" not in page and not re.search(r'\s(style|on\w+)="', page), path
        assert re.findall(r"<script[^>]*>[^<]", page) == [], path
        assert "<script>alert" not in page


async def test_another_tenants_things_are_not_found(console: Console) -> None:
    world = console.world
    ours = await world.allocate(reference="ours")
    key = (await world.access.list_keys("mall"))[0]
    await world.tenant("rival")
    other = await world.access.get_tenant("rival")
    async with world.db.connection() as connection:
        await connection.execute("update users set tenant_id = $1 where login in ('mall_admin', 'read_only')", other.id)
    browser = await console.login(Role.MALL_ADMIN)
    assert "ours" not in (await browser.get("/bindings")).text
    assert (await browser.get(f"/bindings/{ours.id}")).status_code == 404
    assert (await browser.get(f"/bindings/{ours.id}?tenant=mall")).status_code == 404, "naming a tenant does not help"
    assert (await browser.post(f"/bindings/{ours.id}/release", {"tenant": "mall"})).status_code == 404
    assert (await browser.post(f"/bindings/{ours.id}/reveal", {"reason": "look"})).status_code == 404
    assert (await browser.post(f"/keys/{key.id}/revoke")).status_code == 404
    assert (await browser.post(f"/keys/{key.id}/rotate", {"overlap": "0"})).status_code == 404
    assert (await browser.post("/orders/download", {"binding": str(ours.id)})).status_code == 404
    for act in ("reset", "unlock"):
        theirs = console.issued[Role.MALL_USER].user.id
        assert (await browser.post(f"/people/{theirs}/{act}")).status_code == 404
    asked_why = {"number": f"0{ours.vn}", "caller": "010-9999-8888"}
    assert (await browser.post("/why", asked_why)).status_code == 404
    still = await world.bindings.get(world.mall, ours.id)
    assert still.status == "active"
    assert (await world.access.list_keys("mall"))[0].revoked_at is None


async def test_real_numbers_are_shown_for_a_reason_that_is_kept(console: Console) -> None:
    binding = await console.world.allocate("010-1111-2222")
    browser = await console.login(Role.MALL_ADMIN)
    page = await browser.get(f"/bindings/{binding.id}")
    assert "010-****-2222" in page.text and "010-1111-2222" not in page.text
    assert (await browser.post(f"/bindings/{binding.id}/reveal", {"reason": ""})).status_code == 422
    shown = await browser.post(f"/bindings/{binding.id}/reveal", {"reason": "고객 문의 확인"})
    assert "010-1111-2222" in shown.text
    audit = await browser.get("/audit")
    assert "고객 문의 확인" in audit.text and "실번호 조회" in audit.text and "mall_admin" in audit.text
    assert "010-1111-2222" not in audit.text


def test_read_only_can_change_nothing() -> None:
    changing = {May.RELEASE, May.REVEAL, May.ALLOCATE, May.MANAGE_KEYS, May.MANAGE_PEOPLE, May.OPERATE}
    assert not PERMISSIONS[Role.READ_ONLY] & changing
    assert not PERMISSIONS[Role.MALL_USER] & {May.REVEAL, May.MANAGE_KEYS, May.MANAGE_PEOPLE, May.OPERATE}
    assert May.OPERATE not in PERMISSIONS[Role.MALL_ADMIN]


async def test_people_are_made_by_an_admin_and_can_log_in(console: Console) -> None:
    admin = await console.login(Role.MALL_ADMIN)
    await admin.get("/people")
    new = {"login": "kim.01", "name": "김철수", "mobile": "010-2222-3333", "role": "operator", "born": "1990-02-03"}
    assert (await admin.post("/people", new | {"mobile": "02-123-4567"})).status_code == 422
    made = await admin.post("/people", new)
    found = re.search(r'class="secret mono"[^>]*>([^<]+)<', made.text)
    assert found is not None
    user = await console.services.users.by_login("kim.01")
    assert user.role is Role.READ_ONLY, "nobody makes an operator of a mall's"
    assert str(user.birth_date) == "1990-02-03"
    browser = console.browser("192.0.2.77")
    await browser.get("/login")
    assert (await browser.post("/login", {"login": "kim.01", "password": found[1]})).status_code == 303
