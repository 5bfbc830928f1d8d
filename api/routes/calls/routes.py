"""Routes of call records."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from api.answers import problems
from api.routes.calls.schemas import CallOut, CallPageOut
from api.security import CallsReader
from api.services import services_of
from api.wire import HistoryFilter
from vns import errors
from vns.numbering.rules import parse

Wanted = Annotated[HistoryFilter, Query()]

router = APIRouter(prefix="/v1/calls", tags=["calls"])


@router.get(
    "",
    operation_id="listCalls",
    summary="Your calls, newest first",
    responses=problems(errors.InvalidNumber),
)
async def list_calls(request: Request, principal: CallsReader, wanted: Wanted) -> CallPageOut:
    page = await services_of(request).calls.list(
        principal,
        binding_id=wanted.binding_id,
        virtual_number=parse(wanted.virtual_number).key if wanted.virtual_number is not None else None,
        since=wanted.since,
        until=wanted.until,
        cursor=wanted.cursor,
        limit=wanted.limit,
    )
    return CallPageOut(items=[CallOut.of(call) for call in page.items], next_cursor=page.next_cursor)
