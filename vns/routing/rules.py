"""The decision, for voice and text alike: a pure function of what is stored, the caller and the time."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from vns.bindings.rules import CallerId, Channel, Side, Status
from vns.numbering.rules import NumberKind, PhoneNumber
from vns.pools.rules import Mode


class Reason(StrEnum):
    """Why somebody is not connected."""

    UNALLOCATED = "unallocated"
    ENDED = "ended"
    NOT_A_PARTY = "not_a_party"
    NOT_ALLOWED = "not_allowed"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    OVERLOAD = "overload"


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a refusal sounds and what it says to the network."""

    prompt: str  # name of the Korean prompt
    sip: int
    cause: int  # Q.850


REFUSALS: dict[Reason, Refusal] = {
    Reason.UNALLOCATED: Refusal("unallocated", 404, 1),
    Reason.ENDED: Refusal("ended", 410, 22),
    Reason.NOT_A_PARTY: Refusal("not_a_party", 403, 21),
    Reason.NOT_ALLOWED: Refusal("not_allowed", 403, 21),
    Reason.BUSY: Refusal("busy", 486, 17),
    Reason.NO_ANSWER: Refusal("no_answer", 480, 19),
    Reason.UNREACHABLE: Refusal("unreachable", 502, 27),
    Reason.OVERLOAD: Refusal("overload", 503, 42),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who wants to reach which virtual number. `caller` None: withheld. `show_caller` False: Privacy was asked for."""

    vn: int | None  # key; None: what was dialled is no Korean number at all
    caller: PhoneNumber | None
    channel: Channel
    at: datetime
    show_caller: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingFacts:
    """A binding as far as the decision needs it. `caller_is`: which party the caller is, None for a stranger."""

    id: UUID
    tenant_id: UUID
    mode: Mode
    status: Status
    ends_at: datetime
    channels: frozenset[Channel]
    caller_id: CallerId
    caller_is: Side | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is stored about a virtual number and one caller.

    `binding` is the number's live or last one (exclusive), or that of the caller's own pair (shared).
    `rests_until`: end of quarantine of that number or pair. `others`: another pair is live or resting there.
    """

    in_pool: bool
    binding: BindingFacts | None = None
    rests_until: datetime | None = None
    others: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Connect the caller to `target`'s side of `binding_id` and present `present`."""

    binding_id: UUID
    tenant_id: UUID
    target: Side
    present: "Presented"
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Do not connect. `binding_id` and `tenant_id` are known where the number belongs to somebody."""

    reason: Reason
    binding_id: UUID | None
    tenant_id: UUID | None
    steps: tuple[str, ...]


class Presented(StrEnum):
    """The caller ID shown to the target: always one that is proven."""

    CALLER = "caller"
    VIRTUAL_NUMBER = "virtual_number"


Decision = Connect | Refuse

# Whoever these belong to, nobody is to see them as a caller, not even when they really call.
NEVER_PRESENTED = frozenset({NumberKind.EMERGENCY, NumberKind.SPECIAL})


def decide(question: Question, facts: Facts) -> Decision:
    """The first check that objects decides; `steps` tells in words what was looked at."""
    steps: list[str] = []
    binding = facts.binding
    objection = _objection(question, facts, steps)
    if objection is None and binding is not None:
        target = Side.PEER if binding.caller_is is Side.REAL else Side.REAL
        present = _presented(question, binding)
        steps.append(f"connect to the {target} party, presenting the {present.replace('_', ' ')}")
        return Connect(
            binding_id=binding.id,
            tenant_id=binding.tenant_id,
            target=target,
            present=present,
            steps=tuple(steps),
        )
    reason = objection or Reason.UNALLOCATED
    steps.append(f"refuse: {reason}")
    return Refuse(
        reason=reason,
        binding_id=binding.id if binding else None,
        tenant_id=binding.tenant_id if binding else None,
        steps=tuple(steps),
    )


def _objection(question: Question, facts: Facts, steps: list[str]) -> Reason | None:
    binding = facts.binding
    if question.vn is None or not facts.in_pool:
        steps.append("the number dialled is in no pool")
        return Reason.UNALLOCATED
    if binding is None:
        return _no_binding(facts, steps)
    if not _live(binding, question.at):
        return _not_live(binding, facts, question.at, steps)
    steps.append(f"live {binding.mode} binding")
    return _forbidden(question, binding, steps)


def _no_binding(facts: Facts, steps: list[str]) -> Reason:
    if facts.others:
        steps.append("the number connects pairs, and the caller is in none of them")
        return Reason.NOT_A_PARTY
    steps.append("the number is free")
    return Reason.UNALLOCATED


def _not_live(binding: BindingFacts, facts: Facts, at: datetime, steps: list[str]) -> Reason:
    if binding.mode is Mode.BIDIRECTIONAL:
        steps.append("the caller's pair on this number has ended")
        return Reason.ENDED
    if facts.rests_until is not None and facts.rests_until > at:
        steps.append("the binding has ended and the number is in quarantine")
        return Reason.ENDED
    steps.append("the last binding has ended and its quarantine is over")
    return Reason.UNALLOCATED


def _forbidden(question: Question, binding: BindingFacts, steps: list[str]) -> Reason | None:
    if question.caller is None:
        steps.append("the caller's number is withheld")
        return Reason.NOT_A_PARTY
    if binding.mode is Mode.ONE_WAY and binding.caller_is is Side.REAL:
        steps.append("the owner dials its own number")
        return Reason.NOT_ALLOWED
    if question.channel not in binding.channels:
        steps.append(f"the binding does not allow {question.channel}")
        return Reason.NOT_ALLOWED
    steps.append(f"{question.channel} is allowed")
    return None


def _live(binding: BindingFacts, at: datetime) -> bool:
    return binding.status is Status.ACTIVE and binding.ends_at > at


def _presented(question: Question, binding: BindingFacts) -> Presented:
    wanted = binding.mode is Mode.ONE_WAY and binding.caller_id is CallerId.CALLER and question.show_caller
    if wanted and question.caller is not None and question.caller.kind not in NEVER_PRESENTED:
        return Presented.CALLER
    return Presented.VIRTUAL_NUMBER
