"""Changing a live binding: its end, its channels, or one of its parties."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from vns.bindings import queries
from vns.bindings.rules import (
    MAX_REFERENCE,
    BindingChange,
    CallerId,
    Side,
    Status,
    absolute_end,
    check_expiry,
    cipher_context,
    effective_end,
    end_of_quarantine,
    lock_key,
)
from vns.crypto.rules import KeyRing
from vns.errors import InvalidRequest, NotFound, NumberNotMappable, PairInUse, SameParty
from vns.numbering.rules import PhoneNumber, mappable
from vns.pools.rules import Mode, Pool, check_text
from vns.pools.service import load_pools


@dataclass(frozen=True, slots=True)
class _Party:
    blob: bytes | None
    index: bytes | None


class Changer:
    """Applies one change inside the caller's transaction."""

    def __init__(self, connection: asyncpg.Connection, keyring: KeyRing, now: datetime) -> None:
        self._connection = connection
        self._keyring = keyring
        self._now = now

    async def apply(self, tenant_id: UUID, binding_id: UUID, change: BindingChange) -> asyncpg.Record:
        """The row as it was before; afterwards read it again.

        Raises NotFound, PairInUse, SameParty, NumberNotMappable, ExpiresTooSoon, InvalidRequest.
        """
        check_expiry(change.expires_at, change.ttl_seconds, self._now)
        check_text("reference", change.reference, MAX_REFERENCE)
        await self._lock_parties(tenant_id, binding_id, change)
        row = await self._connection.fetchrow(queries.LOCK_ONE, binding_id, tenant_id)
        if row is None:
            raise NotFound("no such binding")
        if row["status"] != Status.ACTIVE or row["ends_at"] <= self._now:
            raise InvalidRequest("the binding has ended")
        pools = await load_pools(self._connection)
        self._check(row, change, pools)
        await self._write(row, change, next(pool for pool in pools if pool.id == row["pool_id"]))
        return row

    async def _lock_parties(self, tenant_id: UUID, binding_id: UUID, change: BindingChange) -> None:
        """Before the row: whoever allocates a pair locks its parties first as well."""
        before = await self._connection.fetchrow(queries.SELECT_ONE, binding_id, tenant_id)
        if before is None:
            raise NotFound("no such binding")
        if before["peer_index"] is None:
            return
        new = (self._keyring.index(number.digits) for number in _new_numbers(change))
        keys = [lock_key(index) for index in (before["real_index"], before["peer_index"], *new)]
        await self._connection.execute(queries.LOCK_IN_ORDER, keys)

    def _check(self, row: asyncpg.Record, change: BindingChange, pools: Iterable[Pool]) -> None:
        pair = row["mode"] == Mode.BIDIRECTIONAL
        if change.peer_number is not None and not pair:
            raise InvalidRequest("peer_number belongs to mode bidirectional")
        if change.caller_id is CallerId.CALLER and pair:
            raise InvalidRequest("mode bidirectional always presents the virtual number")
        if change.channels is not None and not change.channels:
            raise InvalidRequest("channels must name at least one channel")
        for number in _new_numbers(change):
            mappable(number)
            if any(number.key in pool for pool in pools):
                raise NumberNotMappable("a party is a virtual number itself")

    async def _write(self, row: asyncpg.Record, change: BindingChange, pool: Pool) -> None:
        real = self._party(row, Side.REAL, change.real_number)
        peer = self._party(row, Side.PEER, change.peer_number)
        if real.index == peer.index:
            raise SameParty("real_number and peer_number are the same number")
        expires_at = None if change.clear_expires_at else absolute_end(change.expires_at) or row["expires_at"]
        ttl = None if change.clear_ttl_seconds else change.ttl_seconds or row["ttl_seconds"]
        ends_at = _new_end(row, change, expires_at, ttl, self._now)
        await self._connection.execute(
            queries.UPDATE_BINDING,
            row["id"],
            real.blob,
            real.index,
            peer.blob,
            peer.index,
            change.reference if change.reference is not None else row["reference"],
            sorted(change.channels) if change.channels is not None else row["channels"],
            change.caller_id if change.caller_id is not None else row["caller_id"],
            expires_at,
            ttl,
            row["expire_after_call"] if change.expire_after_call is None else change.expire_after_call,
            ends_at,
        )
        await self._move_number(row, pool, end_of_quarantine(ends_at, pool.quarantine_seconds), real, peer)

    def _party(self, row: asyncpg.Record, side: Side, number: PhoneNumber | None) -> _Party:
        if number is None:
            return _Party(row[f"{side}_number"], row[f"{side}_index"])
        blob = self._keyring.encrypt(number.digits, context=cipher_context(row["id"], side))
        return _Party(blob, self._keyring.index(number.digits))

    async def _move_number(
        self, row: asyncpg.Record, pool: Pool, free_at: datetime, real: _Party, peer: _Party
    ) -> None:
        if row["mode"] == Mode.ONE_WAY:
            await self._connection.execute(queries.MOVE_END_OF_NUMBER, row["vn"], row["id"], free_at)
            return
        now_seated = {index for index in (real.index, peer.index) if index is not None}
        before = {row["real_index"], row["peer_index"]}
        resting = end_of_quarantine(self._now, pool.quarantine_seconds)
        for index in before - now_seated:
            await self._connection.execute(queries.VACATE_SEAT, row["vn"], row["id"], index, resting)
        new = list(now_seated - before)
        if new:
            seats = await self._connection.fetch(
                queries.TAKE_SEATS, row["vn"], new, row["id"], free_at, False, self._now
            )
            if len(seats) < len(new):
                raise PairInUse("the new party has a pair on this number")
        await self._connection.execute(queries.MOVE_END_OF_SEATS, row["vn"], row["id"], free_at, list(now_seated))


def _new_numbers(change: BindingChange) -> list[PhoneNumber]:
    return [number for number in (change.real_number, change.peer_number) if number is not None]


def _new_end(
    row: asyncpg.Record, change: BindingChange, expires_at: datetime | None, ttl: int | None, now: datetime
) -> datetime:
    """A sliding end named anew starts now; one that stays keeps running from the last connected decision."""
    if change.ttl_seconds is not None or ttl is None or row["ttl_seconds"] is None:
        return effective_end(expires_at, ttl, now)
    if change.expires_at is None and not change.clear_expires_at:
        end: datetime = row["ends_at"]
        return end
    slides = row["expires_at"] is None or row["ends_at"] < row["expires_at"]  # else its sliding end is not known
    return min(effective_end(expires_at, None, now), row["ends_at"] if slides else effective_end(None, ttl, now))
