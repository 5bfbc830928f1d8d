"""Taking numbers for new bindings, inside the transaction that writes the bindings."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg

from vns.bindings import queries
from vns.bindings.rules import Status
from vns.errors import InvalidRequest, PairInUse, PoolExhausted, VirtualNumberInUse
from vns.numbering.rules import digits_of
from vns.pools.rules import Mode, Pool
from vns.storage import journal

EXTENSION_DIGITS = 4
EXTENSION_TRIES = 16  # of which one is free with near certainty until a number is nine tenths full


class NumberJustNamed(Exception):
    """Another transaction named a number at the moment this one took it as never used: roll back and run again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A virtual number that this transaction holds, with what belongs to it in some modes."""

    vn: int
    pool: Pool
    peer_vn: int | None = None
    extension: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Parties that want a number to themselves, two or a team; their advisory locks are held."""

    binding_id: UUID
    tenant_id: UUID
    mode: Mode
    parties: tuple[bytes, ...]


FreeAt = Callable[[Pool], datetime]
"""When the number of a binding from that pool is free again."""


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

    async def take_named(self, pool: Pool, key: int, owner: Pair) -> Taken:
        """The named number exclusively; one in quarantine only for the same tenant and party (a returned parcel).

        Raises VirtualNumberInUse.
        """
        row = await self._lock_number(pool, key)
        if row["kind"] == "extension":
            raise VirtualNumberInUse("virtual_number is told apart by extensions")
        if row["kind"] == "shared":
            if await self._connection.fetchval(queries.ANY_SEAT_TAKEN, key, self._now):
                raise VirtualNumberInUse("virtual_number is in use by pairs")
            await self._connection.execute(queries.CLEAR_SEATS, key, self._now)
        elif row["free_at"] > self._now and not await self._revivable(row["binding_id"], owner):
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
        free_at: FreeAt,
    ) -> Taken:
        """A shared number on which none of the parties has a pair, with their seats taken. They are locked already.

        Raises PoolExhausted; for a named number VirtualNumberInUse or PairInUse.
        """
        reviving = False
        if named is not None:
            reviving = await self._share_named(pools[0], named, pair, pair.parties)
            taken = Taken(named, pools[0])
        else:
            taken = await self._find_shared(pools, pair.parties)
        await self._take_seats(taken.vn, pair.parties, pair.binding_id, free_at(taken.pool), reviving)
        return taken

    async def seat_sides(
        self,
        sides: tuple[tuple[Sequence[Pool], int | None], tuple[Sequence[Pool], int | None]],
        pair: Pair,
        free_at: FreeAt,
    ) -> Taken:
        """Two shared numbers, each with a seat for one party: that of the peer, and that of the real number.

        `sides`: for virtual_number and peer_virtual_number the pools, and the number if one is named.
        `pair.parties` is (real, peer). Raises what seat_pair raises.
        """
        real, peer = pair.parties
        if sides[0][1] is None and sides[1][1] is not None:
            # the named one first: until it has a seat, the other side may be given the very same number
            other = await self._side(*sides[1], pair, real, free_at, other=None)
            taken = await self._side(*sides[0], pair, peer, free_at, other=other.vn)
        else:
            taken = await self._side(*sides[0], pair, peer, free_at, other=None)
            other = await self._side(*sides[1], pair, real, free_at, other=taken.vn)
        return replace(taken, peer_vn=other.vn)

    async def _side(
        self,
        pools: Sequence[Pool],
        named: int | None,
        pair: Pair,
        party: bytes,
        free_at: FreeAt,
        *,
        other: int | None,
    ) -> Taken:
        """`other`: the number of the other side, which this one is not to be."""
        reviving = False
        if named is not None:
            reviving = await self._share_named(pools[0], named, pair, (party,))
            taken = Taken(named, pools[0])
        else:
            taken = await self._find_shared(pools, (party,), other=other)
        await self._take_seats(taken.vn, (party,), pair.binding_id, free_at(taken.pool), reviving)
        return taken

    async def _take_seats(
        self, vn: int, parties: Sequence[bytes], binding_id: UUID, free_at: datetime, reviving: bool
    ) -> None:
        rows = await self._connection.fetch(
            queries.TAKE_SEATS, vn, list(parties), binding_id, free_at, reviving, self._now
        )
        if len(rows) < len(parties):
            raise PairInUse("a party has a pair on this number")
        self._previous.update(row["previous"] for row in rows if row["previous"] is not None)

    async def take_extension(
        self, pools: Sequence[Pool], named: int | None, owner: Pair, wish: str | None, free_at: FreeAt
    ) -> Taken:
        """An extension on a number on which the owner has none yet, and the owner's seat. The owner is locked already.

        Raises PoolExhausted; for a named number VirtualNumberInUse or PairInUse.
        """
        if named is not None:
            return await self._extension_on_named(pools[0], named, owner, wish, free_at(pools[0]))
        [party] = owner.parties
        for pool in pools:
            rows = await self._connection.fetch(
                queries.FIND_EXTENSION_NUMBERS, pool.id, party, self._now, list(self._held)
            )
            for row in rows:
                extension = await self._extension(row["vn"], owner, wish, free_at(pool))
                if extension is not None:
                    return Taken(row["vn"], pool, extension=extension)
            for fresh in await self.take(pool, 1):
                await self._make(queries.MAKE_EXTENSION, pool, fresh.vn)
                self._held.discard(fresh.vn)
                return Taken(fresh.vn, pool, extension=await self._extension(fresh.vn, owner, wish, free_at(pool)))
        raise PoolExhausted("no number has room for another extension")

    async def _extension_on_named(
        self, pool: Pool, key: int, owner: Pair, wish: str | None, free_at: datetime
    ) -> Taken:
        row = await self._lock_number(pool, key)
        if row["kind"] == "shared":
            raise VirtualNumberInUse("virtual_number is in use by pairs")
        reviving = False
        if row["kind"] == "exclusive":
            await self._leave_exclusive(row)
            await self._make(queries.MAKE_EXTENSION, pool, key)
        else:
            reviving, wish = await self._rested_extension(key, owner, wish)
        extension = await self._extension(key, owner, wish, free_at, reviving)
        if extension is None:
            raise VirtualNumberInUse("the extension is live or in quarantine")
        return Taken(key, pool, extension=extension)

    async def _rested_extension(self, key: int, owner: Pair, wish: str | None) -> tuple[bool, str | None]:
        """Whether the owner's own extension rests there (a returned parcel), and the digits to take."""
        [seat] = await self._connection.fetch(queries.SELECT_SEATS, key, list(owner.parties)) or [None]
        if seat is None or seat["free_at"] <= self._now:
            return False, wish
        before = await self._connection.fetchrow(queries.SELECT_ONE, seat["binding_id"], owner.tenant_id)
        if not await self._revivable(seat["binding_id"], owner) or wish not in (None, before["extension"]):
            raise PairInUse("the owner has a live or quarantined extension on this number")
        return True, before["extension"]

    async def _extension(
        self, vn: int, owner: Pair, wish: str | None, free_at: datetime, reviving: bool = False
    ) -> str | None:
        """The extension taken, and the owner's seat with it; None: no free one was found on this number."""
        candidates = [wish] if wish is not None else _random_extensions()
        row = await self._connection.fetchrow(
            queries.TAKE_EXTENSION, vn, candidates, owner.binding_id, free_at, self._now, reviving
        )
        if row is None:
            return None
        seats = await self._connection.fetch(
            queries.TAKE_OWNERS_SEAT, vn, list(owner.parties), owner.binding_id, free_at, reviving, self._now
        )
        if not seats:
            raise PairInUse("the owner has an extension on this number")
        previous = {row["previous"], *(seat["previous"] for seat in seats)}
        self._previous.update(one for one in previous if one is not None)
        extension: str = row["extension"]
        return extension

    async def release_subscriber(self, owner: Pair) -> None:
        """See that a subscriber has no live outbound binding. Raises PairInUse."""
        [party] = owner.parties
        row = await self._connection.fetchrow(queries.LIVE_OF_SUBSCRIBER, party)
        if row is None:
            return
        if row["ends_at"] > self._now:
            raise PairInUse("the subscriber calls out with another number already")
        self._previous.add(row["id"])

    async def close_previous(self) -> None:
        """Write the taken numbers' earlier bindings off as expired where the worker has not come to it yet."""
        if self._previous:
            await close_overdue(self._connection, list(self._previous), self._now)

    async def _find_shared(self, pools: Sequence[Pool], parties: Sequence[bytes], *, other: int | None = None) -> Taken:
        held = list(self._held if other is None else {*self._held, other})
        for pool in pools:
            if len(parties) == 2:
                key = await self._connection.fetchval(queries.FIND_SHARED, pool.id, *parties, self._now, held)
            else:
                key = await self._connection.fetchval(queries.FIND_SHARED_FOR, pool.id, list(parties), self._now, held)
            if key is not None:
                return Taken(key, pool)
            for taken in await self.take(pool, 1):
                await self._make(queries.MAKE_SHARED, pool, taken.vn)
                self._held.discard(taken.vn)
                return taken
        raise PoolExhausted("no number is free for these parties")

    async def _share_named(self, pool: Pool, key: int, pair: Pair, parties: Sequence[bytes]) -> bool:
        """Makes the named number ready for `parties` of a pair; True when the same pair's quarantine is ended by a
        revival."""
        row = await self._lock_number(pool, key)
        if row["kind"] == "extension":
            raise VirtualNumberInUse("virtual_number is told apart by extensions")
        if row["kind"] == "exclusive":
            await self._leave_exclusive(row)
            await self._make(queries.MAKE_SHARED, pool, key)
            return False
        seats = await self._connection.fetch(queries.SELECT_SEATS, key, list(parties))
        taken = [seat for seat in seats if seat["free_at"] > self._now]
        if not taken:
            return False
        bindings = {seat["binding_id"] for seat in taken}
        if len(bindings) > 1 or not await self._revivable(bindings.pop(), pair):
            raise PairInUse("a party has a live or quarantined pair on this number")
        return True

    async def _leave_exclusive(self, row: asyncpg.Record) -> None:
        """Raises VirtualNumberInUse for a number that is one binding's, or rests from it."""
        if row["free_at"] > self._now:
            raise VirtualNumberInUse("virtual_number is live or in quarantine")
        if row["binding_id"] is not None:
            self._previous.add(row["binding_id"])

    async def _make(self, statement: str, pool: Pool, key: int) -> None:
        if await self._connection.fetchval(statement, key, pool.id, self._now) is None:
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

    async def _revivable(self, binding_id: UUID | None, wanted: Pair) -> bool:
        """Whether the binding has ended and was this tenant's, in the same mode and for the same parties."""
        row = await self._connection.fetchrow(queries.SELECT_ONE, binding_id, wanted.tenant_id)
        if row is None or row["mode"] != wanted.mode or (row["status"] == Status.ACTIVE and row["ends_at"] > self._now):
            return False
        before = {row["real_index"], row["peer_index"], *(row["member_indexes"] or ())} - {None}
        return before == set(wanted.parties)


def _random_extensions() -> list[str]:
    """Some to try: who knows one extension of a number is not to know its neighbours."""
    return [f"{secrets.randbelow(10**EXTENSION_DIGITS):0{EXTENSION_DIGITS}}" for _ in range(EXTENSION_TRIES)]


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
