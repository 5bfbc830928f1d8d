"""Ends the calls of Asterisks that no setting names any more: nobody else ever would."""

import asyncio
import logging
from datetime import timedelta

from ivr.ami.reconcile import unknown_end
from ivr.callids import system_of
from ivr.failures import GONE
from vns.calls.service import Calls
from vns.storage.clock import Clock

log = logging.getLogger(__name__)

EVERY = 600.0  # seconds
PATIENCE = timedelta(hours=24)  # a bridge with older settings may stand beside one that knows the Asterisk


class Strays:
    """An Asterisk is taken out of the settings once its calls are over. What is still open a day later counts no more
    against the limits of its number.
    """

    def __init__(self, names: frozenset[str] | None, calls: Calls, clock: Clock, *, bridge: str) -> None:
        """`names`: of the Asterisks there are; None: the only one has every call."""
        self._names = names
        self._calls = calls
        self._clock = clock
        self._bridge = bridge

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.one_round()
            except GONE as error:
                log.warning("calls of former Asterisks wait: %s", type(error).__name__)
            await asyncio.sleep(EVERY)

    async def one_round(self) -> int:
        """How many were ended. Raises Unavailable."""
        if self._names is None:
            return 0
        now = self._clock.now()
        old = await self._calls.open_since(now - PATIENCE)
        strays = [call for call in old if system_of(call.channel) not in self._names]
        if strays:
            log.warning("%d calls of Asterisks that no setting names are over", len(strays))
        return await self._calls.finish([unknown_end(call, now, bridge=self._bridge) for call in strays])
