"""Connections to the database that holds the tables, and everything that differs from make to make.

Built on: PostgreSQL (asyncpg), MariaDB and MySQL (aiomysql). Statements work at READ COMMITTED, so that
looking for due rows does not
lock customers' inserts out (InnoDB's gap locks would).
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from sqlalchemy import URL, Column, Connection, inspect, make_url, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable, Table

from sms_relay.npro.kst import KoreanClock
from sms_relay.npro.tables import OWN_INDEX, OwnColumns, TableNames, Tables

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10  # seconds
STATEMENT_TIMEOUT = 30  # seconds
CLOCK_TOLERANCE = 600  # seconds: more is another time zone, not a clock that is a little off
_GONE = (InterfaceError, PoolTimeout, OSError, TimeoutError)
_GONE_NUMBERS = frozenset({1040, 1053, 1077, 1129, 1184, 1203, 1205, 1213, 1226, 1927})
"""MariaDB's errors that pass by themselves: too many connections, shutting down, connection killed, lock
wait and deadlock.
"""

_READ_ONLY_NUMBERS = frozenset({1290, 1836})
_READ_ONLY_STATE = "25006"
"""The server takes no writing for now: it has changed places with its standby, or its disk is full."""

_VALUE_NUMBERS = frozenset({1292, 1300, 1366})
"""MariaDB's errors of a date that is none, and of text that the column's character set cannot hold."""

_DRIVERS = {
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
    "mariadb": "mysql+aiomysql",
}


class NproError(Exception):
    """Base of what this package raises; the message is for people and holds no phone number."""


class NotUsable(NproError):
    """The database answers but cannot serve as it is set up; the message says what to change."""


class NotReachable(NproError):
    """The database does not answer, went away, or takes no writing: it may later."""


class Rejected(NproError):
    """The database did not take a row (a value it cannot hold)."""


class NproDatabase:
    """One database with its tables. Open it with `NproDatabase.open(url)`, end it with `close()`."""

    def __init__(self, engine: AsyncEngine, tables: Tables, own: OwnColumns) -> None:
        self.engine = engine
        self.tables = tables
        self._own = own

    @classmethod
    def open(
        cls, url: str | URL, *, names: TableNames | None = None, size: int = 8, own: OwnColumns | None = None
    ) -> Self:
        """`url`: postgresql://… or mysql://… (mariadb://…). Connects only when first used.

        `own`: columns and indexes that MSG_DATA and the logs are given where they are missing.
        """
        own = own or OwnColumns()
        return cls(_engine(url, size), Tables(names or TableNames(), own.columns, own.indexes), own)

    async def close(self) -> None:
        await self.engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Committed on leaving, rolled back on any error. Raises NotReachable, Rejected."""
        try:
            async with self.engine.begin() as connection:
                yield connection
        except _GONE as error:
            raise _unless_cancelled(NotReachable("the NPro database does not answer")) from error
        except DBAPIError as error:
            raise _unless_cancelled(_meaning(error)) from None  # its text may quote a row
        except RuntimeError as error:
            if not closed_below(error):
                raise
            raise _unless_cancelled(NotReachable("the connection to the NPro database has gone")) from error

    async def prepare(self, clock: KoreanClock) -> None:
        """Check the clock, create what is missing, learn of the customer's own columns. Raises NotUsable,
        NotReachable.
        """
        async with self.transaction() as connection:
            await self.check_clock(connection, clock)
            for table in (
                self.tables.data,
                self.tables.contents,
                self.tables.spam,
                self.tables.queue,
                self.tables.daily,
                self.tables.part,
            ):
                if await create_missing(connection, table):
                    await self._name_sequence(connection, table)
            await add_missing_columns(connection, self.tables.data, self._own.columns)
            await self._learn(connection)
            await _add_missing_indexes(connection, self.tables.data)
            await _check_engines(connection, self.tables)

    async def learn(self) -> None:
        """Look again which columns MSG_DATA has. Raises NotReachable, NotUsable."""
        async with self.transaction() as connection:
            await self._learn(connection)

    async def _learn(self, connection: AsyncConnection) -> None:
        known = Tables(self.tables.names).data
        columns = await _columns_beside(connection, self.tables.data.name, known.columns)
        self.tables = Tables(self.tables.names, columns, self._own.indexes)

    async def prepare_log(self, name: str) -> None:
        """The log table is there afterwards, with every column of MSG_DATA. Raises NproError."""
        async with self.transaction() as connection:
            log = self.tables.log(name)
            if not await create_missing(connection, log):
                await add_missing_columns(connection, log, list(log.columns))

    async def _name_sequence(self, connection: AsyncConnection, table: Table) -> None:
        """PostgreSQL's SERIAL counts by a sequence: customers may know it by a name of their own."""
        names = self.tables.names
        wanted = {names.data: names.data_sequence, names.contents: names.contents_sequence}.get(table.name)
        if wanted is None or connection.dialect.name != "postgresql":
            return
        key = next(iter(table.primary_key)).name
        found = await connection.execute(
            text("select pg_get_serial_sequence(:table, :key)"), {"table": table.name.lower(), "key": key.lower()}
        )
        await connection.execute(text(f"ALTER SEQUENCE {found.scalar_one()} RENAME TO {wanted}"))

    async def check_clock(self, connection: AsyncConnection, clock: KoreanClock) -> None:
        """Raises NotUsable where the server writes another local time than Korea's: due times would be
        hours off.
        """
        theirs = (await connection.execute(text(f"select {_local_time(connection)}"))).scalar_one()
        minutes = round((theirs - clock.now()).total_seconds() / 60)
        if abs(minutes) * 60 > CLOCK_TOLERANCE:
            raise NotUsable(
                f"the clock of the NPro database is {abs(minutes)} minutes"
                f" {'ahead of' if minutes > 0 else 'behind'} Korean time; its dates are Korean local time:"
                " set its time zone to Asia/Seoul (PostgreSQL: ALTER DATABASE … SET timezone = 'Asia/Seoul';"
                " MariaDB: default_time_zone = '+09:00')"
            )

    async def existing_logs(self, connection: AsyncConnection) -> list[str]:
        """Names of the log tables that are there: MSG_LOG and every MSG_LOG_YYYYMM, newest month first."""
        log = self.tables.names.log
        ignoring = re.IGNORECASE if await _folds_names(connection) else re.NOFLAG
        pattern = re.compile(rf"{re.escape(log)}(_\d{{6}})?", ignoring)
        matches = (pattern.fullmatch(name) for name in await _table_names(connection))
        return sorted((log + (match.group(1) or "") for match in matches if match), reverse=True)


