"""One relay at a time hands messages over: two would each insert the same message into MSG_DATA."""

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
UNLOCK_DEADLINE: Final = 1.0  # seconds: this is on the way out


@asynccontextmanager
async def sole_relay(db: Database) -> AsyncIterator[asyncpg.Connection]:
    """Waits until no other relay is on duty; the duty lasts as long as the session. Raises Unavailable."""
    async with db.connection() as connection:
        while not await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110 - held elsewhere
            await asyncio.sleep(RETRY)
        try:
            yield connection
        finally:
            # a session that is gone has given the lock back itself
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.execute("select pg_advisory_unlock($1)", LOCK, timeout=UNLOCK_DEADLINE)


async def watch(connection: asyncpg.Connection, recorded: Callable[[], None]) -> NoReturn:
    """Returns only by raising Unavailable: the session is gone, and the duty with it.

    `recorded` is called when somebody else (a route of the API) has recorded a text.
    """

    def notified(*_: object) -> None:
        recorded()

    try:
        await connection.add_listener(CHANNEL, notified)
        try:
            while True:
                await asyncio.sleep(PING)
                await connection.execute("select 1", timeout=PING_DEADLINE)
        finally:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.remove_listener(CHANNEL, notified)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable("the session that held the relay's duty is gone") from error
