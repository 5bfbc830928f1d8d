"""Calls and texts, newest first. Their first page keeps itself fresh: it fetches its rows again as a fragment."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from api.console.pages import Page
from api.console.permissions import May
from api.console.visit import Visit, identifier
from vns.errors import InvalidNumber
from vns.numbering.rules import parse
from vns.storage.pages import HistoryQuery

PAGE_SIZE: Final = 50
WRONG_NUMBER: Final = "안심번호를 0504-1234-5678처럼 입력해 주세요."


async def calls(visit: Visit) -> Response:
    return await _history(visit, "/calls", "calls.html", "parts/call_rows.html")


async def messages(visit: Visit) -> Response:
    return await _history(visit, "/messages", "messages.html", "parts/message_rows.html")


async def _history(visit: Visit, path: str, template: str, rows: str) -> Response:
    asked = {name: visit.asked(name) for name in ("number", "binding", "cursor")}
    try:
        query = _query(asked)
    except InvalidNumber:
        return visit.page(template, status=422, items=(), asked=asked, pages=None, live=None, error=WRONG_NUMBER)
    service = visit.services.calls if path == "/calls" else visit.services.messages
    found = await service.list(visit.principal, query)
    if visit.asked("rows"):
        return visit.page(rows, items=found.items)
    kept = {"number": asked["number"], "binding": asked["binding"]}
    pages = {
        "first": visit.link(path, **kept) if asked["cursor"] else None,
        "next": visit.link(path, **kept, cursor=found.next_cursor) if found.next_cursor else None,
    }
    live = visit.link(path, **kept, rows=1) if not asked["cursor"] else None
    return visit.page(template, items=found.items, asked=asked, pages=pages, live=live)


def _query(asked: Mapping[str, str | None]) -> HistoryQuery:
    """Raises InvalidNumber, NotFound."""
    number = asked["number"]
    return HistoryQuery(
        binding_id=identifier(asked["binding"]) if asked["binding"] else None,
        virtual_number=parse(number).key if number else None,
        cursor=asked["cursor"],
        limit=PAGE_SIZE,
    )


PAGES: Final = (
    Page(path="/calls", view=calls, needs=May.SEE_TRAFFIC),
    Page(path="/messages", view=messages, needs=May.SEE_TRAFFIC),
)
