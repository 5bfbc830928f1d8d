"""Routes of decisions: numbers, managers and exemptions of all tenants, and their policies, for keys of the operator's.

A thing stands under its tenant: under another it is not there.
"""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from api.answers import problems
from api.by_hand import JsonBody, documented_body
from api.routes.documents.routes import FILES, file_answer
from api.routes.documents.schemas import DocumentOut
from api.routes.exemptions.schemas import ApplicationOut, StandingOut
from api.routes.managers.routes import ManagerBody
from api.routes.managers.schemas import ManagerOut, NewManager
from api.routes.reviews.schemas import (
    ApplicationReview,
    ApplicationReviewPage,
    Decision,
    ManagerDecision,
    ManagerReview,
    ManagerReviewPage,
    NumberReview,
    NumberReviewPage,
    NumberUnderReview,
    PolicyBody,
    PolicyOut,
    Verdict,
    Waiting,
)
from api.routes.senders.schemas import SenderNumberOut
from api.security import SendersReviewer
from api.services import services_of
from vns import errors

_CODE: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"

TenantCode = Annotated[str, Path(pattern=_CODE, description="The tenant's code or id.")]
DecisionBody = Annotated[Decision, Depends(JsonBody(Decision))]
ManagerDecisionBody = Annotated[ManagerDecision, Depends(JsonBody(ManagerDecision))]
SetPolicyBody = Annotated[PolicyBody, Depends(JsonBody(PolicyBody))]

router = APIRouter(prefix="/v1/sender-reviews", tags=["sender reviews"])


@router.get(
    "/numbers",
    operation_id="listSenderNumberReviews",
    summary="Numbers of all tenants that wait with a certificate, newest first",
    responses=problems(),
)
async def list_sender_number_reviews(
    request: Request, _principal: SendersReviewer, wanted: Annotated[Waiting, Query()]
) -> NumberReviewPage:
    page = await services_of(request).documents.review(cursor=wanted.cursor, limit=wanted.limit)
    codes = await _codes(request)
    items = [NumberReview(tenant=codes[one.tenant_id], sender_number=SenderNumberOut.of(one)) for one in page.items]
    return NumberReviewPage(items=items, next_cursor=page.next_cursor)


@router.get(
    "/managers",
    operation_id="listSenderManagerReviews",
    summary="Managers of all tenants that wait, newest first",
    responses=problems(),
)
async def list_sender_manager_reviews(
    request: Request, _principal: SendersReviewer, wanted: Annotated[Waiting, Query()]
) -> ManagerReviewPage:
    page = await services_of(request).managers.review(cursor=wanted.cursor, limit=wanted.limit)
    codes = await _codes(request)
    items = [ManagerReview(tenant=codes[one.tenant_id], manager=ManagerOut.of(one)) for one in page.items]
    return ManagerReviewPage(items=items, next_cursor=page.next_cursor)


@router.get(
    "/exemptions",
    operation_id="listSenderExemptionReviews",
    summary="Applications for an exemption of all tenants that wait, newest first",
    responses=problems(),
)
async def list_sender_exemption_reviews(
    request: Request, _principal: SendersReviewer, wanted: Annotated[Waiting, Query()]
) -> ApplicationReviewPage:
    page = await services_of(request).applications.review(cursor=wanted.cursor, limit=wanted.limit)
    codes = await _codes(request)
    items = [ApplicationReview(tenant=codes[one.tenant_id], application=ApplicationOut.of(one)) for one in page.items]
    return ApplicationReviewPage(items=items, next_cursor=page.next_cursor)


async def _codes(request: Request) -> dict[UUID, str]:
    return {tenant.id: tenant.code for tenant in await services_of(request).access.list_tenants()}


@router.get(
    "/{tenant}/numbers/{sender_id}",
    operation_id="getSenderNumberReview",
    summary="A number of a tenant's with its certificates",
    responses=problems(errors.NotFound),
)
async def get_sender_number_review(
    request: Request, _principal: SendersReviewer, tenant: TenantCode, sender_id: UUID
) -> NumberUnderReview:
    services, of = services_of(request), await services_of(request).access.get_tenant(tenant)
    number = await services.senders.get(of.id, sender_id)
    documents = await services.documents.list(of.id, sender_id)
    return NumberUnderReview(
        tenant=of.code,
        sender_number=SenderNumberOut.of(number),
        documents=[DocumentOut.of(document) for document in documents],
    )


@router.post(
    "/{tenant}/numbers/{sender_id}/decision",
    operation_id="decideOnSenderNumber",
    summary="Approve a number by its certificate, refuse it, or take its proof away",
    responses=problems(errors.NotFound, body=True),
    openapi_extra=documented_body(Decision),
)
async def decide_on_sender_number(
    request: Request, principal: SendersReviewer, tenant: TenantCode, sender_id: UUID, body: DecisionBody
) -> SenderNumberOut:
    services = services_of(request)
    of = await services.access.get_tenant(tenant)
    decide = services.senders.approve if body.decision is Verdict.APPROVE else services.senders.reject
    return SenderNumberOut.of(await decide(principal.actor, of.id, sender_id, body.reason))


