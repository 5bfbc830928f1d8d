"""Routes of the registry of sender numbers: many come as JSON or as a file, and one function judges both."""

import asyncio
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from api.answers import problems
from api.by_hand import JsonBody, documented_body, json_of, parameter, value_of
from api.console.sheets import XLSX, written
from api.routes.senders.schemas import (
    SHEET_HEAD,
    AccountList,
    AccountOut,
    CodeSent,
    Confirmation,
    NewSenderNumber,
    NewSenderNumbers,
    SenderFilter,
    SenderNumberOut,
    SenderNumberPage,
    SenderNumbersOut,
    SenderSearch,
    Sort,
    VerificationCallOut,
    sheet_row,
)
from api.security import SendersReader, SendersWriter
from api.services import services_of
from vns import errors
from vns.access.rules import Principal
from vns.numbering.rules import parse
from vns.senders.bulk import cells_of

BULK: Final = "/v1/sender-numbers/bulk"
FILE_TYPES: Final = frozenset({XLSX, "application/vnd.ms-excel", "text/plain", "application/octet-stream"})
_CHECK_ONLY: Final[TypeAdapter[bool]] = TypeAdapter(bool)
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}

SearchBody = Annotated[SenderSearch, Depends(JsonBody(SenderSearch))]
NewBody = Annotated[NewSenderNumber, Depends(JsonBody(NewSenderNumber))]
ConfirmationBody = Annotated[Confirmation, Depends(JsonBody(Confirmation))]

router = APIRouter(prefix="/v1/sender-numbers", tags=["sender numbers"])


def _documented_bulk() -> dict[str, Any]:
    extra = documented_body(NewSenderNumbers)
    extra["requestBody"]["content"] |= dict.fromkeys(sorted(FILE_TYPES), _BINARY)
    extra["requestBody"]["description"] = (
        "Numbers, or a file as it is: .xls or .xlsx with numbers in column A of its first sheet, or a text with one in "
        "each line. What a file is, is seen from its content."
    )
    check = parameter("check_only", "query", _CHECK_ONLY)
    check["description"] = "With a file: only tell what is wrong."
    return {**extra, "parameters": [check]}


@router.get("", operation_id="listSenderNumbers", summary="Your sender numbers", responses=problems())
async def list_sender_numbers(
    request: Request, principal: SendersReader, wanted: Annotated[SenderFilter, Query()]
) -> SenderNumberPage:
    return await _page(request, principal, SenderSearch(**wanted.model_dump()))


@router.post(
    "/search",
    operation_id="searchSenderNumbers",
    summary="Your sender numbers by number, which then stands in no address",
    responses=problems(errors.InvalidNumber, body=True),
    openapi_extra=documented_body(SenderSearch),
)
async def search_sender_numbers(request: Request, principal: SendersReader, body: SearchBody) -> SenderNumberPage:
    return await _page(request, principal, body)


async def _page(request: Request, principal: Principal, wanted: SenderSearch) -> SenderNumberPage:
    senders, tenant_id = services_of(request).senders, principal.tenant_id
    page = await senders.list(
        tenant_id,
        number=parse(wanted.number) if wanted.number is not None else None,
        cursor=wanted.cursor,
        limit=wanted.limit,
        oldest_first=wanted.sort is Sort.OLDEST,
    )
    return SenderNumberPage(
        items=[SenderNumberOut.of(one) for one in page.items],
        next_cursor=page.next_cursor,
        registered=await senders.count(tenant_id),
        allowed=(await senders.policy(tenant_id)).max_numbers,
    )


@router.post(
    "",
    operation_id="registerSenderNumber",
    summary="Register a number",
    status_code=201,
    responses=problems(errors.InvalidNumber, errors.Conflict, errors.QuotaExceeded, body=True),
    openapi_extra=documented_body(NewSenderNumber),
)
async def register_sender_number(request: Request, principal: SendersWriter, body: NewBody) -> SenderNumberOut:
    senders = services_of(request).senders
    made = await senders.register(principal.actor, principal.tenant_id, body.number, label=body.label)
    return SenderNumberOut.of(made)


