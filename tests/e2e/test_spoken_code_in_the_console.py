"""A number proven from the page by a call: Asterisk speaks the code, a phone hears it, a browser gives it back."""

import shutil
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from tests.api_process import api_processes
from tests.console.browsing import FLAGS, PATIENCE, Site, faultless, logged_in
from tests.e2e.conftest import Platform
from tests.e2e.speech import of_alaw, of_wav, transcript
from vns.numbering.rules import parse
from vns.senders.rules import Method, Status
from vns.senders.service import Senders
from vns.users.rules import NewUser, Role
from vns.users.service import Users

pytestmark = pytest.mark.asterisk

SHOWN, LINE = "07080000019", "025550100"


async def test_the_code_that_a_phone_hears_proves_the_number(
    platform: Platform, redis_server: str, prompts_dir: Path, tmp_path: Path
) -> None:
    world = platform.world
    tenant = await world.access.get_tenant("mall")
    new = NewUser(login="manager", role=Role.SENDER_MANAGER, name="홍길동", mobile=parse("010-7777-8888"))
    issued = await Users(world.db, world.keyring, world.clock).create("test", tenant, new)
    environment = {
        "VNS_DATABASE_URL": platform.core.database_url,
        "VNS_REDIS_URL": redis_server,
        "VNS_KEYS_FILE": str(platform.core.keys_file),
        "VNS_VERIFICATION_CALLER_ID": SHOWN,
    }
    program = shutil.which("chromium")
    assert program is not None, "bin/test installs chromium"
    with api_processes(1, environment, tmp_path / "api.log") as api:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                str(tmp_path / "profile"), executable_path=program, args=FLAGS, locale="ko-KR"
            )
            context.set_default_timeout(PATIENCE)
            site = Site(world, api, context, {"manager": issued.password}, tmp_path, {})
            try:
                await proven(site, platform, prompts_dir)
            finally:
                await context.close()
    (found,) = (await Senders(world.db, world.keyring, world.clock).list(tenant.id)).items
    assert (found.number, found.status, found.method) == (LINE, Status.VERIFIED, Method.CALL)


async def proven(site: Site, platform: Platform, prompts: Path) -> None:
    page = await logged_in(site, "manager")
    await page.get_by_role("link", name="발신번호", exact=True).click()
    await page.get_by_label("발신번호", exact=True).fill(LINE)
    await page.get_by_role("button", name="등록", exact=True).click()
    async with platform.carrier.phone() as phone:
        await page.get_by_role("button", name="인증 전화 받기").click()
        await page.get_by_label("인증번호", exact=True).wait_for()
        report = await phone.hung_up()
    invite = report.received[0]
    assert invite.uri.startswith(f"sip:{LINE}@") and f"sip:{SHOWN}@" in invite.header("From")
    voices = {digit: of_wav(prompts / f"digit_{digit}.wav") for digit in "0123456789"}
    heard = transcript(of_alaw(report.sound), voices)
    assert len(heard) == 12 and heard[:6] == heard[6:]
    await page.get_by_label("인증번호", exact=True).fill(heard[:6])
    await faultless(page, "sender-spoken")
    await page.get_by_role("button", name="인증 확인").click()
    await page.get_by_text("인증완료").wait_for()
    await page.close()
