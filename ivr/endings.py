"""Finishes calls by the lines that Asterisk's hang-up handler writes. They are on disk, whatever becomes of
Asterisk or of a bridge, and many of them are read at once.

Every bridge reads every line. What a bridge answered itself it finishes at once; the calls of another it leaves to that
one for a while, and then finishes whatever is still open. A call is finished once, whoever comes first.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from ivr.ami.records import BEGINNING, AnswerNote, CallRecord, Position, RecordsFolder, Told
from ivr.callids import arrival_of
from ivr.failures import GONE
from vns.calls.rules import CallOutcome
from vns.calls.service import Calls
from vns.storage.clock import Clock

log = logging.getLogger(__name__)

READ_EVERY: Final = 0.5  # seconds
PATIENCE: Final = 4.0  # seconds that a call is left to the bridge that answered it, and between two looks at it
LOOKS: Final = 15  # at a call that was decided and has no record: whoever decided may still write one
BATCH: Final = 500
LONGEST_WAIT: Final = 20.0  # seconds for the database to take one batch
KEEP_RECORDS: Final = timedelta(days=7)
BEHIND: Final = timedelta(minutes=5)  # how old a position is when it is kept: hardly a line waits here that long


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Looked at when the event loop's clock is at `due`. `turn`: the round in which the line came to wait."""

    due: float
    line: str
    call_id: UUID
    turn: int
    looks: int = 0


@dataclass(frozen=True, slots=True)
class _Reached:
    """How far the records had been read when a round ended."""

    at: datetime
    turn: int
    position: Position


