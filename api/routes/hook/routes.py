"""Routes of the intercept hook: each tenant has one or none."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from api.answers import problems
from api.by_hand import JsonBody, documented_body
from api.routes.hook.schemas import HookOut, NewHookIn
from api.security import RulesWriter
from api.services import services_of
from vns import errors

NewHookBody = Annotated[NewHookIn, Depends(JsonBody(NewHookIn))]

router = APIRouter(prefix="/v1/intercept-hook", tags=["intercept hook"])


@router.put(
    "",
    operation_id="putInterceptHook",
    summary="Be asked before your bindings connect anybody",
    responses=problems(body=True),
    openapi_extra=documented_body(NewHookIn),
)
async def put_hook(request: Request, principal: RulesWriter, body: NewHookBody) -> HookOut:
    return HookOut.of(await services_of(request).hooks.put(principal, body.hook()))


@router.get("", operation_id="getInterceptHook", summary="Your hook", responses=problems(errors.NotFound))
async def get_hook(request: Request, principal: RulesWriter) -> HookOut:
    return HookOut.of(await services_of(request).hooks.get(principal))


@router.delete("", operation_id="deleteInterceptHook", summary="Be asked no more", responses=problems(errors.NotFound))
async def delete_hook(request: Request, principal: RulesWriter) -> HookOut:
    return HookOut.of(await services_of(request).hooks.remove(principal))
