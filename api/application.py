"""The application: routes, error handlers and what surrounds them, put together in one place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from api.edge import Edge
from api.metrics import HttpMetrics
from api.openapi import document
from api.problems import HANDLERS
from api.routes.bindings.routes import router as bindings
from api.routes.calls.routes import router as calls
from api.routes.deliveries.routes import router as deliveries
from api.routes.health.routes import router as health
from api.routes.messages.routes import router as messages
from api.routes.pools.routes import router as pools
from api.services import opened
from api.settings import ApiSettings
from vns.settings import Settings
from vns.storage.clock import Clock

VERSION = "0.1.0"
# Routes are tried in this order, and within a router in theirs: the hottest stand first.
ROUTERS = (deliveries, bindings, calls, messages, pools, health)


class Application(FastAPI):
    """FastAPI with the document of api.openapi."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = document(self)
        return self.openapi_schema


def create_app(
    core: Settings | None = None, settings: ApiSettings | None = None, *, clock: Clock | None = None
) -> FastAPI:
    """The application; what it needs is opened when it starts. Settings left out come from the environment."""
    core, settings = core or Settings(), settings or ApiSettings()
    metrics = HttpMetrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(core, settings, metrics, clock or Clock()) as services:
            app.state.services = services
            yield

    app = Application(
        title="VNS",
        version=VERSION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=dict(HANDLERS),
    )
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(Edge, max_body_bytes=settings.http_max_body_bytes, metrics=metrics)
    return app
