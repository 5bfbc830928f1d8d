"""Lists, page by page: newest first, by ids that sort by time. The cursor is the last id of the page before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import asyncpg

from vns.errors import InvalidRequest

MAX_PAGE = 1_000

Shown = TypeVar("Shown")


@dataclass(frozen=True, slots=True)
class Page(Generic[Shown]):
    """A part of a list. `next_cursor` None: the end."""

    items: tuple[Shown, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """Which of a tenant's calls or texts to list: those that arrived from `since` on and before `until`."""

    binding_id: UUID | None = None
    virtual_number: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    cursor: str | None = None
    limit: int = 100


async def history_page(
    connection: asyncpg.Connection,
    statement: str,
    tenant_id: UUID,
    query: HistoryQuery,
    shown: Callable[[asyncpg.Record], Shown],
) -> Page[Shown]:
    """`statement` takes tenant, binding, number, since, until, last id, size, in this order. Raises InvalidRequest."""
    limit = page_size(query.limit)
    rows = await connection.fetch(
        statement,
        tenant_id,
        query.binding_id,
        query.virtual_number,
        query.since,
        query.until,
        last_id(query.cursor),
        limit + 1,
    )
    return page_of(rows, limit, shown)


def page_of(rows: Sequence[asyncpg.Record], limit: int, shown: Callable[[asyncpg.Record], Shown]) -> Page[Shown]:
    """A page of at most `limit` from rows that were fetched with one more, which tells whether another page follows."""
    items = rows[:limit]
    more = len(rows) > limit
    return Page(items=tuple(shown(row) for row in items), next_cursor=str(items[-1]["id"]) if more else None)


def page_size(wanted: int) -> int:
    return max(1, min(wanted, MAX_PAGE))


def last_id(cursor: str | None) -> UUID | None:
    """Raises InvalidRequest for a cursor that no list gave out."""
    if cursor is None:
        return None
    try:
        return UUID(cursor)
    except ValueError as error:
        raise InvalidRequest("cursor is not one that a list gave out") from error
