"""Texts from arrival to their end. Every public method is one transaction."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from vns.access.rules import Principal
from vns.bindings.rules import Channel
from vns.crypto.rules import KeyRing
from vns.errors import InvalidNumber
from vns.messages import queries
from vns.messages.rules import (
    CODES,
    INCOMPLETE,
    RESEND_WINDOW,
    Arrival,
    Envelope,
    Kind,
    Message,
    Objection,
    OpenMessage,
    Outcome,
    Received,
    Status,
    Unencodable,
    cipher_context,
    recorded_vn,
    sendable,
)
from vns.numbering.rules import PhoneNumber, caller_from_sip, digits_of, parse
from vns.routing.rules import Question, Reason, Refuse
from vns.routing.service import Routed, Router
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.pages import HistoryQuery, Page, history_page


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What is to be recorded of an arrival."""

    status: Status
    kind: Kind = Kind.SMS
    reason: str | None = None
    code: str | None = None
    envelope: Envelope | None = None


class Messages:
    """The texts of one installation. `policy`: what happens to characters that MS949 does not have."""

    def __init__(
        self,
        db: Database,
        router: Router,
        keyring: KeyRing,
        clock: Clock,
        *,
        policy: Unencodable = Unencodable.TRANSLITERATE,
    ) -> None:
        self._db = db
        self._router = router
        self._keyring = keyring
        self._clock = clock
        self._policy = policy

    async def receive(self, arrival: Arrival) -> tuple[Received, OpenMessage | None]:
        """Record a text and decide what becomes of it, or recognise it as recorded before.

        The second of the pair is the message to be handed over, None where nothing is to be sent (now). Raises
        Unavailable: then nothing is recorded, and the carrier has to keep the text.
        """
        fingerprint, now = self._keyring.index(arrival.identity), self._clock.now()
        async with self._db.transaction() as connection:
            await connection.execute(queries.LOCK_FINGERPRINT, int.from_bytes(fingerprint[:8], "big", signed=True))
            known = await connection.fetchrow(queries.BY_ID, arrival.id) or await connection.fetchrow(
                queries.CLAIM_DUPLICATE, fingerprint, now - RESEND_WINDOW, arrival.session
            )
            if known is not None:
                return Received(id=known["id"], status=Status(known["status"]), duplicate=True), None
            return await self._record(connection, arrival, fingerprint, now)

    async def _record(
        self, connection: asyncpg.Connection, arrival: Arrival, fingerprint: bytes, now: datetime
    ) -> tuple[Received, OpenMessage | None]:
        dialled, sender = _number(arrival.dialled), caller_from_sip(arrival.sender)
        question = Question(vn=dialled.key if dialled else None, caller=sender, channel=Channel.SMS, at=now)
        routed = await self._router.route(connection, question)
        verdict = _verdict(routed, question, arrival, self._policy)
        if verdict.envelope and not await connection.fetchval(queries.HOLD_LIVE, routed.decision.binding_id, now):
            verdict = _Verdict(status=Status.REFUSED, reason=Reason.ENDED.value)
        message_id = arrival.id
        npro_id = await connection.fetchval(
            queries.INSERT,
            message_id,
            routed.decision.tenant_id,
            routed.decision.binding_id,
            recorded_vn(dialled),
            routed.from_index,
            routed.to_index,
            sender.masked if sender else None,
            routed.target.masked if routed.target else None,
            verdict.status.value,
            verdict.reason,
            verdict.code,
            verdict.kind.value,
            self._sealed(message_id, verdict.envelope),
            fingerprint,
            arrival.session,
            now,
            None if verdict.envelope else now,
        )
        await journal.append(connection, [_arrived(message_id, routed, verdict, arrival, now)])
        received = Received(id=message_id, status=verdict.status, duplicate=False)
        if verdict.envelope is None:
            return received, None
        return received, OpenMessage(
            id=message_id,
            npro_id=npro_id,
            kind=verdict.kind,
            status=verdict.status,
            envelope=verdict.envelope,
            received_at=now,
        )

    def _sealed(self, message_id: UUID, envelope: Envelope | None) -> bytes | None:
        if envelope is None:
            return None
        content = {"to": envelope.to, "from": envelope.sender, "text": envelope.text}
        return self._keyring.encrypt(json.dumps(content, ensure_ascii=False), context=cipher_context(message_id))

    async def pending_handover(self, *, after: int = -1, limit: int = 1_000) -> list[OpenMessage]:
        """Queued messages not known to be in MSG_DATA, by npro_id, from behind `after`."""
        return await self._open(queries.PENDING, after, limit)

    async def awaited(self, *, after: int = -1, limit: int = 1_000) -> list[OpenMessage]:
        """Messages known to be in MSG_DATA whose result has not come, by npro_id, from behind `after`."""
        return await self._open(queries.AWAITED, after, limit)

    async def _open(self, query: str, after: int, limit: int) -> list[OpenMessage]:
        async with self._db.connection() as connection:
            rows = await connection.fetch(query, after, limit)
        return [self._opened(row) for row in rows]

    def _opened(self, row: asyncpg.Record) -> OpenMessage:
        content = json.loads(self._keyring.decrypt(row["envelope"], context=cipher_context(row["id"])))
        return OpenMessage(
            id=row["id"],
            npro_id=row["npro_id"],
            kind=Kind(row["kind"]),
            status=Status(row["status"]),
            envelope=Envelope(to=content["to"], sender=content["from"], text=content["text"]),
            received_at=row["received_at"],
        )

    async def mark_handed(self, ids: Sequence[UUID]) -> None:
        """These are in MSG_DATA now, certainly. Idempotent."""
        async with self._db.transaction() as connection:
            await connection.execute(queries.MARK_HANDED, list(ids), self._clock.now())

    async def record_result(self, outcomes: Sequence[Outcome]) -> int:
        """Write what became of messages; returns how many became final by it. Idempotent.

        A final message loses its envelope: numbers and text are gone from here.
        """
        sent = [outcome for outcome in outcomes if outcome.status is Status.SENT]
        final = [outcome for outcome in outcomes if outcome.status is not Status.SENT]
        async with self._db.transaction() as connection:
            if sent:
                await connection.execute(queries.MARK_SENT, [one.id for one in sent], [one.at for one in sent])
            rows = await connection.fetch(
                queries.FINISH,
                [one.id for one in final],
                [one.status.value for one in final],
                [one.code for one in final],
                [one.reason for one in final],
                [one.at for one in final],
                self._clock.now(),
                [one.sent_at for one in final],
            )
            await journal.append(connection, [_finished(row, self._clock.now()) for row in rows])
        return len(rows)

    async def list(self, principal: Principal, query: HistoryQuery | None = None) -> Page[Message]:
        """The tenant's messages, newest first. Raises InvalidRequest for a cursor that is none."""
        async with self._db.connection() as connection:
            return await history_page(connection, queries.LIST, principal.tenant_id, query or HistoryQuery(), _message)


