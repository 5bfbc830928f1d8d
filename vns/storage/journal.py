"""The journal: outbox and audit log in one append-only table, written in the transaction of what it tells of.

Why one table: docs/decisions/0006-one-journal.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

Data = dict[str, "str | int | bool | list[str] | None"]

_APPEND = """
insert into journal (at, tenant_id, actor, event, subject, data)
select * from unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::jsonb[])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened. `data` never holds a real number."""

    at: datetime
    tenant_id: UUID | None
    actor: str
    event: str
    subject: UUID | None = None
    data: Data = field(default_factory=dict)


async def append(connection: asyncpg.Connection, entries: Sequence[Entry]) -> None:
    """Write `entries` in the transaction that `connection` is in."""
    if entries:
        await connection.execute(
            _APPEND,
            [entry.at for entry in entries],
            [entry.tenant_id for entry in entries],
            [entry.actor for entry in entries],
            [entry.event for entry in entries],
            [entry.subject for entry in entries],
            [entry.data for entry in entries],
        )
