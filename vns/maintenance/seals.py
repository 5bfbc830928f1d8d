"""The hash chain over the journal, written in batches behind the writers, so that no allocation waits for it.

A seal covers the rows of all transactions from `from_txid` up to, not including, `to_txid`:

    hash = SHA-256(previous hash ‖ for each row its canonical JSON, preceded by its length in 8 bytes)

Whoever changes, adds or removes a sealed row, or a seal, breaks the chain; `verify` finds where. The worker logs each
head, so that a copy of the log elsewhere proves that the chain was not written anew from the start.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from vns.maintenance import queries

FIRST = b"\0" * 32  # what the first seal has as its previous hash
SEAL_ROWS = 5_000  # about as many rows as one seal covers; a larger transaction is sealed whole


@dataclass(frozen=True, slots=True)
class Seal:
    """`rows`: how many it covers. `hash`: the head of the chain after it."""

    seq: int
    rows: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken_at`: the first seal that does not fit; None: the chain is whole. `unsealed`: rows not yet covered."""

    seals: int
    rows: int
    unsealed: int
    head: bytes
    broken_at: int | None
    why: str | None


async def seal_next(connection: asyncpg.Connection, now: datetime) -> Seal | None:
    """Seal what has been committed since the last seal, inside the caller's transaction; None: nothing has.

    Only one worker does this at a time (the seal's number is a primary key: a second one fails).
    """
    last = await connection.fetchrow(queries.LAST_SEAL)
    start, previous, seq = (last["to_txid"], last["hash"], last["seq"] + 1) if last else (0, FIRST, 1)
    end = await connection.fetchval(queries.SEAL_END, start, SEAL_ROWS)
    rows = await connection.fetch(queries.ROWS_BETWEEN, start, end)
    if not rows:
        return None
    digest = chain(previous, rows)
    await connection.execute(queries.INSERT_SEAL, seq, start, end, len(rows), previous, digest, now)
    return Seal(seq, len(rows), digest)


async def verify(connection: asyncpg.Connection) -> Verdict:
    """Compute the whole chain again from the rows. Reads everything: a matter of seconds per million rows."""
    seq, end, head, total = 0, 0, FIRST, 0
    while seals := await connection.fetch(queries.SEALS_AFTER, seq):
        for seal in seals:
            why = await _objection(connection, seal, seq, end, head)
            if why is not None:
                return Verdict(seq, total, 0, head, seal["seq"], why)
            seq, end, head = seal["seq"], seal["to_txid"], seal["hash"]
            total += seal["rows"]
    unsealed = await connection.fetchval(queries.UNSEALED, end)
    if await connection.fetchval(queries.NEXT_TXID) < end:
        return Verdict(seq, total, unsealed, head, seq, "transaction ids lie behind the last seal: restored by hand?")
    return Verdict(seq, total, unsealed, head, None, None)


async def _objection(
    connection: asyncpg.Connection, seal: asyncpg.Record, seq: int, end: int, head: bytes
) -> str | None:
    if seal["seq"] != seq + 1 or seal["from_txid"] != end:
        return "a seal is missing before it"
    if seal["previous"] != head:
        return "its previous hash is not the hash of the seal before"
    rows = await connection.fetch(queries.ROWS_BETWEEN, seal["from_txid"], seal["to_txid"])
    if len(rows) != seal["rows"]:
        return f"it covers {seal['rows']} rows and {len(rows)} are there"
    if chain(head, rows) != seal["hash"]:
        return "a row that it covers has been changed"
    return None


def chain(previous: bytes, rows: Iterable[asyncpg.Record]) -> bytes:
    """The hash of a seal over `rows`, in order."""
    digest = hashlib.sha256(previous)
    for row in rows:
        text = canonical(row)
        digest.update(len(text).to_bytes(8, "big") + text)
    return digest.digest()


def canonical(row: asyncpg.Record) -> bytes:
    """A journal row as the one text that stands for it: JSON with sorted keys, no spaces, time in UTC microseconds."""
    fields = {
        "id": row["id"],
        "at": row["at"].astimezone(UTC).isoformat(timespec="microseconds"),
        "tenant": str(row["tenant_id"]) if row["tenant_id"] else None,
        "actor": row["actor"],
        "event": row["event"],
        "subject": str(row["subject"]) if row["subject"] else None,
        "data": row["data"],
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