def _engine(url: str | URL, size: int) -> AsyncEngine:
    where = _with_driver(make_url(url))
    if where.get_backend_name() == "postgresql":
        arguments: dict[str, object] = {
            "timeout": CONNECT_TIMEOUT,
            "command_timeout": STATEMENT_TIMEOUT,
            # Every statement here reads a few rows along an index; with old statistics the planner would rather gather
            # a whole backlog and sort it.
            "server_settings": {"application_name": "npro", "enable_bitmapscan": "off", "jit": "off"},
        }
    else:
        arguments = {
            "connect_timeout": CONNECT_TIMEOUT,
            "charset": "utf8mb4",
            # A value that the column's character set cannot hold is an error and never turns into "?".
            "init_command": "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
        }
    return create_async_engine(
        where,
        pool_size=size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT,
        pool_pre_ping=where.get_backend_name() != "postgresql",
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        connect_args=arguments,
    )


def _with_driver(url: URL) -> URL:
    backend = url.drivername.partition("+")[0]
    if backend not in _DRIVERS:
        raise NotUsable(f"no driver for a database of kind {backend!r}: PostgreSQL, MariaDB and MySQL are served")
    return url.set(drivername=_DRIVERS[backend])


def closed_below(error: BaseException) -> bool:
    """Whether uvloop says so of a connection that is gone: aiomysql lets it through as it is, and not as its own."""
    return isinstance(error, RuntimeError) and "the handler is closed" in str(error)


def _unless_cancelled(error: NproError) -> BaseException:
    """What came up while a cancelled task was cleaning up is no reason to try again: such a task would never end."""
    task = asyncio.current_task()
    return asyncio.CancelledError() if task is not None and task.cancelling() > 0 else error


