"""API keys of a tenant: issued, shown once, exchanged with an overlap, revoked."""

from typing import Final
from uuid import UUID

from starlette.responses import Response

from api.console.pages import Page
from api.console.permissions import May
from api.console.visit import Visit, identifier
from vns.access.rules import SCOPES_OF, ApiKey, IssuedKey, Scope
from vns.errors import NotFound

OVERLAPS: Final = {"0": "바로 중지", "3600": "1시간 뒤", "86400": "하루 뒤", "604800": "일주일 뒤"}


async def listed(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, issued: IssuedKey | None = None, *, error: str | None = None) -> Response:
    tenant = visit.about
    keys = await visit.services.access.list_keys(tenant.id)
    return visit.page(
        "keys.html",
        status=422 if error else 200,
        keys=keys[::-1],
        now=visit.services.clock.now(),
        scopes=sorted(SCOPES_OF[tenant.kind]),
        overlaps=OVERLAPS,
        issued=issued,
        error=error,
    )


async def issue(visit: Visit) -> Response:
    known = {scope.value for scope in Scope}
    chosen = frozenset(Scope(name) for name in visit.texts("scope") if name in known)
    if not chosen:
        return await _page(visit, error="키로 할 수 있는 일을 하나 이상 선택해 주세요.")
    return await _page(visit, await visit.services.access.issue_key(visit.actor, visit.about.id, chosen))


async def rotate(visit: Visit) -> Response:
    key = await _own(visit)
    overlap = visit.text("overlap")
    seconds = int(overlap) if overlap in OVERLAPS else 0
    return await _page(visit, await visit.services.access.rotate_key(visit.actor, key.id, overlap_seconds=seconds))


async def revoke(visit: Visit) -> Response:
    key = await _own(visit)
    await visit.services.access.revoke_key(visit.actor, key.id)
    return visit.to("/keys", done="revoked")


async def _own(visit: Visit) -> ApiKey:
    """The key of the address, if it is the tenant's. Raises NotFound."""
    key_id: UUID = identifier(visit.request.path_params["id"])
    for key in await visit.services.access.list_keys(visit.about.id):
        if key.id == key_id:
            return key
    raise NotFound("no such key")


PAGES: Final = (
    Page(path="/keys", view=listed, needs=May.MANAGE_KEYS),
    Page(path="/keys", view=issue, needs=May.MANAGE_KEYS, method="POST"),
    Page(path="/keys/{id}/rotate", view=rotate, needs=May.MANAGE_KEYS, method="POST"),
    Page(path="/keys/{id}/revoke", view=revoke, needs=May.MANAGE_KEYS, method="POST"),
)
