"""One relay at a time hands messages over: two would each insert the same message into MSG_DATA.

The duty is a lock of a session. As soon as PostgreSQL has ended the session another relay can have it, while the one
that had it hears of that only when it asks, or when an answer stays away. It therefore asks before each batch.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, NoReturn

import asyncpg

from vns.errors import Unavailable
from vns.storage.database import Database

LOCK: Final = 0x564E5354455854  # "VNSTEXT"
CHANNEL: Final = "vns_text"
RETRY: Final = 1.0  # seconds
PING: Final = 5.0  # seconds between signs of life
PING_DEADLINE: Final = 10.0  # seconds
CLOSE_DEADLINE: Final = 1.0  # seconds: this is on the way out

_GONE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Duty:
    """The session that holds the lock. Once it is lost it never comes back: the next duty is another object."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._asking = asyncio.Lock()  # a session takes one statement at a time
        self._lost = asyncio.Event()

    async def confirm(self) -> None:
        """Returns if the duty was still held a moment ago. Raises Unavailable: it is lost."""
        try:
            async with self._asking:
                if not self._lost.is_set():
                    await self._connection.execute("select 1", timeout=PING_DEADLINE)
        except _GONE as error:
            self._lost.set()
            raise Unavailable("the session that held the relay's duty is gone") from error
        if self._lost.is_set():
            raise Unavailable("the relay's duty was lost")

    async def watch(self, recorded: Callable[[], None]) -> NoReturn:
        """Returns only by raising Unavailable: the duty is lost, whoever has found that out.

        `recorded` is called when somebody else (a route of the API) has recorded a text.
        """

        def notified(*_: object) -> None:
            recorded()

        async with self._asking:
            await self._connection.add_listener(CHANNEL, notified)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PING):
                    await self._lost.wait()
            await self.confirm()

    async def end(self) -> None:
        """Gives the duty back by ending the session: one that lived on could keep the lock from everybody."""
        self._lost.set()
        try:
            async with asyncio.timeout(CLOSE_DEADLINE), self._asking:
                await self._connection.close()
        except _GONE:
            with suppress(*_GONE):
                self._connection.terminate()


@asynccontextmanager
async def sole_relay(db: Database) -> AsyncIterator[Duty]:
    """Waits until no other relay is on duty; the duty lasts as long as the session. Raises Unavailable."""
    async with db.connection() as connection:
        duty = Duty(connection)
        try:
            while not await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110 - held elsewhere
                await asyncio.sleep(RETRY)
            yield duty
        finally:
            await duty.end()
