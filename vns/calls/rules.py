"""What a call's record says. Pure.

`result` is `answered`, the reason of a refusal, or one of three that a refusal cannot have: `in_progress`, `cancelled`
(the caller hung up before anybody answered) and `unknown` (Asterisk itself ended before it could tell).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from vns.numbering.rules import NumberKind, PhoneNumber
from vns.routing.rules import REFUSALS, Reason, Target

CAUSE_CANCELLED = 16  # Q.850: normal clearing
CAUSE_UNKNOWN = 41  # Q.850: temporary failure
NO_NUMBER = 0  # stored as VN where what was dialled is none, so that nobody's own number stands in that column

# What carriers route to a platform of safe numbers; a mobile or area number dialled by mistake is not written down.
_RECORDED_KINDS = frozenset({NumberKind.SAFE, NumberKind.VOIP, NumberKind.REPRESENTATIVE})


class Result(StrEnum):
    """How an attempt ended."""

    IN_PROGRESS = "in_progress"
    ANSWERED = "answered"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    UNALLOCATED = "unallocated"
    ENDED = "ended"
    NOT_A_PARTY = "not_a_party"
    NOT_ALLOWED = "not_allowed"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    OVERLOAD = "overload"


class HangupBy(StrEnum):
    CALLER = "caller"
    CALLEE = "callee"
    PLATFORM = "platform"


class Direction(StrEnum):
    """Which party of the binding was called, or who answers for it now that it has ended; `none` for a refusal."""

    TO_REAL = "to_real"
    TO_PEER = "to_peer"
    TO_FALLBACK = "to_fallback"
    NONE = "none"


DIRECTION_OF: Mapping[Target, Direction] = MappingProxyType(
    {
        Target.REAL: Direction.TO_REAL,
        Target.PEER: Direction.TO_PEER,
        Target.TEAM: Direction.TO_PEER,
        Target.LAST_CALLER: Direction.TO_PEER,
        Target.DIALLED: Direction.TO_PEER,
        Target.FALLBACK: Direction.TO_FALLBACK,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOutcome:
    """What became of one call. `vn` is needed only where no question was ever answered for it (see Calls.finish).

    `reconciled`: found afterwards, and not told as it happened.
    """

    call_id: UUID
    channel: str
    bridge: str
    result: Result
    cause: int
    hangup_by: HangupBy
    ended_at: datetime
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    vn: int = NO_NUMBER
    arrived_at: datetime | None = None
    reconciled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call's record as its tenant may see it. `caller` and `callee` are masked."""

    id: UUID
    binding_id: UUID | None
    vn: int
    direction: Direction
    caller: str | None
    callee: str | None
    result: Result
    cause: int | None
    hangup_by: HangupBy | None
    arrived_at: datetime
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    billed_seconds: int
    reconciled: bool


def billed_seconds(answered_at: datetime | None, ended_at: datetime) -> int:
    """Whole seconds from answer to end, a part of a second counting as one. Unanswered calls cost nothing."""
    if answered_at is None:
        return 0
    return max(0, math.ceil((ended_at - answered_at).total_seconds()))


def result_of(reason: Reason) -> Result:
    """The result of a call refused for `reason`: the same word."""
    return Result(reason.value)


def cause_of(result: Result) -> int | None:
    """The Q.850 cause that belongs to a result; None for `answered`, whose cause the network names."""
    if result is Result.CANCELLED:
        return CAUSE_CANCELLED
    if result is Result.UNKNOWN:
        return CAUSE_UNKNOWN
    if result in {Result.ANSWERED, Result.IN_PROGRESS}:
        return None
    return REFUSALS[Reason(result.value)].cause


# Results of a call to its owner that the owner may want to know of.
_MISSED = frozenset({Result.BUSY, Result.NO_ANSWER, Result.UNREACHABLE})


def is_missed(result: Result, ringing_at: datetime | None) -> bool:
    """Whether a connected call did not reach its target; one that was given up counts once it had rung."""
    return result in _MISSED or (result is Result.CANCELLED and ringing_at is not None)


def caller_context(call_id: UUID) -> bytes:
    """What the encrypted number of a call's caller is tied to."""
    return b"call:" + call_id.bytes


def recorded_vn(dialled: PhoneNumber | None) -> int:
    """What a record keeps of the number dialled."""
    return dialled.key if dialled is not None and dialled.kind in _RECORDED_KINDS else NO_NUMBER
