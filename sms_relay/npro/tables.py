"""MSG_DATA and its companions, column for column as customers know them.

All names are unquoted: PostgreSQL keeps them in lower case, MariaDB and MySQL as written, Oracle in upper
case, so that a customer's
`INSERT INTO MSG_DATA` works everywhere. Column names are fixed; table names may be changed (TableNames).

PostgreSQL and MariaDB are what these tables are tested on. For Oracle and SQL Server the same definitions
are compiled by
SQLAlchemy's dialects and the text is checked; no such server has run them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, DateTime, Index, Integer, MetaData, String, Table, Text
from sqlalchemy import Sequence as DatabaseSequence
from sqlalchemy.dialects import mssql, mysql, oracle
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import ColumnElement, quoted_name
from sqlalchemy.types import CHAR, TypeEngine

from sms_relay.npro.codes import State

KEY_COLUMN = "MSG_SEQ"


def _number(digits: int) -> TypeEngine[Any]:
    return oracle.NUMBER(digits, 0)  # type: ignore[no-untyped-call]  # SQLAlchemy has no types there


_date: TypeEngine[datetime] = (
    DateTime()
    .with_variant(oracle.DATE(), "oracle")
    .with_variant(mssql.DATETIME(), "mssql")
    .with_variant(mysql.DATETIME(), "mysql", "mariadb")
)
_key: TypeEngine[int] = Integer().with_variant(_number(11), "oracle")
_digit: TypeEngine[int] = Integer().with_variant(_number(1), "oracle")
_whole: TypeEngine[int] = Integer().with_variant(_number(11), "oracle")
_binary_char: TypeEngine[str] = CHAR(1).with_variant(
    mysql.CHAR(1, charset="latin1", collation="latin1_bin"), "mysql", "mariadb"
)
"""RSLT_CODE2 knows `a` and `A`: where collations ignore case, the column is given a binary one."""
_body: TypeEngine[str] = String(2000).with_variant(mysql.TEXT(), "mysql", "mariadb").with_variant(Text(), "postgresql")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNames:
    """What the tables are called in this database."""

    data: str = "MSG_DATA"
    log: str = "MSG_LOG"
    contents: str = "MMS_CONTENTS_INFO"
    spam: str = "MSG_SPAM"
    queue: str = "NPRO_QUEUE"
    part: str = "NPRO_PART"
    daily: str = "NPRO_DAILY"
    data_sequence: str | None = None
    contents_sequence: str | None = None
    monthly: bool = True

    def log_for(self, moment: datetime) -> str:
        """The log table for rows sent at `moment`: MSG_LOG_YYYYMM, or the single MSG_LOG."""
        return f"{self.log}_{moment:%Y%m}" if self.monthly else self.log


OWN_INDEX = re.compile(r".*_U\d+")
"""What the indexes that a customer asks for are called, beside those of the tables themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnColumns:
    """What a customer wants in MSG_DATA and the logs besides what is known: columns, and indexes by their columns."""

    columns: Sequence[Column[Any]] = ()
    indexes: Sequence[Sequence[str]] = ()


def plain(name: str) -> quoted_name:
    """A name that is never quoted, whatever its case."""
    return quoted_name(name, quote=False)


class Tables:
    """The tables of one database. `extra`: the customer's own columns in MSG_DATA, carried into the log
    tables.
    """

    def __init__(
        self, names: TableNames, extra: Sequence[Column[Any]] = (), indexes: Sequence[Sequence[str]] = ()
    ) -> None:
        """`indexes`: the customer's own, each the columns of one."""
        self.names = names
        self.metadata = MetaData()
        self._extra = tuple(extra)
        spelled = {column.name.upper(): column.name for column in extra}  # as the database keeps them
        self._indexes = tuple(tuple(spelled.get(name.upper(), name) for name in columns) for columns in indexes)
        self.data = self._messages(names.data, key=True)
        self.contents = _contents(self.metadata, names.contents)
        self.spam = _spam(self.metadata, names.spam)
        self.queue = _queue(self.metadata, names.queue)
        self.part = _part(self.metadata, names.part)
        self.daily = _daily(self.metadata, names.daily)
        self._logs: dict[str, Table] = {}

    def log(self, name: str) -> Table:
        """A log table by its name. MSG_SEQ is no key there: a customer may restart the numbering of
        MSG_DATA.
        """
        if name not in self._logs:
            self._logs[name] = self._messages(name, key=False)
        return self._logs[name]

    def sequences(self) -> list[DatabaseSequence]:
        """What counts keys on Oracle, where customers write `MSG_DATA_SEQ.NEXTVAL`."""
        names = self.names
        own = {names.data: names.data_sequence, names.contents: names.contents_sequence}
        counted = (names.data, names.contents, names.spam, names.part)
        return [DatabaseSequence(plain(own.get(name) or f"{name}_SEQ")) for name in counted]

    def _messages(self, name: str, *, key: bool) -> Table:
        return Table(
            plain(name),
            self.metadata,
            _column("USERDATA", _whole),
            _key_column(KEY_COLUMN) if key else _column(KEY_COLUMN, _key, nullable=False),
            _column("CUR_STATE", _digit, nullable=False),
            _column("SENT_DATE", _date),
            _column("RSLT_DATE", _date),
            _column("REQ_DATE", _date),
            _column("RSLT_CODE", _whole),
            _column("RSLT_CODE2", _binary_char),
            _column("RSLT_NET", CHAR(3)),
            _column("CALL_TO", String(12)),
            _column("CALL_FROM", String(12)),
            _column("SMS_TXT", String(90)),
            _column("MSG_TYPE", _digit, nullable=False),
            _column("CONT_SEQ", _whole),
            *(Column(plain(column.name), column.type, nullable=True) for column in self._extra),
            *_message_indexes(name, key=key),
            *_own_indexes(name, self._indexes),
            mysql_engine="InnoDB",
            mariadb_engine="InnoDB",
        )


