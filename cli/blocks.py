"""`vns block`: parties that are not to call, or not to be called. The operator's blocks are the operator's alone."""

from typing import Annotated
from uuid import UUID

import typer

from cli.output import fields, table
from cli.running import Platform, actor, on_platform
from vns.errors import InvalidRequest
from vns.numbering.rules import parse
from vns.routing.blocks import Block, BlockDirection, Blocks, Keeper

app = typer.Typer(no_args_is_help=True, help="Parties that are not to call, or not to be called.")

BindingOption = Annotated[UUID | None, typer.Option("--binding", help="On this binding.")]
PoolOption = Annotated[str | None, typer.Option("--pool", help="On this pool (name or id).")]


@app.command()
def add(
    number: Annotated[str, typer.Argument(help="The party's number.")],
    binding: BindingOption = None,
    pool: PoolOption = None,
    direction: Annotated[
        BlockDirection, typer.Option(help="`from`: it may not call; `to`: nobody may call it; `both`.")
    ] = BlockDirection.FROM,
) -> None:
    """Block a party, from the next call and text on."""

    async def act(platform: Platform) -> Block:
        if (binding is None) == (pool is None):
            raise InvalidRequest("name a --binding or a --pool")
        return await _blocks(platform).put(
            _operator(), parse(number), direction, binding_id=binding, pool_id=await _pool_id(platform, pool)
        )

    _show(on_platform(act))


@app.command("list")
def list_(binding: BindingOption = None, pool: PoolOption = None) -> None:
    """Who is blocked, newest first: by tenants and by the operator."""

    async def act(platform: Platform) -> list[Block]:
        blocks, found, cursor = _blocks(platform), list[Block](), None
        while True:
            page = await blocks.list(
                _operator(), binding_id=binding, pool_id=await _pool_id(platform, pool), cursor=cursor, limit=1000
            )
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    table(("BLOCK", "NUMBER", "DIRECTION", "BINDING", "POOL", "CREATED"), (_row(block) for block in on_platform(act)))


@app.command()
def remove(block: Annotated[UUID, typer.Argument(help="The block's id.")]) -> None:
    """Take a block back, a tenant's too."""
    _show(on_platform(lambda platform: _blocks(platform).remove(_operator(), block)))


def _blocks(platform: Platform) -> Blocks:
    return Blocks(platform.db, platform.keyring, platform.clock, platform.copies)


def _operator() -> Keeper:
    return Keeper(actor=actor(), tenant_id=None)


async def _pool_id(platform: Platform, pool: str | None) -> UUID | None:
    return (await platform.pools.get(pool)).id if pool is not None else None


def _row(block: Block) -> tuple[object, ...]:
    return (block.id, block.masked, block.direction, block.binding_id, block.pool_id, block.created_at)


def _show(block: Block) -> None:
    names = ("id", "number", "direction", "binding", "pool", "created_at")
    fields(list(zip(names, _row(block), strict=True)))
