"""Erases recorded calls whose time is over. Needs no key: what is erased is not read."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg

from vns.recordings import queries
from vns.recordings.settings import RecordingSettings
from vns.recordings.store import RecordingStore
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database

log = logging.getLogger(__name__)

BATCH: Final = 200
_BEFORE_ALL: Final = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))


class Retention:
    """For the background worker."""

    def __init__(self, db: Database, clock: Clock, settings: RecordingSettings | None = None) -> None:
        self._db = db
        self._clock = clock
        self._store = RecordingStore((settings or RecordingSettings()).recording_store_dir)

    async def erase_over(self) -> int:
        """First the file, then the key; how many. What cannot be erased is tried again the next time.

        Raises Unavailable.
        """
        erased, after = 0, _BEFORE_ALL
        while True:
            async with self._db.connection() as connection:
                rows = await connection.fetch(queries.OVER, self._clock.now(), BATCH, *after)
            erased += await self._note([row["id"] for row in rows if await self._is_erased(row)])
            if len(rows) < BATCH:
                return erased
            after = rows[-1]["expires_at"], rows[-1]["id"]

    async def _is_erased(self, row: asyncpg.Record) -> bool:
        try:
            await asyncio.to_thread(self._store.erase, row["call_id"], row["path"])
        except OSError as error:
            log.warning("the recording of call %s cannot be erased: %s", row["call_id"], type(error).__name__)
            return False
        return True

    async def _note(self, erased: Sequence[UUID]) -> int:
        """Their files are gone; how many had not been noted yet."""
        if not erased:
            return 0
        async with self._db.transaction() as connection:
            now = self._clock.now()
            gone = await connection.fetch(queries.ERASED, erased, now)
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
        return len(gone)
