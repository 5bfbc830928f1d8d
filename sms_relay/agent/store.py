"""The agent's statements. Each public method is one transaction, so that a kill at any point leaves a row in one
known state.

CUR_STATE 0                         not taken
CUR_STATE 1 and a row in the queue  taken: it may have been submitted (decision 0011)
CUR_STATE 1 and none                known not to have been submitted by this agent
CUR_STATE 2 and rows in part        taken by the carrier under these ids: a receipt is awaited
CUR_STATE 3                         final

RSLT_CODE 904 in states 0 to 2: it goes for the second time, and not for a third.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Column as SqlColumn
from sqlalchemy import ColumnElement, Select, Table, and_, bindparam, case, delete, insert, literal, or_, select, update
from sqlalchemy import Row as SqlRow
from sqlalchemy.ext.asyncio import AsyncConnection

from sms_relay.agent.admission import end_duplicates
from sms_relay.agent.checks import Content, NamedFile, Row
from sms_relay.content.barcodes import BarcodeColumns
from sms_relay.npro.codes import Detail, Result, ResultCode, State
from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock
from sms_relay.npro.tables import in_state

FILES = range(1, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The carrier took message `seq` over `link` in parts with these ids."""

    seq: int
    link: str
    message_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Message `seq` is final without a receipt."""

    seq: int
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """Nothing of message `seq` was sent: it is due again."""

    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """Message `seq` may have been sent: it is due once more. If it had been already, it ends with `result`."""

    seq: int
    result: Result


Outcome = Accepted | Ended | Returned | Doubtful


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    """What a receipt says of one part."""

    link: str
    message_id: str
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of a batch: USERDATA and codes (by MSG_SEQ) of messages now final, and how many receipts belonged to
    nothing we wait for.
    """

    finished: tuple[int, ...]
    unknown: int
    codes: Mapping[int, ResultCode] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What became of the files of a content row; the paths of what is kept."""

    content: int
    done: bool
    package: str | None = None
    barcode: str | None = None


@dataclass(frozen=True, slots=True)
class OfTypes:
    """Rows of these MSG_TYPEs; `others`: of every type but these."""

    types: frozenset[int]
    others: bool = False


@dataclass(frozen=True, slots=True)
class OrderBy:
    """A column of MSG_DATA by which due rows are taken."""

    column: str
    descending: bool = False


class Store:
    """MSG_DATA as the agent works on it."""

    def __init__(self, database: NproDatabase, clock: KoreanClock, order: Sequence[OrderBy] = ()) -> None:
        """`order`: in which due rows are taken, instead of the order of their times."""
        self._database = database
        self._clock = clock
        self._order = tuple(order)

    async def take(self, limit: int, of: OfTypes | None = None) -> list[Row]:
        """Claims up to `limit` due rows, oldest first: from here on they count as possibly submitted."""
        data, queue = self._database.tables.data, self._database.tables.queue
        now = self._clock.now()
        async with self._database.transaction() as connection:
            found = await self._due(connection, limit, now, of)
            if not found:
                return []
            duplicates = await end_duplicates(connection, self._database.tables, (row.MSG_SEQ for row in found), now)
            found = [row for row in found if row.MSG_SEQ not in duplicates]
            if not found:
                return []
            rows = await self._with_contents(connection, found)
            seqs = [row.seq for row in rows]
            await connection.execute(
                update(data).where(data.c.MSG_SEQ.in_(seqs)).values(CUR_STATE=State.SENDING.value, SENT_DATE=now)
            )
            await connection.execute(insert(queue), [{"MSG_SEQ": seq, "TAKEN_DATE": now} for seq in seqs])
        return rows

    async def _due(
        self, connection: AsyncConnection, limit: int, now: datetime, of: OfTypes | None
    ) -> list[SqlRow[Any]]:
        data = self._database.tables.data
        found: list[SqlRow[Any]] = []
        for statement in due_statements(data, connection.dialect.name, now, self._order, of):
            if len(found) < limit:
                first = claimed(statement, data, connection.dialect.name, limit - len(found))
                known = {row.MSG_SEQ for row in found}  # MariaDB: 0000-00-00 in a column without NULL is NULL, too
                found += [row for row in await connection.execute(first) if row.MSG_SEQ not in known]
        return found

    async def _with_contents(self, connection: AsyncConnection, found: Sequence[SqlRow[Any]]) -> list[Row]:
        wanted = {row.CONT_SEQ for row in found if row.CONT_SEQ is not None}
        contents: dict[int, Content] = {}
        if wanted:
            table = self._database.tables.contents
            statement = select(table).where(table.c.CONT_SEQ.in_(wanted))
            contents = {row.CONT_SEQ: _content(row) for row in await connection.execute(statement)}
        return [_row(row, contents) for row in found]

    async def record(self, outcomes: Sequence[Outcome]) -> tuple[int, ...]:
        """Writes down what became of submits. Returns USERDATA of the messages that are final by it."""
        accepted = [one for one in outcomes if isinstance(one, Accepted)]
        ended = {one.seq: one.result for one in outcomes if isinstance(one, Ended)}
        returned = [one.seq for one in outcomes if isinstance(one, Returned)]
        doubtful = {one.seq: one.result for one in outcomes if isinstance(one, Doubtful)}
        async with self._database.transaction() as connection:
            await self._remember_parts(connection, accepted)
            await self._move_on(connection, [one.seq for one in accepted], State.SENT)
            await self._move_on(connection, returned, State.REQUESTED)
            finished = await self._finish(connection, ended, State.SENDING)
            finished |= await self._once_more(connection, doubtful)
            queue = self._database.tables.queue
            await connection.execute(delete(queue).where(queue.c.MSG_SEQ.in_([one.seq for one in outcomes])))
        return _users(finished)

    async def _remember_parts(self, connection: AsyncConnection, accepted: Sequence[Accepted]) -> None:
        parts = [
            {"MSG_SEQ": one.seq, "PARTS": len(one.message_ids), "LINK": one.link, "MESSAGE_ID": message_id}
            for one in accepted
            for message_id in one.message_ids
        ]
        if parts:
            await connection.execute(insert(self._database.tables.part), parts)

    async def _move_on(self, connection: AsyncConnection, seqs: Sequence[int], to: State) -> None:
        if not seqs:
            return
        data = self._database.tables.data
        taken = and_(data.c.MSG_SEQ.in_(seqs), in_state(data, State.SENDING))
        values: dict[str, object] = {"CUR_STATE": to.value}
        if to is State.REQUESTED:
            values["SENT_DATE"] = None
        await connection.execute(update(data).where(taken).values(values))

    async def _once_more(self, connection: AsyncConnection, doubtful: dict[int, Result]) -> dict[int, int | None]:
        """Rows whose submit has no known outcome are due again, or final where they had been before.

        RSLT_CODE is the mark. Returns USERDATA of the final ones, by MSG_SEQ.
        """
        if not doubtful:
            return {}
        data = self._database.tables.data
        first = or_(data.c.RSLT_CODE.is_(None), data.c.RSLT_CODE.not_in([int(Detail.SENT_AGAIN)]))
        await connection.execute(
            update(data)
            .where(data.c.MSG_SEQ.in_(doubtful), in_state(data, State.SENDING), first)
            .values(CUR_STATE=State.REQUESTED.value, SENT_DATE=None, RSLT_CODE=int(Detail.SENT_AGAIN))
        )
        return await self._finish(connection, doubtful, State.SENDING)

    async def apply(self, receipts: Sequence[PartResult]) -> Applied:
        """Stores what receipts say. A message is final when all its parts are, or when one has failed."""
        async with self._database.transaction() as connection:
            waiting = await self._waiting_parts(connection, receipts)
            finals: dict[int, Result] = {}
            marked: list[tuple[int, Result]] = []
            several: set[int] = set()
            unknown = 0
            for receipt in receipts:
                part = waiting.get((receipt.link, receipt.message_id))
                if part is None:
                    unknown += 1
                elif part.PARTS == 1:
                    finals[part.MSG_SEQ] = receipt.result
                else:
                    marked.append((part.PART_SEQ, receipt.result))
                    several.add(part.MSG_SEQ)
            if several:
                finals |= await self._mark(connection, marked, several)
            finished = await self._finish(connection, finals, State.SENT)
            await forget_parts(connection, self._database, finals)
        codes = {seq: finals[seq].code for seq in finished}
        return Applied(finished=_users(finished), unknown=unknown, codes=codes)

    async def _waiting_parts(
        self, connection: AsyncConnection, receipts: Sequence[PartResult]
    ) -> dict[tuple[str, str], SqlRow[Any]]:
        """Rows by (link, id). The newest comes last and wins: an SMSC may use an id again."""
        part = self._database.tables.part
        ids = {receipt.message_id for receipt in receipts}
        statement = select(part).where(part.c.MESSAGE_ID.in_(ids)).order_by(part.c.PART_SEQ)
        return {(row.LINK, row.MESSAGE_ID): row for row in await connection.execute(statement)}

    async def _mark(
        self, connection: AsyncConnection, marked: Sequence[tuple[int, Result]], seqs: set[int]
    ) -> dict[int, Result]:
        """Notes the results of parts; returns the messages that are final by it."""
        part = self._database.tables.part
        await connection.execute(
            update(part).where(bindparam("row_key") == part.c.PART_SEQ).values(_result_columns()),
            [{"row_key": key, **_result_values(result)} for key, result in marked],
        )
        by_message: dict[int, list[SqlRow[Any]]] = {}
        for row in await connection.execute(select(part).where(part.c.MSG_SEQ.in_(seqs))):
            by_message.setdefault(row.MSG_SEQ, []).append(row)
        return {seq: final for seq, rows in by_message.items() if (final := combine(map(_part_result, rows)))}

    async def _finish(
        self, connection: AsyncConnection, finals: dict[int, Result], state: State
    ) -> dict[int, int | None]:
        """Rows in `state` become final; those that have meanwhile been ended or removed stay as they are.

        Returns USERDATA by MSG_SEQ.
        """
        if not finals:
            return {}
        data = self._database.tables.data
        held = and_(data.c.MSG_SEQ.in_(finals), in_state(data, state))
        found = await connection.execute(select(data.c.MSG_SEQ, data.c.USERDATA).where(held).with_for_update())
        users = {row.MSG_SEQ: row.USERDATA for row in found}
        if not users:
            return {}
        # Results of one batch are mostly the same to the second: a statement for each of them, not for each row.
        alike: dict[Result, list[int]] = {}
        for seq in users:
            alike.setdefault(finals[seq], []).append(seq)
        columns = _result_columns()
        finish = update(data).values(CUR_STATE=State.DONE.value, **columns)
        again = int(Detail.SENT_AGAIN)
        marked = case((data.c.RSLT_CODE.in_([again]), again), else_=columns["RSLT_CODE"])
        succeed = finish.values(RSLT_CODE=marked)
        for result, seqs in alike.items():
            end = succeed if result.code is ResultCode.SUCCESS else finish
            await connection.execute(end.where(data.c.MSG_SEQ.in_(seqs)), _result_values(result))
        return users

    async def mark_built(self, built: Built) -> None:
        """Tells the customer in the content row. Raises NproError."""
        table = self._database.tables.contents
        values: dict[str, object] = {"BUILD_YN": "Y" if built.done else "N"}
        if built.done:
            values |= {"SKN_FILE_NAME": built.package, "SKN_FILE_DATE": self._clock.now()}
        if built.barcode is not None:
            values["BAR_FILE_NAME"] = built.barcode
        async with self._database.transaction() as connection:
            await connection.execute(update(table).where(table.c.CONT_SEQ.in_([built.content])).values(values))

    async def recover(self, uncertain: Result, keep: Iterable[int] = (), *, again: bool) -> tuple[int, tuple[int, ...]]:
        """After a start: rows whose submit has no recorded outcome get `uncertain`; other rows in state 1 are due
        again.

        `again`: they are due as well, those that had not been before. `keep`: rows that this process is just sending.
        Returns how many there were of unknown outcome, and the USERDATA of those that are final.
        """
        data, queue = self._database.tables.data, self._database.tables.queue
        async with self._database.transaction() as connection:
            keeping = set(keep)
            found = await connection.execute(select(queue.c.MSG_SEQ))
            lost = [seq for seq in found.scalars() if seq not in keeping]
            end = self._once_more if again else partial(self._finish, state=State.SENDING)
            users = await end(connection, dict.fromkeys(lost, uncertain))
            if lost:
                await connection.execute(delete(queue).where(queue.c.MSG_SEQ.in_(lost)))
            queued = select(literal(1)).where(queue.c.MSG_SEQ == data.c.MSG_SEQ).exists()
            await connection.execute(
                update(data)
                .where(in_state(data, State.SENDING), ~queued)
                .values(CUR_STATE=State.REQUESTED.value, SENT_DATE=None)
            )
        return len(lost), _users(users)

    async def give_back(self, keep: Iterable[int]) -> None:
        """After a `take` whose commit was not confirmed: what it took, all but `keep`, was not submitted and is due
        again.
        """
        queue = self._database.tables.queue
        async with self._database.transaction() as connection:
            taken = set((await connection.execute(select(queue.c.MSG_SEQ))).scalars()) - set(keep)
            await self._move_on(connection, sorted(taken), State.REQUESTED)
            await connection.execute(delete(queue).where(queue.c.MSG_SEQ.in_(taken)))


def due_statements(
    data: Table, dialect: str, now: datetime, by: Sequence[OrderBy] = (), of: OfTypes | None = None
) -> tuple[Select[Any], ...]:
    """Reserved rows whose time has come, then those without a time, each read along the index MSG_DATA_DUE.

    However many rows wait, no more than the limit is read, but for rows of types that are not wanted: PostgreSQL needs
    REQ_DATE in the order to see that the index has it, MariaDB sorts if it is there. An order of the customer's own
    (`by`) may have no index and cost a sort.
    """
    requested_for, key = data.columns["REQ_DATE"], data.columns["MSG_SEQ"]
    order = (requested_for, key) if dialect == "postgresql" else (key,)
    due = select(data).where(in_state(data, State.REQUESTED))
    if of is not None:
        kind = data.columns["MSG_TYPE"]
        due = due.where(kind.not_in(sorted(of.types)) if of.others else kind.in_(sorted(of.types)))
    if by:
        wanted = (_ordered(data, one) for one in by)
        return (due.where(or_(requested_for.is_(None), requested_for <= now)).order_by(*wanted, key),)
    reserved = due.where(requested_for <= now).order_by(requested_for, key)
    return reserved, due.where(requested_for.is_(None)).order_by(*order)


def claimed(statement: Select[Any], data: Table, dialect: str, limit: int) -> Select[Any]:
    """The first `limit` rows of `statement`, locked; what others have locked is passed over.

    Oracle takes no FOR UPDATE beside a limit, SQL Server knows neither and has hints.
    """
    if dialect == "oracle":
        first = statement.with_only_columns(data.c.MSG_SEQ).limit(limit)
        return statement.where(data.c.MSG_SEQ.in_(first)).with_for_update(skip_locked=True)
    hinted = statement.with_hint(data, "WITH (UPDLOCK, READPAST, ROWLOCK)", "mssql")
    return hinted.limit(limit).with_for_update(skip_locked=True)


def _ordered(data: Table, by: OrderBy) -> ColumnElement[Any]:
    column: SqlColumn[Any] = next(one for one in data.columns if one.name.upper() == by.column.upper())
    return column.desc() if by.descending else column.asc()


async def forget_parts(connection: AsyncConnection, database: NproDatabase, seqs: Iterable[int]) -> None:
    """No receipt is awaited for these messages any more."""
    wanted = list(seqs)
    if wanted:
        part = database.tables.part
        await connection.execute(delete(part).where(part.c.MSG_SEQ.in_(wanted)))


def _users(finished: Mapping[int, int | None]) -> tuple[int, ...]:
    return tuple(user for user in finished.values() if user is not None)


def combine(parts: Iterable[Result | None]) -> Result | None:
    """The result of a message from its parts': the first failure, else success when all are there, else None."""
    results = list(parts)
    for result in results:
        if result is not None and result.code is not ResultCode.SUCCESS:
            return result
    if any(result is None for result in results):
        return None
    return max((result for result in results if result is not None), key=lambda result: result.at, default=None)


