"""Routes of the manager and of numbers that are proven together."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from api.answers import problems
from api.by_hand import JsonBody, documented_body
from api.routes.documents.routes import FILE_BODY
from api.routes.managers.schemas import (
    ManagerCodeSent,
    ManagerOut,
    NewManager,
    NewSelection,
    OfKind,
    SelectionOut,
    SelectionProven,
)
from api.routes.senders.schemas import Confirmation
from api.security import SendersReader, SendersWriter
from api.services import services_of
from vns import errors
from vns.senders.evidence import Paper

ManagerBody = Annotated[NewManager, Depends(JsonBody(NewManager))]
ConfirmationBody = Annotated[Confirmation, Depends(JsonBody(Confirmation))]
SelectionBody = Annotated[NewSelection, Depends(JsonBody(NewSelection))]

router = APIRouter(prefix="/v1", tags=["sender numbers"])


@router.get(
    "/sender-manager",
    operation_id="getSenderManager",
    summary="Your manager of sender numbers",
    responses=problems(errors.NotFound),
)
async def get_sender_manager(request: Request, principal: SendersReader) -> ManagerOut:
    return ManagerOut.of(await services_of(request).managers.get(principal.tenant_id))


@router.post(
    "/sender-manager",
    operation_id="designateSenderManager",
    summary="Designate a manager; there is one at most",
    status_code=201,
    responses=problems(errors.InvalidNumber, errors.Conflict, body=True),
    openapi_extra=documented_body(NewManager),
)
async def designate_sender_manager(request: Request, principal: SendersWriter, body: ManagerBody) -> ManagerOut:
    made = await services_of(request).managers.designate(principal.actor, principal.tenant_id, body.name, body.mobile)
    return ManagerOut.of(made)


@router.delete(
    "/sender-manager",
    operation_id="endSenderManager",
    summary="Un-designate the manager and erase what is known of them; what they have proven stays proven",
    status_code=204,
    response_class=Response,
    responses=problems(errors.NotFound),
)
async def end_sender_manager(request: Request, principal: SendersWriter) -> Response:
    await services_of(request).managers.end(principal.actor, principal.tenant_id)
    return Response(status_code=204)


@router.post(
    "/sender-manager/verification",
    operation_id="verifySenderManager",
    summary="Send a code to the manager's mobile",
    responses=problems(errors.NotFound, errors.Conflict, errors.CallerIdNotProven, errors.RateLimited),
)
async def verify_sender_manager(request: Request, principal: SendersWriter) -> ManagerCodeSent:
    until = await services_of(request).managers.send_code(principal.actor, principal.tenant_id)
    return ManagerCodeSent(code_expires_at=until)


@router.post(
    "/sender-manager/confirm",
    operation_id="confirmSenderManager",
    summary="Prove the manager's mobile by the code it was sent",
    responses=problems(errors.NotFound, errors.WrongCode, errors.CodeOver, body=True),
    openapi_extra=documented_body(Confirmation),
)
async def confirm_sender_manager(request: Request, principal: SendersWriter, body: ConfirmationBody) -> ManagerOut:
    managers = services_of(request).managers
    return ManagerOut.of(await managers.confirm(principal.actor, principal.tenant_id, body.code))


@router.post(
    "/sender-manager/documents",
    operation_id="uploadSenderManagerDocument",
    summary="Add a paper of the manager's, in place of a former one of its kind",
    status_code=201,
    responses=problems(errors.NotFound, errors.InvalidDocument, errors.Conflict, body=True),
    openapi_extra=FILE_BODY,
)
async def upload_sender_manager_document(
    request: Request, principal: SendersWriter, wanted: Annotated[OfKind, Query()]
) -> ManagerOut:
    made = await services_of(request).managers.upload(
        principal.actor, principal.tenant_id, Paper(wanted.kind), await request.body()
    )
    return ManagerOut.of(made)


@router.post(
    "/sender-manager/submission",
    operation_id="submitSenderManager",
    summary="Ask an operator to decide on the manager",
    responses=problems(errors.NotFound, errors.Conflict),
)
async def submit_sender_manager(request: Request, principal: SendersWriter) -> ManagerOut:
    return ManagerOut.of(await services_of(request).managers.submit(principal.actor, principal.tenant_id))


@router.post(
    "/sender-selections",
    operation_id="chooseSenderNumbers",
    summary="Choose numbers that wait, and send the approved manager one code that proves all of them",
    status_code=201,
    responses=problems(errors.NotFound, errors.ManagerNeeded, errors.CallerIdNotProven, errors.RateLimited, body=True),
    openapi_extra=documented_body(NewSelection),
)
async def choose_sender_numbers(request: Request, principal: SendersWriter, body: SelectionBody) -> SelectionOut:
    selections = services_of(request).selections
    return SelectionOut.of(await selections.start(principal.actor, principal.tenant_id, body.sender_number_ids))


@router.post(
    "/sender-selections/{selection_id}/confirm",
    operation_id="confirmSenderSelection",
    summary="Prove the chosen numbers by the code",
    responses=problems(errors.NotFound, errors.WrongCode, errors.CodeOver, body=True),
    openapi_extra=documented_body(Confirmation),
)
async def confirm_sender_selection(
    request: Request, principal: SendersWriter, selection_id: UUID, body: ConfirmationBody
) -> SelectionProven:
    selections = services_of(request).selections
    return SelectionProven(
        verified=await selections.confirm(principal.actor, principal.tenant_id, selection_id, body.code)
    )
