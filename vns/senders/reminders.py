"""Tenants learn of proofs and exemptions that end soon: `sender.expiring` and `sender.exemption_expiring` in the
journal, once for each."""

from datetime import datetime
from typing import Final

import asyncpg

from vns.pools.reminders import REMIND_BEFORE
from vns.senders import queries
from vns.storage import journal

AT_ONCE: Final = 500  # numbers in one transaction


async def remind(connection: asyncpg.Connection, now: datetime) -> int:
    """How many proofs a reminder was written of, AT_ONCE at most. Within a transaction."""
    rows = await connection.fetch(queries.REMIND, now, now + REMIND_BEFORE, AT_ONCE)
    entries = [
        journal.Entry(
            at=now,
            tenant_id=row["tenant_id"],
            actor="platform",
            event="sender.expiring",
            subject=row["id"],
            data={"number": row["number_masked"], "expires_at": row["expires_at"].isoformat()},
        )
        for row in rows
    ]
    await journal.append(connection, entries)
    return len(rows)


async def remind_of_exemptions(connection: asyncpg.Connection, now: datetime) -> None:
    """Exemptions are few. Within a transaction."""
    rows = await connection.fetch(queries.REMIND_OF_EXEMPTIONS, now, now + REMIND_BEFORE)
    entries = [
        journal.Entry(
            at=now,
            tenant_id=row["tenant_id"],
            actor="platform",
            event="sender.exemption_expiring",
            data={"route": row["route"], "expires_at": row["ends_at"].isoformat()},
        )
        for row in rows
    ]
    await journal.append(connection, entries)
