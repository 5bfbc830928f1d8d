"""Rules as JSON: what a customer writes, what is stored, and what may be shown of it. Pure.

The three forms differ in one field only: the fallback number is written in full, stored as a ciphertext beside its
mask, and shown masked.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from vns.errors import InvalidRules
from vns.numbering.rules import PhoneNumber, mappable, parse
from vns.rulebook.rules import (
    DAYS,
    END_OF_DAY,
    LONGEST_CALL,
    LONGEST_RING,
    MOST_CALLS,
    MOST_DATES,
    MOST_WINDOWS,
    NO_PROMPTS,
    NO_RULES,
    PROMPTED,
    SHORTEST_CALL,
    SHORTEST_RING,
    Direction,
    Hours,
    Rules,
    SealedNumber,
    Switch,
    Window,
)

Document = dict[str, Any]

FALLBACK: Final = "fallback_number"
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesChange:
    """What is to become of a document: fields that are set, checked and as they are stored, and fields that go.

    `fallback`: the number to be sealed into the field of its own.
    """

    given: Mapping[str, Any]
    removed: frozenset[str] = frozenset()
    fallback: PhoneNumber | None = None

    def __bool__(self) -> bool:
        return bool(self.given or self.removed or self.fallback)


def checked(document: object) -> RulesChange:
    """A document as a customer wrote it; null takes a field away.

    Raises InvalidRules, which names the field, and for the fallback number InvalidNumber and NumberNotMappable.
    """
    if not isinstance(document, dict):
        raise InvalidRules("rules is an object")
    given: Document = {}
    fallback: PhoneNumber | None = None
    for name, value in document.items():
        if name not in _CHECKS and name != FALLBACK:
            raise InvalidRules(f"rules has no field {str(name)[:40]!r}")
        if value is None:
            continue
        if name != FALLBACK:
            given[name] = _CHECKS[name](f"rules.{name}", value)
        elif isinstance(value, str):
            fallback = parse(value)
            mappable(fallback)
        else:
            raise InvalidRules(f"rules.{FALLBACK} is a phone number")
    removed = frozenset(str(name) for name, value in document.items() if value is None)
    return RulesChange(given=given, removed=removed, fallback=fallback)


def changed(stored: Document | None, change: RulesChange, seal: Callable[[str], str]) -> Document | None:
    """The stored document after a change; None when it says nothing any more. `seal`: a number's digits, encrypted."""
    document = {**(stored or {}), **change.given}
    if change.fallback is not None:
        document[FALLBACK] = {"sealed": seal(change.fallback.digits), "masked": change.fallback.masked}
    return {name: value for name, value in document.items() if name not in change.removed} or None


def shown(stored: Document | None) -> Document | None:
    """A stored document as its owner may see it."""
    if stored is None or FALLBACK not in stored:
        return stored
    return {**stored, FALLBACK: stored[FALLBACK]["masked"]}


def read(stored: Document | None) -> Rules:
    """A stored document as rules."""
    if not stored:
        return NO_RULES
    get = stored.get
    fallback = get(FALLBACK)
    return Rules(
        directions=frozenset(map(Direction, get("directions", ()))) or None,
        channels=frozenset(map(Switch, get("channels", ()))) or None,
        hours=_hours(stored["hours"]) if "hours" in stored else None,
        ring_seconds=get("ring_seconds"),
        max_seconds=get("max_seconds"),
        concurrent_calls=get("concurrent_calls"),
        fallback_number=SealedNumber(fallback["sealed"], fallback["masked"]) if fallback else None,
        missed_call_text=get("missed_call_text"),
        ended_text=get("ended_text"),
        prompts={name: UUID(value) for name, value in get("prompts", {}).items()} or NO_PROMPTS,
        ringback=UUID(stored["ringback"]) if "ringback" in stored else None,
        intercept=get("intercept"),
        record=get("record"),
    )


def _hours(stored: Document) -> Hours:
    days = stored.get("open")
    return Hours(
        open=None
        if days is None
        else {
            DAYS.index(day): tuple(Window(_minutes(a), _minutes(b)) for a, b in spans) for day, spans in days.items()
        },
        on_holidays=stored.get("holidays") != "closed",
        closed_dates=frozenset(date.fromisoformat(day) for day in stored.get("closed_dates", ())),
    )


