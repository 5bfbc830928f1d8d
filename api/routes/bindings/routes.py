"""Routes of bindings."""

import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import TypeAdapter, ValidationError

from api.answers import Json, json_list, problems
from api.by_hand import JsonBody, documented, documented_body, json_of, parameter, value_of
from api.problems import ShapeError, as_vns_error, problem_of
from api.routes.bindings.schemas import (
    BatchOut,
    BindingFilter,
    BindingOut,
    BindingPage,
    ChangedBinding,
    IdempotencyKey,
    NewBinding,
    NewBindings,
    RawBatch,
    Release,
    ReleaseOptions,
    ReleaseOut,
    render,
)
from api.security import BindingsReader, BindingsWriter, may_write
from api.services import services_of
from vns import errors
from vns.bindings.rules import Allocation, AllocationRequest
from vns.bindings.service import ReleaseOutcome
from vns.numbering.rules import parse

router = APIRouter(prefix="/v1/bindings", tags=["bindings"])

BatchBody = Annotated[RawBatch, Depends(JsonBody(RawBatch))]
ReleaseBody = Annotated[Release, Depends(JsonBody(Release))]
ChangeBody = Annotated[ChangedBinding, Depends(JsonBody(ChangedBinding))]

_idempotency_key = TypeAdapter[str](IdempotencyKey)

_ALLOCATION_PROBLEMS = (
    errors.InvalidNumber,
    errors.NumberNotMappable,
    errors.SameParty,
    errors.ModeNotSupported,
    errors.InvalidRules,
    errors.ExpiresTooSoon,
    errors.PoolExhausted,
    errors.PairInUse,
    errors.VirtualNumberInUse,
    errors.QuotaExceeded,
    errors.NotFound,
)


@router.post(
    "",
    operation_id="createBinding",
    summary="Allocate a virtual number",
    status_code=201,
    response_model=BindingOut,
    responses={
        200: {"model": BindingOut, "description": "A live binding that `ensure` found."},
        **problems(*_ALLOCATION_PROBLEMS, errors.IdempotencyMismatch, body=True),
    },
    openapi_extra=documented(parameter("Idempotency-Key", "header", _idempotency_key), body=NewBinding),
)
async def create_binding(request: Request) -> Json:
    principal = await may_write(request)
    key = request.headers.get("idempotency-key")
    if key is not None:
        key = value_of(_idempotency_key, key, root="header.idempotency-key")
    body = await json_of(NewBinding, request)
    allocation = await services_of(request).bindings.allocate(principal, body.request(), key)
    if allocation.stored_body is not None and allocation.stored_status is not None:
        return Json(allocation.stored_body, status_code=allocation.stored_status)
    return Json(_rendered(allocation), status_code=201 if allocation.created else 200)


def _rendered(allocation: Allocation) -> str:
    if allocation.binding is None:
        raise TypeError("an allocation carries either a binding or a stored answer")
    return render(allocation.binding)


@router.post(
    "/batch",
    operation_id="createBindings",
    summary="Allocate up to 1,000 virtual numbers",
    response_model=BatchOut,
    responses=problems(body=True),
    openapi_extra=documented_body(NewBindings),
)
async def create_bindings(request: Request, principal: BindingsWriter, body: BatchBody) -> Json:
    asked = [_judged(item, f"items.{place}") for place, item in enumerate(body.items)]
    good = [item for item in asked if isinstance(item, AllocationRequest)]
    done = iter(await services_of(request).bindings.allocate_many(principal, good) if good else [])
    return Json(json_list(_batch_item(next(done) if isinstance(item, AllocationRequest) else item) for item in asked))


def _judged(item: Any, place: str) -> AllocationRequest | errors.VnsError:
    try:
        return NewBinding.model_validate(item).request()
    except ValidationError as error:
        return ShapeError.of_model(error, root=place)
    except errors.VnsError as error:
        return error


def _batch_item(outcome: Allocation | errors.VnsError) -> str:
    if isinstance(outcome, errors.VnsError):
        return _item(error=outcome)
    return f'{{"binding":{_rendered(outcome)}}}'


def _item(*, error: Exception) -> str:
    known = as_vns_error(error)
    return json.dumps({"error": problem_of(known or errors.VnsError("unexpected"))}, ensure_ascii=False)


@router.get(
    "",
    operation_id="listBindings",
    summary="Your bindings, newest first",
    response_model=BindingPage,
    responses=problems(errors.InvalidNumber),
)
async def list_bindings(request: Request, principal: BindingsReader, wanted: Annotated[BindingFilter, Query()]) -> Json:
    page = await services_of(request).bindings.find(
        principal,
        reference=wanted.reference,
        virtual_number=parse(wanted.virtual_number).key if wanted.virtual_number is not None else None,
        status=wanted.status,
        cursor=wanted.cursor,
        limit=wanted.limit,
    )
    items = ",".join(render(binding) for binding in page.items)
    return Json(f'{{"items":[{items}],"next_cursor":{json.dumps(page.next_cursor)}}}')


@router.post(
    "/release",
    operation_id="releaseBindings",
    summary="Release by ids, references or virtual numbers",
    response_model=ReleaseOut,
    responses=problems(errors.InvalidNumber, body=True),
    openapi_extra=documented_body(Release),
)
async def release_bindings(request: Request, principal: BindingsWriter, body: ReleaseBody) -> Json:
    outcomes = await services_of(request).bindings.release_many(
        principal,
        ids=tuple(body.ids),
        references=tuple(body.references),
        virtual_numbers=tuple(parse(number).key for number in body.virtual_numbers),
        terminate_calls=body.terminate_calls,
    )
    return Json(json_list(_release_item(outcome) for outcome in outcomes))


def _release_item(outcome: ReleaseOutcome) -> str:
    given = json.dumps(outcome.given, ensure_ascii=False)
    bindings = ",".join(render(binding) for binding in outcome.released)
    error = f",{_item(error=outcome.error)[1:-1]}" if outcome.error is not None else ""
    return f'{{"given":{given},"bindings":[{bindings}]{error}}}'


@router.get(
    "/{binding_id}",
    operation_id="getBinding",
    summary="One binding",
    response_model=BindingOut,
    responses=problems(errors.NotFound),
)
async def get_binding(request: Request, principal: BindingsReader, binding_id: UUID) -> Json:
    return Json(render(await services_of(request).bindings.get(principal, binding_id)))


@router.patch(
    "/{binding_id}",
    operation_id="changeBinding",
    summary="Extend, change a party, channels or expiry",
    response_model=BindingOut,
    responses=problems(
        errors.NotFound,
        errors.Conflict,
        errors.InvalidNumber,
        errors.NumberNotMappable,
        errors.SameParty,
        errors.InvalidRules,
        errors.ExpiresTooSoon,
        errors.PairInUse,
        body=True,
    ),
    openapi_extra=documented_body(ChangedBinding),
)
async def change_binding(request: Request, principal: BindingsWriter, binding_id: UUID, body: ChangeBody) -> Json:
    return Json(render(await services_of(request).bindings.change(principal, binding_id, body.change())))


@router.delete(
    "/{binding_id}",
    operation_id="releaseBinding",
    summary="Release; again and again with the same answer",
    response_model=BindingOut,
    responses=problems(errors.NotFound),
)
async def release_binding(
    request: Request, principal: BindingsWriter, binding_id: UUID, options: Annotated[ReleaseOptions, Query()]
) -> Json:
    released = await services_of(request).bindings.release(
        principal, binding_id, terminate_calls=options.terminate_calls
    )
    return Json(render(released))
