"""Safe numbers: the list, one of them, its release, and its real numbers for whoever gives a reason."""

from typing import Final

from starlette.responses import Response

from api.console.pages import Page
from api.console.permissions import May
from api.console.visit import Visit, identifier
from vns.bindings.reveal import Revealed
from vns.bindings.rules import Status
from vns.errors import InvalidNumber, InvalidRequest
from vns.numbering.rules import parse

PAGE_SIZE: Final = 50


async def listed(visit: Visit) -> Response:
    asked = {name: visit.asked(name) for name in ("reference", "number", "status", "cursor")}
    try:
        found = await visit.services.bindings.find(
            visit.principal,
            reference=asked["reference"],
            virtual_number=parse(asked["number"]).key if asked["number"] else None,
            status=Status(asked["status"]) if asked["status"] else None,
            cursor=asked["cursor"],
            limit=PAGE_SIZE,
        )
    except (InvalidNumber, ValueError):
        return visit.page(
            "bindings.html", bindings=(), asked=asked, pages=None, error="안심번호를 0504-1234-5678처럼 입력해 주세요."
        )
    query = {name: value for name, value in asked.items() if name != "cursor"}
    pages = {
        "first": visit.link("/bindings", **query) if asked["cursor"] else None,
        "next": visit.link("/bindings", **query, cursor=found.next_cursor) if found.next_cursor else None,
    }
    return visit.page("bindings.html", bindings=found.items, asked=asked, pages=pages)


async def one(visit: Visit) -> Response:
    return await _one(visit)


async def _one(visit: Visit, *, revealed: Revealed | None = None, error: str | None = None) -> Response:
    binding = await visit.services.bindings.get(visit.principal, identifier(visit.request.path_params["id"]))
    status = 422 if error else 200
    return visit.page("binding.html", status=status, binding=binding, revealed=revealed, error=error)


async def release(visit: Visit) -> Response:
    binding_id = identifier(visit.request.path_params["id"])
    cut = visit.text("terminate") == "on"
    await visit.services.bindings.release(visit.principal, binding_id, terminate_calls=cut)
    return visit.to(f"/bindings/{binding_id}", done="released")


async def reveal(visit: Visit) -> Response:
    """The answer itself shows the numbers: they stand in no address, and are gone with the page."""
    binding_id = identifier(visit.request.path_params["id"])
    try:
        revealed = await visit.services.reveals.reveal(visit.principal, binding_id, visit.text("reason"))
    except InvalidRequest:
        return await _one(visit, error="실번호를 보려면 사유를 200자 안에서 입력해 주세요.")
    return await _one(visit, revealed=revealed)


PAGES: Final = (
    Page(path="/bindings", view=listed, needs=May.SEE_BINDINGS),
    Page(path="/bindings/{id}", view=one, needs=May.SEE_BINDINGS),
    Page(path="/bindings/{id}/release", view=release, needs=May.RELEASE, method="POST"),
    Page(path="/bindings/{id}/reveal", view=reveal, needs=May.REVEAL, method="POST"),
)
