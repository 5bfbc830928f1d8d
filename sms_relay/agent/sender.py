"""Takes due rows out of MSG_DATA and gives them to a link, as many at a time as its window holds."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from sms_relay.agent.admission import Admission
from sms_relay.agent.batches import Batches
from sms_relay.agent.checks import WITH_FILES, Row, judge, not_accepted, refusal
from sms_relay.agent.files import fault
from sms_relay.agent.store import Accepted, Ended, Outcome, Returned, Store
from sms_relay.agent.wakeup import Wakeup
from sms_relay.links.choice import Choice, may_go_elsewhere
from sms_relay.links.interface import Link, Outgoing, SubmitOutcome, SubmitStatus
from sms_relay.npro.codes import Detail
from sms_relay.npro.database import NproError, Rejected
from sms_relay.npro.kst import KoreanClock

_log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # between tries to write down an outcome while the database is away

PartKey = tuple[str, str]


class Sender:
    """`finished` is told USERDATA of messages that are final without a receipt.

    `on_duty`: whether this agent holds the database's lock now. Rows on their way get their outcome even when it
    does not.
    """

    def __init__(
        self,
        store: Store,
        choice: Choice,
        clock: KoreanClock,
        *,
        window: int,
        poll_seconds: float,
        before: timedelta,
        admission: Admission,
        on_duty: Callable[[], bool],
        finished: Callable[[Sequence[int]], None],
    ) -> None:
        self.hint = Wakeup()
        self._settled = Wakeup()
        self.in_flight: set[int] = set()
        self._store = store
        self._choice = choice
        self._clock = clock
        self._window = window
        self._poll_seconds = poll_seconds
        self._before = before
        self._admission = admission
        self._on_duty = on_duty
        self._finished = finished
        self._unwritten: dict[PartKey, asyncio.Future[None]] = {}
        self._stopping = False
        self._unsure_take = False
        self._pausing = False  # a link gave a text back: not again at once
        self._outcomes: Batches[Outcome] = Batches(self._record, alone_on=Rejected)

    async def written(self, key: PartKey) -> None:
        """Returns once the id of a part, (link, message id), is in the database if it is on its way there."""
        waiting = self._unwritten.get(key)
        if waiting is not None:
            await asyncio.shield(waiting)

    async def run(self) -> None:
        """Sends until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._outcomes.run())
            while True:
                window = min(self._window, self._choice.room)  # a link that is down lends no places
                free = window - len(self.in_flight)
                ready = self._on_duty() and window > 0 and not self._stopping
                ready = ready and not self._admission.quiet(self._clock.now())
                if ready and free >= max(1, window // 4):
                    await self._take(group, free)
                if self._pausing:
                    self._pausing = False
                    await Wakeup().wait(self._poll_seconds)
                else:
                    await self.hint.wait(self._poll_seconds)

    async def drain(self, seconds: float) -> None:
        """Takes nothing more, and waits until what is on its way has its outcome, at most `seconds`."""
        self._stopping = True
        try:
            async with asyncio.timeout(seconds):
                while self.in_flight:
                    await self._settled.wait(seconds)
        except TimeoutError:
            _log.warning("sender: %d texts still without an outcome", len(self.in_flight))

    async def _take(self, group: asyncio.TaskGroup, free: int) -> None:
        try:
            if self._unsure_take:
                await self._store.give_back(self.in_flight)
                self._unsure_take = False
            self._unsure_take = True
            rows = await self._store.take(free)
            self._unsure_take = False
        except NproError as error:
            _log.warning("sender: %s", error)
            return
        self.in_flight.update(row.seq for row in rows)
        objections = await self._objections(rows)
        for row in rows:
            group.create_task(self._send(row, Returned(seq=row.seq) if objections is None else objections.get(row.seq)))

    async def _objections(self, rows: Sequence[Row]) -> Mapping[int, Detail] | None:
        """What the owner's limits have against rows that nothing else is wrong with; None: it cannot be told now."""
        now = self._clock.now()
        fit = [row for row in rows if not isinstance(self._judge(row, now), Detail)]
        try:
            return await self._admission.objections(fit, now)
        except NproError as error:
            _log.warning("sender: limits cannot be asked: %s", error)
            return None

    def _judge(self, row: Row, now: datetime) -> Outgoing | Detail:
        return judge(row, now, self._before + self._admission.pause(row.requested_for, now))

    async def _send(self, row: Row, objection: Detail | Returned | None) -> None:
        outcome, keys = (objection, []) if isinstance(objection, Returned) else await self._outcome(row, objection)
        self._pausing = self._pausing or isinstance(outcome, Returned)
        written = await self._keep(outcome, keys)
        if written:
            self.in_flight.discard(row.seq)
        self.hint.set()
        self._settled.set()

    async def _outcome(self, row: Row, objection: Detail | None) -> tuple[Outcome, list[PartKey]]:
        if row.content is not None and row.content.count != row.content.stated_count:
            _log.info(
                "row %d: FILE_CNT says %d, the columns hold %d", row.seq, row.content.stated_count, row.content.count
            )
        judged = objection or self._judge(row, self._clock.now())
        if judged in WITH_FILES:
            judged = await fault(row) or judged
        if isinstance(judged, Detail):
            return Ended(seq=row.seq, result=refusal(judged, self._clock.now())), []
        return await self._offer(row.seq, judged)

    async def _offer(self, seq: int, outgoing: Outgoing) -> tuple[Outcome, list[PartKey]]:
        """Asks one link after the other until one takes it, or answers what another would not answer differently.

        Of several refusals the first counts: it comes from the recipient's own carrier where that is known.
        """
        tried: list[Link] = []
        refused: SubmitOutcome | None = None
        while (link := self._choice.best(outgoing.destination, tried)) is not None:
            self._choice.taken(link)
            try:
                answer = await link.submit(outgoing)
            finally:
                self._choice.freed(link)
            if answer.status is SubmitStatus.REFUSED:
                refused = refused or answer
            elif answer.status is not SubmitStatus.NOT_SENT:
                return self._answered(link, seq, answer)
            if not may_go_elsewhere(answer):
                break
            tried.append(link)
        result = None if refused is None else not_accepted(refused, self._clock.now())
        return (Returned(seq=seq) if result is None else Ended(seq=seq, result=result)), []

    def _answered(self, link: Link, seq: int, answer: SubmitOutcome) -> tuple[Outcome, list[PartKey]]:
        # No suspension from the answer to the end of this: a receipt that was held back finds its id in `_unwritten`.
        if answer.status is SubmitStatus.ACCEPTED:
            keys = [(link.name, message_id) for message_id in answer.message_ids]
            loop = asyncio.get_running_loop()
            for key in keys:
                self._unwritten[key] = loop.create_future()
            return Accepted(seq=seq, link=link.name, message_ids=answer.message_ids), keys
        result = not_accepted(answer, self._clock.now())
        if result is None:
            return Returned(seq=seq), []
        return Ended(seq=seq, result=result), []

    async def _keep(self, outcome: Outcome, keys: Sequence[PartKey]) -> bool:
        """Returns whether the outcome is durable.

        Goes on trying while the database is away: the place in the window stays taken as long.
        """
        try:
            while True:
                try:
                    await self._outcomes.add(outcome)
                except Rejected:
                    _log.error(
                        "the outcome of row %d cannot be written; it is reported after the next start", outcome.seq
                    )
                    return False
                except NproError as error:
                    _log.warning("an outcome cannot be written yet: %s", error)
                    await Wakeup().wait(RETRY_SECONDS)
                else:
                    return True
        finally:
            for key in keys:
                waiting = self._unwritten.pop(key, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(None)

    async def _record(self, outcomes: Sequence[Outcome]) -> None:
        finished = await self._store.record(outcomes)
        if finished:
            self._finished(finished)
