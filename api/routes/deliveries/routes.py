"""Routes of deliveries: a courier looks a safe number up by waybill."""

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import TypeAdapter

from api.answers import Json, json_list, problems
from api.by_hand import JsonBody, documented, documented_body, parameter, value_of
from api.problems import problem_of
from api.routes.deliveries.schemas import DeliveryOptions, DeliveryOut, Lookup, LookupOut, TenantCode, render
from api.security import DeliveriesReader, may_look_up
from api.services import services_of
from api.wire import Reference
from vns import errors
from vns.bindings.service import Delivery

LookupBody = Annotated[Lookup, Depends(JsonBody(Lookup))]

_reference = TypeAdapter[str](Reference)
_options = TypeAdapter(DeliveryOptions)

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])


@router.get(
    "/{reference:path}",  # a waybill may hold a slash
    operation_id="getDelivery",
    summary="The safe number of one delivery",
    response_model=DeliveryOut,
    responses=problems(errors.NotFound, errors.AmbiguousReference),
    openapi_extra=documented(
        parameter("reference", "path", _reference, required=True),
        parameter("tenant", "query", TypeAdapter(TenantCode)),
    ),
)
async def get_delivery(request: Request) -> Json:
    principal = await may_look_up(request)
    reference = value_of(_reference, request.path_params["reference"], root="path.reference")
    tenant = value_of(_options, dict(request.query_params), root="query").tenant
    return Json(render(await services_of(request).lookups.one(principal, reference, tenant)))


@router.post(
    "/lookup",
    operation_id="lookUpDeliveries",
    summary="The safe numbers of up to 1,000 deliveries",
    response_model=LookupOut,
    response_model_exclude_unset=True,
    responses=problems(body=True),
    openapi_extra=documented_body(Lookup),
)
async def look_up_deliveries(request: Request, principal: DeliveriesReader, body: LookupBody) -> Json:
    found = await services_of(request).bindings.deliveries(principal, body.references, tenant=body.tenant)
    return Json(json_list(map(_item, body.references, found)))


def _item(reference: str, outcome: Delivery | errors.VnsError) -> str:
    given = json.dumps(reference, ensure_ascii=False)
    if isinstance(outcome, errors.VnsError):
        error = json.dumps(problem_of(outcome), ensure_ascii=False)
        return f'{{"reference":{given},"error":{error}}}'
    return f'{{"reference":{given},"delivery":{render(outcome)}}}'
