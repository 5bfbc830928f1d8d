"""The relay as one thing: give `handle_incoming` to the links, keep `run()` alive."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sms_relay.agent.wakeup import Wakeup
from sms_relay.links.interface import Incoming
from sms_relay.npro.client import NproClient
from sms_relay.npro.database import NproDatabase
from sms_relay.relay.handover import Handover
from sms_relay.relay.inbound import Inbound
from sms_relay.relay.passing import PASSING, told
from sms_relay.relay.pictures import PictureFolder
from sms_relay.relay.results import Results
from vns.messages.duty import Duty, sole_relay
from vns.messages.service import Messages
from vns.storage.clock import Clock
from vns.storage.database import Database

_log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


def nobody() -> None:
    """No agent in this process: its poll finds the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Where they lie for the agent, and for how long after the result of their message."""

    folder: PictureFolder
    life: timedelta


class Relay:
    """Between the platform's messages and one NPro database, whoever serves that one."""

    def __init__(
        self,
        db: Database,
        messages: Messages,
        npro: NproDatabase,
        clock: Clock,
        *,
        subject: str,
        result_life: timedelta,
        inserted: Callable[[], None] = nobody,
        pictures: Pictures | None = None,
    ) -> None:
        """`inserted` is called after each insert into MSG_DATA; `subject` is that of long texts.

        `pictures` None: no message with pictures may be given to `handle_incoming`.
        """
        client = NproClient(npro)
        self._db = db
        self._duty: Duty | None = None
        self._messages, self._clock, self._pictures = messages, clock, pictures
        self._results = Results(messages, client, clock, duty=lambda: self._duty, life=result_life)
        self._handover = Handover(
            messages,
            client,
            clock,
            subject=subject,
            duty=lambda: self._duty,
            awaited=self._results.watch,
            inserted=inserted,
            folder=pictures.folder if pictures else None,
        )
        self._inbound = Inbound(messages, self._handover.offer)

    async def handle_incoming(self, incoming: Incoming) -> None:
        """For the links; see Inbound.handle."""
        await self._inbound.handle(incoming)

    def finished(self, userdata: Sequence[int]) -> None:
        """For an agent in the same process; see Results.finished."""
        self._results.finished(userdata)

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_duty(), name="relay-duty")
            group.create_task(self._handover.run(), name="relay-handover")
            group.create_task(self._results.run(), name="relay-results")
            if self._pictures is not None:
                sweeping = self._pictures.folder.sweeping(self._messages, self._clock, self._pictures.life)
                group.create_task(sweeping, name="relay-pictures")

    async def _keep_duty(self) -> None:
        while True:
            try:
                async with sole_relay(self._db) as duty:
                    self._duty = duty
                    self._handover.hint.set()
                    try:
                        await duty.watch(self._handover.look)
                    finally:
                        self._duty = None  # before the session ends and another relay can have it
            except PASSING as error:
                _log.warning("relay: %s", told(error))
            await Wakeup().wait(RETRY_SECONDS)
