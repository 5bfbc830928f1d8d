"""Calls from the question to the record: begun by a bridge, finished by whoever learns first what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg

from vns.access.rules import Principal
from vns.bindings.life import consume
from vns.calls import queries
from vns.calls.rules import (
    DIRECTION_OF,
    NO_NUMBER,
    Call,
    CallOutcome,
    HangupBy,
    Result,
    billed_seconds,
    cause_of,
    recorded_vn,
    result_of,
)
from vns.numbering.rules import PhoneNumber, digits_of
from vns.routing.rules import Connect, Question, Reason, Refuse
from vns.routing.service import Routed, Router
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.pages import HistoryQuery, Page, history_page


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
    call_id: UUID
    routed: Routed


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """A call whose end is not known yet. `channel`: Asterisk's unique id of the caller's channel."""

    id: UUID
    channel: str


class Calls:
    """The calls of one installation."""

    def __init__(self, db: Database, router: Router, clock: Clock) -> None:
        self._db = db
        self._router = router
        self._clock = clock

    async def begin(self, attempt: Attempt) -> Begun:
        """Decide about an attempt and write its record, before anybody rings.

        Two statements, each its own transaction: the second one connects only a binding that is still live when it
        runs, so nothing is lost by not holding the first one's snapshot. Raises Unavailable.
        """
        async with self._db.connection() as connection:
            routed = await self._router.route(connection, attempt.question)
            decision = routed.decision
            if isinstance(decision, Connect) and not await _record_connected(connection, attempt, routed, decision):
                routed = _ended_meanwhile(routed, decision)
            if isinstance(routed.decision, Refuse):
                await _record_refused(connection, attempt, routed, routed.decision)
        return Begun(call_id=attempt.call_id, routed=routed)

    async def finish(self, outcomes: Sequence[CallOutcome]) -> int:
        """Write how calls ended, with journal rows, and consume bindings that last one answered call. Idempotent.

        A call that was never begun (nobody could be asked) gets its whole record here, if its outcome says when it
        arrived. Returns how many were new.
        """
        if not outcomes:
            return 0
        async with self._db.transaction() as connection:
            # bindings before calls, as a release locks them
            await connection.execute(queries.LOCK_CONSUMABLE, [outcome.call_id for outcome in outcomes])
            rows = await connection.fetch(queries.FINISH, *_finish_columns(outcomes))
            written = {row["id"] for row in rows}
            unasked = await _insert_unasked(connection, [told for told in outcomes if told.call_id not in written])
            for row in rows:
                if row["expire_after_call"] and _talked(row):
                    await consume(connection, row["binding_id"], self._clock.now(), actor=f"call:{row['id']}")
            await journal.append(connection, [_entry(row) for row in rows] + [_entry(row) for row in unasked])
        return len(rows) + len(unasked)

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
            rows = await connection.fetch(queries.TO_TERMINATE)
        return [OpenCall(id=row["id"], channel=row["channel"]) for row in rows]

    async def list(self, principal: Principal, query: HistoryQuery | None = None) -> Page[Call]:
        """The tenant's calls, newest first. Raises InvalidRequest for a cursor that is none."""
        async with self._db.connection() as connection:
            return await history_page(connection, queries.LIST, principal.tenant_id, query or HistoryQuery(), _call)


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
    )
    return rows


def _talked(row: asyncpg.Record) -> bool:
    """Also where nobody knows the end, but the answer had been noted."""
    return row["result"] == Result.ANSWERED or (row["result"] == Result.UNKNOWN and row["answered_at"] is not None)


async def _record_connected(
    connection: asyncpg.Connection, attempt: Attempt, routed: Routed, decision: Connect
) -> bool:
    """Whether the binding was still live."""
    question = attempt.question
    written = await connection.fetchval(
        queries.INSERT_CONNECTED,
        attempt.call_id,
        decision.binding_id,
        question.vn,
        DIRECTION_OF[decision.target].value,
        routed.from_index,
        question.caller.masked if question.caller else None,
        routed.to_index,
        routed.target.masked if routed.target else None,
        question.at,
        attempt.bridge,
        attempt.channel,
    )
    return written is not None


async def _record_refused(connection: asyncpg.Connection, attempt: Attempt, routed: Routed, decision: Refuse) -> None:
    result = result_of(decision.reason)
    question = attempt.question
    await connection.execute(
        queries.INSERT_REFUSED,
        attempt.call_id,
        decision.tenant_id,
        decision.binding_id,
        recorded_vn(attempt.dialled),
        routed.from_index,
        question.caller.masked if question.caller else None,
        result.value,
        cause_of(result),
        question.at,
        attempt.bridge,
        attempt.channel,
    )


def _ended_meanwhile(routed: Routed, decision: Connect) -> Routed:
    refusal = Refuse(
        reason=Reason.ENDED,
        binding_id=decision.binding_id,
        tenant_id=decision.tenant_id,
        steps=(*decision.steps, "the binding ended at this very moment: refuse: ended"),
    )
    return replace(routed, decision=refusal, target=None, presented=None, to_index=None)


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
    )
