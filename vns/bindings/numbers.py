"""Taking numbers for new bindings, inside the transaction that writes the bindings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from vns.bindings import queries
from vns.bindings.rules import Status
from vns.errors import InvalidRequest, PairInUse, PoolExhausted, VirtualNumberInUse
from vns.numbering.rules import digits_of
from vns.pools.rules import Pool
from vns.storage import journal


class NumberJustNamed(Exception):
    """Another transaction named a number at the moment this one took it as never used: roll back and run again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A virtual number that this transaction holds."""

    vn: int
    pool: Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two parties that want a number; their advisory locks are held."""

    binding_id: UUID
    tenant_id: UUID
    parties: tuple[bytes, ...]


class TakenNumbers:
    """Takes numbers and remembers whose they were: what is over but not yet written off is closed with the batch."""

    def __init__(self, connection: asyncpg.Connection, now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._previous: set[UUID] = set()
        self._held: set[int] = set()  # taken by this transaction, though no row says so until the batch is written

    async def take(self, pool: Pool, count: int) -> list[Taken]:
        """Up to `count` free exclusive numbers, longest-rested first: never used, then by the end of quarantine."""
        keys = await self._take_fresh(pool, count)
        if len(keys) < count:
            rows = await self._connection.fetch(
                queries.TAKE_RESTED, pool.id, count - len(keys), self._now, list(self._held)
            )
            self._previous.update(row["binding_id"] for row in rows if row["binding_id"] is not None)
            keys.extend(row["vn"] for row in rows)
        if len(keys) < count:
            rows = await self._connection.fetch(
                queries.TAKE_EMPTY_SHARED, pool.id, count - len(keys), self._now, list(self._held)
            )
            keys.extend(row["vn"] for row in rows)
        self._held.update(keys)
        return [Taken(key, pool) for key in keys]

    async def _take_fresh(self, pool: Pool, count: int) -> list[int]:
        keys: list[int] = []
        statement = queries.TAKE_FRESH
        while len(keys) < count:
            rows = await self._connection.fetch(statement, pool.id, count - len(keys))
            keys.extend(row["vn"] for row in rows)
            if not rows:
                if not await self._connection.fetchval(queries.HAS_FRESH, pool.id):
                    break
                # Every stripe with numbers left is being taken from, or all that was passed over had been named before.
                statement = queries.TAKE_FRESH_WAITING
        return keys

    async def take_named(self, pool: Pool, key: int, tenant_id: UUID, real_index: bytes) -> Taken:
        """The named number exclusively; one in quarantine only for the same tenant and party (a returned parcel).

        Raises VirtualNumberInUse.
        """
        row = await self._lock_number(pool, key)
        if row["kind"] == "shared":
            if await self._connection.fetchval(queries.ANY_SEAT_TAKEN, key, self._now):
                raise VirtualNumberInUse("virtual_number is in use by pairs")
            await self._connection.execute(queries.CLEAR_SEATS, key, self._now)
        elif row["free_at"] > self._now and not await self._revivable(row["binding_id"], tenant_id, {real_index}):
            raise VirtualNumberInUse("virtual_number is live or in quarantine")
        if row["binding_id"] is not None:
            self._previous.add(row["binding_id"])
        self._held.add(key)
        return Taken(key, pool)

    async def seat_pair(
        self,
        pools: Sequence[Pool],
        named: int | None,
        pair: Pair,
        free_at: Callable[[Pool], datetime],
    ) -> Taken:
        """A shared number on which neither party has a pair, with both seats taken. The parties are locked already.

        Raises PoolExhausted; for a named number VirtualNumberInUse or PairInUse.
        """
        reviving = False
        if named is not None:
            reviving = await self._share_named(pools[0], named, pair)
            taken = Taken(named, pools[0])
        else:
            taken = await self._find_shared(pools, pair)
        rows = await self._connection.fetch(
            queries.TAKE_SEATS, taken.vn, list(pair.parties), pair.binding_id, free_at(taken.pool), reviving, self._now
        )
        if len(rows) < len(pair.parties):
            raise PairInUse("a party has a pair on this number")
        self._previous.update(row["previous"] for row in rows if row["previous"] is not None)
        return taken

    async def close_previous(self) -> None:
        """Write the taken numbers' earlier bindings off as expired where the worker has not come to it yet."""
        if self._previous:
            await close_overdue(self._connection, list(self._previous), self._now)

    async def _find_shared(self, pools: Sequence[Pool], pair: Pair) -> Taken:
        for pool in pools:
            key = await self._connection.fetchval(
                queries.FIND_SHARED, pool.id, *pair.parties, self._now, list(self._held)
            )
            if key is not None:
                return Taken(key, pool)
            for taken in await self.take(pool, 1):
                await self._make_shared(pool, taken.vn)
                self._held.discard(taken.vn)
                return taken
        raise PoolExhausted("no number is free for this pair")

    async def _share_named(self, pool: Pool, key: int, pair: Pair) -> bool:
        """Makes the named number ready for a pair; True when the same pair's quarantine is ended by a revival."""
        row = await self._lock_number(pool, key)
        if row["kind"] == "exclusive":
            if row["free_at"] > self._now:
                raise VirtualNumberInUse("virtual_number is live or in quarantine")
            if row["binding_id"] is not None:
                self._previous.add(row["binding_id"])
            await self._make_shared(pool, key)
            return False
        seats = await self._connection.fetch(queries.SELECT_SEATS, key, list(pair.parties))
        taken = [seat for seat in seats if seat["free_at"] > self._now]
        if not taken:
            return False
        bindings = {seat["binding_id"] for seat in taken}
        if len(bindings) > 1 or not await self._revivable(bindings.pop(), pair.tenant_id, set(pair.parties)):
            raise PairInUse("a party has a live or quarantined pair on this number")
        return True

    async def _make_shared(self, pool: Pool, key: int) -> None:
        if await self._connection.fetchval(queries.MAKE_SHARED, key, pool.id, self._now) is None:
            raise NumberJustNamed

    async def _lock_number(self, pool: Pool, key: int) -> asyncpg.Record:
        if key in self._held:
            raise VirtualNumberInUse("virtual_number is in use")
        await self._connection.execute(queries.ENSURE_NUMBER, key, pool.id)
        row = await self._connection.fetchrow(queries.LOCK_NUMBER, key)
        if row is None:
            raise InvalidRequest("virtual_number cannot be used")
        if row["hold"] == "locked":
            raise VirtualNumberInUse(f"virtual_number {digits_of(key)} is locked")
        return row

    async def _revivable(self, binding_id: UUID | None, tenant_id: UUID, parties: set[bytes]) -> bool:
        """Whether the binding has ended and was this tenant's for the same parties."""
        row = await self._connection.fetchrow(queries.SELECT_ONE, binding_id, tenant_id)
        if row is None or (row["status"] == Status.ACTIVE and row["ends_at"] > self._now):
            return False
        return parties == {row["real_index"], row["peer_index"]} - {None}


async def close_overdue(connection: asyncpg.Connection, ids: Sequence[UUID], now: datetime) -> int:
    """Write down as expired those of `ids` whose end has passed; how many. Their numbers' quarantine runs already."""
    rows = await connection.fetch(queries.CLOSE_OVERDUE, list(ids), now)
    await journal.append(
        connection,
        [
            journal.Entry(
                at=now,
                tenant_id=row["tenant_id"],
                actor="platform",
                event="binding.expired",
                subject=row["id"],
                data={"virtual_number": digits_of(row["vn"])},
            )
            for row in rows
        ],
    )
    return len(rows)
