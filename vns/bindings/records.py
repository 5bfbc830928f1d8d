"""Rows of `bindings` as what their owner may see."""

from datetime import datetime

import asyncpg

from vns.bindings.rules import (
    Binding,
    CallerId,
    Channel,
    Ring,
    Side,
    Status,
    cipher_context,
    current_status,
    member_context,
)
from vns.crypto.rules import KeyRing
from vns.numbering.rules import mask
from vns.pools.rules import FOREVER, Mode
from vns.rulebook.documents import shown


def binding_of(row: asyncpg.Record, keyring: KeyRing, now: datetime) -> Binding:
    """Decrypts the parties only to mask them."""
    peer = row["peer_number"]
    status = current_status(Status(row["status"]), row["ends_at"], now)
    return Binding(
        id=row["id"],
        tenant_id=row["tenant_id"],
        mode=Mode(row["mode"]),
        status=status,
        vn=row["vn"],
        real_masked=mask(keyring.decrypt(row["real_number"], context=cipher_context(row["id"], Side.REAL))),
        peer_masked=mask(keyring.decrypt(peer, context=cipher_context(row["id"], Side.PEER))) if peer else None,
        reference=row["reference"],
        purpose=row["purpose"],
        expires_at=end_shown(row, status),
        ttl_seconds=row["ttl_seconds"],
        expire_after_call=row["expire_after_call"],
        channels=frozenset(Channel(channel) for channel in row["channels"]),
        caller_id=CallerId(row["caller_id"]),
        created_at=row["created_at"],
        ended_at=row["ended_at"] or (row["ends_at"] if status is not Status.ACTIVE else None),
        rules=shown(row["rules"]),
        peer_vn=row["peer_vn"],
        extension=row["extension"],
        members_masked=_members(row, keyring) if row["members"] is not None else None,
        ring=Ring(row["ring"]) if row["ring"] else None,
    )


def _members(row: asyncpg.Record, keyring: KeyRing) -> tuple[str, ...]:
    return tuple(
        mask(keyring.decrypt(blob, context=member_context(row["id"], party)))
        for blob, party in zip(row["members"], row["member_indexes"], strict=True)
    )


def end_shown(row: asyncpg.Record, status: Status) -> datetime | None:
    """The effective end while it still means something; after an early end, the end that had been set."""
    end: datetime | None = row["ends_at"] if status in (Status.ACTIVE, Status.EXPIRED) else row["expires_at"]
    return None if end is None or end >= FOREVER else end
