"""Making and changing pools, and counting their numbers."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import asyncpg

from vns.crypto.rules import KeyRing
from vns.errors import InvalidRequest, NotFound, PoolOverlap
from vns.pools import queries
from vns.pools.rules import (
    DEFAULT_MODES,
    FOREVER,
    ManagedBy,
    Mode,
    NewPool,
    Pool,
    PoolChange,
    PoolCounts,
    Proof,
    Service,
    check_proofs,
    check_settings,
    stripes_of,
)
from vns.rulebook.documents import RulesChange, changed, shown
from vns.rulebook.sealing import seal
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.revocation import Revocations


class Pools:
    """The pools of one installation."""

    def __init__(
        self, db: Database, clock: Clock, keyring: KeyRing | None = None, copies: Revocations | None = None
    ) -> None:
        """`keyring`: only for rules with a fallback number. `copies`: what bridges may have copied is taken back
        before new rules are acknowledged.
        """
        self._copies = copies
        self._db = db
        self._clock = clock
        self._keyring = keyring

    async def create(self, actor: str, new: NewPool) -> Pool:
        """A pool of any size is made in a few milliseconds: numbers get rows only when they are used.

        Raises PoolOverlap when the range meets another pool's, NotFound for an unknown owner, InvalidRequest for
        settings that no pool can have and for a name that is taken.
        """
        now = self._clock.now()
        check_settings(new)
        check_proofs(new, now)
        _check_manager(new.managed_by, new.owner_id)
        voice_proof = new.voice_proof or new.sms_sender_proof
        modes = new.modes if new.modes is not None else DEFAULT_MODES[new.service]
        low_water = new.low_water if new.low_water is not None else (new.last - new.first + 1) // 100
        try:
            async with self._db.transaction() as connection:
                pool_id: UUID = await connection.fetchval(
                    queries.INSERT_POOL,
                    new.name,
                    new.service,
                    new.first,
                    new.last,
                    new.owner_id,
                    sorted(modes),
                    new.sms_sender_proof,
                    new.quarantine_seconds,
                    new.default_ttl_seconds,
                    low_water,
                    now,
                    new.managed_by,
                    voice_proof,
                    _stored_end(new.voice_proof_until or FOREVER) if voice_proof else None,
                )
                stripes = stripes_of(new.first, new.last)
                await connection.execute(
                    queries.INSERT_STRIPES,
                    pool_id,
                    list(range(len(stripes))),
                    [first for first, _ in stripes],
                    [last for _, last in stripes],
                )
                await self._change_rules(connection, pool_id, new.rules)
                await _note(connection, self._clock, actor, "pool.created", pool_id, new.owner_id, _filed(new))
        except asyncpg.ExclusionViolationError as error:
            raise PoolOverlap("the range meets another pool's") from error
        except asyncpg.UniqueViolationError as error:
            raise InvalidRequest("a pool of this name exists") from error
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound("no such owner") from error
        return await self.get(pool_id)

    async def list(self, tenant_id: UUID | None = None) -> list[Pool]:
        """The pools that are open to a tenant, its own first; all of them without one."""
        async with self._db.connection() as connection:
            pools = await load_pools(connection)
        return pools if tenant_id is None else open_pools(pools, tenant_id)

    async def get(self, pool: UUID | str) -> Pool:
        """By id or by name. Raises NotFound."""
        async with self._db.connection() as connection:
            for candidate in await load_pools(connection):
                if pool in (candidate.id, str(candidate.id), candidate.name):
                    return candidate
        raise NotFound("no such pool")

    async def change(self, actor: str, pool_id: UUID, change: PoolChange) -> Pool:
        """Change a pool's settings, and lock, reserve or free single numbers. Raises NotFound, InvalidRequest.

        A proof that is withdrawn counts no more with the next call, also where a copy decides it.
        """
        check_settings(change)
        check_proofs(change, self._clock.now())
        pool = await self.get(pool_id)
        _check_manager(change.managed_by, pool.owner_id)
        if any(key not in pool for key in (*change.lock, *change.reserve, *change.unhold)):
            raise InvalidRequest("a number is not in this pool")
        try:
            async with self._db.transaction() as connection:
                await connection.execute(
                    queries.UPDATE_POOL,
                    pool_id,
                    change.name,
                    sorted(change.modes) if change.modes is not None else None,
                    change.sms_sender_proof,
                    change.quarantine_seconds,
                    change.default_ttl_seconds,
                    change.low_water,
                    change.locked,
                    change.managed_by,
                    change.voice_proof,
                    _stored_end(change.voice_proof_until),
                    Proof.SMS in change.withdraw_proofs,
                    Proof.VOICE in change.withdraw_proofs,
                    FOREVER,
                )
                for hold, keys in (("locked", change.lock), ("reserved", change.reserve)):
                    if keys:
                        await connection.execute(queries.HOLD_NUMBERS, pool_id, sorted(set(keys)), hold)
                if change.unhold:
                    await connection.execute(queries.UNHOLD_NUMBERS, pool_id, list(change.unhold))
                await self._change_rules(connection, pool_id, change.rules)
                await _note(connection, self._clock, actor, "pool.changed", pool_id, pool.owner_id, _filed(change))
        except asyncpg.CheckViolationError as error:
            raise InvalidRequest("no voice proof is on file whose end could be changed") from error
        except asyncpg.UniqueViolationError as error:
            raise InvalidRequest("a pool of this name exists") from error
        if self._copies is not None and (change.rules or change.names_proofs):
            await self._copies.revoke_all()
        return await self.get(pool_id)

    async def _change_rules(self, connection: asyncpg.Connection, pool_id: UUID, change: RulesChange | None) -> None:
        if not change:
            return
        stored = await connection.fetchval(queries.LOCK_RULES, pool_id)
        await connection.execute(queries.SET_RULES, pool_id, changed(stored, change, partial(self._seal, pool_id)))

    def _seal(self, pool_id: UUID, digits: str) -> str:
        if self._keyring is None:
            raise AssertionError("whoever takes rules from customers has the key ring")
        return seal(self._keyring, pool_id, digits)

    async def counts(self, pool_ids: Iterable[UUID]) -> dict[UUID, PoolCounts]:
        """How many numbers are in which state. Reads every used number of the pools: not for a hot path."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.COUNT_NUMBERS, list(pool_ids), self._clock.now())
        return {
            row["pool_id"]: PoolCounts(
                total=row["total"],
                free=row["total"] - row["taken"],
                live=row["live"],
                quarantined=row["quarantined"],
                locked=row["locked"],
            )
            for row in rows
        }


