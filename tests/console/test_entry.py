"""The way in and out: codes, five minutes, lock-out, the forced change, sessions that end."""

import re

from tests.console.codes import PASSWORD
from tests.console.conftest import Console
from vns.users.rules import IDLE, LOCKED_FOR, MOST_TRIES, SESSION_LIVES, Role

LOGIN = Role.MALL_ADMIN.value


async def test_from_the_temporary_password_to_the_first_page(console: Console) -> None:
    browser = console.browser()
    assert (await browser.get("/bindings")).headers["location"] == "/console/login"
    await browser.get("/login")
    password = console.issued[Role.MALL_ADMIN].password
    answer = await browser.post("/login", {"login": LOGIN, "password": password})
    assert answer.headers["location"] == "/console/login/code"
    shown = await browser.get("/login/code")
    assert "010-****-8888" in shown.text
    answer = await browser.post("/login/code", {"code": await console.code()})
    assert answer.headers["location"] == "/console/password"
    assert (await browser.get("/bindings")).headers["location"] == "/console/password", "nothing else before the change"
    await browser.get("/password")
    answer = await browser.post("/password", {"current": password, "new": PASSWORD, "again": PASSWORD})
    assert answer.headers["location"] == "/console/profile?done=password"
    assert (await browser.get("/bindings")).status_code == 200

    again = console.browser("192.0.2.2")
    await again.get("/login")
    assert (await again.post("/login", {"login": LOGIN, "password": PASSWORD})).status_code == 303
    await again.get("/login/code")
    answer = await again.post("/login/code", {"code": await console.code()})
    assert answer.headers["location"] == "/console/", "later logins skip the change"


async def test_a_code_is_good_for_five_minutes_and_once(console: Console) -> None:
    browser, issued = console.browser(), console.issued[Role.MALL_USER]
    credentials = {"login": "mall_user", "password": issued.password}
    await browser.get("/login")
    await browser.post("/login", credentials)
    await browser.get("/login/code")
    first = await console.code()
    console.clock.move(minutes=5)
    late = await browser.post("/login/code", {"code": first})
    assert late.status_code == 422
    assert "5분" in late.text
    console.clock.move(seconds=1)
    assert (await browser.post("/login/again")).headers["location"] == "/console/login/code?done=sent"
    second = await console.code()
    await browser.get("/login/code")
    wrong = await browser.post("/login/code", {"code": f"{(int(second) + 1) % 1_000_000:06}"})
    assert wrong.status_code == 422
    assert "인증번호가 다릅니다" in wrong.text
    assert (await browser.post("/login/code", {"code": second})).status_code == 303
    other = console.browser("192.0.2.2")
    await other.get("/login")
    other.client.cookies.update(browser.client.cookies)
    assert (await other.post("/login/code", {"code": second})).status_code in (403, 422)


async def test_five_wrong_passwords_lock_the_account(console: Console) -> None:
    browser = console.browser()
    await browser.get("/login")
    for _ in range(MOST_TRIES - 1):
        assert (await browser.post("/login", {"login": LOGIN, "password": "wrong-password-1"})).status_code == 401
    locked = await browser.post("/login", {"login": LOGIN, "password": "wrong-password-1"})
    assert locked.status_code == 403
    assert "잠겼습니다" in locked.text
    right = {"login": LOGIN, "password": console.issued[Role.MALL_ADMIN].password}
    assert (await browser.post("/login", right)).status_code == 403, "the right one does not help"
    console.clock.move(seconds=LOCKED_FOR.total_seconds())
    assert (await browser.post("/login", right)).status_code == 303


async def test_wrong_codes_lock_too_and_an_operator_unlocks(console: Console) -> None:
    browser, issued = console.browser(), console.issued[Role.MALL_ADMIN]
    await browser.get("/login")
    await browser.post("/login", {"login": LOGIN, "password": issued.password})
    await browser.get("/login/code")
    right = await console.code()
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    statuses = [(await browser.post("/login/code", {"code": wrong})).status_code for _ in range(MOST_TRIES)]
    assert statuses == [422] * (MOST_TRIES - 1) + [403]
    assert (await browser.post("/login/code", {"code": right})).status_code != 303
    await console.services.users.unlock("test", issued.user.id)
    await browser.get("/login")
    assert (await browser.post("/login", {"login": LOGIN, "password": issued.password})).status_code == 303