@router.get(
    "/{tenant}/documents/{document_id}",
    operation_id="getReviewedDocument",
    summary="A tenant's certificate or paper as it was uploaded; journalled",
    response_class=Response,
    responses={**problems(errors.NotFound), 200: {"description": "The file.", "content": FILES}},
)
async def get_reviewed_document(
    request: Request, principal: SendersReviewer, tenant: TenantCode, document_id: UUID
) -> Response:
    services = services_of(request)
    of = await services.access.get_tenant(tenant)
    return file_answer(*await services.documents.read(principal.actor, of.id, document_id))


@router.post(
    "/{tenant}/managers/{manager_id}/decision",
    operation_id="decideOnSenderManager",
    summary="Approve a manager, refuse one, or take an approval away",
    responses=problems(errors.NotFound, errors.Conflict, body=True),
    openapi_extra=documented_body(ManagerDecision),
)
async def decide_on_sender_manager(
    request: Request, principal: SendersReviewer, tenant: TenantCode, manager_id: UUID, body: ManagerDecisionBody
) -> ManagerOut:
    services = services_of(request)
    of = await services.access.get_tenant(tenant)
    if body.decision is Verdict.APPROVE:
        return ManagerOut.of(await services.managers.approve(principal.actor, of.id, manager_id))
    return ManagerOut.of(await services.managers.refuse(principal.actor, of.id, manager_id, body.reason or ""))


@router.put(
    "/{tenant}/manager",
    operation_id="replaceSenderManager",
    summary="Put another in place of a tenant's manager; proof and papers begin anew",
    responses=problems(errors.NotFound, errors.InvalidNumber, body=True),
    openapi_extra=documented_body(NewManager),
)
async def replace_sender_manager(
    request: Request, principal: SendersReviewer, tenant: TenantCode, body: ManagerBody
) -> ManagerOut:
    services = services_of(request)
    of = await services.access.get_tenant(tenant)
    return ManagerOut.of(await services.managers.replace(principal.actor, of.id, body.name, body.mobile))


@router.delete(
    "/{tenant}/manager",
    operation_id="endReviewedSenderManager",
    summary="Un-designate a tenant's manager",
    status_code=204,
    response_class=Response,
    responses=problems(errors.NotFound),
)
async def end_reviewed_sender_manager(request: Request, principal: SendersReviewer, tenant: TenantCode) -> Response:
    services = services_of(request)
    of = await services.access.get_tenant(tenant)
    await services.managers.end(principal.actor, of.id)
    return Response(status_code=204)


@router.get(
    "/{tenant}/exemption",
    operation_id="getReviewedSenderExemption",
    summary="A tenant's exemption, and its application",
    responses=problems(errors.NotFound),
)
async def get_reviewed_sender_exemption(
    request: Request, _principal: SendersReviewer, tenant: TenantCode
) -> StandingOut:
    services = services_of(request)
    of = await services.access.get_tenant(tenant)
    return StandingOut.of(await services.applications.standing(of.id))


@router.delete(
    "/{tenant}/exemption",
    operation_id="revokeSenderExemption",
    summary="End a tenant's exemption at once; what it alone has proven waits again",
    status_code=204,
    response_class=Response,
    responses=problems(errors.NotFound),
)
async def revoke_sender_exemption(request: Request, principal: SendersReviewer, tenant: TenantCode) -> Response:
    services = services_of(request)
    of = await services.access.get_tenant(tenant)
    await services.exemptions.revoke(principal.actor, of.id)
    return Response(status_code=204)


@router.post(
    "/{tenant}/exemptions/{application_id}/decision",
    operation_id="decideOnSenderExemption",
    summary="Approve an application, which exempts the tenant for a year from now, or refuse it",
    responses=problems(errors.NotFound, errors.Conflict, errors.QuotaExceeded, errors.InvalidApplication, body=True),
    openapi_extra=documented_body(ManagerDecision),
)
async def decide_on_sender_exemption(
    request: Request, principal: SendersReviewer, tenant: TenantCode, application_id: UUID, body: ManagerDecisionBody
) -> ApplicationOut:
    services = services_of(request)
    of = await services.access.get_tenant(tenant)
    if body.decision is Verdict.APPROVE:
        return ApplicationOut.of(await services.applications.approve(principal.actor, of.id, application_id))
    reason = body.reason or ""
    return ApplicationOut.of(await services.applications.refuse(principal.actor, of.id, application_id, reason))


@router.get(
    "/{tenant}/policy",
    operation_id="getSenderPolicy",
    summary="What a tenant's sender numbers need",
    responses=problems(errors.NotFound),
)
async def get_sender_policy(request: Request, _principal: SendersReviewer, tenant: TenantCode) -> PolicyOut:
    services = services_of(request)
    of = await services.access.get_tenant(tenant)
    return PolicyOut.of(await services.senders.policy(of.id))


@router.put(
    "/{tenant}/policy",
    operation_id="setSenderPolicy",
    summary="Set what a tenant's sender numbers need; journalled",
    responses=problems(errors.NotFound, body=True),
    openapi_extra=documented_body(PolicyBody),
)
async def set_sender_policy(
    request: Request, principal: SendersReviewer, tenant: TenantCode, body: SetPolicyBody
) -> PolicyOut:
    services = services_of(request)
    of = await services.access.get_tenant(tenant)
    await services.senders.set_policy(principal.actor, of.id, body.policy())
    return PolicyOut.of(await services.senders.policy(of.id))
