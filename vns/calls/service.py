"""Calls from the question to the record: begun by a bridge, finished by whoever learns first what became of them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from vns.abuse.watch import Watch
from vns.access.rules import Principal
from vns.bindings.life import consume
from vns.bindings.rules import last_caller_context
from vns.calls import queries
from vns.calls.begins import NEVER_TAKEN, Begin, Begins
from vns.calls.rules import (
    DIRECTION_OF,
    NO_NUMBER,
    Call,
    CallOutcome,
    Direction,
    HangupBy,
    Result,
    billed_seconds,
    caller_context,
    cause_of,
    is_missed,
    recorded_vn,
    result_of,
)
from vns.crypto.errors import CryptoError
from vns.errors import NumberNotMappable
from vns.messages.missed import MissedCall, tell_missed
from vns.numbering.rules import PhoneNumber, digits_of, mappable
from vns.routing.decision import refused_after
from vns.routing.intercept import Interceptor, intercepted
from vns.routing.rules import Connect, Presented, Question, Reason, Refuse, Target
from vns.routing.service import Routed, Router, refused
from vns.routing.together import FactsTogether
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.pages import HistoryQuery, Page, history_page
from vns.storage.traffic import HourCount, hourly

log = logging.getLogger(__name__)

LOOKED_BACK = timedelta(minutes=10)  # at releases, for calls that got their records at the same moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call that has arrived. `call_id` and `channel` are the bridge's words for it; `dialled` None: no number."""

    call_id: UUID
    dialled: PhoneNumber | None
    question: Question
    bridge: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """`counts`: for the limits of callers and numbers; not what one of them has refused."""

    call_id: UUID
    routed: Routed
    counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """A call whose end is not known yet. `channel`: Asterisk's unique id of the caller's channel."""

    id: UUID
    channel: str


