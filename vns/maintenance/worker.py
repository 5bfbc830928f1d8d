"""The rounds of the background worker. One worker is active at a time; others stand by for its lock."""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

import asyncpg

from vns.abuse.flags import CallerFlags
from vns.abuse.rules import Policy
from vns.bindings.allocation import ANSWERS_KEPT
from vns.bindings.life import SWEEP, sweep_overdue
from vns.maintenance import queries
from vns.maintenance.seals import seal_next
from vns.messages import relay_numbers
from vns.pools import reminders as pool_reminders
from vns.pools.occupancy import Occupancy
from vns.recordings.retention import Retention
from vns.rulebook.opening import KOREA
from vns.senders.reminders import AT_ONCE as REMINDED_AT_ONCE
from vns.senders.reminders import remind, remind_of_exemptions
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import AWAY, Database
from vns.users import queries as user_queries
from vns.users.rules import SESSION_LIVES
from vns.verifications.rules import DAY

_log = logging.getLogger(__name__)

WORKER_LOCK = 0x564E5301
CLEARED_AT_ONCE = 5_000  # rows in one statement
SLOW_ROUND = timedelta(seconds=60)  # between the rounds that clear up and count free numbers
SAMPLE_ROUND = timedelta(minutes=5)  # between counts of all pools
COUNTS_KEPT = timedelta(days=32)  # texts and answers counted by the day: for questions about the last month
REACH_ROUND = timedelta(minutes=10)  # between looks at who called very many customers


class Worker:
    """Works off what is due in short transactions; a lost database ends the round and not the worker."""

    def __init__(
        self, db: Database, clock: Clock, policy: Policy, *, retention: Retention | None = None, every: float = 1.0
    ) -> None:
        """`policy`: what callers are held to. `retention`: erases recorded calls. `every`: seconds between rounds."""
        self._db = db
        self._clock = clock
        self._every = every
        self._slow_due = self._reach_due = self._sample_due = clock.now()
        self._occupancy = Occupancy(db, clock)
        self._flags = CallerFlags(db, clock)
        self._policy = policy
        self._retention = retention

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        while not stop.is_set():
            try:
                async with self._db.connection() as connection:
                    await self._rounds_while_chosen(connection, stop)
            except AWAY as error:
                _log.warning("a round failed: %s", type(error).__name__)
            await _pause(stop, self._every)

    async def _rounds_while_chosen(self, connection: asyncpg.Connection, stop: asyncio.Event) -> None:
        """The lock belongs to this connection: if it breaks, another worker may go on."""
        if not await connection.fetchval(queries.ONE_WORKER, WORKER_LOCK):
            return
        _log.info("this worker is the active one")
        try:
            while not stop.is_set():
                await self.round(connection)
                await _pause(stop, self._every)
        finally:
            with suppress(*AWAY):  # a connection that goes back to the pool must not keep it
                await connection.execute(queries.NO_WORKER, WORKER_LOCK)

    async def round(self, connection: asyncpg.Connection) -> None:
        """Everything that is due now, once."""
        await self._sweep(connection)
        await self._seal(connection)
        now = self._clock.now()
        if now >= self._slow_due:
            self._slow_due = now + SLOW_ROUND
            await _each(
                connection,
                self._clear_stored_answers(connection),
                self._clear_counts(connection),
                self._remind(connection),
                self._notice_low_pools(connection),
                self._flags.clear_over(),
                self._erase_recordings(),
            )
        if now >= self._sample_due:
            self._sample_due = now + SAMPLE_ROUND
            await _each(connection, self._occupancy.take(), connection.execute(user_queries.CLEAR, now - SESSION_LIVES))
        if now >= self._reach_due:
            self._reach_due = now + REACH_ROUND
            await _each(connection, self._flags.flag_far_reaching(self._policy))

    async def _sweep(self, connection: asyncpg.Connection) -> None:
        while True:
            async with connection.transaction():
                closed = await sweep_overdue(connection, self._clock.now())
            if closed < SWEEP:
                return

    async def _seal(self, connection: asyncpg.Connection) -> None:
        while True:
            async with connection.transaction():
                seal = await seal_next(connection, self._clock.now())
            if seal is None:
                return
            _log.info("journal sealed seq=%d rows=%d head=%s", seal.seq, seal.rows, seal.hash.hex())

    async def _clear_stored_answers(self, connection: asyncpg.Connection) -> None:
        until = self._clock.now() - ANSWERS_KEPT
        while await connection.fetchval(queries.CLEAR_STORED_ANSWERS, until, CLEARED_AT_ONCE) == CLEARED_AT_ONCE:
            continue

    async def _clear_counts(self, connection: asyncpg.Connection) -> None:
        """What counted texts, answers and codes of a day, when the day is over. Refusals of texts stay in force."""
        now = self._clock.now()
        before = (now - COUNTS_KEPT).astimezone(KOREA).date()
        for table in ("auto_replies", "sender_days"):
            statement = queries.clear_days(table)
            while await connection.fetchval(statement, before, CLEARED_AT_ONCE) == CLEARED_AT_ONCE:
                continue
        while await connection.fetchval(queries.CLEAR_CODES, now - DAY, CLEARED_AT_ONCE) == CLEARED_AT_ONCE:
            continue

    async def _remind(self, connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await pool_reminders.remind(connection, self._clock.now())
            await relay_numbers.remind(connection, self._clock.now())
            await remind_of_exemptions(connection, self._clock.now())
        while True:
            async with connection.transaction():
                if await remind(connection, self._clock.now()) < REMINDED_AT_ONCE:
                    return

    async def _erase_recordings(self) -> None:
        erased = await self._retention.erase_over() if self._retention is not None else 0
        if erased:
            _log.info("%d recordings erased", erased)

    async def _notice_low_pools(self, connection: asyncpg.Connection) -> None:
        """`pool.low` once when a pool falls below its mark, and again only after it has recovered."""
        for row in await connection.fetch(queries.FREE_UP_TO_MARK, self._clock.now()):
            low = row["free"] < row["low_water"]
            if low == row["low_noticed"]:
                continue
            async with connection.transaction():
                await connection.execute(queries.NOTE_LOW, row["pool_id"], low)
                if low:
                    entry = journal.Entry(
                        at=self._clock.now(),
                        tenant_id=row["owner_id"],
                        actor="platform",
                        event="pool.low",
                        subject=row["pool_id"],
                        data={"free": row["free"], "low_water": row["low_water"]},
                    )
                    await journal.append(connection, [entry])


async def _each(connection: asyncpg.Connection, *steps: Coroutine[Any, Any, object]) -> None:
    """One that fails takes no other along. Raises where the connection has ended."""
    left = deque(steps)
    try:
        while left:
            try:
                await left.popleft()
            except AWAY as error:
                _log.warning("a part of a round failed: %s", type(error).__name__)
                if connection.is_closed():
                    raise
    finally:
        for step in left:
            step.close()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
