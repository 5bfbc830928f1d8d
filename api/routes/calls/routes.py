"""Routes of call records."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from api.answers import problems
from api.routes.calls.schemas import CallOut, CallPageOut
from api.security import CallsReader
from api.services import services_of
from api.wire import HistoryFilter
from vns import errors

Wanted = Annotated[HistoryFilter, Query()]

router = APIRouter(prefix="/v1/calls", tags=["calls"])


@router.get(
    "",
    operation_id="listCalls",
    summary="Your calls, newest first",
    responses=problems(errors.InvalidNumber),
)
async def list_calls(request: Request, principal: CallsReader, wanted: Wanted) -> CallPageOut:
    page = await services_of(request).calls.list(principal, wanted.query())
    return CallPageOut(items=[CallOut.of(call) for call in page.items], next_cursor=page.next_cursor)
