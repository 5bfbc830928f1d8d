"""Routes of texts."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from api.answers import problems
from api.routes.messages.schemas import MessageOut, MessagePageOut
from api.security import MessagesReader
from api.services import services_of
from api.wire import HistoryFilter
from vns import errors

Wanted = Annotated[HistoryFilter, Query()]

router = APIRouter(prefix="/v1/messages", tags=["messages"])


@router.get(
    "",
    operation_id="listMessages",
    summary="Your texts, newest first",
    responses=problems(errors.InvalidNumber),
)
async def list_messages(request: Request, principal: MessagesReader, wanted: Wanted) -> MessagePageOut:
    page = await services_of(request).messages.list(principal, wanted.query())
    return MessagePageOut(items=[MessageOut.of(message) for message in page.items], next_cursor=page.next_cursor)