def _result_columns() -> dict[str, Any]:
    names = ("RSLT_CODE2", "RSLT_CODE", "RSLT_NET", "RSLT_DATE")
    return {name: bindparam(f"new_{name}") for name in names}


def _result_values(result: Result) -> dict[str, object]:
    return {
        "new_RSLT_CODE2": result.code.value,
        "new_RSLT_CODE": result.detail,
        "new_RSLT_NET": result.net,
        "new_RSLT_DATE": result.at,
    }


def _part_result(row: SqlRow[Any]) -> Result | None:
    if row.RSLT_CODE2 is None:
        return None
    return Result(
        code=ResultCode(row.RSLT_CODE2), detail=row.RSLT_CODE or 0, at=row.RSLT_DATE, net=row.RSLT_NET or "ETC"
    )


def _content(row: SqlRow[Any]) -> Content:
    named = tuple(
        NamedFile(
            number=number,
            kind=getattr(row, f"FILE_TYPE{number}") or "",
            path=path,
            network=getattr(row, f"SERVICE_DEP{number}") or "",
        )
        for number in FILES
        if (path := getattr(row, f"FILE_NAME{number}"))
    )
    return Content(
        seq=row.CONT_SEQ,
        subject=row.MMS_SUBJECT or "",
        body=row.MMS_BODY,
        named=named,
        stated_count=row.FILE_CNT,
        barcode=_barcode(row),
        merged_into=row.BAR_MERGE_FILE or 0,
        package=row.SKN_FILE_NAME if row.BUILD_YN == "Y" else None,
    )


def _barcode(row: SqlRow[Any]) -> BarcodeColumns | None:
    if not row.BAR_TYPE:
        return None
    merged_into = row.BAR_MERGE_FILE
    return BarcodeColumns(
        kind=row.BAR_TYPE,
        value=row.BAR_VALUE,
        width=row.BAR_SIZE_WIDTH,
        height=row.BAR_SIZE_HEIGHT,
        x=row.BAR_POSITION_X,
        y=row.BAR_POSITION_Y,
        view=row.BAR_VALUE_VIEW_YN,
        background=getattr(row, f"FILE_NAME{merged_into}") if merged_into in FILES else None,
    )


def _row(row: SqlRow[Any], contents: dict[int, Content]) -> Row:
    """PyMySQL gives a date that there is not (0000-00-00, 2026-02-31) as the text that it is."""
    date = row.REQ_DATE
    no_date = date is not None and not isinstance(date, datetime)
    return Row(
        seq=row.MSG_SEQ,
        userdata=row.USERDATA,
        kind=row.MSG_TYPE,
        to=row.CALL_TO,
        sender=row.CALL_FROM,
        text=row.SMS_TXT,
        requested_for=None if no_date else date,
        no_date=no_date,
        content=contents.get(row.CONT_SEQ),
    )
