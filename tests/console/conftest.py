"""The console over a real core: people of every role, and a browser's cookies without a browser."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.application import create_app
from api.services import Services
from api.settings import ApiSettings
from tests.console.browsing import module_database, site
from tests.console.codes import MOBILE, PASSWORD, SENDER, sent_code
from tests.core_world import MovedClock, World, open_world
from vns.access.rules import TenantKind
from vns.numbering.rules import parse
from vns.settings import Settings
from vns.users.rules import IssuedPassword, NewUser, Role

__all__ = ["module_database", "site"]


class _Forms(HTMLParser):
    """The token of the first form of a page."""

    token: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "input" and named.get("name") == "csrf" and self.token is None:
            self.token = named.get("value")


def token_in(page: str) -> str:
    forms = _Forms()
    forms.feed(page)
    assert forms.token, "the page has no form"
    return forms.token


@dataclass
class Browser:
    """Keeps cookies, and takes the token of each form from the page that was shown last."""

    client: httpx.AsyncClient
    token: str = ""
    page: str = field(default="", repr=False)

    async def get(self, path: str, **keywords: Any) -> httpx.Response:
        return self._seen(await self.client.get(f"/console{path}", **keywords))

    async def post(self, path: str, data: dict[str, Any] | None = None, **keywords: Any) -> httpx.Response:
        fields = {"csrf": self.token, **(data or {})}
        return self._seen(await self.client.post(f"/console{path}", data=fields, **keywords))

    def _seen(self, answer: httpx.Response) -> httpx.Response:
        self.page = answer.text
        forms = _Forms()
        if "text/html" in answer.headers.get("content-type", ""):
            forms.feed(answer.text)
        self.token = forms.token or self.token
        return answer


@dataclass
class Console:
    """`issued`: the temporary password of each role, its login being the role's name."""

    app: FastAPI
    world: World
    issued: dict[Role, IssuedPassword]
    transport: httpx.ASGITransport

    @property
    def services(self) -> Services:
        found: Services = self.app.state.services
        return found

    @property
    def clock(self) -> MovedClock:
        return self.world.clock

    def browser(self, address: str = "192.0.2.1") -> Browser:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 40_000))
        return Browser(httpx.AsyncClient(transport=transport, base_url="http://vns.test"))

    async def code(self) -> str:
        return await sent_code(self.world.db, self.world.keyring)

    async def login(self, role: Role, *, change: bool = True) -> Browser:
        """All the way in: password, code and, unless `change` is False, a password of one's own."""
        browser, password = self.browser(f"192.0.2.{10 + list(Role).index(role)}"), self.issued[role].password
        await browser.get("/login")
        assert (await browser.post("/login", {"login": role.value, "password": password})).status_code == 303
        await browser.get("/login/code")
        assert (await browser.post("/login/code", {"code": await self.code()})).status_code == 303
        if change:
            await browser.get("/password")
            changed = await browser.post("/password", {"current": password, "new": PASSWORD, "again": PASSWORD})
            assert changed.status_code == 303, changed.text
            await browser.get("/profile")
        return browser


async def people(services: Services, world: World) -> dict[Role, IssuedPassword]:
    """One of each role, of the mall or the operator."""
    await world.tenant("operator", TenantKind.OPERATOR)
    await world.tenant("courier", TenantKind.COURIER)
    issued = {}
    for role in Role:
        tenant = await world.access.get_tenant("operator" if role is Role.OPERATOR else "mall")
        new = NewUser(login=role.value, role=role, name="홍길동", mobile=parse(MOBILE))
        issued[role] = await services.users.create("test", tenant, new)
    return issued


@pytest.fixture
async def console(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Console]:
    monkeypatch.setenv("VNS_VERIFICATION_CALLER_ID", SENDER)
    monkeypatch.setenv("VNS_CONSOLE_LOGINS_PER_MINUTE", "60")
    async with open_world(database_url, tmp_path) as world:
        world.clock.time = datetime.now(UTC)
        settings = Settings(database_url=database_url, redis_url=redis_url, keys_file=tmp_path / "keys.json")
        app = create_app(settings, ApiSettings(), clock=world.clock)
        async with app.router.lifespan_context(app):
            yield Console(app, world, await people(app.state.services, world), httpx.ASGITransport(app))