def _meaning(error: DBAPIError) -> NproError:
    """PostgreSQL tells by SQLSTATE class, MariaDB by number. Passing by itself: the server is starting, stopping, full
    or read-only, the session was killed, a deadlock. About a value: class 22 and 23. The rest is how the database is
    set up.
    """
    arguments = getattr(error.orig, "args", ())
    number = arguments[0] if arguments and isinstance(arguments[0], int) else None
    state = getattr(error.orig, "sqlstate", None) or ""
    what = f"{type(error.orig).__name__} {number or state}".rstrip()
    if number in _READ_ONLY_NUMBERS or state == _READ_ONLY_STATE:
        return NotReachable(f"the NPro database can only be read now ({what})")
    if error.connection_invalidated or _passes(number, state):
        return NotReachable(f"the NPro database does not answer ({what})")
    if isinstance(error, DataError | IntegrityError) or number in _VALUE_NUMBERS or state[:2] in {"22", "23"}:
        return Rejected(f"the NPro database cannot hold a value ({what})")
    return NotUsable(f"the NPro database is not set up for this ({what})")


def _passes(number: int | None, state: str) -> bool:
    if number is not None:
        return number in _GONE_NUMBERS or 2000 <= number < 3000
    return state[:2] in {"", "08", "40", "53", "57"}


def _local_time(connection: AsyncConnection) -> str:
    return "localtimestamp" if connection.dialect.name == "postgresql" else "now()"


async def _table_names(connection: AsyncConnection) -> list[str]:
    return await connection.run_sync(lambda sync: inspect(sync).get_table_names())


async def exists(connection: AsyncConnection, name: str) -> bool:
    """Whether the table is there, under the name as this make of database keeps unquoted names."""
    names = await _table_names(connection)
    if connection.dialect.name == "postgresql":
        return name.lower() in names
    return name in names or (await _folds_names(connection) and name.lower() in {found.lower() for found in names})


async def _folds_names(connection: AsyncConnection) -> bool:
    """Whether names that differ by case only are the same table's: PostgreSQL's unquoted ones, and MariaDB's where it
    is set so (on Linux it is not).
    """
    if connection.dialect.name == "postgresql":
        return True
    return bool((await connection.execute(text("select @@lower_case_table_names"))).scalar_one())


async def create_missing(connection: AsyncConnection, table: Table) -> bool:
    """Create `table` with its indexes unless it is there. Returns whether it was created."""
    if await exists(connection, table.name):
        return False
    await connection.execute(CreateTable(table))
    for index in sorted(table.indexes, key=lambda one: str(one.name)):
        await connection.execute(CreateIndex(index))
    _log.info("created table %s", table.name)
    return True


async def _columns_beside(
    connection: AsyncConnection, table: str, known: Iterable[Column[Any]]
) -> Sequence[Column[Any]]:
    """Columns that the table has and `known` does not name: the customer's own."""
    names = {column.name.upper() for column in known}
    name = table.lower() if connection.dialect.name == "postgresql" else table

    def read(sync: Connection) -> list[Column[Any]]:
        columns = inspect(sync).get_columns(name)
        return [Column(str(found["name"]), found["type"]) for found in columns if found["name"].upper() not in names]

    return await connection.run_sync(read)


async def add_missing_columns(connection: AsyncConnection, table: Table, columns: Sequence[Column[Any]]) -> None:
    """Those of `columns` that the table lacks are added, empty in the rows that are there."""
    there = {column.name.upper() for column in await _columns_beside(connection, table.name, ())}
    for column in columns:
        if column.name.upper() not in there:
            kind = column.type.compile(dialect=connection.dialect)
            await connection.execute(text(f"ALTER TABLE {table.name} ADD {column.name} {kind}"))
            _log.info("table %s: added column %s", table.name, column.name)


async def _add_missing_indexes(connection: AsyncConnection, table: Table) -> None:
    """Only the customer's own are added to a table that is there: those of ours a customer may have dropped."""
    name = table.name.lower() if connection.dialect.name == "postgresql" else table.name
    found = await connection.run_sync(lambda sync: inspect(sync).get_indexes(name))
    there = {str(index["name"]).upper() for index in found}
    for index in table.indexes:
        if OWN_INDEX.fullmatch(str(index.name)) and str(index.name).upper() not in there:
            await connection.execute(CreateIndex(index))
            _log.info("table %s: added index %s", table.name, index.name)


async def _check_engines(connection: AsyncConnection, tables: Tables) -> None:
    """A table without transactions (MyISAM) could lose rows in the middle of a move."""
    if connection.dialect.name == "postgresql":
        return
    found = await connection.execute(
        text("select table_name, engine from information_schema.tables where table_schema = database()")
    )
    mine = {table.name.upper() for table in tables.metadata.tables.values()}
    for name, kind in found:
        if name.upper() in mine and kind not in {"InnoDB", None}:
            raise NotUsable(f"table {name} has the engine {kind}; ALTER TABLE {name} ENGINE = InnoDB")
