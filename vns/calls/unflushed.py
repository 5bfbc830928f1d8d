"""Begins of calls that PostgreSQL has committed and may not have on disk yet.

Waiting for the disk is a good part of what a call costs. A begin is therefore committed without (`synchronous_commit`
off, see vns.calls.queries): it is visible and locks as ever, and is on disk within the three rounds of PostgreSQL's WAL
writer that its manual promises, 0.6 seconds as it comes. If PostgreSQL crashes in between, the begin is gone. So each
is kept here until it is old enough to be on disk, and is then looked for: what is missing is written again.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from vns.calls import queries
from vns.errors import Unavailable
from vns.storage.database import Database

log = logging.getLogger(__name__)

ON_DISK: Final = 3.0  # seconds after which a commit is on disk, or lost: five times what PostgreSQL promises
LOOK_EVERY: Final = 1.0  # seconds
AT_ONCE: Final = 1_000
MOST: Final = 200_000  # the oldest go first: minutes of the highest rate, without PostgreSQL


@dataclass(frozen=True, slots=True)
class _Begin:
    kept_at: float  # of time.monotonic
    call_id: UUID
    statement: str
    arguments: Callable[[], tuple[object, ...]]


async def _written_again(connection: asyncpg.Connection, begin: _Begin) -> bool:
    """False where PostgreSQL refuses it, as it would again: Asterisk's line is left, and others are not held up."""
    try:
        await connection.execute(begin.statement, *begin.arguments())
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
        log.error("the begin of call %s cannot be written again: %s", begin.call_id, type(error).__name__)  # noqa: TRY400 - may hold a number
        return False
    return True


class Unflushed:
    """One process's. `run` is its owner's task; without it the oldest are forgotten."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._begins: deque[_Begin] = deque(maxlen=MOST)

    def keep(self, call_id: UUID, statement: str, arguments: Callable[[], tuple[object, ...]]) -> None:
        """`statement` with `arguments` writes the begin again, and does nothing where it is there.

        They are asked for when they are needed, which is hardly ever.
        """
        self._begins.append(_Begin(time.monotonic(), call_id, statement, arguments))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look(time.monotonic() - ON_DISK)
            except (Unavailable, asyncpg.PostgresError, OSError, TimeoutError) as error:
                log.debug("begins wait: %s", type(error).__name__)
            await asyncio.sleep(LOOK_EVERY)

    async def look(self, before: float) -> int:
        """Look for the begins that were kept before then, by time.monotonic. How many had to be written again.

        Raises Unavailable, and then they are looked for once more.
        """
        written = 0
        while batch := [
            begin for begin, _ in zip(self._begins, range(AT_ONCE), strict=False) if begin.kept_at <= before
        ]:
            async with self._db.connection() as connection:
                rows = await connection.fetch(queries.MISSING, [begin.call_id for begin in batch])
                missing = {row["id"] for row in rows}
                for begin in batch:
                    if begin.call_id in missing:
                        written += await _written_again(connection, begin)
            for _ in batch:
                self._begins.popleft()
        if written:
            log.warning("PostgreSQL had lost the begin of %d calls: written again", written)
        return written
