"""Fetches the facts of plain questions; those that are asked at the same moment in one statement."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from vns.routing import queries
from vns.routing.rules import Question
from vns.routing.service import NOBODY, is_plain
from vns.storage.database import Database


@dataclass(frozen=True, slots=True)
class _Asked:
    vn: int
    caller: bytes
    at: datetime
    answer: "asyncio.Future[asyncpg.Record | None]"


class FactsTogether:
    """One process's. Nobody waits for others: together is what the event loop has come by in the same turn."""

    def __init__(self, db: Database, expects_more: Callable[[], bool] = lambda: True) -> None:
        """`expects_more`: whether others may be asked in the same turn; else each is asked alone, a turn earlier."""
        self._db = db
        self._expects_more = expects_more
        self._asked: list[_Asked] = []
        self._fetching: set[asyncio.Task[None]] = set()

    async def of(self, question: Question, caller: bytes | None) -> asyncpg.Record | None:
        """A row of queries.FACTS; None where that cannot suffice. `caller`: blind index, None where withheld.

        Raises what a connection does.
        """
        if question.vn is None or not is_plain(question):
            return None
        if self._expects_more():
            loop = asyncio.get_running_loop()
            asked = _Asked(question.vn, caller or NOBODY, question.at, loop.create_future())
            if not self._asked:
                loop.call_soon(self._fetch)
            self._asked.append(asked)
            row = await asked.answer
            if row is not None:
                return row
        async with self._db.connection() as connection:  # alone
            return await connection.fetchrow(queries.FACTS, question.vn, caller or NOBODY, question.at)

    def _fetch(self) -> None:
        together = [asked for asked in self._asked if not asked.answer.done()]
        self._asked = []
        if len(together) == 1:
            together[0].answer.set_result(None)
        elif together:
            task = asyncio.get_running_loop().create_task(self._fetch_all(together))
            self._fetching.add(task)
            task.add_done_callback(self._fetching.discard)

            def nobody_waits(_: object) -> None:
                if all(asked.answer.done() for asked in together):
                    task.cancel()

            for asked in together:
                asked.answer.add_done_callback(nobody_waits)

    async def _fetch_all(self, together: Sequence[_Asked]) -> None:
        try:
            async with self._db.connection() as connection:
                rows = await connection.fetch(
                    queries.FACTS_OF_MANY,
                    [asked.vn for asked in together],
                    [asked.caller for asked in together],
                    together[0].at,
                )
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            for asked in together:
                if not asked.answer.done():
                    asked.answer.set_exception(error)
            return
        for asked, row in zip(together, rows, strict=True):
            if not asked.answer.done():
                asked.answer.set_result(row)