@router.post(
    "/bulk",
    operation_id="registerSenderNumbers",
    summary="Register many numbers, all or none, or only check them",
    responses=problems(errors.ManagerNeeded, body=True),
    openapi_extra=_documented_bulk(),
)
async def register_sender_numbers(request: Request, principal: SendersWriter) -> SenderNumbersOut:
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type in FILE_TYPES:
        check_only = value_of(_CHECK_ONLY, request.query_params.get("check_only", False), root="query.check_only")
        cells = await asyncio.to_thread(cells_of, await request.body())
    else:
        asked = await json_of(NewSenderNumbers, request)
        check_only, cells = asked.check_only, asked.numbers
    senders, tenant_id = services_of(request).senders, principal.tenant_id
    if check_only:
        rows = await senders.check(tenant_id, cells)
    else:
        rows = await senders.register_all(principal.actor, tenant_id, cells)
    return SenderNumbersOut.of(rows, check_only=check_only)


@router.get(
    "/download",
    operation_id="downloadSenderNumbers",
    summary="All your sender numbers as a spreadsheet; journalled",
    response_class=Response,
    responses={**problems(), 200: {"description": "An .xlsx file.", "content": {XLSX: _BINARY}}},
)
async def download_sender_numbers(request: Request, principal: SendersReader) -> Response:
    found = await services_of(request).senders.export(principal.actor, principal.tenant_id)
    rows = [sheet_row(one) for one in found]
    content = await asyncio.to_thread(written, "sender numbers", SHEET_HEAD, rows)
    named = {"content-disposition": 'attachment; filename="sender-numbers.xlsx"'}
    return Response(content, media_type=XLSX, headers=named)


@router.get(
    "/accounts",
    operation_id="listSenderAccounts",
    summary="The sending accounts under you, which may show your numbers",
    responses=problems(),
)
async def list_sender_accounts(request: Request, principal: SendersReader) -> AccountList:
    found = await services_of(request).accounts.list(principal.tenant_id)
    return AccountList(items=[AccountOut(tenant=one.code, name=one.name, created_at=one.created_at) for one in found])


@router.get(
    "/{sender_id}",
    operation_id="getSenderNumber",
    summary="A sender number",
    responses=problems(errors.NotFound),
)
async def get_sender_number(request: Request, principal: SendersReader, sender_id: UUID) -> SenderNumberOut:
    return SenderNumberOut.of(await services_of(request).senders.get(principal.tenant_id, sender_id))


@router.delete(
    "/{sender_id}",
    operation_id="removeSenderNumber",
    summary="Take a number out and erase it, at once",
    status_code=204,
    response_class=Response,
    responses=problems(errors.NotFound),
)
async def remove_sender_number(request: Request, principal: SendersWriter, sender_id: UUID) -> Response:
    await services_of(request).senders.remove(principal.actor, principal.tenant_id, sender_id)
    return Response(status_code=204)


@router.post(
    "/{sender_id}/verification",
    operation_id="verifySenderNumber",
    summary="Send the number a code: by text to a mobile, by a call to any other",
    responses=problems(
        errors.NotFound, errors.NumberNotMappable, errors.CallUnderWay, errors.CallerIdNotProven, errors.RateLimited
    ),
)
async def verify_sender_number(request: Request, principal: SendersWriter, sender_id: UUID) -> CodeSent:
    sent = await services_of(request).proving.start(principal.actor, principal.tenant_id, sender_id)
    until = await services_of(request).senders.code_until(principal.tenant_id, sender_id)
    if until is None:  # confirmed, or removed, between the two
        raise errors.NotFound("no such sender number, or its code was used already")
    return CodeSent(sender_number=SenderNumberOut.of(sent), code_expires_at=until)


@router.get(
    "/{sender_id}/verification",
    operation_id="getSenderNumberVerification",
    summary="What became of the newest call that was to speak the code",
    responses=problems(errors.NotFound),
)
async def get_sender_number_verification(
    request: Request, principal: SendersReader, sender_id: UUID
) -> VerificationCallOut:
    found = await services_of(request).proving.last_call(principal.tenant_id, sender_id)
    if found is None:
        raise errors.NotFound("the number was not called")
    return VerificationCallOut.of(found)


@router.post(
    "/{sender_id}/confirm",
    operation_id="confirmSenderNumber",
    summary="Prove a number by the code it was sent",
    responses=problems(errors.NotFound, errors.WrongCode, errors.CodeOver, body=True),
    openapi_extra=documented_body(Confirmation),
)
async def confirm_sender_number(
    request: Request, principal: SendersWriter, sender_id: UUID, body: ConfirmationBody
) -> SenderNumberOut:
    senders = services_of(request).senders
    return SenderNumberOut.of(await senders.confirm(principal.actor, principal.tenant_id, sender_id, body.code))
