"""One text that arrives, from the decision on it to the row that is recorded. Pure.

The first objection decides: the decision's own, then what cannot be read, then what the law or the recipient says, then
length. Whether the sender is proven is asked where the row is made (vns.messages.records).
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from vns.bindings.rules import Channel
from vns.errors import InvalidNumber
from vns.messages import records
from vns.messages.rules import (
    CODES,
    FILES_LEFT_OUT,
    INCOMPLETE,
    Arrival,
    Envelope,
    Kind,
    Objection,
    Status,
    Unencodable,
    recorded_vn,
    sendable,
    sendable_with_files,
    subject_of,
)
from vns.messages.tags import Unclear
from vns.numbering.rules import PhoneNumber, caller_from_sip, digits_of, parse
from vns.routing.rules import Connect, Presented, Question, Refuse
from vns.routing.service import Routed
from vns.storage import journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be recorded of an arrival."""

    status: Status
    kind: Kind = Kind.SMS
    reason: str | None = None
    code: str | None = None
    envelope: Envelope | None = None


@dataclass(slots=True, kw_only=True)
class Item:
    """`asked`: what the tenant's hook made of the decision."""

    arrival: Arrival
    fingerprint: bytes
    asked: Routed | None = None


@dataclass(slots=True, kw_only=True)
class Decided:
    """An item on its way through a batch. `text` is without the digits or the tag that it began with.

    `relay`: the relay number that it came to, a key, and its tenant. `unclear`: then nobody can say whom it is for.
    """

    item: Item
    question: Question
    routed: Routed
    text: str | None
    relay: tuple[int, UUID] | None = None
    unclear: Unclear | None = None

    @property
    def party(self) -> bytes | None:
        """Who wrote."""
        return self.routed.from_index


def question_of(arrival: Arrival, now: datetime) -> Question:
    dialled = _number(arrival.dialled)
    return Question(
        vn=dialled.key if dialled else None,
        caller=caller_from_sip(arrival.sender),
        channel=Channel.SMS,
        at=now,
        dialled=dialled,
    )


def _number(text: str) -> PhoneNumber | None:
    try:
        return parse(text)
    except InvalidNumber:
        return None


def row_of(one: Decided, verdict: Verdict, now: datetime) -> records.NewMessage:
    routed, question, arrival = one.routed, one.question, one.item.arrival
    return records.NewMessage(
        id=arrival.id,
        tenant_id=routed.decision.tenant_id,
        binding_id=routed.decision.binding_id,
        vn=routed.vn if routed.vn is not None else recorded_vn(question.dialled),
        from_index=routed.from_index,
        to_index=routed.to_index,
        from_masked=question.caller.masked if question.caller else None,
        to_masked=routed.target.masked if routed.target else None,
        status=verdict.status,
        reason=verdict.reason,
        code=verdict.code,
        kind=Kind.MMS if arrival.multimedia and verdict.envelope is None else verdict.kind,
        envelope=verdict.envelope,
        fingerprint=one.item.fingerprint,
        session=arrival.session,
        at=now,
        pictures=arrival.pictures,
    )


def verdict_on(one: Decided, policy: Unencodable) -> Verdict:
    """What becomes of it as far as it is known without looking anything up."""
    routed, question, text = one.routed, one.question, one.text
    if one.unclear is not None:
        return objected(Status.REFUSED, Objection.TAG_NEEDED)
    if isinstance(routed.decision, Refuse):
        return Verdict(status=Status.REFUSED, reason=routed.decision.reason.value)
    if routed.target is None or question.vn is None:
        raise AssertionError("a connected decision has a target and a virtual number")
    if text is None:
        return objected(Status.REFUSED, Objection.UNREADABLE)
    arrival = one.item.arrival
    checked = sendable_with_files(text, arrival, policy) if arrival.multimedia else sendable(text, policy)
    if isinstance(checked, Objection):
        return objected(Status.REFUSED if checked is Objection.EMPTY else Status.FAILED, checked)
    envelope = Envelope(
        to=routed.target.digits,
        sender=_sender(routed, question.vn),
        text=checked.text,
        subject="" if checked.kind is Kind.SMS else subject_of(arrival.subject, policy),
    )
    reason = INCOMPLETE if arrival.incomplete else FILES_LEFT_OUT if arrival.left_out else None
    return Verdict(status=Status.QUEUED, kind=checked.kind, reason=reason, envelope=envelope)


def _sender(routed: Routed, vn: int) -> str:
    """Always a virtual number: the one texted, or the one on which the decision has the recipient answer."""
    decision = routed.decision
    shown = isinstance(decision, Connect) and decision.present is Presented.VIRTUAL_NUMBER
    return routed.presented if shown and routed.presented is not None else digits_of(vn)


def objected(status: Status, objection: Objection) -> Verdict:
    return Verdict(status=status, reason=objection.value, code=CODES[objection])


def arrived(one: Decided, message: records.NewMessage, now: datetime) -> journal.Entry:
    event = {Status.QUEUED: "message.received", Status.REFUSED: "message.refused"}.get(
        message.status, "message.finished"
    )
    binding_id = one.routed.decision.binding_id
    return journal.Entry(
        at=now,
        tenant_id=one.routed.decision.tenant_id,
        actor=f"link:{one.item.arrival.link}",
        event=event,
        subject=one.item.arrival.id,
        data={
            "binding_id": str(binding_id) if binding_id else None,
            "status": message.status.value,
            "reason": message.reason,
            "code": message.code,
            "kind": message.kind.value,
        },
    )
