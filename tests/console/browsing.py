"""A console that serves, seeded, with a real chromium in front of it. Screenshots go to var/."""

import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uuid_utils.compat as uuids
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, Page, async_playwright

from local.postgres import PostgresServer
from tests.api_process import ROOT, ApiProcesses, api_processes
from tests.conftest import ROLE
from tests.console.codes import PASSWORD, SENDER, sent_code
from tests.core_world import World, open_world
from vns.access.rules import TenantKind
from vns.numbering.rules import parse
from vns.pools.occupancy import Occupancy
from vns.users.rules import NewUser, Role
from vns.users.service import Users

SHOTS = ROOT / "var" / "screenshots"
PATIENCE = 60_000  # milliseconds
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = (1280, 360)


@dataclass
class Site:
    """A console that serves, what stands behind it, and a browser."""

    world: World
    api: ApiProcesses
    context: BrowserContext
    passwords: dict[str, str]
    folder: Path
    kept: dict[str, list[Any]]  # cookies of who has logged in already

    async def page(self, path: str = "/") -> Page:
        page = await self.context.new_page()
        await page.goto(f"{self.api.url}/console{path}")
        return page

    async def code(self) -> str:
        return await sent_code(self.world.db, self.world.keyring)

    async def audited(self, events: list[str]) -> None:
        """Each of `events` is in the journal, done by somebody who had logged in."""
        async with self.world.db.connection() as connection:
            rows = await connection.fetch("select distinct event from journal where actor like 'user:%'")
        missing = set(events) - {row["event"] for row in rows}
        assert not missing, missing


@pytest.fixture(scope="module")
def module_database(postgres: PostgresServer, template: str, database_password: str) -> Iterator[str]:
    name = f"browser_{secrets.token_hex(8)}"
    postgres.query(f"create database {name} template {template} owner {ROLE}")
    try:
        yield postgres.url(name, role=ROLE, password=database_password)
    finally:
        postgres.query(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
async def site(
    module_database: str, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """One server and one browser for all tests here."""
    folder = tmp_path_factory.mktemp("browser")
    environment = {
        "VNS_DATABASE_URL": module_database,
        "VNS_REDIS_URL": redis_server,
        "VNS_KEYS_FILE": str(folder / "keys.json"),
        "VNS_VERIFICATION_CALLER_ID": SENDER,
        "VNS_CONSOLE_HELP_DESK": "1544-1234",
        "VNS_CONSOLE_LOGINS_PER_MINUTE": "600",
    }
    program = shutil.which("chromium")
    assert program is not None, "bin/test installs chromium"
    async with open_world(module_database, folder) as world:
        world.clock.time = datetime.now(UTC)
        passwords = await seeded(world)
        with api_processes(1, environment, folder / "api.log") as api:
            async with async_playwright() as playwright:
                context = await playwright.chromium.launch_persistent_context(
                    str(folder / "profile"), executable_path=program, args=FLAGS, locale="ko-KR", accept_downloads=True
                )
                context.set_default_timeout(PATIENCE)
                yield Site(world, api, context, passwords, folder, {})
                await context.close()


async def seeded(world: World) -> dict[str, str]:
    """Bindings, calls, texts and counts of a day, and an account of each role; their temporary passwords."""
    await world.tenant("operator", TenantKind.OPERATOR)
    await world.tenant("courier", TenantKind.COURIER)
    await world.access.grant_lookup("test", courier="courier", mall="mall")
    made = [await world.allocate(f"0101111{number:04}", reference=f"주문-{number:05}") for number in range(10)]
    await world.pair(reference="640123456789")
    await world.bindings.release(world.mall, made[0].id)
    now = world.clock.time
    occupancy = Occupancy(world.db, world.clock)
    for hours in (3, 2, 1, 0):
        world.clock.time = now - timedelta(hours=hours)
        await occupancy.take()
    results = ("answered", "answered", "busy", "not_a_party", "unreachable")
    statuses = ("delivered", "delivered", "sent", "failed", "refused")
    async with world.db.connection() as connection:
        for number in range(60):
            at = now - timedelta(minutes=20 * number)
            await connection.execute(
                """insert into calls (id, tenant_id, binding_id, vn, direction, from_masked, to_masked, result, cause,
                                      hangup_by, arrived_at, answered_at, ended_at, billed_seconds, bridge, channel)
                   values ($1, $2, $3, $4, 'to_real', '010-****-1234', '010-****-0001', $5, 16, 'caller', $6, $6, $6, 7,
                           'a', 'c')""",
                uuids.uuid7(),
                made[1].tenant_id,
                made[1].id,
                made[1].vn,
                results[number % 5],
                at,
            )
            await connection.execute(
                """insert into messages (id, tenant_id, binding_id, vn, from_masked, to_masked, status, kind,
                                         fingerprint, session, received_at)
                   values ($1, $2, $3, $4, '010-****-1234', '010-****-0001', $5, 'sms', $6, 's', $7)""",
                uuids.uuid7(),
                made[1].tenant_id,
                made[1].id,
                made[1].vn,
                statuses[number % 5],
                secrets.token_bytes(16),
                at,
            )
    users = Users(world.db, world.keyring, world.clock)
    passwords = {}
    for role in Role:
        tenant = await world.access.get_tenant("operator" if role is Role.OPERATOR else "mall")
        new = NewUser(login=role.value, role=role, name="홍길동", mobile=parse("010-7777-8888"))
        passwords[role.value] = (await users.create("test", tenant, new)).password
    return passwords


async def faultless(page: Page, name: str) -> None:
    """No serious fault for people with aids, nothing wider than the window; a picture of each width."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 800})
        too_wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        await page.screenshot(path=SHOTS / f"{name}-{width}.png", full_page=True)
        assert too_wide <= 0, f"{name} scrolls sideways at {width} px"
        found = (await Axe().run(page)).response["violations"]
        serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
        assert serious == [], [(fault["id"], fault["nodes"][0]["html"]) for fault in serious]
    await page.set_viewport_size({"width": 1280, "height": 800})


async def logged_in(site: Site, login: str) -> Page:
    """Through all pages of the way in, the change of the temporary password too; later with the session of then."""
    await site.context.clear_cookies()
    if login in site.kept:
        await site.context.add_cookies(site.kept[login])
        return await site.page("/profile")
    page = await site.page("/login")
    password = site.passwords[login]
    await page.get_by_label("아이디").fill(login)
    await page.get_by_label("비밀번호").fill(password)
    await page.get_by_role("button", name="인증번호 받기").click()
    await page.get_by_label("인증번호", exact=True).fill(await site.code())
    await page.get_by_role("button", name="확인", exact=True).click()
    if password != PASSWORD:
        await page.get_by_label("현재 비밀번호").fill(password)
        await page.get_by_label("새 비밀번호", exact=True).fill(PASSWORD)
        await page.get_by_label("새 비밀번호 확인").fill(PASSWORD)
        await page.get_by_role("button", name="변경", exact=True).click()
        await page.get_by_text("비밀번호를 변경했습니다").wait_for()
        site.passwords[login] = PASSWORD
    await page.get_by_role("link", name="내 정보").wait_for()
    site.kept[login] = list(await site.context.cookies())
    return page
