"""Erases recorded calls whose time is over. Needs no key: what is erased is not read."""

import asyncio
from typing import Final

from vns.recordings import queries
from vns.recordings.settings import RecordingSettings
from vns.recordings.store import RecordingStore
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database

BATCH: Final = 200


class Retention:
    """For the background worker."""

    def __init__(self, db: Database, clock: Clock, settings: RecordingSettings | None = None) -> None:
        self._db = db
        self._clock = clock
        self._store = RecordingStore((settings or RecordingSettings()).recording_store_dir)

    async def erase_over(self) -> int:
        """First the file, then the key; how many. Raises Unavailable, OSError."""
        erased = 0
        while True:
            async with self._db.connection() as connection:
                rows = await connection.fetch(queries.OVER, self._clock.now(), BATCH)
            for row in rows:
                await asyncio.to_thread(self._store.erase, row["call_id"], row["path"])
            async with self._db.transaction() as connection:
                now = self._clock.now()
                gone = await connection.fetch(queries.ERASED, [row["id"] for row in rows], now)
                entries = [
                    journal.Entry(
                        at=now,
                        tenant_id=row["tenant_id"],
                        actor="worker",
                        event="recording.erased",
                        subject=row["id"],
                        data={"call": str(row["call_id"])},
                    )
                    for row in gone
                ]
                await journal.append(connection, entries)
            erased += len(gone)
            if len(rows) < BATCH:
                return erased
