"""The console as one ASGI application, mounted under /console in the API's process."""

import logging
import uuid
from http import HTTPStatus
from importlib.resources import files
from typing import Final

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api.console import words
from api.console.pages import Page, routes
from api.console.rendering import rendered
from api.console.security import PATH, Guarded
from api.console.views import (
    accounts,
    audit,
    bindings,
    calls,
    entry,
    exemption,
    keys,
    managers,
    orders,
    people,
    pools,
    sender_documents,
    sender_files,
    senders,
    tenants,
    traffic,
    why,
)
from api.edge import without_values
from api.problems import CODE_OF_STATUS, HANDLERS, INTERNAL_ERROR, as_vns_error, status_of
from api.services import services_of
from vns import errors

log = logging.getLogger(__name__)

PAGES: Final[tuple[Page, ...]] = (
    *entry.PAGES,
    *bindings.PAGES,
    *why.PAGES,
    *calls.PAGES,
    *traffic.PAGES,
    *pools.PAGES,
    *orders.PAGES,
    *accounts.PAGES,
    *sender_files.PAGES,
    *sender_documents.PAGES,
    *managers.PAGES,
    *exemption.PAGES,
    *senders.PAGES,
    *keys.PAGES,
    *people.PAGES,
    *audit.PAGES,
    *tenants.PAGES,
)
UPLOADS: Final = tuple(PATH + page.path for page in PAGES if page.uploads)


class _Static(StaticFiles):
    """Our own files: asked about each time, answered 304 while they are the same."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["cache-control"] = "no-cache"
        return answer


def console() -> Mount:
    """The route under which everything of the console stands."""
    static = _Static(directory=str(files("api.console") / "static"))
    found: list[BaseRoute] = [Mount("/static", static), *routes(PAGES), Route("/{rest:path}", _nothing)]
    handlers = dict.fromkeys([*HANDLERS, HTTPException, Exception], _failed)
    return Mount(PATH, Guarded(ExceptionMiddleware(Router(found, redirect_slashes=False), handlers)))


async def _nothing(_request: Request) -> Response:
    raise errors.NotFound("no such page")


async def _failed(request: Request, error: Exception) -> Response:
    """An error as a page: in Korean, with what to do. Whoever is not logged in is shown the way in."""
    status, code = _told(error)
    fragment = "rows" in request.query_params
    if status == HTTPStatus.UNAUTHORIZED and not fragment:
        return RedirectResponse(f"{PATH}/login", 303)
    instance = None
    if code == INTERNAL_ERROR:
        instance = uuid.uuid4().urn
        log.error("%s %s", instance, without_values(error))
    context = {
        "visit": _Nobody(),
        "error": None,
        "notice": None,
        "help_desk": services_of(request).console.help_desk,
        "heading": _HEADINGS.get(status, "처리하지 못했습니다"),
        "text": words.error_text(code),
        "instance": instance,
    }
    headers = {"retry-after": str(max(1, error.retry_after))} if isinstance(error, errors.RateLimited) else None
    return HTMLResponse("" if fragment else rendered("error.html", context), status, headers)


def _told(error: Exception) -> tuple[int, str]:
    """Status and code."""
    known = as_vns_error(error)
    if known is not None:
        return status_of(type(known)), known.code
    if isinstance(error, HTTPException):
        return CODE_OF_STATUS.get(error.status_code, (500, INTERNAL_ERROR))
    return 500, INTERNAL_ERROR


class _Nobody:
    """An error page shows no menu: it may have come before anybody was known."""

    user = None
    halfway = False


_HEADINGS: Final = {
    403: "권한이 없습니다",
    404: "찾을 수 없습니다",
    405: "잘못된 요청입니다",
    409: "처리하지 못했습니다",
    413: "파일이 너무 큽니다",
    422: "입력을 확인해 주세요",
    429: "요청이 너무 많습니다",
    503: "잠시 후 다시 시도해 주세요",
}