class Endings:
    """The ends of one Asterisk's calls. `run()` is a task of the bridge's."""

    def __init__(
        self,
        folder: RecordsFolder,
        calls: Calls,
        clock: Clock,
        *,
        bridge: str,
        every: float = READ_EVERY,
        patience: float = PATIENCE,
    ) -> None:
        """`every`, `patience`: seconds, see READ_EVERY and PATIENCE."""
        self._folder = folder
        self._calls = calls
        self._clock = clock
        self._bridge = bridge
        self._every = every
        self._patience = patience
        self._started = clock.now()
        self._position = BEGINNING
        self._at_end = False
        self._turn = 0
        self._reached: _Reached | None = None  # kept when it is old enough
        self._keeps = True
        self._cleared: date | None = None
        self._own: list[tuple[str, CallOutcome]] = []
        self._answers: dict[UUID, datetime] = {}
        self._waiting: deque[_Waiting] = deque()  # in the order of `due`

    @property
    def caught_up(self) -> bool:
        """Whether all lines that were there a moment ago are read and done with, but those left to another for now.

        Not before the first round has come to the end of the files, nor from an error on until one has again.
        """
        due = bool(self._waiting) and self._waiting[0].due <= asyncio.get_running_loop().time()
        return self._at_end and not due

    async def run(self) -> None:
        """Until cancelled. Without a database the same lines are tried again."""
        while True:
            read = 0
            try:
                async with asyncio.timeout(LONGEST_WAIT):
                    read = await self.one_round()
            except GONE as error:
                log.warning("ended calls wait: %s", type(error).__name__)
            if read < BATCH:
                # Calls that ended meanwhile wait for the next round: finished by themselves they would cost as much as
                # all of a round do together, and while they were, the next ones would end.
                await asyncio.sleep(self._every)

    async def one_round(self) -> int:
        """Finish what can be finished, read on if all of that was. How many lines were read."""
        self._turn += 1
        self._at_end = False
        try:
            await self._finish()
            if self._position == BEGINNING:  # so far there was nothing to read
                self._position = await asyncio.to_thread(self._folder.kept, self._bridge, self._started)
            lines, self._position, at_end = await asyncio.to_thread(self._folder.read, self._position)
            for line in lines:
                self._take(line)
            await self._finish()
        except BaseException:
            self._reached = None
            raise
        self._at_end = at_end
        if self._turn == 1 and not (lines or at_end):
            log.warning("%s is not there: bridges that have this folder finish its calls", self._folder.path)
        await self._keep_position()
        await self._remove_old()
        return len(lines)

    async def _keep_position(self) -> None:
        """For the next start: how far the lines had been read a while ago, if none of them waits here any more."""
        now, reached = self._clock.now(), self._reached
        if reached is not None and (
            now - reached.at < BEHIND or any(one.turn <= reached.turn for one in self._waiting)
        ):
            return
        self._reached = _Reached(now, self._turn, self._position)
        if reached is None or reached.position == BEGINNING:
            return
        try:
            await asyncio.to_thread(self._folder.keep, self._bridge, reached.position)
            self._keeps = True
        except OSError as error:
            if self._keeps:
                log.warning("how far the records are read is not kept: %s", type(error).__name__)
            self._keeps = False

    async def _remove_old(self) -> None:
        """Once a day, and nothing that is still to be read."""
        now = self._clock.now()
        if self._cleared == now.date() or not self.caught_up:
            return
        self._cleared = now.date()
        try:
            await asyncio.to_thread(self._folder.remove_before, now - KEEP_RECORDS)
        except OSError as error:
            log.warning("old records stay: %s", type(error).__name__)

    def _take(self, line: str) -> None:
        try:
            if (note := AnswerNote.parse(line)) is not None:
                self._answers[note.call_id] = note.at
                return
            told = Told.parse(line)
            if told.bridge == self._bridge and told.ended_at >= self._started:
                self._own.append((line, CallRecord.parse(line).outcome()))
            elif told.ended_at >= self._started:
                self._leave(line, told.call_id, self._turn)
            else:  # of an earlier life: nobody else may be there for it
                self._waiting.appendleft(_Waiting(0.0, line, told.call_id, self._turn))
        except ValueError as error:
            log.warning("a record without sense: %s", error)

    def _leave(self, line: str, call_id: UUID, turn: int, looks: int = 0) -> None:
        due = asyncio.get_running_loop().time() + self._patience
        self._waiting.append(_Waiting(due, line, call_id, turn, looks))

    async def _finish(self) -> None:
        """Raises what is in GONE; then it is all tried again."""
        if self._answers:
            await self._calls.note_answers(self._answers)
            self._answers = {}
        while self._own:
            batch = self._own[:BATCH]
            if await self._calls.finish([outcome for _, outcome in batch]) < len(batch):
                for line, outcome in batch:  # another was faster, or one of them has no record yet
                    self._leave(line, outcome.call_id, self._turn)
            del self._own[: len(batch)]
        now = asyncio.get_running_loop().time()
        while self._waiting and self._waiting[0].due <= now:
            batch_of = [one for one, _ in zip(self._waiting, range(BATCH), strict=False) if one.due <= now]
            await self._finish_open(batch_of)
            for _ in batch_of:
                self._waiting.popleft()

    async def _finish_open(self, batch: Sequence[_Waiting]) -> None:
        """Most of what was left to another bridge has ended by now, and is not even read whole."""
        known = await self._calls.unfinished([one.call_id for one in batch])
        late, again = [], []
        for one in batch:
            if one.call_id not in known:
                continue
            try:
                outcome = replace(CallRecord.parse(one.line).outcome(), reconciled=True)
            except ValueError as error:
                log.warning("a record without sense: %s", error)
                continue
            if not known[one.call_id] and one.looks == LOOKS:
                # Nobody is left who knows more: PostgreSQL lost its begin, and the bridge that decided was gone too.
                outcome = replace(outcome, arrived_at=min(arrival_of(outcome.channel), outcome.ended_at))
            if known[one.call_id] or outcome.arrived_at is not None:
                late.append(outcome)
            else:
                again.append(one)
        if late:
            log.info("%d calls finished from the records", await self._calls.finish(late))
        for one in again:
            self._leave(one.line, one.call_id, one.turn, one.looks + 1)
