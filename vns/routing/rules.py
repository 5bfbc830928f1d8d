"""The words of the decision: what is asked, what is known, and what may be decided. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from vns.bindings.rules import CallerId, Channel, Ring, Side, Status
from vns.numbering.rules import NumberKind, PhoneNumber
from vns.pools.rules import Mode
from vns.rulebook.rules import NO_RULES, Rules


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
    dialled: PhoneNumber | None = None  # the same as a number: whom a subscriber of an outbound binding wants to reach
    digits: str | None = None  # what the caller was asked for and dialled: an extension, or a number to call
    tried: frozenset[str] = frozenset()  # digits of whom this call has rung in vain: a team is called one by one


@dataclass(slots=True, kw_only=True)  # two for every call: frozen they would take twice as long to make
class BindingFacts:
    """A binding as far as the decision needs it.

    `caller_is`: which party the caller is, None for a stranger; a member of a group's team is its peer. `rules`: the
    binding's over its pool's.
    """

    id: UUID
    tenant_id: UUID
    mode: Mode
    status: Status
    ends_at: datetime
    channels: frozenset[Channel]
    caller_id: CallerId
    caller_is: Side | None
    vn: int = 0  # key
    peer_vn: int | None = None  # key, in mode per_side
    ring: Ring = Ring.ORDER
    has_last_caller: bool = False
    rules: Rules = NO_RULES


class NumberUse(StrEnum):
    """How a virtual number is used at present."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"
    EXTENSION = "extension"


@dataclass(slots=True, kw_only=True)  # two for every call: frozen they would take twice as long to make
class Facts:
    """All that is stored about a number dialled and one caller.

    `binding` is the number's live or last one (exclusive), that of the caller's own pair or group (shared), that of the
    digits, else of the caller as an owner (extension); where the number is in no pool, the one with which the caller
    calls out. `rests_until`: end of quarantine of that number, pair or extension. `others`: something else is live or
    resting there. `caller_stopped`: the caller is on the list of those who reach nobody (vns.abuse).
    """

    in_pool: bool
    use: NumberUse | None = None  # None: never used
    caller_stopped: bool = False
    binding: BindingFacts | None = None
    rests_until: datetime | None = None
    others: bool = False
    sms_proven: bool = False  # the pool of the virtual number to be presented has its proof for texts on file
    voice_proven_until: datetime | None = None  # the end of its proof for calls; None: there is none
    caller_blocked: bool = False
    blocked: frozenset["Target"] = frozenset()  # who is not to be called
    dialled_is_virtual: bool = False  # whom a subscriber wants to call is a virtual number
    open_calls: int = 0  # other calls on the virtual number now; counted only where there is a limit
    hooked: bool = False  # the tenant wants to be asked
    pool_rules: Rules = NO_RULES


class Target(StrEnum):
    """Who is called. Only `Router` knows their numbers: `Routed.targets`."""

    REAL = "real"
    PEER = "peer"
    TEAM = "team"  # group: all members that may be called, in ring order
    LAST_CALLER = "last_caller"  # extension: the owner calls back
    DIALLED = "dialled"  # outbound: the number dialled
    FALLBACK = "fallback"  # the binding has ended, and somebody answers for it


class Presented(StrEnum):
    """The caller ID shown to the target of a call: one that is proven, or none."""

    CALLER = "caller"
    VIRTUAL_NUMBER = "virtual_number"  # the binding's; in mode per_side the one on which the target would call back
    WITHHELD = "withheld"  # the virtual number would be shown, and nothing proves it


NO_PROMPTS: Mapping[Reason, UUID] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """How a connected call is carried out. None: as the platform's settings say."""

    ring_seconds: int | None = None
    max_seconds: int | None = None  # from the answer on
    ringback: UUID | None = None  # prompt that the caller hears instead of the ringing tone
    prompts: Mapping[Reason, UUID] = field(default_factory=lambda: NO_PROMPTS)  # instead of the platform's
    record: bool = False
    concurrent: int | None = None  # connected calls at a time on the virtual number


NO_LIMITS = CallLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Connect the caller to `target` and present `present`. A team rings as `ring` says; others are one number."""

    binding_id: UUID
    tenant_id: UUID
    target: Target
    present: Presented
    steps: tuple[str, ...]
    ring: Ring = Ring.ORDER
    limits: CallLimits = NO_LIMITS
    intercept: bool = False  # the tenant's hook is asked first: Routed.hook


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Answer, ask the caller for digits, then ask again with Question.digits; three wrong tries end it.

    `extension`: whom on this number; the binding is not known yet. `number`: whom a subscriber wants to call.
    """

    what: Literal["extension", "number"]
    binding_id: UUID | None
    tenant_id: UUID | None
    steps: tuple[str, ...]
    limits: CallLimits = NO_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Do not connect. `binding_id` and `tenant_id` are known where the number belongs to somebody.

    `again`: other digits may be right; the caller is asked anew until three tries were wrong. `prompt`: what to play
    instead of the platform's announcement.
    """

    reason: Reason
    binding_id: UUID | None
    tenant_id: UUID | None
    steps: tuple[str, ...]
    again: bool = False
    prompt: UUID | None = None


Decision = Connect | Collect | Refuse

# Whoever these belong to, nobody is to see them as a caller, not even when they really call.
NEVER_PRESENTED = frozenset({NumberKind.EMERGENCY, NumberKind.SPECIAL})
