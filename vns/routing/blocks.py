"""Parties that are not to call, or not to be called, through a pool or a binding. In force with the next decision."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg

from vns.access.rules import Principal, TenantKind
from vns.crypto.rules import KeyRing
from vns.errors import Conflict, InvalidRequest, NotFound
from vns.numbering.rules import PhoneNumber, mask
from vns.routing import queries
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.pages import Page, last_id, page_of, page_size
from vns.storage.revocation import Revocations


class BlockDirection(StrEnum):
    """`from`: the party's calls and texts are refused; `to`: nobody reaches the party; `both`."""

    FROM = "from"
    TO = "to"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One blocked party, as it may be shown. Exactly one of `pool_id` and `binding_id` is set."""

    id: UUID
    pool_id: UUID | None
    binding_id: UUID | None
    masked: str
    direction: BlockDirection
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Who keeps a list: a tenant on what is its own, the operator (`tenant_id` None) on everything."""

    actor: str
    tenant_id: UUID | None


def keeper_of(principal: Principal) -> Keeper:
    """As whom a request keeps blocks."""
    operator = principal.tenant_kind is TenantKind.OPERATOR
    return Keeper(actor=principal.actor, tenant_id=None if operator else principal.tenant_id)


class Blocks:
    """The block lists of one installation. What the operator has blocked is the operator's alone."""

    def __init__(self, db: Database, keyring: KeyRing, clock: Clock, copies: Revocations | None = None) -> None:
        """`copies`: what bridges may have copied is taken back before a block is acknowledged."""
        self._db = db
        self._copies = copies
        self._keyring = keyring
        self._clock = clock

    async def put(
        self,
        keeper: Keeper,
        number: PhoneNumber,
        direction: BlockDirection,
        *,
        binding_id: UUID | None = None,
        pool_id: UUID | None = None,
    ) -> Block:
        """Block a party, or change the direction in which it is blocked. The next call and text know of it.

        Raises InvalidRequest unless exactly one of `binding_id` and `pool_id` is given, NotFound for what is not the
        keeper's, Conflict where the operator has blocked the party, Unavailable.
        """
        scope = binding_id or pool_id
        if scope is None or (binding_id is not None and pool_id is not None):
            raise InvalidRequest("give exactly one of binding_id and pool_id")
        party, now = self._keyring.index(number.digits), self._clock.now()
        async with self._db.transaction() as connection:
            statement = queries.BINDING_OPEN if binding_id is not None else queries.POOL_OPEN
            if not await connection.fetchval(statement, scope, keeper.tenant_id):
                raise NotFound("no such binding" if binding_id is not None else "no such pool")
            row = await connection.fetchrow(
                queries.PUT_BLOCK,
                keeper.tenant_id,
                pool_id,
                binding_id,
                party,
                self._keyring.encrypt(number.digits, context=block_context(scope, party)),
                direction.value,
                now,
            )
            if row is None:
                raise Conflict("the operator has blocked this party already")
            await journal.append(connection, [_entry(row, keeper, "block.created", now)])
            numbers = await connection.fetchrow(queries.NUMBERS_OF_BINDING, binding_id)
        await self._take_back(numbers, now)
        return self._block(row)

    async def _take_back(self, numbers: asyncpg.Record | None, now: datetime) -> None:
        """`numbers` of the binding; None: a whole pool is concerned. Raises Unavailable: the block is in force."""
        if self._copies is None:
            return
        if numbers is None:
            await self._copies.revoke_all()
        else:
            await self._copies.revoke({vn for vn in numbers.values() if vn is not None}, changed_at=now)

    async def remove(self, keeper: Keeper, block_id: UUID) -> Block:
        """Raises NotFound."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(queries.DELETE_BLOCK, block_id, keeper.tenant_id)
            if row is None:
                raise NotFound("no such block")
            await journal.append(connection, [_entry(row, keeper, "block.removed", self._clock.now())])
        return self._block(row)

    async def list(
        self,
        keeper: Keeper,
        *,
        binding_id: UUID | None = None,
        pool_id: UUID | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Block]:
        """Newest first; the operator sees everybody's. Raises InvalidRequest for a cursor that is none."""
        size = page_size(limit)
        async with self._db.connection() as connection:
            rows = await connection.fetch(
                queries.LIST_BLOCKS, keeper.tenant_id, binding_id, pool_id, last_id(cursor), size + 1
            )
        return page_of(rows, size, self._block)

    def _block(self, row: asyncpg.Record) -> Block:
        digits = self._keyring.decrypt(row["number"], context=block_context(row["scope"], row["party"]))
        return Block(
            id=row["id"],
            pool_id=row["pool_id"],
            binding_id=row["binding_id"],
            masked=mask(digits),
            direction=BlockDirection(row["direction"]),
            created_at=row["created_at"],
        )


def block_context(scope: UUID, party: bytes) -> bytes:
    """What an encrypted number of a block is tied to: where the party is blocked, and who it is."""
    return b"block:" + scope.bytes + party


def _entry(row: asyncpg.Record, keeper: Keeper, event: str, now: datetime) -> journal.Entry:
    return journal.Entry(
        at=now,
        tenant_id=keeper.tenant_id,
        actor=keeper.actor,
        event=event,
        subject=row["id"],
        data={
            "binding_id": str(row["binding_id"]) if row["binding_id"] else None,
            "pool_id": str(row["pool_id"]) if row["pool_id"] else None,
            "direction": row["direction"],
        },
    )
