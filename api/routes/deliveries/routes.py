"""Routes of deliveries: a courier looks a safe number up by waybill."""

import json
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from api.answers import Json, json_list, problems
from api.problems import problem_of
from api.routes.deliveries.schemas import DeliveryOptions, DeliveryOut, Lookup, LookupOut, render
from api.security import DeliveriesReader
from api.services import services_of
from api.wire import Reference
from vns import errors
from vns.bindings.service import Delivery

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])


@router.post(
    "/lookup",
    operation_id="lookUpDeliveries",
    summary="The safe numbers of up to 1,000 deliveries",
    response_model=LookupOut,
    response_model_exclude_unset=True,
    responses=problems(body=True),
)
async def look_up_deliveries(request: Request, principal: DeliveriesReader, body: Lookup) -> Json:
    found = await services_of(request).bindings.deliveries(principal, body.references, tenant=body.tenant)
    return Json(json_list(map(_item, body.references, found)))


def _item(reference: str, outcome: Delivery | errors.VnsError) -> str:
    given = json.dumps(reference, ensure_ascii=False)
    if isinstance(outcome, errors.VnsError):
        error = json.dumps(problem_of(outcome), ensure_ascii=False)
        return f'{{"reference":{given},"error":{error}}}'
    return f'{{"reference":{given},"delivery":{render(outcome)}}}'


@router.get(
    "/{reference:path}",  # a waybill may hold a slash
    operation_id="getDelivery",
    summary="The safe number of one delivery",
    response_model=DeliveryOut,
    responses=problems(errors.NotFound, errors.AmbiguousReference),
)
async def get_delivery(
    request: Request,
    principal: DeliveriesReader,
    reference: Annotated[Reference, Path()],
    options: Annotated[DeliveryOptions, Query()],
) -> Json:
    (found,) = await services_of(request).bindings.deliveries(principal, [reference], tenant=options.tenant)
    if isinstance(found, errors.VnsError):
        raise found
    return Json(render(found))
