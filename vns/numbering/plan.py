"""The numbering plan (`plan.toml`) turned into tables in which one look-up tells what a number is."""

import time
import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import product
from pathlib import Path

PREFIX = 5
"""Digits that, together with the length, settle the kind of every number of the plan."""

LONGEST = 12
"""Digits of the longest number of the plan."""

_KOREA_AHEAD = 9 * 3600  # seconds; the country keeps one time all year
_DAY = 86_400  # seconds
_REPRESENTATIVE = ("15", "16", "18")


class NumberKind(StrEnum):
    """What a number is for. Only some kinds can be a party of a binding, see vns.numbering.rules.mappable."""

    MOBILE = "mobile"
    SEOUL = "seoul"
    AREA = "area"
    VOIP = "voip"
    SAFE = "safe"
    TOLL_FREE = "toll_free"
    PREMIUM = "premium"
    COMMON_MESSAGE = "common_message"
    REPRESENTATIVE = "representative"
    EMERGENCY = "emergency"
    SPECIAL = "special"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """One row of the plan. The fields are described at the head of `plan.toml`."""

    kind: NumberKind
    prefixes: tuple[str, ...]
    lengths: tuple[int, ...]
    lead: int
    next: str = "0123456789"
    since: date = date.min
    until: date = date.max
    not_before_representative: bool = False

    def in_force(self, on: date) -> bool:
        return self.since <= on <= self.until

    def heads(self, prefix: str, length: int) -> list[str]:
        """The first PREFIX digits (all digits of shorter numbers) that numbers of this row begin with."""
        width = min(PREFIX, length) - len(prefix)
        if width == 0:
            return [prefix]
        rests = ("".join(digits) for digits in product(self.next, *["0123456789"] * (width - 1)))
        if self.not_before_representative and length - len(prefix) == 8:
            rests = (rest for rest in rests if not rest.startswith(_REPRESENTATIVE))
        return [prefix + rest for rest in rests]


@dataclass(frozen=True, slots=True)
class Found:
    """What the plan says about one head and length. `lead`: digits before the first hyphen."""

    kind: NumberKind
    lead: int


Table = dict[str, tuple[Found | None, ...]]
"""Head of a number → what it is, by its length (0 to LONGEST)."""


def _load() -> tuple[Range, ...]:
    with (Path(__file__).parent / "plan.toml").open("rb") as file:
        rows = tomllib.load(file)["range"]
    return tuple(
        Range(
            **{
                **row,
                "kind": NumberKind(row["kind"]),
                "prefixes": tuple(row["prefixes"]),
                "lengths": tuple(row["lengths"]),
            }
        )
        for row in rows
    )


RANGES = _load()


@lru_cache(maxsize=16)
def _compile(ranges: tuple[Range, ...]) -> Table:
    found: dict[str, list[Found | None]] = {}
    for row in ranges:
        answer = Found(row.kind, row.lead)
        for prefix, length in product(row.prefixes, row.lengths):
            for head in row.heads(prefix, length):
                found.setdefault(head, [None] * (LONGEST + 1))[length] = answer
    return {head: tuple(answers) for head, answers in found.items()}


@lru_cache(maxsize=64)
def table_on(day: date) -> Table:
    """The plan as it is in force on `day` (Korean date)."""
    return _compile(tuple(row for row in RANGES if row.in_force(day)))


@lru_cache(maxsize=2)
def _table_of(days_since_1970: int) -> Table:
    return table_on(date(1970, 1, 1) + timedelta(days=days_since_1970))


def table_today() -> Table:
    """The plan in force now; a process that runs over midnight in Korea takes up the new day's plan."""
    return _table_of((int(time.time()) + _KOREA_AHEAD) // _DAY)