def _verdict(routed: Routed, question: Question, arrival: Arrival, policy: Unencodable) -> _Verdict:
    """The first objection decides: the decision's own, then what cannot be read, then who may not send, then length."""
    if isinstance(routed.decision, Refuse):
        return _Verdict(status=Status.REFUSED, reason=routed.decision.reason.value)
    if routed.target is None or question.vn is None:
        raise AssertionError("a connected decision has a target and a virtual number")
    if arrival.text is None:
        return _objected(Status.REFUSED, Objection.UNREADABLE)
    if not routed.sms_sender_proven:
        return _objected(Status.FAILED, Objection.SENDER_NOT_REGISTERED)
    checked = sendable(arrival.text, policy)
    if isinstance(checked, Objection):
        return _objected(Status.REFUSED if checked is Objection.EMPTY else Status.FAILED, checked)
    envelope = Envelope(to=routed.target.digits, sender=digits_of(question.vn), text=checked.text)
    reason = INCOMPLETE if arrival.incomplete else None
    return _Verdict(status=Status.QUEUED, kind=checked.kind, reason=reason, envelope=envelope)


def _objected(status: Status, objection: Objection) -> _Verdict:
    return _Verdict(status=status, reason=objection.value, code=CODES[objection])


def _arrived(message_id: UUID, routed: Routed, verdict: _Verdict, arrival: Arrival, now: datetime) -> journal.Entry:
    event = {Status.QUEUED: "message.received", Status.REFUSED: "message.refused"}.get(
        verdict.status, "message.finished"
    )
    binding_id = routed.decision.binding_id
    return journal.Entry(
        at=now,
        tenant_id=routed.decision.tenant_id,
        actor=f"link:{arrival.link}",
        event=event,
        subject=message_id,
        data={
            "binding_id": str(binding_id) if binding_id else None,
            "status": verdict.status.value,
            "reason": verdict.reason,
            "code": verdict.code,
            "kind": verdict.kind.value,
        },
    )


def _finished(row: asyncpg.Record, now: datetime) -> journal.Entry:
    return journal.Entry(
        at=now,
        tenant_id=row["tenant_id"],
        actor="relay",
        event="message.finished",
        subject=row["id"],
        data={
            "binding_id": str(row["binding_id"]) if row["binding_id"] else None,
            "status": row["status"],
            "reason": row["reason"],
            "code": row["code"],
            "kind": row["kind"],
        },
    )


def _message(row: asyncpg.Record) -> Message:
    return Message(
        id=row["id"],
        binding_id=row["binding_id"],
        vn=row["vn"],
        sender=row["from_masked"],
        recipient=row["to_masked"],
        status=Status(row["status"]),
        reason=row["reason"],
        code=row["code"],
        kind=Kind(row["kind"]),
        received_at=row["received_at"],
        sent_at=row["sent_at"],
        finished_at=row["finished_at"],
    )


def _number(text: str) -> PhoneNumber | None:
    try:
        return parse(text)
    except InvalidNumber:
        return None
