"""Routes for machines. They need no key and tell nothing about anybody."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.answers import PROBLEM_SCHEMA
from api.metrics import CONTENT_TYPE
from api.problems import MEDIA_TYPE
from api.services import services_of
from api.wire import Out
from vns.errors import Unavailable

router = APIRouter(tags=["health"])


class Health(Out):
    """`ok`, or there is no such answer."""

    status: Literal["ok"] = "ok"


@router.get("/healthz", operation_id="isAlive", summary="Whether this process answers at all")
async def is_alive() -> Health:
    return Health()


@router.get(
    "/readyz",
    operation_id="isReady",
    summary="Whether requests can be served: PostgreSQL answers",
    responses={503: {"description": "`unavailable`", "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}}},
)
async def is_ready(request: Request) -> Health:
    """An absent trunk, SMSC or Redis changes nothing here: allocations and look-ups do without them."""
    services = services_of(request)
    try:
        async with (
            asyncio.timeout(services.settings.http_ready_timeout),
            services.database.connection() as connection,
        ):
            await connection.fetchval("select 1")
    except TimeoutError as error:
        raise Unavailable("PostgreSQL does not answer") from error
    return Health()


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Counters for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text."}},
)
async def get_metrics(request: Request) -> Response:
    text = await asyncio.to_thread(services_of(request).metrics.text)
    return Response(text, media_type=CONTENT_TYPE)