class Calls:
    """The calls of one installation."""

    def __init__(
        self,
        db: Database,
        router: Router,
        clock: Clock,
        watch: Watch | None = None,
        interceptor: Interceptor | None = None,
        begins: Begins | None = None,
        *,
        gathering: Callable[[], bool] = lambda: True,
    ) -> None:
        """`watch`: limits that calls are held to; none without it. `interceptor`: without it no hook ever answers.

        `begins`: their owner runs them; without them each begin is written before its call is answered. `gathering`:
        whether calls now come several at a time, whose facts are then asked for together.
        """
        self._db = db
        self._router = router
        self._clock = clock
        self._watch = watch
        self._interceptor = interceptor
        self._facts = FactsTogether(db, gathering)
        self.begins = begins or Begins(db)

    async def begin(self, attempt: Attempt) -> Begun:
        """Decide about an attempt and see to its record, before anybody rings.

        Most often the record is all that there is to write, and follows (vns.calls.begins). Where the call changes or
        counts more, where it is asked about again for the next of a team, or where a hook has taken its time since the
        facts were asked for, it is written here, and only for a binding that is still live. Where nobody is left to
        ring, the record stays that of who was rung. What counts is to be noted (`note`) once Asterisk has been told.
        Raises Unavailable.
        """
        over = self.over_limit(attempt)
        routed, follows = (over, True) if over is not None else await self._routed(attempt)
        if follows:
            await self.begins.keep(self.begin_of(attempt, routed))
        return Begun(call_id=attempt.call_id, routed=routed, counts=over is None)

    async def _routed(self, attempt: Attempt) -> tuple[Routed, bool]:
        """What was decided, and whether its record is still to be kept."""
        question = attempt.question
        row = await self._facts.of(question, self._router.pseudonym(question.caller))
        settled = self._router.settled(question, row)
        if settled is not None and _is_record_alone(attempt, settled):
            return settled, True
        async with self._db.connection() as connection:
            routed = settled or await self._router.route(connection, question, attempt=attempt.call_id, row=row)
            if routed.hook is None:
                if _is_record_alone(attempt, routed):
                    return routed, True
                return await self._recorded(connection, attempt, routed)
        # nobody's connection waits for somebody else's web server
        routed = await intercepted(self._interceptor, attempt.question, routed)
        async with self._db.connection() as connection:
            if isinstance(routed.decision, Connect):
                # What was changed meanwhile holds; the hook was asked about the binding, and not about its parties.
                now = await self._router.route(connection, question, attempt=attempt.call_id)
                routed = replace(now, hook=None)
            return await self._recorded(connection, attempt, routed)

    async def _recorded(self, connection: asyncpg.Connection, attempt: Attempt, routed: Routed) -> tuple[Routed, bool]:
        """Write what was decided; what can no longer be connected becomes a refusal. True: that is still to be kept."""
        if routed.nobody_left:
            return routed, False
        decision = routed.decision
        if isinstance(decision, Connect):
            if decision.limits.concurrent is None:
                routed = await self._record_connected(connection, attempt, routed, decision)
            else:
                async with connection.transaction():
                    routed = await self._record_limited(connection, attempt, routed, decision)
            if isinstance(routed.decision, Connect):
                return routed, False
        if attempt.question.tried:
            return routed, True  # behind the begin of this call that may still be kept, which would undo it
        await self.begins.record(connection, [self.begin_of(attempt, routed)])
        return routed, False

    async def _record_limited(
        self, connection: asyncpg.Connection, attempt: Attempt, routed: Routed, decision: Connect
    ) -> Routed:
        """Counts and writes under a lock on the number: two calls never take its last place together."""
        vn, limit = _number_of(attempt, routed), decision.limits.concurrent
        await connection.execute(queries.LOCK_NUMBER, vn)
        if limit is not None and await connection.fetchval(queries.COUNT_OPEN, vn, attempt.call_id) >= limit:
            why = f"as many calls as the number may have at a time: {limit}"
            return routed.refused(refused_after(decision, Reason.BUSY, why))
        return await self._record_connected(connection, attempt, routed, decision)

    async def _record_connected(
        self, connection: asyncpg.Connection, attempt: Attempt, routed: Routed, decision: Connect
    ) -> Routed:
        question, begin = attempt.question, self.begin_of(attempt, routed)
        if decision.target is Target.FALLBACK:  # there is nothing left that could end
            await self.begins.record(connection, [begin])
            return routed
        statement = queries.INSERT_CONNECTED
        more: tuple[bytes | None, ...] = ()
        if _leaves_a_last_caller(question, routed):
            statement = queries.INSERT_CONNECTED_STRANGER
            more = (self._encrypted(question.caller, last_caller_context(decision.binding_id)),)
        written = await connection.fetchval(
            statement,
            begin.id,
            begin.binding_id,
            begin.vn,
            begin.direction,
            begin.from_index,
            begin.from_masked,
            begin.to_index,
            begin.to_masked,
            begin.arrived_at,
            begin.bridge,
            begin.channel,
            begin.missed_call_text,
            begin.caller,
            *more,
        )
        if written is not None:
            await self._router.slide(connection, routed, question)
            return routed
        return routed.refused(refused_after(decision, Reason.ENDED, "the binding ended at this very moment"))

    def begin_of(self, attempt: Attempt, routed: Routed, *, from_copy: bool = False) -> Begin:
        """The record with which a call begins. One that is asked for digits is in progress."""
        decision, question = routed.decision, attempt.question
        result, direction, shown = Result.IN_PROGRESS, Direction.NONE, False
        if isinstance(decision, Connect):
            direction = DIRECTION_OF[decision.target]
            shown = routed.missed_call_text and decision.present is Presented.CALLER
        elif isinstance(decision, Refuse):
            result = result_of(decision.reason)
        return Begin(
            id=attempt.call_id,
            tenant_id=decision.tenant_id,
            binding_id=decision.binding_id,
            vn=_number_of(attempt, routed),
            direction=direction.value,
            from_index=routed.from_index,
            from_masked=question.caller.masked if question.caller else None,
            to_index=routed.to_index,
            # nor is the last one left of a team known to be the one who answers
            to_masked=routed.targets[0].masked if routed.targets and routed.to_index is not None else None,
            arrived_at=question.at,
            bridge=attempt.bridge,
            channel=attempt.channel,
            result=result.value,
            cause=cause_of(result),
            missed_call_text=routed.missed_call_text and isinstance(decision, Connect),
            caller=self._encrypted(question.caller, caller_context(attempt.call_id)) if shown else None,
            from_copy=from_copy,
        )

    def _encrypted(self, number: PhoneNumber | None, context: bytes) -> bytes | None:
        return self._router.keyring.encrypt(number.digits, context=context) if number is not None else None

    def over_limit(self, attempt: Attempt) -> Routed | None:
        """The refusal of a call that is one too many; one that has rung somebody already is not."""
        if self._watch is None or attempt.question.tried:
            return None
        caller = self._router.pseudonym(attempt.question.caller)
        why = self._watch.exceeded(caller, _watched_number(attempt), attempt.question.at)
        if why is None:
            return None
        steps = (why, f"refuse: {Reason.NOT_ALLOWED}")
        return refused(Refuse(reason=Reason.NOT_ALLOWED, binding_id=None, tenant_id=None, steps=steps), caller)

    def note(self, attempt: Attempt, routed: Routed) -> None:
        """Count the call for the limits, once, however many of a team it rings; nobody waits for it."""
        if self._watch is None or attempt.question.tried:
            return
        question = attempt.question
        self._watch.note(
            routed.from_index,
            question.caller.masked if question.caller else None,
            routed.vn or _watched_number(attempt),
            question.at,
            routed.decision.reason if isinstance(routed.decision, Refuse) else None,
            question.digits,
        )

    async def finish(self, outcomes: Sequence[CallOutcome]) -> int:
        """Write how calls ended, with journal rows, and consume bindings that last one answered call. Idempotent.

        A call that was never begun (nobody could be asked) gets its whole record here, if its outcome says when it
        arrived. One that is no record holds up no other: it is told in the log. Returns how many were new.
        """
        if not outcomes:
            return 0
        await self.begins.write()  # a call may end before it is written that it has begun
        return await self._finish_each(outcomes)

    async def _finish_each(self, outcomes: Sequence[CallOutcome]) -> int:
        try:
            return await self._finish(outcomes)
        except NEVER_TAKEN as error:
            if len(outcomes) > 1:
                return sum([await self._finish_each([outcome]) for outcome in outcomes])
            log.error("the end of call %s is no record: %s", outcomes[0].call_id, type(error).__name__)  # noqa: TRY400 - may hold a number
            return 0

    async def _finish(self, outcomes: Sequence[CallOutcome]) -> int:
        async with self._db.transaction() as connection:
            # bindings before calls, as a release locks them
            await connection.execute(queries.LOCK_CONSUMABLE, [outcome.call_id for outcome in outcomes])
            rows = await connection.fetch(queries.FINISH, *_finish_columns(outcomes))
            written = {row["id"] for row in rows}
            unasked = await _insert_unasked(connection, [told for told in outcomes if told.call_id not in written])
            for row in rows:
                if row["expire_after_call"] and _talked(row):
                    await consume(connection, row["binding_id"], self._clock.now(), actor=f"call:{row['id']}")
            await self._tell_missed(connection, rows)
            await journal.append(connection, [_entry(row) for row in rows] + [_entry(row) for row in unasked])
        return len(rows) + len(unasked)

    async def _tell_missed(self, connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> None:
        """Exactly one text for each call that its owner missed: the rows are those of calls that ended just now."""
        missed = [
            MissedCall(call_id=row["id"], binding_id=row["binding_id"], vn=row["vn"], at=row["ended_at"], caller=caller)
            for row in rows
            if row["missed_call_text"] and is_missed(Result(row["result"]), row["ringing_at"])
            for caller in (self._caller_of(row),)
        ]
        if missed:
            await tell_missed(connection, self._router.keyring, missed, self._clock.now())

    def _caller_of(self, row: asyncpg.Record) -> str | None:
        """Digits of a caller whom the owner would have seen."""
        if row["caller"] is None:
            return None
        try:
            return self._router.keyring.decrypt(row["caller"], context=caller_context(row["id"]))
        except CryptoError as error:
            log.error("who was missed in call %s cannot be read: %s", row["id"], type(error).__name__)  # noqa: TRY400 - says it all
            return None

    async def note_answers(self, answers: Mapping[UUID, datetime]) -> None:
        """Keep when open calls were answered; calls that have ended, or are not known, stay as they are. Idempotent."""
        if not answers:
            return
        async with self._db.connection() as connection:
            await connection.execute(queries.NOTE_ANSWERS, list(answers), list(answers.values()))

    async def unfinished(self, call_ids: Sequence[UUID]) -> dict[UUID, bool]:
        """Those of `call_ids` whose end is not recorded: True where the call is known, False where it has no record."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.UNFINISHED, list(call_ids))
        return {row["id"]: row["known"] for row in rows}

    async def open_since(self, before: datetime) -> list[OpenCall]:
        """Calls that arrived before `before` and have no end yet, oldest first."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.OPEN_SINCE, before)
        return [OpenCall(id=row["id"], channel=row["channel"]) for row in rows]

    async def to_terminate(self) -> list[OpenCall]:
        """Open calls that a release wants cut."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.TO_TERMINATE, self._clock.now() - LOOKED_BACK)
        return [OpenCall(id=row["id"], channel=row["channel"]) for row in rows]

    async def list(self, principal: Principal, query: HistoryQuery | None = None) -> Page[Call]:
        """The tenant's calls, newest first. Raises InvalidRequest for a cursor that is none."""
        async with self._db.connection() as connection:
            return await history_page(connection, queries.LIST, principal.tenant_id, query or HistoryQuery(), _call)

    async def by_hour(self, principal: Principal, since: datetime, until: datetime) -> Sequence[HourCount]:
        """How many of the tenant's calls came in each hour, by what became of them; a week at most."""
        async with self._db.connection() as connection:
            return await hourly(connection, queries.BY_HOUR, principal.tenant_id, since, until)


async def _insert_unasked(connection: asyncpg.Connection, outcomes: Sequence[CallOutcome]) -> list[asyncpg.Record]:
    """The records of attempts that have none yet; outcomes without `arrived_at` do not tell enough for one."""
    unasked = [outcome for outcome in outcomes if outcome.arrived_at is not None]
    if not unasked:
        return []
    rows: list[asyncpg.Record] = await connection.fetch(
        queries.INSERT_UNASKED,
        [outcome.call_id for outcome in unasked],
        [outcome.vn for outcome in unasked],
        [outcome.result.value for outcome in unasked],
        [outcome.cause for outcome in unasked],
        [outcome.hangup_by.value for outcome in unasked],
        [outcome.arrived_at for outcome in unasked],
        [outcome.ended_at for outcome in unasked],
        [outcome.bridge for outcome in unasked],
        [outcome.channel for outcome in unasked],
        [outcome.reconciled for outcome in unasked],
        [outcome.ringing_at for outcome in unasked],
        [outcome.answered_at for outcome in unasked],
        [billed_seconds(outcome.answered_at, outcome.ended_at) for outcome in unasked],
    )
    return rows


def _is_record_alone(attempt: Attempt, routed: Routed) -> bool:
    """Whether the call changes and counts nothing but its own record, and is not connected by a later question."""
    decision, question = routed.decision, attempt.question
    if question.digits is not None or routed.nobody_left:
        return False
    if not isinstance(decision, Connect):
        return isinstance(decision, Refuse)
    if question.tried and decision.target is not Target.FALLBACK:
        return False
    return (
        decision.limits.concurrent is None
        and not routed.expire_after_call
        and not _leaves_a_last_caller(question, routed)
    )


def _leaves_a_last_caller(question: Question, routed: Routed) -> bool:
    """Whether the owner reaches this caller by calling the number back."""
    return routed.calls_back and question.caller is not None and _may_be_called(question.caller)


def _talked(row: asyncpg.Record) -> bool:
    """Also where nobody knows the end, but the answer had been noted."""
    return row["result"] == Result.ANSWERED or (row["result"] == Result.UNKNOWN and row["answered_at"] is not None)


def _number_of(attempt: Attempt, routed: Routed) -> int:
    """What the record names: never the number that a subscriber calls, which is somebody's own."""
    return routed.vn if routed.vn is not None else recorded_vn(attempt.dialled)


def _may_be_called(number: PhoneNumber) -> bool:
    try:
        mappable(number)
    except NumberNotMappable:
        return False
    return True


def _watched_number(attempt: Attempt) -> int | None:
    return recorded_vn(attempt.dialled) or None


def _finish_columns(outcomes: Sequence[CallOutcome]) -> tuple[list[object], ...]:
    return (
        [outcome.call_id for outcome in outcomes],
        [outcome.result.value for outcome in outcomes],
        [outcome.cause for outcome in outcomes],
        [outcome.hangup_by.value for outcome in outcomes],
        [outcome.ringing_at for outcome in outcomes],
        [outcome.answered_at for outcome in outcomes],
        [outcome.ended_at for outcome in outcomes],
        [billed_seconds(outcome.answered_at, outcome.ended_at) for outcome in outcomes],
        [outcome.reconciled for outcome in outcomes],
    )


def _entry(row: asyncpg.Record) -> journal.Entry:
    fields = dict(row)
    return journal.Entry(
        at=row["ended_at"],
        tenant_id=fields.get("tenant_id"),
        actor=f"call:{row['id']}",
        event="call.ended",
        subject=row["id"],
        data={
            "binding_id": str(fields["binding_id"]) if fields.get("binding_id") else None,
            "virtual_number": digits_of(row["vn"]) if row["vn"] != NO_NUMBER else None,
            "result": row["result"],
            "billed_seconds": fields.get("billed_seconds", 0),
        },
    )


def _call(row: asyncpg.Record) -> Call:
    return Call(
        id=row["id"],
        binding_id=row["binding_id"],
        vn=row["vn"],
        direction=Direction(row["direction"]),
        caller=row["from_masked"],
        callee=row["to_masked"],
        result=Result(row["result"]),
        cause=row["cause"],
        hangup_by=HangupBy(row["hangup_by"]) if row["hangup_by"] else None,
        arrived_at=row["arrived_at"],
        ringing_at=row["ringing_at"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        billed_seconds=row["billed_seconds"],
        reconciled=row["reconciled"],
    )
