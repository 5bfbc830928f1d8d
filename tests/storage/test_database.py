"""What a process sees when PostgreSQL goes away, or is there and says nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from vns.errors import Unavailable
from vns.storage.database import ACQUIRE_TIMEOUT, Database


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("not connected"),
        asyncpg.ConnectionDoesNotExistError(),
        asyncpg.AdminShutdownError(),
        asyncpg.CrashShutdownError(),
    ],
    ids=lambda error: type(error).__name__,
)
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


async def test_a_statement_has_its_own_deadline(database_url: str) -> None:
    database = await Database.open(database_url, size=1, statement_timeout=0.05)
    try:
        with pytest.raises(TimeoutError):
            async with database.connection() as connection:
                await connection.fetchval("select pg_sleep(60)")
    finally:
        await database.close()
