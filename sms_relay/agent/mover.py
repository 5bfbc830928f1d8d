"""TableMover: final rows, and rows whose result is overdue, go to the log table of the month in which they were
sent.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from sms_relay.agent.store import claimed, forget_parts
from sms_relay.agent.wakeup import Wakeup
from sms_relay.npro.codes import State
from sms_relay.npro.database import NotReachable, NproDatabase, NproError, Rejected
from sms_relay.npro.kst import KoreanClock
from sms_relay.npro.tables import in_state

_log = logging.getLogger(__name__)

BATCH = 1000  # rows in one transaction
MOST_LEFT = 100  # rows that no log takes; where there are more it is not the rows


class _LogsMissing(Exception):
    """Rows of months whose log table is not known to be there. Creating it is a transaction of its own."""

    def __init__(self, names: set[str]) -> None:
        super().__init__(", ".join(sorted(names)))
        self.names = names


class _ColumnsChanged(Exception):
    """MSG_DATA has other columns than it had."""


class TableMover:
    """`poll_seconds`: between looks at the table; `record_life`: how long after SENT_DATE a result is waited for."""

    def __init__(
        self,
        database: NproDatabase,
        clock: KoreanClock,
        *,
        poll_seconds: float,
        record_life: timedelta,
        on_duty: Callable[[], bool],
    ) -> None:
        self._database = database
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._record_life = record_life
        self._on_duty = on_duty
        self._ready: set[str] = set()
        self._left: set[int] = set()  # MSG_SEQ of rows that no log holds

    async def run(self) -> None:
        """Moves until cancelled."""
        while True:
            moved = 0
            try:
                moved = await self.move_once() if self._on_duty() else 0
            except NotReachable as error:
                _log.warning("mover: %s", error)
            except NproError as error:
                _log.error("mover: rows stay in the table for now: %s", error)
            if moved < BATCH:
                await Wakeup().wait(self._poll_seconds)

    async def move_once(self) -> int:
        """Moves one batch; returns the number of rows. Raises NproError."""
        try:
            return await self._move()
        except _LogsMissing as missing:
            await self._create(missing.names)
        except (NotReachable, Rejected):
            raise
        except (_ColumnsChanged, NproError):
            # Somebody may have dropped or renamed a log table, or changed MSG_DATA, while we run.
            self._left.clear()  # whoever changes a table may have made room
            await self._database.learn()
            await self._create(set(self._ready))
        try:
            return await self._move()
        except (_LogsMissing, _ColumnsChanged):
            return 0  # changed once more: the next look sees it

    async def _create(self, names: set[str]) -> None:
        for name in sorted(names):
            await self._database.prepare_log(name)
            self._ready.add(name)

    async def _move(self, among: Sequence[int] | None = None) -> int:
        """`among`: of these only. A row that the log cannot hold is found by halves, and left where it is.

        Returns the number of rows moved.
        """
        found: list[tuple[int, object]] = []
        try:
            await self._move_found(found, among)
        except Rejected as error:
            if len(found) > 1:
                seqs = [seq for seq, _ in found]
                middle = len(seqs) // 2
                return await self._move(seqs[:middle]) + await self._move(seqs[middle:])
            if len(self._left) >= MOST_LEFT or not found:
                raise
            _log.error("mover: row %d stays in the table: %s", found[0][0], error)
            self._left.add(found[0][0])
            return 0
        return len(found)

    async def _move_found(self, found: list[tuple[int, object]], among: Sequence[int] | None) -> None:
        """Fills `found` with MSG_SEQ and month. Lock, copy and delete are one transaction: killed in its middle, the
        rows are still in MSG_DATA.
        """
        data = self._database.tables.data
        overdue_before = self._clock.now() - self._record_life
        sent_at = data.c.SENT_DATE
        overdue = and_(in_state(data, State.SENT), sent_at < overdue_before)
        async with self._database.transaction() as connection:
            for movable in (in_state(data, State.DONE), overdue):
                statement = (
                    select(data.c.MSG_SEQ, _month_of(data.c))
                    .where(movable, *self._chosen(data.c.MSG_SEQ, among))
                    .order_by(data.c.CUR_STATE, data.c.SENT_DATE)
                )
                first = claimed(statement, data, connection.dialect.name, BATCH)
                found += [(seq, moment) for seq, moment in await connection.execute(first)]
            by_log = self._by_log(found)
            if found:
                await self._check_columns(connection)
            if unready := by_log.keys() - self._ready:
                raise _LogsMissing(set(unready))
            for name, seqs in by_log.items():
                await self._copy(connection, name, seqs)

    def _chosen(self, key: ColumnElement[int], among: Sequence[int] | None) -> list[ColumnElement[bool]]:
        if among is not None:
            return [key.in_(among)]
        return [key.not_in(sorted(self._left))] if self._left else []

    async def _check_columns(self, connection: AsyncConnection) -> None:
        """A column that a customer has added since the last look would stay behind, and its values be lost.

        The rows are locked already: until they have moved nobody can change the table.
        """
        data = self._database.tables.data
        there = (await connection.execute(text(f"SELECT * FROM {data.name} WHERE 1 = 0"))).keys()  # noqa: S608 - a table's name
        if {name.upper() for name in there} != {column.name.upper() for column in data.columns}:
            raise _ColumnsChanged

    def _by_log(self, found: Sequence[tuple[int, object]]) -> dict[str, list[int]]:
        """A row without any date, or whose date is none (MariaDB's 0000-00-00, which comes as text), belongs to now."""
        by_log: dict[str, list[int]] = {}
        for seq, moment in found:
            month = moment if isinstance(moment, datetime) else self._clock.now()
            by_log.setdefault(self._database.tables.names.log_for(month), []).append(seq)
        return by_log

    async def _copy(self, connection: Any, name: str, seqs: Sequence[int]) -> None:
        data, log = self._database.tables.data, self._database.tables.log(name)
        columns = [column.name for column in data.columns]
        copied = select(*(data.c[column] for column in columns)).where(data.c.MSG_SEQ.in_(seqs))
        await connection.execute(insert(log).from_select(columns, copied))
        await connection.execute(delete(data).where(data.c.MSG_SEQ.in_(seqs)))
        await forget_parts(connection, self._database, seqs)


def _month_of(columns: Any) -> Any:
    """A row without SENT_DATE (ended by somebody else's hand) belongs to the month of its result, or of its wish."""
    return func.coalesce(columns.SENT_DATE, columns.RSLT_DATE, columns.REQ_DATE)
