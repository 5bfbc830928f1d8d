"""The pool of PostgreSQL connections that a process works with.

asyncpg is used without a layer above it: every statement of an allocation or a decision is written by hand, prepared
once per connection and answered as plain records (docs/decisions/0004-plain-asyncpg-in-the-core.md).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

import asyncpg

from vns.errors import Unavailable

CONNECT_TIMEOUT = 5.0  # seconds
STATEMENT_TIMEOUT = 15.0  # seconds: longer than any statement of ours
ACQUIRE_TIMEOUT = 5.0  # seconds
RELEASE_TIMEOUT = 1.0  # seconds for a cut statement's cancelling; a connection that takes longer is thrown away

_GONE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the session was ended while the new connection was being prepared
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,  # too many connections
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
)

# The connection ended in the middle of the work; whether a commit took place is not known.
_WENT_AWAY = (
    ConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # "not connected": asyncpg noticed between two statements
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)

AWAY: Final = (
    Unavailable,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""Everything that may come out of a connection that PostgreSQL has left, or on which it cannot do its work now."""

_SESSION = {"application_name": "vns", "timezone": "UTC", "jit": "off"}

# Each statement is planned once on each connection, whatever it is given. For an array of three PostgreSQL expects less
# work than for any array, and would plan anew each time, which takes longer than the work. A plan from the first hour
# must do for the first million rows, too: PostgreSQL may not take a table for small enough to be read whole, which is
# what it would do as long as it is empty. Lists with filters that may be left out need plans of their own.
_BY_KEY = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


class Database:
    """Owns one asyncpg pool. Open it with `await Database.open(url)`, end it with `close()`."""

    def __init__(self, url: str, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.url = url
        self._pool = pool
        self._at_hand: list[Any] = []  # taken from the pool and not in use, the last used one at the end
        self._waiting = 0  # for the pool to give one out
        self._closed = False

    @classmethod
    async def open(
        cls, url: str, *, size: int = 8, statement_timeout: float = STATEMENT_TIMEOUT, by_key: bool = False
    ) -> Self:
        """`size`: most connections at a time; `statement_timeout` in seconds.

        `by_key`: for a process whose statements are few and look up everything by key, see _BY_KEY.

        Raises Unavailable when PostgreSQL does not answer.
        """
        try:
            pool = await asyncpg.create_pool(
                plain_url(url),
                min_size=0,  # asyncpg would keep up more by a task that never rests while PostgreSQL is away
                max_size=size,
                timeout=CONNECT_TIMEOUT,
                command_timeout=statement_timeout,
                init=_prepare_connection,
                reset=_nothing_to_undo,
                server_settings={**_SESSION, **(_BY_KEY if by_key else {})},
            )
        except _GONE as error:
            raise Unavailable("PostgreSQL does not answer") from error
        database = cls(url, pool)
        try:
            async with database.connection():
                pass  # whether it answers
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Sessions that PostgreSQL has ended meanwhile are closed too: asyncpg has then cut what was left."""
        self._closed = True
        while self._at_hand:
            await self._return_to_pool(self._at_hand.pop())
        with suppress(*_WENT_AWAY):
            await self._pool.close()

    def connection(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection for statements that each stand alone. Raises Unavailable.

        One that was last used without an error stays at hand: the pool would make two tasks and five rounds of the
        event loop of each loan, which is a third of what a short statement costs.
        """
        return _Loan(self)

    async def give_back(self, connection: Any, *, unharmed: bool) -> None:
        """The end of a loan; `unharmed`: no error has ended it."""
        if unharmed and self._may_stay(connection):
            self._at_hand.append(connection)
        else:
            await self._return_to_pool(connection)

    async def take(self) -> Any:
        """A connection, for the loan that gives it back. Raises Unavailable."""
        while self._at_hand:
            connection = self._at_hand.pop()
            if _is_usable(connection):
                return connection
            await self._return_to_pool(connection)
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=ACQUIRE_TIMEOUT)
        except _GONE as error:
            raise Unavailable("PostgreSQL does not answer") from error
        finally:
            self._waiting -= 1

    def _may_stay(self, connection: Any) -> bool:
        """Whoever waits is given one by the pool, which therefore must get it back."""
        return _is_usable(connection) and not (self._waiting or self._closed or connection.is_in_transaction())

    async def _return_to_pool(self, connection: Any) -> None:
        # asyncpg throws away a connection that it could not reset in time, or whose end it notices only now. What was
        # done with it is known by then, and is no less true.
        with suppress(TimeoutError, *_WENT_AWAY):
            await self._pool.release(connection, timeout=RELEASE_TIMEOUT)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection inside a READ COMMITTED transaction: committed on leaving, rolled back on any error."""
        async with self.connection() as connection, connection.transaction():
            yield connection


class _Loan:
    """Of one connection. A generator in its place would take a call twice as long, and each call needs several."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> asyncpg.Connection:
        self._connection = await self._database.take()
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, _WENT_AWAY):
                if _being_cancelled():
                    raise asyncio.CancelledError from error
                raise Unavailable("PostgreSQL went away") from error
        finally:
            await self._database.give_back(self._connection, unharmed=error is None)


def _is_usable(connection: Any) -> bool:
    """A session that PostgreSQL has ended is taken back by the pool itself, which then answers no question about it."""
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False


def _being_cancelled() -> bool:
    """Whether the error came up while a cancelled task was cleaning up: as Unavailable it would be taken for a reason
    to try again, and the task would never end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _prepare_connection(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_to_json, decoder=json.loads)


async def _nothing_to_undo(_connection: asyncpg.Connection) -> None:
    """Spares a round trip at each release: nobody here changes a session, and asyncpg ends open transactions itself."""


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def plain_url(url: str) -> str:
    """SQLAlchemy's spelling (`postgresql+asyncpg://`) means the same server."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)
