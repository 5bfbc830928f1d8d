"""One agent at a time serves a database: two would each take the other's rows in state 1 for leftovers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from sms_relay.agent.wakeup import Wakeup
from sms_relay.npro.database import NproDatabase

_log = logging.getLogger(__name__)

LOCK_NUMBER = 0x4E50524F  # "NPRO"
RETRY_SECONDS = 1.0
PING_DEADLINE = 10.0  # seconds


class LockLost(Exception):
    """The connection that held the lock is gone: another agent may hold it now."""


@asynccontextmanager
async def sole_agent(database: NproDatabase) -> AsyncIterator[AsyncConnection]:
    """Waits until no other agent serves the database; yields the session that holds the lock."""
    async with database.engine.connect() as connection:
        waited = False
        while not await _try_lock(connection):
            if not waited:
                _log.warning("another agent serves this database; waiting for it to end")
                waited = True
            await Wakeup().wait(RETRY_SECONDS)
        try:
            yield connection
        finally:
            with suppress(SQLAlchemyError, OSError, RuntimeError):  # gone already
                await connection.invalidate()  # the session ends, and the lock with it


async def _try_lock(connection: AsyncConnection) -> bool:
    if connection.dialect.name == "postgresql":
        statement = text(f"select pg_try_advisory_lock({LOCK_NUMBER})")
    else:
        statement = text("select get_lock(concat(database(), '.npro_agent'), 0)")
    held = bool((await connection.execute(statement)).scalar_one())
    await connection.commit()
    return held


async def watch(connection: AsyncConnection, ping_seconds: float) -> NoReturn:
    """Asks for a sign of life every `ping_seconds`. Raises LockLost when there is none."""
    while True:
        await Wakeup().wait(ping_seconds)
        try:
            async with asyncio.timeout(PING_DEADLINE):
                await connection.execute(text("select 1"))
                await connection.commit()
        except Exception as error:
            raise LockLost("the session that held the agent's lock is gone") from error
