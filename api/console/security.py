"""What keeps the pages to those they are for: headers of every answer, cookies, and the token of every form."""

import hmac
import secrets
from hashlib import sha256
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vns.errors import Forbidden

SESSION_COOKIE: Final = "vns_console"
VISITOR_COOKIE: Final = "vns_visitor"  # before there is a session: forms of the login pages are tied to it
LOGIN_COOKIE: Final = "vns_login"  # between the password and the code
PATH: Final = "/console"
TOKEN_FIELD: Final = "csrf"  # noqa: S105 - the name of a form's field
TOKEN_HEADER: Final = "x-csrf-token"  # noqa: S105 - as above

# Nothing inline, nothing from elsewhere, no frame around us, no form to others.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


class Guarded:
    """ASGI middleware around the console: its headers on every answer, and no page kept by any cache."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                headers += HEADERS
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, sending)


def form_token(cookie: str) -> str:
    """The token of a page's forms. Whoever cannot read the cookie cannot make it."""
    return hmac.new(cookie.encode(), b"console form", sha256).hexdigest()


def check_form(request: Request, given: str | None, cookie: str | None) -> None:
    """Raises Forbidden for a form that did not come from a page of ours, shown to this very session."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in {"same-origin", "none"}:
        raise Forbidden("the form came from another site")
    if cookie is None or not hmac.compare_digest(form_token(cookie).encode(), (given or "").encode()):
        raise Forbidden("the form is not of this session")


def new_visitor() -> str:
    return secrets.token_urlsafe(24)


def set_cookie(response: Response, name: str, value: str, *, secure: bool) -> None:
    """A cookie of the browser's session. Strict: no other site's link or form brings it along."""
    response.set_cookie(name, value, path=PATH, httponly=True, secure=secure, samesite="strict")


def drop_cookie(response: Response, name: str, *, secure: bool) -> None:
    response.delete_cookie(name, path=PATH, httponly=True, secure=secure, samesite="strict")
