"""Cuts calls whose binding was released with `terminate_calls`: on the database's notice, and at every (re)start."""

import asyncio
import logging

from ivr.ami.actions import hangup
from ivr.ami.connection import AmiUnavailable
from ivr.asterisks import Asterisks
from ivr.failures import GONE
from ivr.notices import listen
from vns.calls.service import Calls

log = logging.getLogger(__name__)

CHANNEL = "vns_terminate"
CAUSE = 16  # Q.850: normal clearing
SCAN_EVERY = 10.0  # seconds; a notice lost with its connection is made good


class Termination:
    """Listens on a connection of its own. Hanging up twice does no harm, so every bridge cuts every call."""

    def __init__(self, database_url: str, asterisks: Asterisks, calls: Calls) -> None:
        self._url = database_url
        self._asterisks = asterisks
        self._calls = calls
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Look for calls to cut: something may have changed."""
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listen(self._url, CHANNEL, self.wake))
            tasks.create_task(self._cut())

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
        """An Asterisk that is away keeps no other's calls. Raises AmiUnavailable in the end then, or Unavailable."""
        away: AmiUnavailable | None = None
        for call in await self._calls.to_terminate():
            ami = self._asterisks.with_channel(call.channel)
            if ami is None:
                continue
            try:
                await ami.send(hangup(call.channel, CAUSE))
                log.info("call %s was cut", call.id)
            except AmiUnavailable as error:
                away = error
        if away is not None:
            raise away
