"""Listens for PostgreSQL's notices on a connection of its own."""

import asyncio
import logging
from collections.abc import Callable

import asyncpg

from ivr.failures import GONE
from vns.storage.database import plain_url

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds between attempts to listen


async def listen(database_url: str, channel: str, wake: Callable[[], None]) -> None:
    """Call `wake` for each notice on `channel`, and whenever some may have been missed. Until cancelled."""
    pause = FIRST_PAUSE
    while True:
        try:
            connection = await asyncpg.connect(plain_url(database_url), timeout=CONNECT_TIMEOUT)
        except GONE as error:
            log.warning("cannot listen for %s: %s", channel, type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
            continue
        pause = FIRST_PAUSE
        await _listen_on(connection, channel, wake)


async def _listen_on(connection: asyncpg.Connection, channel: str, wake: Callable[[], None]) -> None:
    """Until the connection ends."""
    ended = asyncio.Event()
    connection.add_termination_listener(lambda _: ended.set())
    try:
        await connection.add_listener(channel, lambda *_: wake())
        wake()
        await ended.wait()
    except GONE as error:
        log.warning("notices of %s are lost: %s", channel, type(error).__name__)
    finally:
        connection.terminate()
