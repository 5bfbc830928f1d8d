"""How much happened in each hour, from tables whose ids sort by time (UUID version 7)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

LONGEST: Final = timedelta(days=7)
_EARLIER: Final = timedelta(hours=1)  # an id may be older than the moment its row tells, by minutes at most


@dataclass(frozen=True, slots=True, kw_only=True)
class HourCount:
    """`hour`: its beginning. `outcome`: a result of calls, a status of texts."""

    hour: datetime
    outcome: str
    count: int


def first_id(moment: datetime) -> UUID:
    """No id of version 7 made at `moment` or later sorts before it."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


async def hourly(
    connection: asyncpg.Connection, statement: str, tenant_id: UUID, since: datetime, until: datetime
) -> list[HourCount]:
    """`statement` takes tenant, first id, since, until, in this order; at most LONGEST is looked at.

    In the order of hours and outcomes, in whichever the statement has them.
    """
    since = max(since, until - LONGEST)
    rows = await connection.fetch(statement, tenant_id, first_id(since - _EARLIER), since, until)
    counted = [HourCount(hour=row["hour"], outcome=row["outcome"], count=row["count"]) for row in rows]
    return sorted(counted, key=lambda one: (one.hour, one.outcome))
