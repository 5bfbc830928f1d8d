"""How full pools are, and were: counted now and then, since counting reads every number that was ever used."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from vns.pools import queries
from vns.pools.rules import PoolCounts
from vns.pools.service import Pools
from vns.storage.clock import Clock
from vns.storage.database import Database

KEPT: Final = timedelta(days=31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The counts of one pool at a moment."""

    pool_id: UUID
    at: datetime
    counts: PoolCounts


class Occupancy:
    """Counts pools, and tells what was counted."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._pools = Pools(db, clock)

    async def take(self) -> int:
        """Count all pools and keep it; drop what is older than KEPT. Returns how many pools there are."""
        now = self._clock.now()
        counted = await self._pools.counts([pool.id for pool in await self._pools.list()])
        async with self._db.transaction() as connection:
            await connection.execute(
                queries.STORE_SAMPLES,
                list(counted),
                [now] * len(counted),
                *(
                    [getattr(counts, name) for counts in counted.values()]
                    for name in ("total", "free", "live", "quarantined", "locked")
                ),
            )
            await connection.execute(queries.DROP_SAMPLES, now - KEPT)
        return len(counted)

    async def latest(self, pool_ids: Sequence[UUID]) -> dict[UUID, Sample]:
        """The newest count of each pool that has one."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.LATEST_SAMPLES, list(pool_ids))
        return {row["pool_id"]: _sample(row) for row in rows}

    async def since(self, pool_id: UUID, moment: datetime) -> list[Sample]:
        """What was counted from `moment` on, oldest first."""
        async with self._db.connection() as connection:
            return [_sample(row) for row in await connection.fetch(queries.SELECT_SAMPLES, [pool_id], moment)]


def _sample(row: asyncpg.Record) -> Sample:
    return Sample(
        pool_id=row["pool_id"],
        at=row["at"],
        counts=PoolCounts(
            total=row["total"],
            free=row["free"],
            live=row["live"],
            quarantined=row["quarantined"],
            locked=row["locked"],
        ),
    )
