"""Keeps one connection to the manager interface alive: connect, watch, and begin anew with growing, uneven pauses."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from ivr.ami.actions import Action, core_settings, ping
from ivr.ami.connection import AmiConnection, AmiUnavailable
from ivr.ami.messages import Event, Reply, VerificationEnded

log = logging.getLogger(__name__)

QUEUE_LENGTH = 10_000  # events that wait; more are dropped and found again in Asterisk's own records


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. Pauses between attempts double from `first_pause` to `longest_pause`, each cut by up to a half."""

    first_pause: float = 0.25
    longest_pause: float = 5.0
    ping_every: float = 5.0
    ping_timeout: float = 3.0
    login_timeout: float = 5.0


class AmiSupervisor:
    """Owns the connection. `run()` is a task of the bridge's; `verifications` fills while there is a connection."""

    def __init__(
        self,
        url: str,
        *,
        name: str | None = None,
        timing: Timing | None = None,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        """`name`: the system name of the Asterisk that has to be there; None: whichever is."""
        self._url = url
        self._name = name
        self._timing = timing or Timing()
        self.on_ready = on_ready
        self._connection: AmiConnection | None = None
        self._ready = asyncio.Event()
        self.verifications: asyncio.Queue[VerificationEnded] = asyncio.Queue(QUEUE_LENGTH)
        self.dropped = 0

    @property
    def ready(self) -> bool:
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Until there is a connection."""
        await self._ready.wait()

    async def send(self, action: Action) -> Reply:
        """Never waits for a connection and never repeats. Raises AmiUnavailable."""
        if self._connection is None:
            raise AmiUnavailable("no connection to the manager interface")
        return await self._connection.send(action)

    async def run(self) -> None:
        """Until cancelled."""
        attempt = 0
        while True:
            try:
                await self._one_connection()
                attempt = 0
            except AmiUnavailable as error:
                log.warning("%s", error)
            attempt += 1
            await asyncio.sleep(self._pause(attempt))

    async def _one_connection(self) -> None:
        """From connecting to the end. Raises AmiUnavailable when it never came to a login."""
        connection = await AmiConnection.open(self._url, self._take, login_timeout=self._timing.login_timeout)
        try:
            await self._know(connection)
            self._connection = connection
            self._ready.set()
            log.info("connected to the manager interface%s", f" of {self._name}" if self._name else "")
            if self.on_ready is not None:
                self.on_ready()
            await self._watch(connection)
        finally:
            self._connection = None
            self._ready.clear()
            connection.close()
            log.info("the connection to the manager interface has ended")

    async def _know(self, connection: AmiConnection) -> None:
        """Taken for another, an Asterisk would lose its calls to "vanished". Raises AmiUnavailable."""
        if self._name is None:
            return
        there = (await connection.send(core_settings())).system_name
        if there != self._name:
            raise AmiUnavailable(f"the Asterisk at the address of {self._name} is another: {there[:40]!r}")

    async def _watch(self, connection: AmiConnection) -> None:
        """Returns when the connection is gone or no longer answers."""
        while not await self._gone_within(connection, self._timing.ping_every):
            try:
                await connection.send(ping(), timeout=self._timing.ping_timeout)
            except AmiUnavailable as error:
                log.warning("watchdog: %s", error)
                return

    async def _gone_within(self, connection: AmiConnection, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await connection.wait_gone()
        except TimeoutError:
            return False
        return True

    def _pause(self, attempt: int) -> float:
        longest: float = min(self._timing.longest_pause, self._timing.first_pause * 2.0 ** min(attempt - 1, 16))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads reconnects, guards nothing

    def _take(self, event: Event) -> None:
        try:
            if isinstance(event, VerificationEnded):
                self.verifications.put_nowait(event)
        except asyncio.QueueFull:
            self.dropped += 1
