"""Ends calls that Asterisk has no more and wrote no record of. Every bridge that reads its records does so."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from ivr.ami.actions import list_channels
from ivr.ami.messages import ChannelListed
from ivr.ami.supervisor import AmiSupervisor
from ivr.callids import system_of
from ivr.failures import GONE
from vns.calls.rules import CAUSE_UNKNOWN, CallOutcome, HangupBy, Result
from vns.calls.service import Calls, OpenCall
from vns.storage.clock import Clock

log = logging.getLogger(__name__)


class Vanished:
    """Ends as `unknown` what Asterisk neither has any more nor wrote a record of: it was killed in the middle."""

    def __init__(
        self,
        ami: AmiSupervisor,
        calls: Calls,
        clock: Clock,
        *,
        bridge: str,
        caught_up: Callable[[], bool],
        name: str | None = None,
        every: float = 20.0,
        patience: timedelta = timedelta(seconds=60),
    ) -> None:
        """`caught_up`: whether the records that Asterisk has written so far are read and done with. `name`: its system
        name, if only the calls of that name are its own; None: all are.
        """
        self._caught_up = caught_up
        self._name = name
        self._ami = ami
        self._calls = calls
        self._clock = clock
        self._bridge = bridge
        self._every = every
        self._patience = patience
        self._missed: set[UUID] = set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.one_round()
            except GONE as error:
                log.warning("open calls are not compared: %s", type(error).__name__)
                self._missed.clear()
            await asyncio.sleep(self._every)

    async def one_round(self) -> int:
        """Finish calls that were missing last time too; how many. Raises AmiUnavailable, Unavailable."""
        if not self._caught_up():  # the records of calls that have gone may be there, and unread
            self._missed.clear()
            return 0
        now = self._clock.now()
        calls = [call for call in await self._calls.open_since(now - self._patience) if self._own(call)]
        missing = {call.id: call for call in calls}
        if calls:
            reply = await self._ami.send(list_channels())
            alive = {event.unique_id for event in reply.events if isinstance(event, ChannelListed)}
            missing = {call.id: call for call in calls if call.channel not in alive}
        twice = [call for call in missing.values() if call.id in self._missed]
        self._missed = set(missing) - {call.id for call in twice}
        if twice:
            log.warning("%d calls ended without a record", len(twice))
        return await self._calls.finish([self._unknown(call, now) for call in twice])

    def _own(self, call: OpenCall) -> bool:
        return self._name is None or system_of(call.channel) == self._name

    def _unknown(self, call: OpenCall, now: datetime) -> CallOutcome:
        return unknown_end(call, now, bridge=self._bridge)


def unknown_end(call: OpenCall, now: datetime, *, bridge: str) -> CallOutcome:
    """What is written of a call whose Asterisk can tell no more of it."""
    return CallOutcome(
        call_id=call.id,
        channel=call.channel,
        bridge=bridge,
        result=Result.UNKNOWN,
        cause=CAUSE_UNKNOWN,
        hangup_by=HangupBy.PLATFORM,
        ended_at=now,
        reconciled=True,
    )
