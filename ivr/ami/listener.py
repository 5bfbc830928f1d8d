"""Finishes the calls that this bridge answered, as their events come in: many at once when they come thick."""

import asyncio
import logging

from ivr.ami.messages import CallEnded
from ivr.ami.records import CallRecord
from ivr.failures import GONE
from vns.calls.rules import CallOutcome
from vns.calls.service import Calls

log = logging.getLogger(__name__)

BATCH = 200
PAUSE = 0.1  # seconds between two batches: the first end is written at once, those right behind it together
FINISH_TIMEOUT = 20.0  # seconds


class Listener:
    """What is lost here (no database, a full queue, the other bridge's end) `ivr.ami.reconcile` finds in records."""

    def __init__(self, events: "asyncio.Queue[CallEnded]", calls: Calls, *, bridge: str) -> None:
        self._events = events
        self._calls = calls
        self._bridge = bridge

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            batch = [await self._events.get()]
            while len(batch) < BATCH and not self._events.empty():
                batch.append(self._events.get_nowait())
            outcomes = [outcome for event in batch if (outcome := self._own(event)) is not None]
            if outcomes:
                await self._finish(outcomes)
                await asyncio.sleep(PAUSE)

    async def _finish(self, outcomes: list[CallOutcome]) -> None:
        try:
            async with asyncio.timeout(FINISH_TIMEOUT):
                await self._calls.finish(outcomes)
        except GONE as error:
            log.warning("%d ended calls wait for the records to be read: %s", len(outcomes), type(error).__name__)

    def _own(self, event: CallEnded) -> CallOutcome | None:
        try:
            record = CallRecord.parse(event.record)
        except ValueError as error:
            log.warning("an event without sense: %s", error)
            return None
        return record.outcome() if record.bridge == self._bridge else None
