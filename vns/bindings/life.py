"""How bindings end: released by their tenant, consumed by a call, or written off by the worker."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from vns.bindings import queries
from vns.bindings.numbers import close_overdue
from vns.bindings.rules import Status
from vns.numbering.rules import digits_of
from vns.storage import journal

SWEEP = 500  # bindings written off in one transaction


async def end_live(
    connection: asyncpg.Connection, ids: Sequence[UUID], status: Status, now: datetime, actor: str
) -> list[asyncpg.Record]:
    """End those of `ids` that are live, and start their quarantine. Returns the rows of those that it ended."""
    rows: list[asyncpg.Record] = await connection.fetch(queries.END_LIVE, list(ids), status, now)
    await journal.append(
        connection,
        [
            journal.Entry(
                at=now,
                tenant_id=row["tenant_id"],
                actor=actor,
                event=f"binding.{status}",
                subject=row["id"],
                data={"virtual_number": digits_of(row["vn"]), "reference": row["reference"]},
            )
            for row in rows
        ],
    )
    return rows


async def consume(connection: asyncpg.Connection, binding_id: UUID, now: datetime, *, actor: str) -> bool:
    """End a binding because its call has been made; False when it was over already."""
    return bool(await end_live(connection, [binding_id], Status.CONSUMED, now, actor))


async def mark_to_cut(connection: asyncpg.Connection, ids: Sequence[UUID], now: datetime) -> None:
    """That calls of these bindings are to be cut, also those that have begun and have no record yet.

    To be called before anything else locks bindings: it locks all of them, in their order.
    """
    await connection.execute(queries.MARK_BINDINGS_TO_CUT, list(ids), now)


async def cut_calls(connection: asyncpg.Connection, ids: Sequence[UUID], now: datetime) -> None:
    """Have the bridges hang up the open calls of these bindings, once the transaction is committed."""
    rows = await connection.fetch(queries.MARK_CALLS_TO_CUT, list(ids), now)
    for binding_id in {row["binding_id"] for row in rows}:
        await connection.execute(queries.NOTIFY_CUT, str(binding_id))


async def sweep_overdue(connection: asyncpg.Connection, now: datetime) -> int:
    """Write off up to SWEEP bindings whose end has passed. No decision waits for this; events and lists do."""
    rows = await connection.fetch(queries.FIND_OVERDUE, now, SWEEP)
    return await close_overdue(connection, [row["id"] for row in rows], now) if rows else 0
