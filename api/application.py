"""The application: routes, error handlers and what surrounds them, put together in one place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from api.docs_page import add_docs_page
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
# FastAPI's own traces would hold URLs, and in a query there may be a number. The metrics of api.metrics do not.
NO_TELEMETRY = TelemetryConfig(auto_configure=False, tracing=False, metrics=False, logs=False)
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
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
        exception_handlers=dict(HANDLERS),
    )
    # Not include_router: it keeps routers inside one another, which costs each request a third of its way to a route.
    app.router.routes[:0] = [route for router in ROUTERS for route in router.routes]
    add_docs_page(app)
    app.add_middleware(Edge, max_body_bytes=settings.http_max_body_bytes, metrics=metrics)
    return app
