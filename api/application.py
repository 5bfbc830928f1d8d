"""The application: routes, error handlers and what surrounds them, put together in one place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from api.console.application import UPLOADS, console
from api.console.settings import ConsoleSettings
from api.docs_page import add_docs_page
from api.edge import Edge
from api.metrics import HttpMetrics
from api.openapi import document
from api.problems import HANDLERS
from api.routes.bindings.routes import router as bindings
from api.routes.blocks.routes import router as blocks
from api.routes.calls.routes import router as calls
from api.routes.deliveries.routes import router as deliveries
from api.routes.documents.routes import router as documents
from api.routes.exemptions.routes import router as exemptions
from api.routes.health.routes import router as health
from api.routes.hook.routes import router as hook
from api.routes.managers.routes import router as managers
from api.routes.messages.routes import router as messages
from api.routes.pools.routes import router as pools
from api.routes.prompts.routes import PATH as PROMPTS
from api.routes.prompts.routes import router as prompts
from api.routes.recordings.routes import router as recordings
from api.routes.reviews.routes import router as reviews
from api.routes.senders.routes import BULK
from api.routes.senders.routes import router as senders
from api.services import opened
from api.settings import ApiSettings
from vns.prompts.audio import MAX_BYTES
from vns.settings import Settings
from vns.sheets import MAX_BYTES as SHEET_BYTES
from vns.storage.clock import Clock

VERSION = "0.1.0"
# FastAPI's own traces would hold URLs, and in a query there may be a number. The metrics of api.metrics do not.
NO_TELEMETRY = TelemetryConfig(auto_configure=False, tracing=False, metrics=False, logs=False)
# Routes are tried in this order, and within a router in theirs: the hottest stand first.
ROUTERS = (
    deliveries,
    bindings,
    calls,
    messages,
    pools,
    blocks,
    hook,
    prompts,
    recordings,
    senders,
    documents,
    managers,
    exemptions,
    reviews,
    health,
)


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
    app.router.routes.append(console())
    limit = settings.http_max_body_bytes
    larger = dict.fromkeys(UPLOADS, ConsoleSettings().max_upload_bytes) | {PROMPTS: MAX_BYTES, BULK: SHEET_BYTES}
    app.add_middleware(
        Edge,
        max_body_bytes=limit,
        larger={path: max(limit, longest) for path, longest in larger.items()},
        metrics=metrics,
    )
    return app
