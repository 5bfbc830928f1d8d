"""What the rules of a binding or a pool say. Pure.

A field of None says nothing: the pool's word holds then, and after it the platform's. `over` puts the two together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self
from uuid import UUID

SHORTEST_RING, LONGEST_RING = 5, 120  # seconds
SHORTEST_CALL, LONGEST_CALL = 60, 14_400  # seconds
MOST_CALLS: Final = 10_000  # at a time on one number
MOST_DATES: Final = 400
MOST_WINDOWS: Final = 12  # a day

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
END_OF_DAY: Final = 24 * 60  # minutes

# What a caller may be told in words of the customer's own: the reasons of a refusal (vns.routing.rules.Reason).
PROMPTED: Final = frozenset(
    {"unallocated", "ended", "not_a_party", "not_allowed", "busy", "no_answer", "unreachable", "overload"}
)


class Direction(StrEnum):
    """Which party of a binding is called."""

    TO_REAL = "to_real"
    TO_PEER = "to_peer"


class Switch(StrEnum):
    """What a binding or pool may be used for; the names of vns.bindings.rules.Channel."""

    VOICE = "voice"
    SMS = "sms"


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a day, in minutes since its midnight. One that ends before it starts goes on into the next day."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When somebody may be reached, in Korean time. `open` None: at all hours; a day that is left out is closed.

    A window belongs to the day on which it starts: closing that day closes the whole window, midnight or not.
    """

    open: Mapping[int, tuple[Window, ...]] | None = None  # by weekday, Monday 0
    on_holidays: bool = True
    closed_dates: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class SealedNumber:
    """A number as it stands in a stored document: the ciphertext in base64, and what may be shown of it."""

    sealed: str
    masked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The document of a binding, of a pool, or of both together."""

    directions: frozenset[Direction] | None = None
    channels: frozenset[Switch] | None = None
    hours: Hours | None = None
    ring_seconds: int | None = None
    max_seconds: int | None = None
    concurrent_calls: int | None = None  # at a time on the virtual number
    fallback_number: SealedNumber | None = None
    missed_call_text: bool | None = None
    ended_text: bool | None = None  # answer texts to a number that has ended
    prompts: Mapping[str, UUID] = field(default_factory=lambda: NO_PROMPTS)
    ringback: UUID | None = None
    intercept: bool | None = None
    record: bool | None = None

    def over(self, pool: "Rules") -> Self:
        """These rules, and where they say nothing those of the pool. Prompts are chosen reason by reason."""
        if pool is NO_RULES:
            return self
        merged: dict[str, Any] = {}
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(pool, one.name)
            merged[one.name] = {**theirs, **mine} if one.name == "prompts" else theirs if mine is None else mine
        return type(self)(**merged)


NO_PROMPTS: Final[Mapping[str, UUID]] = MappingProxyType({})
NO_RULES: Final = Rules()
"""What holds where nobody has set anything."""