def _minutes(time: str) -> int:
    return int(time[:2]) * 60 + int(time[3:])


def _whole(least: int, most: int) -> Callable[[str, object], int]:
    def check(place: str, value: object) -> int:
        if type(value) is not int or not least <= value <= most:
            raise InvalidRules(f"{place} is a whole number from {least} to {most}")
        return value

    return check


def _switch(place: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidRules(f"{place} is true or false")
    return value


def _some_of(names: type[Direction | Switch]) -> Callable[[str, object], list[str]]:
    def check(place: str, value: object) -> list[str]:
        known = {name.value for name in names}
        if not isinstance(value, list) or not value or not all(isinstance(one, str) and one in known for one in value):
            raise InvalidRules(f"{place} is a list of at least one of {', '.join(sorted(known))}")
        return sorted(set(value))

    return check


def _prompt(place: str, value: object) -> str:
    try:
        return str(UUID(value if isinstance(value, str) else ""))
    except ValueError as error:
        raise InvalidRules(f"{place} is the id of a prompt") from error


def _prompts(place: str, value: object) -> Document:
    if not isinstance(value, dict):
        raise InvalidRules(f"{place} is an object: a reason and a prompt's id")
    for reason in value:
        if reason not in PROMPTED:
            raise InvalidRules(f"{place} has reasons of {', '.join(sorted(PROMPTED))}")
    return {reason: _prompt(f"{place}.{reason}", prompt) for reason, prompt in value.items()}


def _hours_checked(place: str, value: object) -> Document:
    if not isinstance(value, dict) or not value or value.keys() - {"open", "holidays", "closed_dates"}:
        raise InvalidRules(f"{place} is an object of open, holidays and closed_dates")
    hours = {name: part for name, part in value.items() if part is not None}
    if "open" in hours:
        hours["open"] = _open(f"{place}.open", hours["open"])
    if hours.get("holidays", "open") not in ("open", "closed"):
        raise InvalidRules(f"{place}.holidays is open or closed")
    if "closed_dates" in hours:
        hours["closed_dates"] = _dates(f"{place}.closed_dates", hours["closed_dates"])
    return hours


def _open(place: str, value: object) -> Document:
    if not isinstance(value, dict) or value.keys() - set(DAYS):
        raise InvalidRules(f"{place} is an object of the days {', '.join(DAYS)}")
    return {day: _windows(f"{place}.{day}", value[day]) for day in DAYS if value.get(day) is not None}


def _windows(place: str, value: object) -> list[list[str]]:
    wrong = InvalidRules(f'{place} is a list of up to {MOST_WINDOWS} windows such as ["09:00", "18:00"]')
    if not isinstance(value, list) or len(value) > MOST_WINDOWS:
        raise wrong
    for window in value:
        if not isinstance(window, list) or len(window) != 2:
            raise wrong
        if not all(isinstance(time, str) and _TIME.fullmatch(time) for time in window):
            raise wrong
        if window[0] == window[1] or _minutes(window[0]) == END_OF_DAY:
            raise InvalidRules(f"{place} has a window of no length")
    return value


def _dates(place: str, value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST_DATES:
        raise InvalidRules(f"{place} is a list of up to {MOST_DATES} dates")
    try:
        return sorted({date.fromisoformat(day).isoformat() for day in value})
    except (TypeError, ValueError) as error:
        raise InvalidRules(f"{place} has dates such as 2026-12-24") from error


_CHECKS: Final[Mapping[str, Callable[[str, object], Any]]] = {
    "directions": _some_of(Direction),
    "channels": _some_of(Switch),
    "hours": _hours_checked,
    "ring_seconds": _whole(SHORTEST_RING, LONGEST_RING),
    "max_seconds": _whole(SHORTEST_CALL, LONGEST_CALL),
    "concurrent_calls": _whole(1, MOST_CALLS),
    "missed_call_text": _switch,
    "ended_text": _switch,
    "prompts": _prompts,
    "ringback": _prompt,
    "intercept": _switch,
    "record": _switch,
}
