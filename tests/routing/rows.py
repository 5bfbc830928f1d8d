"""Bindings of every mode, written row by row: what the decision reads, whoever may have written it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from tests.core_world import CUSTOMER, World
from vns.bindings.rules import Side, Status, cipher_context, last_caller_context, member_context
from vns.pools.rules import FOREVER, Mode
from vns.rulebook.documents import changed, checked
from vns.rulebook.sealing import seal

_KIND = {
    Mode.ONE_WAY: "exclusive",
    Mode.OUTBOUND: "exclusive",
    Mode.EXTENSION: "extension",
    Mode.BIDIRECTIONAL: "shared",
    Mode.PER_SIDE: "shared",
    Mode.GROUP: "shared",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One binding. `ended`: its end is this long ago; `rested`: its quarantine is over as well."""

    mode: Mode
    vn: int
    real: str = CUSTOMER
    peer: str | None = None
    peer_vn: int | None = None
    extension: str | None = None
    members: Sequence[str] = ()
    ring: str = "order"
    rules: dict[str, Any] | None = None
    channels: Sequence[str] = ("voice", "sms")
    caller_id: str = "virtual"
    status: Status = Status.ACTIVE
    ended: bool = False
    rested: bool = False
    last_caller: str | None = None
    ttl_seconds: int | None = None

    @property
    def parties(self) -> list[tuple[int, str]]:
        """Seats: the number that a party dials, and the party."""
        if self.mode is Mode.BIDIRECTIONAL:
            return [(self.vn, self.real), (self.vn, self.peer or "")]
        if self.mode is Mode.PER_SIDE:
            return [(self.vn, self.peer or ""), (self.peer_vn or 0, self.real)]
        if self.mode is Mode.GROUP:
            return [(self.vn, party) for party in (self.real, *self.members)]
        return [(self.vn, self.real)] if self.mode is Mode.EXTENSION else []

    def ends_at(self, now: datetime) -> datetime:
        return now - timedelta(hours=1) if self.ended else now + timedelta(hours=1)

    def free_at(self, now: datetime) -> datetime:
        return now - timedelta(minutes=1) if self.rested else now + timedelta(days=7)


async def write(world: World, row: Row) -> UUID:
    """Its id. Numbers get rows as they need them; a seat, an extension or a number is taken over from who had it."""
    binding_id, now = uuid7(), world.clock.now()
    encrypt, index = world.keyring.encrypt, world.keyring.index

    def sealed(digits: str) -> str:
        return seal(world.keyring, binding_id, digits)

    rules = changed(None, checked(row.rules), sealed) if row.rules is not None else None
    async with world.db.transaction() as connection:
        pool_id = await connection.fetchval("select id from pools where numbers @> $1::bigint", row.vn)
        await connection.execute(
            """
            insert into bindings (id, tenant_id, pool_id, vn, mode, status, real_number, real_index, peer_number,
                peer_index, channels, caller_id, ttl_seconds, ends_at, created_at, ended_at, peer_vn, extension, ring,
                rules, last_caller, last_caller_index, last_caller_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                $22, $23)
            """,
            binding_id,
            world.mall.tenant_id,
            pool_id,
            row.vn,
            row.mode,
            row.status,
            encrypt(row.real, context=cipher_context(binding_id, Side.REAL)),
            index(row.real),
            encrypt(row.peer, context=cipher_context(binding_id, Side.PEER)) if row.peer else None,
            index(row.peer) if row.peer else None,
            list(row.channels),
            row.caller_id,
            row.ttl_seconds,
            row.ends_at(now),
            now - timedelta(days=1),
            None if row.status is Status.ACTIVE else row.ends_at(now),
            row.peer_vn,
            row.extension,
            row.ring if row.mode is Mode.GROUP else None,
            rules,
            encrypt(row.last_caller, context=last_caller_context(binding_id)) if row.last_caller else None,
            index(row.last_caller) if row.last_caller else None,
            now if row.last_caller else None,
        )
        for vn in {row.vn, *(vn for vn, _ in row.parties)}:
            kind = _KIND[row.mode]
            await connection.execute(
                """
                insert into numbers (vn, pool_id, kind, binding_id, free_at)
                values ($1, (select id from pools where numbers @> $1::bigint), $2, $3, $4)
                on conflict (vn) do update set kind = excluded.kind, binding_id = excluded.binding_id,
                    free_at = excluded.free_at
                """,
                vn,
                kind,
                binding_id if kind == "exclusive" else None,
                row.free_at(now) if kind == "exclusive" else FOREVER,
            )
        for vn, party in row.parties:
            await connection.execute(
                """
                insert into seats (vn, party, kind, binding_id, free_at) values ($1, $2, $3, $4, $5)
                on conflict (vn, party) do update set binding_id = excluded.binding_id, free_at = excluded.free_at
                """,
                vn,
                index(party),
                _KIND[row.mode],
                binding_id,
                row.free_at(now),
            )
        if row.extension is not None:
            await connection.execute(
                """
                insert into extensions (vn, extension, binding_id, free_at) values ($1, $2, $3, $4)
                on conflict (vn, extension) do update set binding_id = excluded.binding_id, free_at = excluded.free_at
                """,
                row.vn,
                row.extension,
                binding_id,
                row.free_at(now),
            )
        for position, member in enumerate(row.members):
            await connection.execute(
                "insert into binding_members (binding_id, position, number, party) values ($1, $2, $3, $4)",
                binding_id,
                position,
                encrypt(member, context=member_context(binding_id, index(member))),
                index(member),
            )
    return binding_id
