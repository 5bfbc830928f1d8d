"""Takes due rows out of MSG_DATA and gives them to a link, as many at a time as its window holds."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sms_relay.agent.admission import Admission
from sms_relay.agent.batches import Batches
from sms_relay.agent.checks import MULTIMEDIA, WITH_FILES, Row, judge, not_accepted, refusal
from sms_relay.agent.contents import Contents, Files, media
from sms_relay.agent.store import Accepted, Doubtful, Ended, OfTypes, Outcome, Returned, Store
from sms_relay.agent.wakeup import Wakeup
from sms_relay.links.choice import Choice, may_go_elsewhere
from sms_relay.links.interface import Link, Outgoing, OutgoingKind, SubmitOutcome, SubmitStatus
from sms_relay.npro.codes import SUBMIT_BASE, Detail
from sms_relay.npro.database import NproError, Rejected
from sms_relay.npro.kst import KoreanClock

_log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # between tries to write down an outcome while the database is away

PartKey = tuple[str, str]


@dataclass(slots=True)
class Lane:
    """Rows of some types, and the links that take them: while those are down or slow, other rows go on."""

    choice: Choice
    of: OfTypes | None = None
    in_flight: set[int] = field(default_factory=set)


def lanes(texts: Choice, multimedia: Choice) -> list[Lane]:
    """Where no link takes multimedia messages, the links of texts are asked for every row."""
    if not multimedia.any:
        return [Lane(texts)]
    return [Lane(texts, OfTypes(MULTIMEDIA, others=True)), Lane(multimedia, OfTypes(MULTIMEDIA))]


class Sender:
    """`finished` is told USERDATA of messages that are final without a receipt.

    `send_again`: a text whose submit has no known outcome goes once more.
    `on_duty`: whether this agent holds the database's lock now. Rows on their way get their outcome even when it
    does not.
    """

    def __init__(
        self,
        store: Store,
        contents: Contents,
        texts: Choice,
        multimedia: Choice,
        clock: KoreanClock,
        *,
        window: int,
        poll_seconds: float,
        before: timedelta,
        send_again: bool,
        admission: Admission,
        on_duty: Callable[[], bool],
        finished: Callable[[Sequence[int]], None],
    ) -> None:
        self.hint = Wakeup()
        self._settled = Wakeup()
        self._store = store
        self._contents = contents
        self._lanes = lanes(texts, multimedia)
        self._multimedia = multimedia.any
        self._clock = clock
        self._window = window
        self._poll_seconds = poll_seconds
        self._before = before
        self._send_again = send_again
        self._admission = admission
        self._on_duty = on_duty
        self._finished = finished
        self._unwritten: dict[PartKey, asyncio.Future[None]] = {}
        self._stopping = False
        self._unwritable: set[int] = set()
        self._unsure_take = False
        self._pausing = False  # a link gave a text back: not again at once
        self._outcomes: Batches[Outcome] = Batches(self._record, alone_on=Rejected)

    @property
    def in_flight(self) -> set[int]:
        """MSG_SEQ of what has been taken and has no durable outcome yet, or can have none in this database."""
        return self._unwritable.union(*(lane.in_flight for lane in self._lanes))

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
                for lane in self._lanes:
                    await self._fill(group, lane)
                if self._pausing:
                    self._pausing = False
                    await Wakeup().wait(self._poll_seconds)
                else:
                    await self.hint.wait(self._poll_seconds)

    async def _fill(self, group: asyncio.TaskGroup, lane: Lane) -> None:
        window = min(self._window, lane.choice.room)  # a link that is down lends no places
        free = window - len(lane.in_flight)
        ready = self._on_duty() and window > 0 and not self._stopping
        ready = ready and not self._admission.quiet(self._clock.now())
        if ready and free >= max(1, window // 4):
            await self._take(group, lane, free)

    async def drain(self, seconds: float) -> None:
        """Takes nothing more, and waits until what is on its way has its outcome, at most `seconds`."""
        self._stopping = True
        try:
            async with asyncio.timeout(seconds):
                while any(lane.in_flight for lane in self._lanes):
                    await self._settled.wait(seconds)
        except TimeoutError:
            _log.warning("sender: %d texts still without an outcome", len(self.in_flight))

    async def _take(self, group: asyncio.TaskGroup, lane: Lane, free: int) -> None:
        try:
            if self._unsure_take:
                await self._store.give_back(self.in_flight)
                self._unsure_take = False
            self._unsure_take = True
            rows = await self._store.take(free, lane.of)
            self._unsure_take = False
        except NproError as error:
            _log.warning("sender: %s", error)
            return
        lane.in_flight.update(row.seq for row in rows)
        objections = await self._objections(rows)
        for row in rows:
            objection = Returned(seq=row.seq) if objections is None else objections.get(row.seq)
            group.create_task(self._send(lane, row, objection))

    async def _objections(self, rows: Sequence[Row]) -> Mapping[int, Detail] | None:
        """What the owner's limits have against rows that nothing else is wrong with; None: it cannot be told now."""
        now = self._clock.now()
        fit = [row for row in rows if not isinstance(self._judge(row, now), Detail)]
        try:
            return await self._limited(fit, now)
        except NproError as error:
            _log.warning("sender: limits cannot be asked: %s", error)
            return None

    async def _limited(self, rows: Sequence[Row], now: datetime) -> Mapping[int, Detail]:
        """See `Admission.objections`. A row on which that fails unforeseen is found by asking for each alone."""
        try:
            return await self._admission.objections(rows, now)
        except NproError:
            raise
        except Exception as error:  # noqa: BLE001 - one row, not all rows and the process
            if len(rows) > 1:
                found: dict[int, Detail] = {}
                for row in rows:
                    found |= await self._limited([row], now)
                return found
            return {row.seq: _failed(row, error) for row in rows}

    def _judge(self, row: Row, now: datetime) -> Outgoing | Detail:
        try:
            before = self._before + self._admission.pause(row.requested_for, now)
            return judge(row, now, before, multimedia=self._multimedia)
        except Exception as error:  # noqa: BLE001 - the take is committed: a row that nobody foresaw ends alone
            return _failed(row, error)

    async def _send(self, lane: Lane, row: Row, objection: Detail | Returned | None) -> None:
        if isinstance(objection, Returned):
            outcome: Outcome = objection
            keys: list[PartKey] = []
        else:
            try:
                outcome, keys = await self._outcome(lane, row, objection)
            except Exception as error:  # noqa: BLE001 - nothing has been sent: `_submitted` answers for links
                outcome, keys = self._refused(row.seq, _failed(row, error))
        self._pausing = self._pausing or isinstance(outcome, Returned | Doubtful)
        if not await self._keep(outcome, keys):
            self._unwritable.add(row.seq)
        lane.in_flight.discard(row.seq)
        self.hint.set()
        self._settled.set()

    async def _outcome(self, lane: Lane, row: Row, objection: Detail | None) -> tuple[Outcome, list[PartKey]]:
        if row.content is not None and row.content.count != row.content.stated_count:
            _log.info(
                "row %d: FILE_CNT says %d, the columns hold %d", row.seq, row.content.stated_count, row.content.count
            )
        judged = objection or self._judge(row, self._clock.now())
        if judged in WITH_FILES:
            judged = await self._contents.fault(row) or judged
        if isinstance(judged, Detail):
            return self._refused(row.seq, judged)
        files = await self._contents.files(row) if judged.kind is OutgoingKind.MMS else ()
        if isinstance(files, Detail):
            return self._refused(row.seq, files)
        return await self._offer(lane.choice, row.seq, judged, files)

    def _refused(self, seq: int, detail: Detail) -> tuple[Outcome, list[PartKey]]:
        return Ended(seq=seq, result=refusal(detail, self._clock.now())), []

    async def _offer(self, choice: Choice, seq: int, outgoing: Outgoing, files: Files) -> tuple[Outcome, list[PartKey]]:
        """Asks one link after the other until one takes it, or answers what another would not answer differently.

        Of several refusals the first counts: it comes from the recipient's own carrier where that is known.
        """
        tried: list[Link] = []
        refused: SubmitOutcome | None = None
        while (link := choice.best(outgoing.destination, tried)) is not None:
            fitted = _fitted(outgoing, files, choice, link)
            if fitted is None:
                return self._refused(seq, Detail.NOTHING_FOR_CARRIER)
            answer = await _submitted(choice, link, fitted)
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
        if answer.status is SubmitStatus.UNKNOWN and self._send_again:
            return Doubtful(seq=seq, result=result), []
        return Ended(seq=seq, result=result), []

    async def _keep(self, outcome: Outcome, keys: Sequence[PartKey]) -> bool:
        """Returns whether the outcome is durable, or the end that is written in its place where the tables reject it.

        Goes on trying while the database is away: the place in the window stays taken as long.
        """
        try:
            while True:
                try:
                    await self._outcomes.add(outcome)
                except Rejected as error:
                    instead = self._instead(outcome)
                    if instead is None:
                        _log.error("row %d: no outcome can be written: %s", outcome.seq, error)
                        return False
                    _log.error("row %d: %s; RSLT_CODE %d is written instead", outcome.seq, error, instead.result.detail)
                    outcome = instead
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

    def _instead(self, outcome: Outcome) -> Ended | None:
        """What is written of an outcome that the tables reject; None where nothing else could be said.

        Of what the carrier accepted it says so as well as it can: without its id no receipt finds the row.
        """
        now = self._clock.now()
        if isinstance(outcome, Accepted):
            return Ended(seq=outcome.seq, result=refusal(Detail.ANSWER_NOT_HELD, now))
        if isinstance(outcome, Returned):
            return Ended(seq=outcome.seq, result=refusal(Detail.AGENT_FAILED, now))
        if isinstance(outcome, Doubtful):
            return Ended(seq=outcome.seq, result=outcome.result)
        if outcome.result.detail < SUBMIT_BASE:
            return None
        return Ended(seq=outcome.seq, result=replace(outcome.result, detail=int(Detail.LINK_REFUSED)))

    async def _record(self, outcomes: Sequence[Outcome]) -> None:
        finished = await self._store.record(outcomes)
        if finished:
            self._finished(finished)


async def _submitted(choice: Choice, link: Link, outgoing: Outgoing) -> SubmitOutcome:
    """An error of the link itself does not tell how far the message has come."""
    choice.taken(link)
    try:
        return await link.submit(outgoing)
    except Exception as error:  # noqa: BLE001 - one message, not all of them and the process
        _log.error("row %s: %s failed on it (%s)", outgoing.id, link.name, type(error).__name__)
        return SubmitOutcome(status=SubmitStatus.UNKNOWN)
    finally:
        choice.freed(link)


def _failed(row: Row, error: Exception) -> Detail:
    """An error of ours about one row, before anything of it was sent: it is told in the log and in the row."""
    _log.error("row %d: the agent failed on it (%s); it is not sent", row.seq, type(error).__name__)
    return Detail.AGENT_FAILED


def _fitted(outgoing: Outgoing, files: Files, choice: Choice, link: Link) -> Outgoing | None:
    """With the files that the recipient's carrier takes; None where nothing of the message would be left."""
    chosen = media(files, choice.network(outgoing.destination, link))
    if files and not chosen and not outgoing.text:
        return None
    return replace(outgoing, media=chosen)
