"""Routes of texts."""

import json
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import TypeAdapter, ValidationError

from api.answers import Json, json_list, problems
from api.by_hand import JsonBody, documented, documented_body, json_of, parameter, value_of
from api.problems import ShapeError, as_vns_error, problem_of
from api.routes.bindings.schemas import IdempotencyKey
from api.routes.messages.schemas import (
    MessageBatchOut,
    MessageOut,
    MessagePageOut,
    NewMessage,
    NewMessages,
    RawMessages,
    render,
)
from api.security import MessagesReader, MessagesWriter, may_text
from api.services import services_of
from api.wire import HistoryFilter
from vns import errors
from vns.messages.rules import Message, NewText

Wanted = Annotated[HistoryFilter, Query()]
BatchBody = Annotated[RawMessages, Depends(JsonBody(RawMessages))]

_idempotency_key = TypeAdapter[str](IdempotencyKey)

_SENDING_PROBLEMS = (
    errors.NotFound,
    errors.InvalidNumber,
    errors.BindingEnded,
    errors.SenderNotRegistered,
    errors.RecipientRefuses,
    errors.DailyLimitReached,
    errors.AdvertisingNotAllowed,
)

router = APIRouter(prefix="/v1/messages", tags=["messages"])


@router.post(
    "",
    operation_id="sendMessage",
    summary="Send a text through a binding, now or later",
    status_code=201,
    response_model=MessageOut,
    responses=problems(*_SENDING_PROBLEMS, errors.IdempotencyMismatch, body=True),
    openapi_extra=documented(parameter("Idempotency-Key", "header", _idempotency_key), body=NewMessage),
)
async def send_message(request: Request) -> Json:
    principal = await may_text(request)
    key = request.headers.get("idempotency-key")
    if key is not None:
        key = value_of(_idempotency_key, key, root="header.idempotency-key")
    body = await json_of(NewMessage, request)
    sent = await services_of(request).messages.send(principal, body.text_to_send(), key)
    if sent.message is None:
        return Json(sent.stored_body or "", status_code=sent.stored_status or 201)
    return Json(render(sent.message), status_code=201)


@router.post(
    "/batch",
    operation_id="sendMessages",
    summary="Send up to 1,000 texts",
    response_model=MessageBatchOut,
    responses=problems(body=True),
    openapi_extra=documented_body(NewMessages),
)
async def send_messages(request: Request, principal: MessagesWriter, body: BatchBody) -> Json:
    asked = [_judged(item, f"items.{place}") for place, item in enumerate(body.items)]
    good = [item for item in asked if isinstance(item, NewText)]
    done: Sequence[Message | errors.VnsError] = []
    if good:
        done = await services_of(request).messages.send_many(principal, good)
    answers = iter(done)
    return Json(json_list(_batch_item(next(answers) if isinstance(item, NewText) else item) for item in asked))


def _judged(item: Any, place: str) -> NewText | errors.VnsError:
    try:
        return NewMessage.model_validate(item).text_to_send()
    except ValidationError as error:
        return ShapeError.of_model(error, root=place)
    except errors.VnsError as error:
        return error


def _batch_item(outcome: Message | errors.VnsError) -> str:
    if isinstance(outcome, Message):
        return f'{{"message":{render(outcome)}}}'
    known = as_vns_error(outcome)
    return json.dumps({"error": problem_of(known or errors.VnsError("unexpected"))}, ensure_ascii=False)


@router.get(
    "",
    operation_id="listMessages",
    summary="Your texts, newest first",
    responses=problems(errors.InvalidNumber),
)
async def list_messages(request: Request, principal: MessagesReader, wanted: Wanted) -> MessagePageOut:
    page = await services_of(request).messages.list(principal, wanted.query())
    return MessagePageOut(items=[MessageOut.of(message) for message in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{message_id}",
    operation_id="getMessage",
    summary="One text and what became of it",
    responses=problems(errors.NotFound),
)
async def get_message(request: Request, principal: MessagesReader, message_id: UUID) -> MessageOut:
    return MessageOut.of(await services_of(request).messages.get(principal, message_id))


@router.delete(
    "/{message_id}",
    operation_id="cancelMessage",
    summary="Do not send a text that waits for its time",
    responses=problems(errors.NotFound, errors.NotScheduled),
)
async def cancel_message(request: Request, principal: MessagesWriter, message_id: UUID) -> MessageOut:
    return MessageOut.of(await services_of(request).messages.cancel(principal, message_id))
