"""What any customer's program does with the tables: insert messages, look up what became of them. Relies on nothing
else.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row as SqlRow
from sqlalchemy import Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sms_relay.npro.codes import MessageType, State
from sms_relay.npro.database import NproDatabase, exists

COLUMNS = (
    "USERDATA",
    "CUR_STATE",
    "CALL_TO",
    "CALL_FROM",
    "SENT_DATE",
    "RSLT_DATE",
    "RSLT_CODE",
    "RSLT_CODE2",
    "RSLT_NET",
)
SUBJECT_LENGTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRow:
    """A message to be inserted. `subject` set: a long one, whose text goes into MMS_CONTENTS_INFO.

    `pictures`: full paths that the agent can read.
    """

    userdata: int
    to: str
    sender: str
    text: str
    subject: str | None = None
    pictures: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"NewRow(userdata={self.userdata})"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRow:
    """A row as it is now. `logged`: it has left MSG_DATA. Dates are Korean local time."""

    userdata: int
    to: str
    sender: str
    state: int
    logged: bool
    sent_at: datetime | None
    result_at: datetime | None
    code: str | None
    detail: int | None

    def __repr__(self) -> str:
        return f"FoundRow(userdata={self.userdata}, state={self.state}, code={self.code})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which row is looked for. USERDATA is everybody's: another customer's row may carry the same number."""

    userdata: int
    to: str
    sender: str

    def __repr__(self) -> str:
        return f"Wanted(userdata={self.userdata})"

    def is_of(self, row: FoundRow) -> bool:
        """Whether `row` is between the same parties."""
        return (row.to, row.sender) == (self.to, self.sender)


class NproClient:
    """A customer of one NPro database."""

    def __init__(self, database: NproDatabase) -> None:
        self._database = database

    async def ready(self) -> bool:
        """Whether MSG_DATA is there: it is the agent that creates it. Raises NotReachable."""
        async with self._database.transaction() as connection:
            return await exists(connection, self._database.tables.names.data)

    async def insert(self, rows: Sequence[NewRow]) -> None:
        """All of them or none. Raises NotReachable (it may have been written), Rejected (nothing was)."""
        data = self._database.tables.data
        async with self._database.transaction() as connection:
            values = []
            for row in rows:
                content = None if row.subject is None else await self._insert_content(connection, row)
                values.append(_values(row, content))
            await connection.execute(insert(data), values)

    async def _insert_content(self, connection: AsyncConnection, row: NewRow) -> int:
        values: dict[str, object] = {
            "FILE_CNT": len(row.pictures) + (1 if row.text else 0),
            "MMS_BODY": row.text or None,
            "MMS_SUBJECT": (row.subject or "")[:SUBJECT_LENGTH],
        }
        for number, path in enumerate(row.pictures, 1):
            values |= {f"FILE_TYPE{number}": "IMG", f"FILE_NAME{number}": path, f"SERVICE_DEP{number}": "ALL"}
        done = await connection.execute(insert(self._database.tables.contents), values)
        key: Any = done.inserted_primary_key
        return int(key[0])

    async def find(self, wanted: Iterable[Wanted], since: datetime) -> dict[int, FoundRow]:
        """The rows of these messages, by USERDATA: in MSG_DATA, then in the logs of the months from `since` on.

        In this order a row that is just being moved is seen in one place at least.
        """
        missing = {one.userdata: one for one in wanted}
        tables = self._database.tables
        async with self._database.transaction() as connection:
            found = await self._look(connection, tables.data, missing, logged=False)
        if not missing:
            return found
        async with self._database.transaction() as connection:
            for name in _from_month(await self._database.existing_logs(connection), since):
                found |= await self._look(connection, tables.log(name), missing, logged=True)
                if not missing:
                    break
        return found

    async def _look(
        self, connection: AsyncConnection, table: Table, missing: dict[int, Wanted], *, logged: bool
    ) -> dict[int, FoundRow]:
        """Takes what it finds out of `missing`."""
        columns = [table.columns[name] for name in COLUMNS]
        statement = select(*columns).where(table.columns["USERDATA"].in_(list(missing)))
        rows = [_found(row, logged) for row in await connection.execute(statement)]
        mine = {row.userdata: row for row in rows if missing[row.userdata].is_of(row)}
        for userdata in mine:
            del missing[userdata]
        return mine


def _from_month(names: Sequence[str], since: datetime) -> list[str]:
    """Log tables that can hold rows sent at `since` or later; one without a month always can."""
    first = f"{since:%Y%m}"
    months = {name: re.search(r"_(\d{6})$", name) for name in names}
    return [name for name, month in months.items() if month is None or month.group(1) >= first]


def _values(row: NewRow, content: int | None) -> dict[str, object]:
    return {
        "USERDATA": row.userdata,
        "CUR_STATE": State.REQUESTED.value,
        "CALL_TO": row.to,
        "CALL_FROM": row.sender,
        "SMS_TXT": row.text if content is None else row.subject,
        "MSG_TYPE": (MessageType.SMS if content is None else MessageType.MMS).value,
        "CONT_SEQ": content,
    }


def _found(row: SqlRow[Any], logged: bool) -> FoundRow:
    return FoundRow(
        userdata=row.USERDATA,
        to=row.CALL_TO or "",
        sender=row.CALL_FROM or "",
        state=row.CUR_STATE,
        logged=logged,
        sent_at=row.SENT_DATE,
        result_at=row.RSLT_DATE,
        code=row.RSLT_CODE2,
        detail=row.RSLT_CODE,
    )
