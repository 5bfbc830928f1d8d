"""One relay at a time hands messages over: two would each insert the same message into MSG_DATA."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NoReturn

import asyncpg

from vns.errors import Unavailable
from vns.storage.database import Database

LOCK: Final = 0x564E5354455854  # "VNSTEXT"
RETRY: Final = 1.0  # seconds
PING: Final = 5.0  # seconds between signs of life
PING_DEADLINE: Final = 10.0  # seconds


@asynccontextmanager
async def sole_relay(db: Database) -> AsyncIterator[asyncpg.Connection]:
    """Waits until no other relay is on duty; the duty lasts as long as the session. Raises Unavailable."""
    async with db.connection() as connection:
        while not await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110 - held elsewhere
            await asyncio.sleep(RETRY)
        try:
            yield connection
        finally:
            if not connection.is_closed():
                await connection.execute("select pg_advisory_unlock($1)", LOCK, timeout=PING_DEADLINE)


async def watch(connection: asyncpg.Connection) -> NoReturn:
    """Returns only by raising Unavailable: the session is gone, and the duty with it."""
    while True:
        await asyncio.sleep(PING)
        try:
            await connection.execute("select 1", timeout=PING_DEADLINE)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable("the session that held the relay's duty is gone") from error
