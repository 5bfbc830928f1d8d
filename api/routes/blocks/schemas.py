"""Blocks as JSON. A number comes in a body and leaves masked; in addresses there are ids only."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field

from api.wire import Cursor, In, Masked, Number, Out, PageSize
from vns.routing.blocks import Block, BlockDirection

_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019a0000-0000-7000-8000-000000000003",
    "binding_id": "019a0000-0000-7000-8000-000000000000",
    "pool_id": None,
    "number": "010-****-4321",
    "direction": "from",
    "created_at": "2030-01-01T00:00:00Z",
}


class NewBlock(In):
    """A party to block on a binding or, for whoever owns it, on a whole pool."""

    number: Number
    direction: BlockDirection = Field(
        default=BlockDirection.FROM,
        description="`from`: its calls and texts are refused; `to`: nobody reaches it; `both`.",
    )
    binding_id: UUID | None = None
    pool_id: UUID | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"number": "010-8765-4321", "binding_id": "019a0000-0000-7000-8000-000000000000"}]
        }
    )


class BlockFilter(In):
    binding_id: UUID | None = None
    pool_id: UUID | None = None
    cursor: Cursor | None = None
    limit: PageSize = 100


class BlockOut(Out):
    """A blocked party."""

    id: UUID
    binding_id: UUID | None
    pool_id: UUID | None
    number: Masked
    direction: BlockDirection
    created_at: datetime

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    @classmethod
    def of(cls, block: Block) -> "BlockOut":
        return cls(
            id=block.id,
            binding_id=block.binding_id,
            pool_id=block.pool_id,
            number=block.masked,
            direction=block.direction,
            created_at=block.created_at,
        )


class BlockPage(Out):
    items: list[BlockOut]
    next_cursor: str | None = Field(description="For the next page; null on the last.")
