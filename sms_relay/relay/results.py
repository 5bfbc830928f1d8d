"""Results out of MSG_DATA and the logs, as any customer of the agent reads them, into the platform's messages."""

import asyncio
import heapq
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sms_relay.agent.wakeup import Wakeup
from sms_relay.npro.client import FoundRow, NproClient
from sms_relay.npro.codes import OUTCOME_UNKNOWN, Detail, ResultCode, State
from sms_relay.npro.kst import from_korean, to_korean
from sms_relay.relay.handover import Held, wanted
from sms_relay.relay.passing import PASSING, told
from vns.messages.rules import OpenMessage, Outcome, Status
from vns.messages.service import Messages
from vns.storage.clock import Clock

_log = logging.getLogger(__name__)

BATCH = 500
TICK_SECONDS = 0.5
RELOAD_SECONDS = 300.0
FIRST_LOOK = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=60)
MARGIN = timedelta(days=1)  # a row is sent, and logged, after it was received; clocks may differ a little

_CODES = {one.value: one for one in ResultCode}

NO_RECEIPT = "no_receipt"
SENT_AGAIN = "sent_again"
ROW_MISSING = "row_missing"


@dataclass(slots=True)
class _Watched:
    message: OpenMessage
    status: Status
    since: datetime
    next_look: datetime


class Results:
    """Looks at each awaited row after a second, then ever more rarely; at once when hinted at.

    Once on duty it looks at those too that were handed over before, by whichever relay. Off duty it goes on with what
    it watches: a result that is read twice is recorded once.
    """

    def __init__(
        self,
        messages: Messages,
        client: NproClient,
        clock: Clock,
        *,
        duty: Callable[[], Held | None],
        life: timedelta,
    ) -> None:
        """`duty`: see Handover. `life`: for how long a row that is nowhere to be found is looked for."""
        self._messages = messages
        self._client = client
        self._clock = clock
        self._duty = duty
        self._life = life
        self._loaded_on: Held | None = None
        self._reload_at = math.inf
        self._watched: dict[int, _Watched] = {}
        self._schedule: list[tuple[datetime, int]] = []
        self._hinted: set[int] = set()
        self._hint = Wakeup()

    def watch(self, message: OpenMessage) -> None:
        """A message that is in MSG_DATA now."""
        now = self._clock.now()
        watched = _Watched(message, message.status, now, now + FIRST_LOOK)
        if self._watched.setdefault(message.npro_id, watched) is watched:
            heapq.heappush(self._schedule, (watched.next_look, message.npro_id))

    def finished(self, userdata: Sequence[int]) -> None:
        """The agent in this process has just ended these rows; those of other customers are passed over."""
        self._hinted.update(one for one in userdata if one in self._watched)
        if self._hinted:
            self._hint.set()

    async def run(self) -> None:
        """Reads results until cancelled."""
        while True:
            try:
                while due := self._due():
                    await self._look(due)
                await self._load()
            except PASSING as error:
                _log.warning("results: %s", told(error))
                await Wakeup().wait(1.0)
            await self._hint.wait(TICK_SECONDS)

    async def _load(self) -> None:
        """Once for each duty; again, ever so often, while there are texts that cannot be read."""
        duty, loop = self._duty(), asyncio.get_running_loop()
        if duty is None or (duty is self._loaded_on and loop.time() < self._reload_at):
            return
        after = -1
        while batch := await self._messages.awaited(after=after):
            for message in batch:
                self.watch(message)
            after = batch[-1].npro_id
        self._loaded_on = duty
        self._reload_at = loop.time() + RELOAD_SECONDS if self._messages.any_unread else math.inf

    def _due(self) -> list[_Watched]:
        """The hinted ones, then those whose time has come; each is put back into the schedule."""
        now = self._clock.now()
        chosen = {one: self._watched[one] for one in list(self._hinted)[:BATCH] if one in self._watched}
        self._hinted.difference_update(list(self._hinted)[:BATCH])
        while len(chosen) < BATCH and self._schedule and self._schedule[0][0] <= now:
            when, npro_id = heapq.heappop(self._schedule)
            watched = self._watched.get(npro_id)
            if watched is not None and watched.next_look == when:
                chosen[npro_id] = watched
        for npro_id, watched in chosen.items():
            watched.next_look = now + min(max(FIRST_LOOK, (now - watched.since) / 5), LONGEST_PAUSE)
            heapq.heappush(self._schedule, (watched.next_look, npro_id))
        return list(chosen.values())

    async def _look(self, due: Sequence[_Watched]) -> None:
        since = to_korean(min(watched.message.received_at for watched in due) - MARGIN)
        rows = await self._client.find([wanted(watched.message) for watched in due], since)
        now = self._clock.now()
        outcomes = {
            watched.message.npro_id: outcome
            for watched in due
            if (outcome := self._outcome(watched, rows.get(watched.message.npro_id), now))
        }
        if outcomes:
            await self._messages.record_result(list(outcomes.values()))
        for npro_id, outcome in outcomes.items():
            if outcome.status is Status.SENT:
                self._watched[npro_id].status = Status.SENT
            else:
                del self._watched[npro_id]

    def _outcome(self, watched: _Watched, row: FoundRow | None, now: datetime) -> Outcome | None:
        message = watched.message
        if row is not None:
            return outcome_of(message, watched.status, row, now)
        if now - watched.since < self._life:
            return None
        return Outcome(id=message.id, status=Status.UNKNOWN, at=now, reason=ROW_MISSING)


def outcome_of(message: OpenMessage, status: Status, row: FoundRow, now: datetime) -> Outcome | None:
    """What a row says of its message; None: nothing new."""
    sent_at = from_korean(row.sent_at) if row.sent_at else None
    if row.state == State.DONE:
        return _final(message, row, sent_at, now)
    if row.logged:  # moved without a result: the agent has stopped waiting
        return Outcome(id=message.id, status=Status.UNKNOWN, at=now, sent_at=sent_at, reason=NO_RECEIPT)
    if row.state == State.SENT and status is Status.QUEUED:
        return Outcome(id=message.id, status=Status.SENT, at=sent_at or now, sent_at=sent_at)
    return None


def _final(message: OpenMessage, row: FoundRow, sent_at: datetime | None, now: datetime) -> Outcome:
    code = row.code or ResultCode.ANY_OTHER.value
    known = _CODES.get(code)
    uncertain = known is ResultCode.ANY_OTHER and row.detail in OUTCOME_UNKNOWN
    status = Status.UNKNOWN if uncertain else Status.FAILED
    if known is ResultCode.SUCCESS:
        status = Status.DELIVERED
    return Outcome(
        id=message.id,
        status=status,
        at=from_korean(row.result_at) if row.result_at else now,
        sent_at=sent_at,
        code=code,
        reason=_reason(status, known, row.detail),
    )


def _reason(status: Status, code: ResultCode | None, detail: int | None) -> str | None:
    if status is Status.DELIVERED:
        return SENT_AGAIN if detail == Detail.SENT_AGAIN else None
    return "outcome_lost" if status is Status.UNKNOWN else _word(code)


def _word(code: ResultCode | None) -> str:
    return code.name.lower() if code else ResultCode.ANY_OTHER.name.lower()
