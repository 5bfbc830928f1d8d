"""The way in: name and temporary password, the code sent to the mobile, the first change of the password; and out."""

from datetime import UTC
from typing import Final

from starlette.responses import RedirectResponse, Response

from api.console.pages import Page
from api.console.security import (
    LOGIN_COOKIE,
    PATH,
    SESSION_COOKIE,
    VISITOR_COOKIE,
    drop_cookie,
    set_cookie,
)
from api.console.visit import MENU, Visit
from vns.errors import (
    AccountLocked,
    CallerIdNotProven,
    CodeOver,
    Forbidden,
    InvalidRequest,
    RateLimited,
    VnsError,
    WrongCode,
    WrongCredentials,
)
from vns.users.rules import MAX_PASSWORD, MIN_PASSWORD, Pending

WRONG: Final = "아이디 또는 비밀번호가 올바르지 않습니다. 다시 입력해 주세요."
LOCKED: Final = "잘못된 입력이 5번 이어져 계정이 잠겼습니다. 30분 뒤에 다시 시도하거나 고객센터로 연락해 주세요."
TOO_MANY: Final = "요청이 너무 많습니다. 잠시 후 다시 시도해 주세요."
NO_SENDER: Final = "지금은 인증번호를 보낼 수 없습니다. 고객센터로 연락해 주세요."
SUSPENDED: Final = "이용이 정지된 고객사입니다. 고객센터로 연락해 주세요."
WRONG_CODE: Final = "인증번호가 다릅니다. 문자로 받은 6자리 숫자를 다시 확인해 주세요."
CODE_OVER: Final = "인증번호의 유효 시간(5분)이 지났습니다. 인증번호를 다시 요청해 주세요."
PASSWORD_RULE: Final = f"{MIN_PASSWORD}자 이상, 영문·숫자·기호 중 두 가지 이상을 섞고 아이디는 넣지 마세요."
_MESSAGES: Final[dict[type[VnsError], tuple[int, str]]] = {
    WrongCredentials: (401, WRONG),
    AccountLocked: (403, LOCKED),
    RateLimited: (429, TOO_MANY),
    CallerIdNotProven: (503, NO_SENDER),
    Forbidden: (403, SUSPENDED),
}


async def start(visit: Visit) -> Response:
    """The first page of the menu that one may see."""
    if visit.user is None:
        return RedirectResponse(f"{PATH}/login", 303)
    return RedirectResponse(PATH + next(path for path, _, needs in MENU if needs is None or visit.may(needs)), 303)


async def login_form(visit: Visit) -> Response:
    if visit.user is not None:
        return RedirectResponse(f"{PATH}/", 303)
    return visit.page("login.html", login="")


async def login(visit: Visit) -> Response:
    name = visit.text("login").lower()[:64]
    password = visit.form.get("password")
    try:
        await _one_more_try(visit)
        pending = await visit.services.sessions.begin(name, password if isinstance(password, str) else "")
    except (WrongCredentials, Forbidden, RateLimited, CallerIdNotProven) as error:
        status, text = _told(error)
        return visit.page("login.html", status=status, login=name, error=text)
    return _code_asked(visit, pending)


def _code_asked(visit: Visit, pending: Pending, **query: object) -> Response:
    answer = visit.to("/login/code", **query)
    set_cookie(answer, LOGIN_COOKIE, pending.token, secure=visit.services.console.secure_cookies)
    return answer


async def code_form(visit: Visit) -> Response:
    return await _code_page(visit)


async def _code_page(visit: Visit, *, status: int = 200, error: str | None = None) -> Response:
    token = visit.request.cookies.get(LOGIN_COOKIE)
    pending = await visit.services.sessions.pending(token) if token else None
    if pending is None and error is None:
        return RedirectResponse(f"{PATH}/login", 303)
    return visit.page(
        "code.html",
        status=status,
        masked=pending.mobile_masked if pending else None,
        until=pending.expires_at.astimezone(UTC).isoformat() if pending else None,
        error=error,
    )


