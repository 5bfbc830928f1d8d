"""Routes of a tenant's application for an exemption."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.answers import problems
from api.by_hand import JsonBody, documented_body
from api.routes.documents.routes import FILE_BODY
from api.routes.exemptions.schemas import ApplicationOut, NewApplication, StandingOut
from api.security import SendersReader, SendersWriter
from api.services import services_of
from vns import errors

ApplicationBody = Annotated[NewApplication, Depends(JsonBody(NewApplication))]

router = APIRouter(prefix="/v1/sender-exemption", tags=["sender numbers"])


@router.get(
    "",
    operation_id="getSenderExemption",
    summary="Your exemption, and the application for one",
    responses=problems(),
)
async def get_sender_exemption(request: Request, principal: SendersReader) -> StandingOut:
    return StandingOut.of(await services_of(request).applications.standing(principal.tenant_id))


@router.put(
    "",
    operation_id="writeSenderExemption",
    summary="Draft an application by the route integration, in place of what was drafted before",
    responses=problems(errors.InvalidApplication, errors.QuotaExceeded, errors.Conflict, body=True),
    openapi_extra=documented_body(NewApplication),
)
async def write_sender_exemption(request: Request, principal: SendersWriter, body: ApplicationBody) -> ApplicationOut:
    applications = services_of(request).applications
    return ApplicationOut.of(await applications.write(principal.actor, principal.tenant_id, body.given()))


@router.delete(
    "",
    operation_id="withdrawSenderExemption",
    summary="Withdraw the application under way and erase it; an exemption goes on",
    status_code=204,
    response_class=Response,
    responses=problems(errors.NotFound),
)
async def withdraw_sender_exemption(request: Request, principal: SendersWriter) -> Response:
    await services_of(request).applications.withdraw(principal.actor, principal.tenant_id)
    return Response(status_code=204)


@router.post(
    "/certificate",
    operation_id="uploadSenderExemptionCertificate",
    summary="Draft an application by the route carrier: a copy of the registration certificate",
    status_code=201,
    responses=problems(errors.InvalidDocument, errors.Conflict, body=True),
    openapi_extra=FILE_BODY,
)
async def upload_sender_exemption_certificate(request: Request, principal: SendersWriter) -> ApplicationOut:
    applications = services_of(request).applications
    return ApplicationOut.of(await applications.upload(principal.actor, principal.tenant_id, await request.body()))


@router.post(
    "/renewal",
    operation_id="renewSenderExemption",
    summary="Draft a renewal with what was approved",
    status_code=201,
    responses=problems(errors.NotFound, errors.Conflict),
)
async def renew_sender_exemption(request: Request, principal: SendersWriter) -> ApplicationOut:
    return ApplicationOut.of(await services_of(request).applications.renew(principal.actor, principal.tenant_id))


@router.post(
    "/submission",
    operation_id="submitSenderExemption",
    summary="Ask an operator to decide on the application",
    responses=problems(errors.NotFound, errors.Conflict),
)
async def submit_sender_exemption(request: Request, principal: SendersWriter) -> ApplicationOut:
    return ApplicationOut.of(await services_of(request).applications.submit(principal.actor, principal.tenant_id))
