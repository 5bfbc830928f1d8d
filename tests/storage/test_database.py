"""What a process sees when PostgreSQL goes away, or is there and says nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import AsyncMock
from urllib.parse import urlsplit

import asyncpg
import pytest

from local.postgres import PostgresServer
from vns.errors import Unavailable
from vns.storage.database import ACQUIRE_TIMEOUT, Database

ENDED = [
    ConnectionResetError(),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError("not connected"),
    asyncpg.ConnectionDoesNotExistError(),
    asyncpg.AdminShutdownError(),
    asyncpg.CrashShutdownError(),
]


@pytest.mark.parametrize("error", ENDED, ids=lambda error: type(error).__name__)
async def test_a_connection_that_ends_in_the_middle_is_unavailable(database_url: str, error: Exception) -> None:
    database = await Database.open(database_url, size=1)
    try:
        with pytest.raises(Unavailable):
            async with database.transaction():
                raise error
        async with database.connection() as connection:
            assert await connection.fetchval("select 1") == 1
    finally:
        await database.close()


class Wire:
    """Between a client and PostgreSQL; while `open` is clear, nothing passes in either direction."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def to(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen on a free port of the loopback, which is given."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection(host, port)
            for source, sink in ((reader, back), (there, writer)):
                task = asyncio.create_task(self._carry(source, sink))
                self._connections.add(task)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self.open.wait()
                sink.write(data)
                await sink.drain()
        finally:
            sink.close()


async def test_who_gives_up_on_a_silent_server_is_free_at_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Giving the connection back does not wait for the server either, and the connection is not used again."""
    monkeypatch.setattr("vns.storage.database.RELEASE_TIMEOUT", 0.01)
    where = urlsplit(database_url)
    wire = Wire()
    async with wire.to(str(where.hostname), int(where.port or 0)) as port:
        through = database_url.replace(f":{where.port}/", f":{port}/")
        database = await Database.open(through, size=1)
        try:
            wire.open.clear()
            async with asyncio.timeout(ACQUIRE_TIMEOUT / 2):  # asyncpg's own patience would be all of it
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05), database.connection() as connection:
                        await connection.fetchval("select 1")
            wire.open.set()
            async with database.connection() as connection:
                assert await connection.fetchval("select 2") == 2
        finally:
            await database.close()


async def test_a_connection_stays_at_hand_and_yet_whoever_waits_gets_it(database_url: str) -> None:
    database = await Database.open(database_url, size=1)

    async def session() -> int:
        async with database.connection() as connection:
            return int(await connection.fetchval("select pg_backend_pid()"))

    try:
        first = await session()
        async with database.connection():
            waiting = asyncio.create_task(session())
            await asyncio.sleep(0)  # it asks, and finds none
        assert await waiting == first
        assert await asyncio.gather(*(session() for _ in range(20))) == [first] * 20
    finally:
        await database.close()


async def test_a_transaction_left_open_does_not_stay_at_hand(database_url: str) -> None:
    database = await Database.open(database_url, size=1)
    try:
        async with database.connection() as connection:
            await connection.execute("begin")
        async with database.connection() as connection:
            assert not connection.is_in_transaction()
    finally:
        await database.close()


async def test_a_statement_has_its_own_deadline(database_url: str) -> None:
    database = await Database.open(database_url, size=1, statement_timeout=0.05)
    try:
        with pytest.raises(TimeoutError):
            async with database.connection() as connection:
                await connection.fetchval("select pg_sleep(60)")
    finally:
        await database.close()


async def test_a_cancelled_task_ends_although_its_clearing_up_finds_no_connection(database_url: str) -> None:
    """Whoever tries again after Unavailable would otherwise never be ended."""
    database = await Database.open(database_url, size=2)
    holding = asyncio.Event()
    backend = 0

    async def hold() -> None:
        nonlocal backend
        async with database.connection() as connection:
            backend = await connection.fetchval("select pg_backend_pid()")
            try:
                holding.set()
                await asyncio.Event().wait()
            finally:
                await connection.execute("select 1")

    try:
        task = asyncio.create_task(hold())
        await holding.wait()
        async with database.connection() as other:
            await other.execute("select pg_terminate_backend($1, 5000)", backend)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
    finally:
        await database.close()


async def test_closing_after_the_sessions_were_cut_and_before_anybody_noticed(
    postgres: PostgresServer, database_url: str
) -> None:
    """The last words of PostgreSQL lie unread in the sockets while the pool is closed: nothing of it is an error."""
    for _ in range(20):
        db = await Database.open(database_url, size=4)
        async with db.connection(), db.connection(), db.connection():
            pass
        postgres.query(  # without a turn of the loop
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'vns'"
        )
        await db.close()


async def test_giving_a_connection_back_after_its_session_was_cut(postgres: PostgresServer, database_url: str) -> None:
    for _ in range(20):
        db = await Database.open(database_url, size=1)
        async with db.connection() as connection:
            await connection.fetchval("select 1")
            postgres.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'vns'")
        assert await _value(db) == 1
        await db.close()


async def _value(db: Database) -> int:
    while True:
        try:
            async with db.connection() as connection:
                return int(await connection.fetchval("select 1"))
        except Unavailable:
            continue


@pytest.mark.parametrize("error", ENDED, ids=lambda error: type(error).__name__)
async def test_a_session_that_ends_while_it_is_being_prepared_is_unavailable(
    database_url: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("vns.storage.database._prepare_connection", AsyncMock(side_effect=error))
    with pytest.raises(Unavailable):
        await Database.open(database_url)


async def test_a_connection_at_hand_whose_session_was_ended_is_replaced(
    postgres: PostgresServer, database_url: str
) -> None:
    database = await Database.open(database_url, size=1)
    try:
        async with database.connection() as connection:
            first = await connection.fetchval("select pg_backend_pid()")
        postgres.query(f"select pg_terminate_backend({first})")
        async with asyncio.timeout(60):
            while True:  # its end may come to be known in the middle of the next statement
                try:
                    async with database.connection() as connection:
                        assert await connection.fetchval("select pg_backend_pid()") != first
                        break
                except Unavailable:
                    continue
    finally:
        await database.close()


async def test_statements_are_planned_once_where_that_is_wanted(database_url: str) -> None:
    for by_key, mode, whole in ((False, "auto", "on"), (True, "force_generic_plan", "off")):
        db = await Database.open(database_url, size=1, by_key=by_key)
        try:
            async with db.connection() as connection:
                assert await connection.fetchval("show plan_cache_mode") == mode
                for way in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):
                    assert await connection.fetchval(f"show {way}") == whole
        finally:
            await db.close()
