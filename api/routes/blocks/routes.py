"""Routes of block lists."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from api.answers import problems
from api.by_hand import JsonBody, documented_body
from api.routes.blocks.schemas import BlockFilter, BlockOut, BlockPage, NewBlock
from api.security import BindingsReader, RulesWriter
from api.services import services_of
from vns import errors
from vns.numbering.rules import parse
from vns.routing.blocks import keeper_of

NewBlockBody = Annotated[NewBlock, Depends(JsonBody(NewBlock))]

router = APIRouter(prefix="/v1/blocks", tags=["blocks"])


@router.post(
    "",
    operation_id="blockParty",
    summary="Block a party, at once",
    status_code=201,
    responses=problems(errors.InvalidNumber, errors.NotFound, errors.Conflict, body=True),
    openapi_extra=documented_body(NewBlock),
)
async def block_party(request: Request, principal: RulesWriter, body: NewBlockBody) -> BlockOut:
    made = await services_of(request).blocks.put(
        keeper_of(principal), parse(body.number), body.direction, binding_id=body.binding_id, pool_id=body.pool_id
    )
    return BlockOut.of(made)


@router.get(
    "",
    operation_id="listBlocks",
    summary="Blocked parties, newest first",
    responses=problems(),
)
async def list_blocks(
    request: Request, principal: BindingsReader, wanted: Annotated[BlockFilter, Query()]
) -> BlockPage:
    page = await services_of(request).blocks.list(
        keeper_of(principal),
        binding_id=wanted.binding_id,
        pool_id=wanted.pool_id,
        cursor=wanted.cursor,
        limit=wanted.limit,
    )
    return BlockPage(items=[BlockOut.of(block) for block in page.items], next_cursor=page.next_cursor)


@router.delete(
    "/{block_id}",
    operation_id="unblockParty",
    summary="Take a block back, at once",
    responses=problems(errors.NotFound),
)
async def unblock_party(request: Request, principal: RulesWriter, block_id: UUID) -> BlockOut:
    return BlockOut.of(await services_of(request).blocks.remove(keeper_of(principal), block_id))
