"""Changing a live binding: its end, its channels, or one of its parties."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import asyncpg

from vns.bindings import queries
from vns.bindings.numbers import close_overdue
from vns.bindings.rules import (
    EXCLUSIVE_MODES,
    MAX_MEMBERS,
    MAX_REFERENCE,
    BindingChange,
    CallerId,
    Ring,
    Side,
    Status,
    absolute_end,
    check_expiry,
    cipher_context,
    effective_end,
    end_of_quarantine,
    lock_key,
    member_context,
    seats_of,
)
from vns.crypto.rules import KeyRing
from vns.errors import InvalidRequest, NotFound, NumberNotMappable, PairInUse, SameParty
from vns.numbering.rules import PhoneNumber, mappable
from vns.pools.rules import Mode, Pool, check_text
from vns.pools.service import load_pools
from vns.rulebook.documents import changed
from vns.rulebook.sealing import seal

Seat = tuple[int, bytes]
"""Virtual number, and the blind index of the party that sits there."""


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
        """Before the row: whoever allocates for a party locks it first as well."""
        before = await self._connection.fetchrow(queries.SELECT_ONE, binding_id, tenant_id)
        if before is None:
            raise NotFound("no such binding")
        if before["mode"] == Mode.ONE_WAY:
            return
        old = (before["real_index"], before["peer_index"], *(before["member_indexes"] or ()))
        new = (self._keyring.index(number.digits) for number in _new_numbers(change))
        keys = [lock_key(index) for index in (*old, *new) if index is not None]
        await self._connection.execute(queries.LOCK_IN_ORDER, keys)

    def _check(self, row: asyncpg.Record, change: BindingChange, pools: Iterable[Pool]) -> None:
        mode = Mode(row["mode"])
        if change.peer_number is not None and row["peer_index"] is None:
            raise InvalidRequest("peer_number belongs to modes bidirectional and per_side")
        if mode is not Mode.GROUP and (
            change.members is not None or change.add_members or change.remove_members or change.ring is not None
        ):
            raise InvalidRequest("members and ring belong to mode group")
        if change.caller_id is CallerId.CALLER and mode not in (Mode.ONE_WAY, Mode.EXTENSION):
            raise InvalidRequest(f"mode {mode} always presents a virtual number")
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
        team = self._team(row, change, real)
        if row["mode"] == Mode.OUTBOUND and real.index != row["real_index"]:
            await self._check_subscriber(real.index)
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
        if change.rules:
            rules = changed(row["rules"], change.rules, partial(seal, self._keyring, row["id"]))
            await self._connection.execute(queries.SET_RULES, [row["id"]], [rules])
        if team is not None:
            await self._write_team(row, team, change.ring)
        before = _seats(row, row["real_index"], row["peer_index"], row["member_indexes"] or ())
        members = [member.index for member in team] if team is not None else row["member_indexes"] or ()
        after = _seats(row, real.index, peer.index, members)
        await self._move_number(row, pool, end_of_quarantine(ends_at, pool.quarantine_seconds), before, after)

    def _party(self, row: asyncpg.Record, side: Side, number: PhoneNumber | None) -> _Party:
        if number is None:
            return _Party(row[f"{side}_number"], row[f"{side}_index"])
        blob = self._keyring.encrypt(number.digits, context=cipher_context(row["id"], side))
        return _Party(blob, self._keyring.index(number.digits))

    def _team(self, row: asyncpg.Record, change: BindingChange, real: _Party) -> list[_Party] | None:
        """The whole team as it is to be, in ring order; None where the binding has none."""
        if row["mode"] != Mode.GROUP:
            return None
        stored = [_Party(*member) for member in zip(row["members"], row["member_indexes"], strict=True)]
        if change.members is not None:
            old = {member.index: member for member in stored}
            named = [self._member(row, number) for number in change.members]
            stored = [old.get(member.index, member) for member in named]
        removed = {self._keyring.index(number.digits) for number in change.remove_members}
        if not removed <= {member.index for member in stored}:
            raise InvalidRequest("remove_members names a number that is no member")
        team = [member for member in stored if member.index not in removed]
        team += [self._member(row, number) for number in change.add_members]
        if not 1 <= len(team) <= MAX_MEMBERS:
            raise InvalidRequest(f"members are 1 to {MAX_MEMBERS} numbers")
        indexes = [member.index for member in team]
        if len(set(indexes)) < len(indexes) or real.index in indexes:
            raise SameParty("a member is named twice, or is real_number")
        return team

    def _member(self, row: asyncpg.Record, number: PhoneNumber) -> _Party:
        index = self._keyring.index(number.digits)
        return _Party(self._keyring.encrypt(number.digits, context=member_context(row["id"], index)), index)

    async def _write_team(self, row: asyncpg.Record, team: Sequence[_Party], ring: Ring | None) -> None:
        if [member.index for member in team] != row["member_indexes"]:
            await self._connection.execute(queries.DELETE_MEMBERS, row["id"])
            await self._connection.execute(
                queries.INSERT_MEMBERS,
                [row["id"]] * len(team),
                list(range(len(team))),
                [member.blob for member in team],
                [member.index for member in team],
            )
        if ring is not None:
            await self._connection.execute(queries.SET_RING, row["id"], ring)

    async def _check_subscriber(self, index: bytes | None) -> None:
        """As in an allocation: a subscriber calls out with one number."""
        taken = await self._connection.fetchrow(queries.LIVE_OF_SUBSCRIBER, index)
        if taken is None:
            return
        if taken["ends_at"] > self._now:
            raise PairInUse("the subscriber calls out with another number already")
        await close_overdue(self._connection, [taken["id"]], self._now)

    async def _move_number(
        self, row: asyncpg.Record, pool: Pool, free_at: datetime, before: set[Seat], after: set[Seat]
    ) -> None:
        """Seats that are left rest, new ones are taken, and everything else ends when the binding does."""
        if row["mode"] in EXCLUSIVE_MODES:
            await self._connection.execute(queries.MOVE_END_OF_NUMBER, row["vn"], row["id"], free_at)
            return
        resting = end_of_quarantine(self._now, pool.quarantine_seconds)
        for vn, party in sorted(before - after):
            await self._connection.execute(queries.VACATE_SEAT, vn, row["id"], party, resting)
        take = queries.TAKE_OWNERS_SEAT if row["mode"] == Mode.EXTENSION else queries.TAKE_SEATS
        for vn, party in sorted(after - before):
            seats = await self._connection.fetch(take, vn, [party], row["id"], free_at, False, self._now)
            if not seats:
                raise PairInUse("the new party has a pair on this number")
            previous = [seat["previous"] for seat in seats if seat["previous"] not in (None, row["id"])]
            await close_overdue(self._connection, previous, self._now)
        for vn in sorted({vn for vn, _ in after}):
            parties = [party for seat, party in after if seat == vn]
            await self._connection.execute(queries.MOVE_END_OF_SEATS, vn, row["id"], free_at, parties)
        if row["extension"] is not None:
            await self._connection.execute(
                queries.MOVE_END_OF_EXTENSION, row["vn"], row["id"], free_at, row["extension"]
            )


def _seats(row: asyncpg.Record, real: bytes | None, peer: bytes | None, members: Sequence[bytes | None]) -> set[Seat]:
    if real is None:
        raise AssertionError("every binding has a real number")
    team = [member for member in members if member is not None]
    return seats_of(Mode(row["mode"]), row["vn"], real, peer=peer, peer_vn=row["peer_vn"], members=team)


def _new_numbers(change: BindingChange) -> list[PhoneNumber]:
    parties = (change.real_number, change.peer_number, *(change.members or ()), *change.add_members)
    return [number for number in parties if number is not None]


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
