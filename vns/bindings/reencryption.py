"""Brings stored numbers to the newest key version while the platform runs."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from vns.bindings.rules import Side, cipher_context
from vns.crypto.rules import KeyRing, version_of
from vns.storage.database import Database

BATCH: Final = 500
"""Bindings looked at per transaction: short enough that nobody waits noticeably for one of them."""

_BEFORE_ALL = UUID(int=0)

_NUMBERS_AFTER = "select id, real_number, peer_number from bindings where id > $1 order by id limit $2"

# Locks in the order that everybody locks bindings in. A row that was changed since it was read no longer matches.
_RENEW = """
with given as (
    select * from unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[])
        as g (id, old_real, old_peer, new_real, new_peer)
), locked as (
    select b.id from bindings b where b.id = any($1::uuid[]) order by b.id for update
)
update bindings b set real_number = g.new_real, peer_number = g.new_peer
from given g join locked l on l.id = g.id
where b.id = g.id and b.real_number = g.old_real and b.peer_number is not distinct from g.old_peer
returning b.id
"""

_Renewed = tuple[UUID, bytes, bytes | None, bytes, bytes | None]
"""Binding, real and peer number as they were, real and peer number anew."""


async def reencrypt_once(db: Database, keyring: KeyRing) -> int:
    """Walk over all bindings once, and return how many were not of the newest version and now are.

    A number that somebody changes in between is left as that change wrote it. Erased numbers are passed over.
    Raises UnknownKeyVersion, DecryptionFailed where a number cannot be read: then nothing of its batch is changed.
    """
    renewed, after = 0, _BEFORE_ALL
    while True:
        async with db.transaction() as connection:
            rows = await connection.fetch(_NUMBERS_AFTER, after, BATCH)
            renewed += await _renew(connection, [_renewal(row, keyring) for row in rows if _is_old(row, keyring)])
        if len(rows) < BATCH:
            return renewed
        after = rows[-1]["id"]


def _is_old(row: asyncpg.Record, keyring: KeyRing) -> bool:
    return any(version_of(blob) != keyring.newest for blob in (row["real_number"], row["peer_number"]) if blob)


def _renewal(row: asyncpg.Record, keyring: KeyRing) -> _Renewed:
    def anew(blob: bytes | None, side: Side) -> bytes | None:
        if not blob:
            return blob
        context = cipher_context(row["id"], side)
        return keyring.encrypt(keyring.decrypt(blob, context=context), context=context)

    real, peer = row["real_number"], row["peer_number"]
    return row["id"], real, peer, anew(real, Side.REAL) or real, anew(peer, Side.PEER)


async def _renew(connection: asyncpg.Connection, renewals: Sequence[_Renewed]) -> int:
    if not renewals:
        return 0
    return len(await connection.fetch(_RENEW, *(list(column) for column in zip(*renewals, strict=True))))
