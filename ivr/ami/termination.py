"""Cuts calls whose binding was released with `terminate_calls`: on the database's notice, and at every (re)start."""

import asyncio
import logging

import asyncpg

from ivr.ami.actions import hangup
from ivr.ami.supervisor import AmiSupervisor
from ivr.failures import GONE
from vns.calls.service import Calls
from vns.storage.database import plain_url

log = logging.getLogger(__name__)

CHANNEL = "vns_terminate"
CAUSE = 16  # Q.850: normal clearing
SCAN_EVERY = 10.0  # seconds; a notice lost with its connection is made good
CONNECT_TIMEOUT = 10.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds between attempts to listen


class Termination:
    """Listens on a connection of its own. Hanging up twice does no harm, so every bridge cuts every call."""

    def __init__(self, database_url: str, ami: AmiSupervisor, calls: Calls) -> None:
        self._url = plain_url(database_url)
        self._ami = ami
        self._calls = calls
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Look for calls to cut: something may have changed."""
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._cut())

    async def _listen(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                connection = await asyncpg.connect(self._url, timeout=CONNECT_TIMEOUT)
            except GONE as error:
                log.warning("cannot listen for calls to cut: %s", type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
                continue
            pause = FIRST_PAUSE
            await self._listen_on(connection)

    async def _listen_on(self, connection: asyncpg.Connection) -> None:
        """Until the connection ends."""
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        try:
            await connection.add_listener(CHANNEL, lambda *_: self.wake())
            self.wake()
            await ended.wait()
        except GONE as error:
            log.warning("the notices of calls to cut are lost: %s", type(error).__name__)
        finally:
            connection.terminate()

    async def _cut(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SCAN_EVERY):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            try:
                await self.cut_marked()
            except GONE as error:
                log.warning("calls to cut have to wait: %s", type(error).__name__)

    async def cut_marked(self) -> None:
        """Raises AmiUnavailable, Unavailable."""
        for call in await self._calls.to_terminate():
            await self._ami.send(hangup(call.channel, CAUSE))
            log.info("call %s was cut", call.id)