async def test_an_unknown_login_is_answered_like_a_wrong_password(console: Console) -> None:
    browser = console.browser()
    await browser.get("/login")
    texts = []
    for login in (LOGIN, "nobody"):
        answer = await browser.post("/login", {"login": login, "password": "wrong-password-1"})
        assert answer.status_code == 401
        texts.append(re.sub(r'value="[^"]*"', "", answer.text))
    assert texts[0] == texts[1]


async def test_the_token_of_a_session_is_new_and_logout_ends_it(console: Console) -> None:
    browser = console.browser()
    browser.client.cookies.set("vns_console", "planted", domain="vns.test", path="/console")
    await browser.get("/login")
    issued = console.issued[Role.READ_ONLY]
    await browser.post("/login", {"login": "read_only", "password": issued.password})
    await browser.get("/login/code")
    answer = await browser.post("/login/code", {"code": await console.code()})
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("vns_console="))
    assert "planted" not in cookie
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/console" in cookie
    token = cookie.split("=", 1)[1].split(";")[0]
    browser.client.cookies.clear()
    browser.client.cookies.set("vns_console", token, domain="vns.test", path="/console")
    await browser.get("/password")
    assert (await browser.post("/logout")).headers["location"].startswith("/console/login")
    browser.client.cookies.set("vns_console", token, domain="vns.test", path="/console")
    assert (await browser.get("/password")).headers["location"] == "/console/login"


async def test_sessions_end_when_idle_and_in_any_case(console: Console) -> None:
    browser = await console.login(Role.MALL_USER)
    console.clock.move(seconds=IDLE.total_seconds() - 1)
    assert (await browser.get("/bindings")).status_code == 200
    console.clock.move(seconds=IDLE.total_seconds())
    assert (await browser.get("/bindings")).status_code == 303
    busy = await console.login(Role.MALL_ADMIN)
    for _ in range(int(SESSION_LIVES / IDLE * 2)):
        console.clock.move(seconds=IDLE.total_seconds() / 2)
        last = await busy.get("/bindings")
    assert last.status_code == 303


async def test_a_suspended_tenant_is_out_at_once(console: Console) -> None:
    browser = await console.login(Role.MALL_USER)
    await console.world.access.suspend_tenant("test", "mall")
    assert (await browser.get("/bindings")).status_code == 303


async def test_another_password_ends_other_sessions(console: Console) -> None:
    browser = await console.login(Role.MALL_ADMIN)
    issued = await console.services.users.reset_password("test", console.issued[Role.MALL_ADMIN].user.id)
    assert (await browser.get("/bindings")).status_code == 303
    assert issued.password not in repr(issued)


async def test_new_passwords_that_will_not_do(console: Console) -> None:
    browser = await console.login(Role.MALL_USER)
    await browser.get("/profile")
    for new in ("short-1", "mall_user-is-my-name-1", "aaaaaaaaaaaa", "onlylettersonly", PASSWORD):
        answer = await browser.post("/password", {"current": PASSWORD, "new": new, "again": new})
        assert answer.status_code == 422, new
    answer = await browser.post(
        "/password", {"current": "other-word-11", "new": "blue-pear-77", "again": "blue-pear-77"}
    )
    assert answer.status_code == 422
    answer = await browser.post("/password", {"current": PASSWORD, "new": "blue-pear-77", "again": "blue-pear-78"})
    assert answer.status_code == 422


async def test_tries_of_one_address_are_limited(console: Console) -> None:
    browser = console.browser("192.0.2.99")
    await browser.get("/login")
    limit = 60
    for number in range(2_000):  # one more is allowed each second: a slow machine takes longer to get there
        answer = await browser.post("/login/code", {"code": "123456"})
        if answer.status_code == 429:
            assert number >= limit
            return
    raise AssertionError("nobody was stopped")


async def test_codes_come_from_a_proven_number_or_not_at_all(console: Console) -> None:
    async with console.world.db.connection() as connection:
        row = await connection.fetchrow("select vn from messages order by id desc limit 1")
        assert row is None
        await connection.execute("update pools set sms_sender_proof = null")
    browser = console.browser()
    await browser.get("/login")
    answer = await browser.post("/login", {"login": LOGIN, "password": console.issued[Role.MALL_ADMIN].password})
    assert answer.status_code == 503
    async with console.world.db.connection() as connection:
        assert await connection.fetchval("select count(*) from login_codes") == 0