async def code(visit: Visit) -> Response:
    """The session gets a token of its own: whatever cookie the browser came with is worth nothing afterwards."""
    try:
        await _one_more_try(visit)
        token = visit.request.cookies.get(LOGIN_COOKIE, "")
        session = await visit.services.sessions.finish(token, visit.text("code"))
    except WrongCode:
        return await _code_page(visit, status=422, error=WRONG_CODE)
    except CodeOver:
        return await _code_page(visit, status=422, error=CODE_OVER)
    except (AccountLocked, RateLimited) as error:
        status, text = _told(error)
        return await _code_page(visit, status=status, error=text)
    secure = visit.services.console.secure_cookies
    answer = RedirectResponse(f"{PATH}/password" if session.user.must_change_password else f"{PATH}/", 303)
    set_cookie(answer, SESSION_COOKIE, session.token or "", secure=secure)
    drop_cookie(answer, LOGIN_COOKIE, secure=secure)
    drop_cookie(answer, VISITOR_COOKIE, secure=secure)
    return answer


async def again(visit: Visit) -> Response:
    try:
        await _one_more_try(visit)
        pending = await visit.services.sessions.again(visit.request.cookies.get(LOGIN_COOKIE, ""))
    except CodeOver:
        return RedirectResponse(f"{PATH}/login", 303)
    except (AccountLocked, RateLimited, CallerIdNotProven) as error:
        status, text = _told(error)
        return await _code_page(visit, status=status, error=text)
    return _code_asked(visit, pending, done="sent")


async def password_form(visit: Visit) -> Response:
    return visit.page("password.html", password_rule=PASSWORD_RULE)


async def password(visit: Visit) -> Response:
    current, new, repeated = (
        str(visit.form.get(name) or "")[: MAX_PASSWORD + 1] for name in ("current", "new", "again")
    )
    error = None
    if new != repeated:
        error = "새 비밀번호와 확인이 서로 다릅니다. 같은 비밀번호를 두 번 입력해 주세요."
    else:
        try:
            await visit.services.limiter.attempt(f"password:{visit.who.id}", visit.services.console.logins_per_minute)
            await visit.services.users.change_password(visit.who, current, new, keep=visit.cookie)
        except WrongCredentials:
            error = "현재 비밀번호가 올바르지 않습니다. 다시 입력해 주세요."
        except RateLimited:
            error = TOO_MANY
        except InvalidRequest:
            error = f"새 비밀번호를 쓸 수 없습니다. {PASSWORD_RULE} 지금 쓰는 비밀번호와도 달라야 합니다."
    if error is not None:
        return visit.page("password.html", status=422, password_rule=PASSWORD_RULE, error=error)
    return RedirectResponse(f"{PATH}/profile?done=password", 303)


async def profile(visit: Visit) -> Response:
    tenant = await visit.services.access.get_tenant(visit.who.tenant_id)
    return visit.page("profile.html", company=tenant, password_rule=PASSWORD_RULE)


async def logout(visit: Visit) -> Response:
    await visit.services.sessions.end(visit.cookie)
    answer = RedirectResponse(f"{PATH}/login?done=loggedout", 303)
    drop_cookie(answer, SESSION_COOKIE, secure=visit.services.console.secure_cookies)
    return answer


async def _one_more_try(visit: Visit) -> None:
    """Counts tries of one address, whichever account they are at. Raises RateLimited."""
    client = visit.request.client
    address = client.host if client else "unknown"
    await visit.services.limiter.attempt(f"login:{address}", visit.services.console.logins_per_minute)


def _told(error: VnsError) -> tuple[int, str]:
    return next(_MESSAGES[kind] for kind in type(error).__mro__ if kind in _MESSAGES)


PAGES: Final = (
    Page(path="/", view=start, open=True),
    Page(path="/login", view=login_form, open=True),
    Page(path="/login", view=login, open=True, method="POST"),
    Page(path="/login/code", view=code_form, open=True),
    Page(path="/login/code", view=code, open=True, method="POST"),
    Page(path="/login/again", view=again, open=True, method="POST"),
    Page(path="/password", view=password_form, halfway=True),
    Page(path="/password", view=password, halfway=True, method="POST"),
    Page(path="/logout", view=logout, halfway=True, method="POST"),
    Page(path="/profile", view=profile),
)