def _message_indexes(name: str, *, key: bool) -> list[Index]:
    """What keeps every look at the tables short however many rows they hold.

    DUE serves the poll in its own order; MOVE finds rows to be moved and rows whose result is overdue; USER
    finds a customer's rows.
    """
    user = Index(plain(f"{name}_USER"), plain("USERDATA"))
    if not key:
        return [user, Index(plain(f"{name}_SEQ"), plain(KEY_COLUMN))]
    return [
        user,
        Index(plain(f"{name}_DUE"), plain("CUR_STATE"), plain("REQ_DATE"), plain(KEY_COLUMN)),
        Index(plain(f"{name}_MOVE"), plain("CUR_STATE"), plain("SENT_DATE"), plain(KEY_COLUMN)),
    ]


def _own_indexes(name: str, indexes: Sequence[Sequence[str]]) -> list[Index]:
    return [Index(plain(f"{name}_U{at}"), *map(plain, columns)) for at, columns in enumerate(indexes, 1)]


def _column(name: str, kind: TypeEngine[Any], *, nullable: bool = True) -> Column[Any]:
    return Column(plain(name), kind, nullable=nullable)


def _key_column(name: str) -> Column[int]:
    """Counted by the database itself: AUTO_INCREMENT, SERIAL, IDENTITY; Oracle has `sequences`."""
    return Column(plain(name), _key, primary_key=True, autoincrement=True)


def _contents(metadata: MetaData, name: str) -> Table:
    files = [
        _column(f"{field}{number}", String(length))
        for field, length in (("FILE_TYPE", 3), ("FILE_NAME", 100), ("SERVICE_DEP", 3))
        for number in range(1, 6)
    ]
    numbers = ("BAR_SIZE_WIDTH", "BAR_SIZE_HEIGHT", "BAR_POSITION_X", "BAR_POSITION_Y")
    return Table(
        plain(name),
        metadata,
        _key_column("CONT_SEQ"),
        _column("FILE_CNT", _whole, nullable=False),
        _column("BUILD_YN", CHAR(1)),
        _column("MMS_BODY", _body),
        _column("MMS_SUBJECT", String(40), nullable=False),
        *files,
        _column("BAR_TYPE", String(15)),
        _column("BAR_MERGE_FILE", _whole),
        _column("BAR_VALUE", String(255)),
        _column("BAR_VALUE_VIEW_YN", CHAR(1)),
        *(_column(number, _whole) for number in numbers),
        _column("BAR_FILE_NAME", String(255)),
        _column("SKN_FILE_DATE", _date),
        _column("SKN_FILE_NAME", String(255)),
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )


def _spam(metadata: MetaData, name: str) -> Table:
    return Table(
        plain(name),
        metadata,
        _key_column("SPAM_SEQ"),
        _column("SPAM_FLAG", CHAR(1)),
        _column("SPAM_ID", String(20)),
        _column("SPAM_DATE", _date),
        _column("SPAM_CALL_TO", String(15)),
        _column("SPAM_CALL_FROM", String(15)),
        _column("SPAM_SMS_TXT", String(255)),
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )


def _queue(metadata: MetaData, name: str) -> Table:
    """The agent's own: rows taken from MSG_DATA whose submit has no recorded outcome yet."""
    return Table(
        plain(name),
        metadata,
        Column(plain(KEY_COLUMN), _key, primary_key=True, autoincrement=False),
        _column("TAKEN_DATE", _date, nullable=False),
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )


def _part(metadata: MetaData, name: str) -> Table:
    """The agent's own: message ids of the carrier that wait for a receipt. An SMSC may use an id again: the
    newest row counts.
    """
    return Table(
        plain(name),
        metadata,
        _key_column("PART_SEQ"),
        _column(KEY_COLUMN, _key, nullable=False),
        _column("PARTS", _whole, nullable=False),
        _column("LINK", String(40), nullable=False),
        _column("MESSAGE_ID", String(80), nullable=False),
        _column("RSLT_CODE2", _binary_char),
        _column("RSLT_CODE", _whole),
        _column("RSLT_NET", CHAR(3)),
        _column("RSLT_DATE", _date),
        Index(plain(f"{name}_ID"), plain("MESSAGE_ID")),
        Index(plain(f"{name}_MSG"), plain(KEY_COLUMN)),
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )


def _daily(metadata: MetaData, name: str) -> Table:
    """The agent's own: which messages count for whom today, so that a limit survives a restart."""
    return Table(
        plain(name),
        metadata,
        Column(plain("DAY"), CHAR(8), primary_key=True),
        Column(plain("CALL_TO"), String(12), primary_key=True),
        Column(plain(KEY_COLUMN), _key, primary_key=True, autoincrement=False),
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )


def in_state(table: Table, state: State) -> ColumnElement[bool]:
    """CUR_STATE is `state`."""
    column: Column[Any] = table.c.CUR_STATE
    return column.operate(operators.eq, state.value)
