"""Routes of pools: operators make and change them, malls see those that are open to them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from api.answers import problems
from api.by_hand import JsonBody, documented_body
from api.routes.pools.schemas import ChangedPool, NewPoolIn, PoolOut, PoolPage
from api.security import PoolsReader, PoolsWriter
from api.services import services_of
from vns import errors
from vns.access.rules import TenantKind
from vns.pools.rules import Pool
from vns.pools.service import Pools

NewPoolBody = Annotated[NewPoolIn, Depends(JsonBody(NewPoolIn))]
ChangedPoolBody = Annotated[ChangedPool, Depends(JsonBody(ChangedPool))]

router = APIRouter(prefix="/v1/pools", tags=["pools"])


@router.get(
    "",
    operation_id="listPools",
    summary="Pools and how full they are",
    responses=problems(),
)
async def list_pools(request: Request, principal: PoolsReader) -> PoolPage:
    pools = services_of(request).pools
    seen_by = None if principal.tenant_kind is TenantKind.OPERATOR else principal.tenant_id
    return PoolPage(items=await _with_counts(pools, await pools.list(seen_by)), next_cursor=None)


@router.post(
    "",
    operation_id="createPool",
    summary="Make a pool from a range",
    status_code=201,
    responses=problems(
        errors.InvalidNumber,
        errors.NumberNotMappable,
        errors.InvalidRules,
        errors.PoolOverlap,
        errors.NotFound,
        body=True,
    ),
    openapi_extra=documented_body(NewPoolIn),
)
async def create_pool(request: Request, principal: PoolsWriter, body: NewPoolBody) -> PoolOut:
    pools = services_of(request).pools
    return (await _with_counts(pools, [await pools.create(principal.actor, body.new_pool())]))[0]


@router.patch(
    "/{pool_id}",
    operation_id="changePool",
    summary="Change a pool; lock, reserve or free single numbers",
    responses=problems(errors.NotFound, errors.InvalidNumber, errors.NumberNotMappable, errors.InvalidRules, body=True),
    openapi_extra=documented_body(ChangedPool),
)
async def change_pool(request: Request, principal: PoolsWriter, pool_id: UUID, body: ChangedPoolBody) -> PoolOut:
    pools = services_of(request).pools
    return (await _with_counts(pools, [await pools.change(principal.actor, pool_id, body.change())]))[0]


async def _with_counts(service: Pools, pools: list[Pool]) -> list[PoolOut]:
    counts = await service.counts(pool.id for pool in pools)
    return [PoolOut.of(pool, counts[pool.id]) for pool in pools]
