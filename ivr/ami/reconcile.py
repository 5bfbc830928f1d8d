"""Finds the ends of calls that no event told of: in Asterisk's own records, or in Asterisk having no such call.

Every bridge does this for all calls; a call is finished once, whoever comes first.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from uuid import UUID

from ivr.ami.actions import list_channels
from ivr.ami.messages import ChannelListed
from ivr.ami.records import AnswerNote, CallRecord, RecordsFolder
from ivr.ami.supervisor import AmiSupervisor
from ivr.failures import GONE
from vns.calls.rules import CAUSE_UNKNOWN, CallOutcome, HangupBy, Result
from vns.calls.service import Calls, OpenCall
from vns.storage.clock import Clock

log = logging.getLogger(__name__)

BATCH = 500
KEEP_RECORDS = timedelta(days=7)


class CatchUp:
    """Reads the records file on. A line is looked at one round after it was read: its event had time to be first."""

    def __init__(self, folder: RecordsFolder, calls: Calls, clock: Clock, *, every: float = 2.0) -> None:
        self._folder = folder
        self._calls = calls
        self._clock = clock
        self._every = every
        self._position = folder.start(clock.now())
        self._read: list[str] = []

    async def run(self) -> None:
        """Until cancelled. Without a database the same lines are tried again."""
        cleared = None
        while True:
            try:
                more = await self.one_round()
                if cleared != (today := self._clock.now().date()):
                    self._folder.remove_before(self._clock.now() - KEEP_RECORDS)
                    cleared = today
            except GONE as error:
                log.warning("records wait: %s", type(error).__name__)
                more = False
            if not more:
                await asyncio.sleep(self._every)

    async def one_round(self) -> bool:
        """Finish what the last round read, then read on. Whether a long file has still more."""
        while self._read:
            await self._finish(self._read[:BATCH])
            del self._read[:BATCH]
        self._read, self._position = await asyncio.to_thread(self._folder.read, self._position)
        return len(self._read) > BATCH

    async def _finish(self, lines: list[str]) -> None:
        records: dict[UUID, CallOutcome] = {}
        answers: dict[UUID, datetime] = {}
        for line in lines:
            try:
                if (note := AnswerNote.parse(line)) is not None:
                    answers[note.call_id] = note.at
                    continue
                outcome = CallRecord.parse(line).outcome()
            except ValueError as error:
                log.warning("a record without sense: %s", error)
                continue
            records[outcome.call_id] = outcome
        await self._calls.note_answers(answers)
        waiting = await self._calls.unfinished(list(records))
        late = [records[call] for call, known in waiting.items() if known or records[call].arrived_at is not None]
        if late:
            log.info("%d calls finished from the records", await self._calls.finish(late))


class Vanished:
    """Ends as `unknown` what Asterisk neither has any more nor wrote a record of: it was killed in the middle."""

    def __init__(
        self,
        ami: AmiSupervisor,
        calls: Calls,
        clock: Clock,
        *,
        bridge: str,
        every: float = 20.0,
        patience: timedelta = timedelta(seconds=60),
    ) -> None:
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
        now = self._clock.now()
        calls = await self._calls.open_since(now - self._patience)
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

    def _unknown(self, call: OpenCall, now: datetime) -> CallOutcome:
        return CallOutcome(
            call_id=call.id,
            channel=call.channel,
            bridge=self._bridge,
            result=Result.UNKNOWN,
            cause=CAUSE_UNKNOWN,
            hangup_by=HangupBy.PLATFORM,
            ended_at=now,
        )
