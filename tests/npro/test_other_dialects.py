"""Every statement of the agent as Oracle and SQL Server would be given it: compiled and looked at, run by no server."""

import re
from collections import namedtuple
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import DateTime, Integer, Select
from sqlalchemy.dialects import registry

from sms_relay.agent.admission import Admission, Limits
from sms_relay.agent.checks import Row
from sms_relay.agent.mover import TableMover
from sms_relay.agent.store import Accepted, Ended, OrderBy, PartResult, Returned, Store
from sms_relay.npro.codes import Result, ResultCode
from sms_relay.npro.kst import KoreanClock
from sms_relay.npro.tables import TableNames, Tables

AT = datetime(2026, 3, 2, 9, 0)  # noqa: DTZ001 - Korean local time


_tuple: Any = namedtuple


class Answer:
    """One row with something in every column; of a compound select, and of whatever is no select, none."""

    def __init__(self, statement: Any, tables: Tables, named: dict[str, object]) -> None:
        self._statement = statement
        self._named = named
        self._tables = tables

    def all(self) -> list[Any]:
        if not isinstance(self._statement, Select):
            return []
        columns = list(self._statement.selected_columns)
        names = [getattr(column, "name", "") for column in columns]
        values = [self._named.get(name, _value(column)) for name, column in zip(names, columns, strict=True)]
        found = _tuple("Found", names, rename=True)
        return [found(*values)]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.all())

    def scalars(self) -> Iterator[Any]:
        return (row[0] for row in self.all())

    def keys(self) -> list[str]:
        return [column.name for column in self._tables.data.columns]


def _value(column: Any) -> object:
    if isinstance(column.type, Integer) or "NUMBER" in str(column.type):
        return 1
    return AT if isinstance(column.type, DateTime) or "DATE" in str(column.type) else None


class Recorder:
    """Stands for a database of a make that is not there: notes what it is told, in that make's words."""

    def __init__(self, make: str) -> None:
        self.dialect = registry.load(make)()
        self.tables = Tables(TableNames())
        self.told: list[str] = []
        self.named: dict[str, object] = {"CALL_TO": "01012345678", "LINK": "a", "MESSAGE_ID": "x", "PARTS": 1}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Recorder"]:
        yield self

    async def execute(self, statement: Any, values: Any = None) -> Answer:
        keys = list(values[0] if isinstance(values, list) else values or ()) or None
        compiled = statement.compile(dialect=self.dialect, column_keys=keys)
        self.told.append(re.sub(r"__\[POSTCOMPILE_\w+\]", "?", " ".join(str(compiled).split())))
        return Answer(statement, self.tables, self.named)

    async def prepare_log(self, name: str) -> None:
        self.tables.log(name)

    async def learn(self) -> None:
        """Nothing changes here."""


async def all_statements(make: str) -> Sequence[str]:
    """What the agent says in its life: takes, answers, receipts, a restart, moves, limits."""
    recorder: Any = Recorder(make)
    clock = KoreanClock()
    done = Result(code=ResultCode.SUCCESS, detail=0, at=AT, net="SKT")
    store = Store(recorder, clock)
    await store.take(10)
    await Store(recorder, clock, [OrderBy("USERDATA", descending=True)]).take(10)
    await store.record([Accepted(seq=1, link="a", message_ids=("x", "y")), Ended(seq=1, result=done), Returned(seq=1)])
    await store.apply([PartResult(link="a", message_id="x", result=done)])
    recorder.named["PARTS"] = 2
    await store.apply([PartResult(link="a", message_id="x", result=done)])
    await store.recover(done, again=True)
    await store.give_back([])
    mover = TableMover(recorder, clock, poll_seconds=1, record_life=timedelta(hours=1), on_duty=lambda: True)
    await mover.move_once()
    admission = Admission(recorder, Limits(daily=9, spam_seconds=1))
    await admission.reload()
    row = Row(seq=2, userdata=1, kind=4, to="01012345678", sender=None, text="x", requested_for=None)
    await admission.objections([row], AT)
    return list(recorder.told)


@pytest.mark.parametrize("make", ["oracle", "mssql"])
async def test_every_statement_compiles_with_unquoted_names(make: str) -> None:
    told = await all_statements(make)
    verbs = {statement.split()[0] for statement in told}
    assert verbs == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    for statement in told:
        assert not re.search(r'["\[\]]', statement), statement
        assert " LIMIT " not in statement, "neither make knows it"


async def test_oracle_is_never_told_to_lock_beside_a_limit() -> None:
    """It answers ORA-02014: rows are found first, then locked by their keys."""
    claims = [one for one in await all_statements("oracle") if "SKIP LOCKED" in one]
    assert len(claims) >= 4
    for claim in claims:
        assert re.search(r"MSG_SEQ IN \(SELECT MSG_DATA.MSG_SEQ .*FETCH FIRST .* ROWS ONLY\)", claim), claim
        assert claim.endswith("FOR UPDATE SKIP LOCKED")


async def test_sql_server_locks_by_hints() -> None:
    claims = [one for one in await all_statements("mssql") if "READPAST" in one]
    assert len(claims) >= 4
    assert all("FROM MSG_DATA WITH (UPDLOCK, READPAST, ROWLOCK)" in claim and "TOP " in claim for claim in claims)