async def load_pools(connection: asyncpg.Connection) -> list[Pool]:
    """Every pool, oldest first. Pools are few: reading them all costs less than asking for one cleverly."""
    return [_pool(row) for row in await connection.fetch(queries.SELECT_POOLS + " order by id")]


def open_pools(pools: Sequence[Pool], tenant_id: UUID) -> list[Pool]:
    """Those that a tenant may take numbers from: its own before the operator's."""
    return sorted((pool for pool in pools if pool.open_to(tenant_id)), key=lambda pool: pool.owner_id is None)


def _pool(row: asyncpg.Record) -> Pool:
    return Pool(
        id=row["id"],
        name=row["name"],
        service=Service(row["service"]),
        first=row["first"],
        last=row["last"],
        owner_id=row["owner_id"],
        modes=frozenset(Mode(mode) for mode in row["modes"]),
        sms_sender_proof=row["sms_sender_proof"],
        voice_proof=row["voice_proof"],
        voice_proof_until=None if row["voice_proof_until"] in (None, FOREVER) else row["voice_proof_until"],
        quarantine_seconds=row["quarantine_seconds"],
        default_ttl_seconds=row["default_ttl_seconds"],
        low_water=row["low_water"],
        locked=row["locked"],
        created_at=row["created_at"],
        managed_by=ManagedBy(row["managed_by"]),
        rules=shown(row["rules"]),
    )


def _check_manager(managed_by: ManagedBy | None, owner_id: UUID | None) -> None:
    if managed_by is ManagedBy.CUSTOMER and owner_id is None:
        raise InvalidRequest("a pool that a customer manages has that customer as its owner")


def _stored_end(until: datetime | None) -> datetime | None:
    return min(until, FOREVER) if until is not None else None


def _filed(settings: NewPool | PoolChange) -> journal.Data:
    """What the journal keeps of proofs: where they are filed, until when, and which are withdrawn."""
    until = settings.voice_proof_until
    withdrawn = settings.withdraw_proofs if isinstance(settings, PoolChange) else ()
    named: journal.Data = {
        "sms_sender_proof": settings.sms_sender_proof,
        "voice_proof": settings.voice_proof,
        "voice_proof_until": until.isoformat() if until else None,
        "withdrawn": sorted(withdrawn) or None,
    }
    return {name: value for name, value in named.items() if value is not None}


async def _note(
    connection: asyncpg.Connection,
    clock: Clock,
    actor: str,
    event: str,
    pool_id: UUID,
    owner_id: UUID | None,
    data: journal.Data,
) -> None:
    entry = journal.Entry(at=clock.now(), tenant_id=owner_id, actor=actor, event=event, subject=pool_id, data=data)
    await journal.append(connection, [entry])
