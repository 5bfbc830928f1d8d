"""What a page is, and the way every request takes to one: who asks, may they, is the form of ours; then the view."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from api.console.permissions import May
from api.console.security import PATH, TOKEN_FIELD, TOKEN_HEADER, check_form
from api.console.visit import Visit, visit_of
from vns.errors import Forbidden, Unauthorized

MAX_FIELDS: Final = 4_000  # of a form: a bulk list of 1,000 rows has fewer
MAX_FILES: Final = 8

View = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`path`: below /console. `needs` None: whoever is logged in. `open`: whoever comes. `halfway`: also while the
    password has to be changed first. POST pages read their form before the view is called.
    """

    path: str
    view: View
    needs: May | None = None
    method: str = "GET"
    open: bool = False
    halfway: bool = False
    uploads: bool = False  # takes files, and bodies as large as the settings allow

    def route(self) -> Route:
        async def endpoint(request: Request) -> Response:
            request.scope["route"] = _Named(PATH + self.path)
            return await self._answer(request)

        return Route(self.path, endpoint, methods=[self.method])

    async def _answer(self, request: Request) -> Response:
        visit = await visit_of(request)
        if not self.open:
            if visit.user is None:
                raise Unauthorized("nobody is logged in")
            if visit.halfway and not self.halfway:
                return RedirectResponse(f"{PATH}/password", 303)
            if self.needs is not None and not visit.may(self.needs):
                raise Forbidden("the role has no such permission")
        if self.method != "POST":
            return await self._viewed(visit)
        async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as form:
            visit.form = form
            given = form.get(TOKEN_FIELD) or request.headers.get(TOKEN_HEADER)
            check_form(request, given if isinstance(given, str) else None, visit.cookie)
            return await self._viewed(visit)

    async def _viewed(self, visit: Visit) -> Response:
        if visit.user is not None and not visit.halfway:
            await visit.choose_tenant()
        return await self.view(visit)


@dataclass(frozen=True, slots=True)
class _Named:
    """What the metrics call the route: the path as written in the table of pages."""

    path: str


def routes(pages: Sequence[Page]) -> list[Route]:
    return [page.route() for page in pages]
