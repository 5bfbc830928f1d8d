"""A real application over a real database: three malls, a courier, an operator, and small pools."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from api.application import create_app
from api.services import Services
from api.settings import ApiSettings
from tests.core_world import MovedClock
from tests.prompts.test_audio import tone
from tests.recordings.test_service import CALL
from vns.access.rules import NewTenant, TenantKind
from vns.crypto.rules import KeyRing
from vns.pools.rules import NewPool, Pool, Service, range_of
from vns.settings import Settings

OPERATOR, MALL, OTHER_MALL, LIMITED_MALL, COURIER = "operator", "mall", "other-mall", "limited-mall", "courier"

RECORDED = tone(8_000, 9.0)  # longer than one encrypted chunk


@dataclass
class Platform:
    """Speaks HTTP to the application without a socket; `key` names who asks."""

    app: FastAPI
    clock: MovedClock
    keys: dict[str, str]
    client: httpx.AsyncClient

    @property
    def services(self) -> Services:
        found: Services = self.app.state.services
        return found

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str = MALL, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        sent = {"authorization": f"Bearer {self.keys[key]}", **(headers or {})}
        return await self.client.request(method, path, json=body, headers=sent)

    async def get(self, path: str, *, key: str = MALL) -> httpx.Response:
        return await self.ask("GET", path, key=key)

    async def post(self, path: str, body: Any, *, key: str = MALL, idempotency: str | None = None) -> httpx.Response:
        headers = {"idempotency-key": idempotency} if idempotency else None
        return await self.ask("POST", path, body, key=key, headers=headers)

    async def bind(self, *, key: str = MALL, **fields: Any) -> dict[str, Any]:
        body = {"mode": "one_way", "real_number": "010-1111-2222", **fields}
        answer = await self.post("/v1/bindings", body, key=key)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def pool(self, first: str, last: str, service: Service = Service.PERSONAL, **fields: Any) -> Pool:
        low, high = range_of(service, first, last)
        name = fields.pop("name", first)
        return await self.services.pools.create(
            "test", NewPool(name=name, service=service, first=low, last=high, **fields)
        )


@pytest.fixture(autouse=True)
def recording_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("VNS_RECORDING_STORE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("VNS_RECORDING_RETENTION_DAYS", "3650")  # API processes have a clock of their own
    return tmp_path / "store"


@pytest.fixture
def core_settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    keys_file = tmp_path / "keys.json"
    KeyRing.generate(keys_file)
    return Settings(database_url=database_url, redis_url=redis_url, keys_file=keys_file, database_pool_size=6)


@pytest.fixture
def api_settings() -> ApiSettings:
    return ApiSettings(http_ready_timeout=5.0)


@pytest.fixture
async def platform(core_settings: Settings, api_settings: ApiSettings) -> AsyncIterator[Platform]:
    clock = MovedClock()
    app = create_app(core_settings, api_settings, clock=clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://vns.test") as client,
    ):
        made = Platform(app=app, clock=clock, keys={}, client=client)
        made.keys |= await seeded(made.services)
        await made.pool("0504-1000-0000", "0504-1000-0019", name="safe")
        await made.pool("070-8000-0000", "070-8000-0019", Service.VOIP, name="voip", sms_sender_proof="file 1")
        yield made


async def seeded(services: Services) -> dict[str, str]:
    """A tenant of each kind; their keys by name. The courier serves the first mall only."""
    kinds = {
        OPERATOR: TenantKind.OPERATOR,
        MALL: TenantKind.MALL,
        OTHER_MALL: TenantKind.MALL,
        LIMITED_MALL: TenantKind.MALL,
        COURIER: TenantKind.COURIER,
    }
    keys = {}
    for code, kind in kinds.items():
        limit = 3 if code == LIMITED_MALL else None
        await services.access.create_tenant(
            "test", NewTenant(code=code, name=code, kind=kind, requests_per_second=limit, max_live_bindings=limit)
        )
        keys[code] = (await services.access.issue_key("test", code)).secret
    await services.access.grant_lookup("test", courier=COURIER, mall=MALL)
    return keys


@pytest.fixture
async def recorded_call(platform: Platform, tmp_path: Path) -> UUID:
    """A call of the mall's that was recorded: RECORDED."""
    call_id, services = uuid4(), platform.services
    mall = await services.access.get_tenant(MALL)
    async with services.database.connection() as connection:
        await connection.execute(CALL, call_id, mall.id, platform.clock.now())
    clear = tmp_path / "call.wav"
    clear.write_bytes(RECORDED)
    await services.recordings.seal(clear, call_id)
    await services.recordings.register("a")
    return call_id
