"""Who did what: the acts of people and keys out of the journal, newest first.

What calls, texts and allocations leave there by the thousand is no act and has no place here; the same condition stands
in the index that these statements read (migration `console`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from vns.access import queries
from vns.errors import InvalidRequest
from vns.storage import journal
from vns.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One entry. `tenant`: the code of whom it is about."""

    at: datetime
    tenant: str | None
    actor: str
    event: str
    subject: UUID | None
    data: journal.Data


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """A page of them. `next_cursor` None: the end."""

    items: tuple[Act, ...]
    next_cursor: str | None


MAX_ACTS: Final = 500
_BEGINNING: Final = 2**62  # later than any transaction


class Audit:
    """Reads the journal and adds to it what only the edge can know."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def acts(self, tenant_id: UUID | None, *, cursor: str | None = None, limit: int = 50) -> Acts:
        """A tenant's, or without one everybody's. Raises InvalidRequest for a cursor that is none."""
        txid, entry = _position(cursor)
        limit = max(1, min(limit, MAX_ACTS))
        statement = queries.ACTS if tenant_id is None else queries.ACTS_OF_TENANT
        values = [txid, entry, limit + 1] if tenant_id is None else [txid, entry, limit + 1, tenant_id]
        async with self._db.connection() as connection:
            rows = await connection.fetch(statement, *values)
        shown = rows[:limit]
        more = len(rows) > limit
        return Acts(
            items=tuple(_act(row) for row in shown),
            next_cursor=f"{shown[-1]['txid']}-{shown[-1]['id']}" if more else None,
        )

    async def note(self, entry: journal.Entry) -> None:
        """Keep something that no service does itself, such as a list that was taken away as a file."""
        async with self._db.transaction() as connection:
            await journal.append(connection, [entry])


def _position(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return _BEGINNING, 0
    txid, _, entry = cursor.partition("-")
    if not (txid.isdecimal() and entry.isdecimal() and max(int(txid), int(entry)) < 2**63):
        raise InvalidRequest("cursor is not one that a list gave out")
    return int(txid), int(entry)


def _act(row: asyncpg.Record) -> Act:
    return Act(
        at=row["at"],
        tenant=row["tenant"],
        actor=row["actor"],
        event=row["event"],
        subject=row["subject"],
        data=row["data"],
    )
