"""Operators learn of proofs for calls that end soon: `pool.proof_expiring` in the journal, once for each."""

from datetime import datetime, timedelta
from typing import Final

import asyncpg

from vns.pools import queries
from vns.storage import journal

REMIND_BEFORE: Final = timedelta(days=30)


async def remind(connection: asyncpg.Connection, now: datetime) -> int:
    """How many proofs a reminder was written of; pools are few. Within a transaction."""
    rows = await connection.fetch(queries.REMIND, now, now + REMIND_BEFORE)
    entries = [
        journal.Entry(
            at=now,
            tenant_id=row["owner_id"],
            actor="platform",
            event="pool.proof_expiring",
            subject=row["id"],
            data={
                "name": row["name"],
                "voice_proof": row["voice_proof"],
                "expires_at": row["voice_proof_until"].isoformat(),
            },
        )
        for row in rows
    ]
    await journal.append(connection, entries)
    return len(rows)
