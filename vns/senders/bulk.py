"""Many numbers at once: what a file holds, and which of its rows cannot be registered. Pure.

Nothing is registered before every row is clean.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from vns.errors import InvalidNumber
from vns.numbering.rules import PhoneNumber
from vns.senders.rules import sender_number
from vns.sheets import rows_of

MAX_ROWS: Final = 10_000


class Fault(StrEnum):
    """Why a row cannot be registered."""

    MALFORMED = "malformed"
    DUPLICATE = "duplicate"  # after its first occurrence
    REGISTERED = "registered"  # is there already
    OVER_QUOTA = "over_quota"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row as it came, counted from 1. `number` None: malformed. The repr is bare."""

    place: int
    text: str
    number: PhoneNumber | None
    fault: Fault | None

    def __repr__(self) -> str:
        return f"Row({self.place}, {self.fault})"


def cells_of(content: bytes) -> list[str]:
    """Column A, or the lines of a text; empty ones are left out. Raises UnreadableSheet, an InvalidRequest."""
    return [cell for (cell,) in rows_of(content, columns=1, most=MAX_ROWS, text=_cell)]


def judged(texts: Iterable[str], *, registered: Collection[str], room: int, on: date, allow_050: bool) -> list[Row]:
    """Each row with its fault. `registered`: digits there are already; `room`: how many more are allowed."""
    rows, seen = [], set[str]()
    for place, text in enumerate(texts, 1):
        number, fault = None, None
        try:
            number = sender_number(text, on, allow_050=allow_050)
        except InvalidNumber:
            fault = Fault.MALFORMED
        if number is not None:
            if number.digits in seen:
                fault = Fault.DUPLICATE
            elif number.digits in registered:
                fault = Fault.REGISTERED
            elif len(seen) >= room:
                fault = Fault.OVER_QUOTA
            if fault in {None, Fault.OVER_QUOTA}:
                seen.add(number.digits)
        rows.append(Row(place=place, text=text, number=number, fault=fault))
    return rows


def _cell(value: object) -> str:
    """A number cell has lost the 0 that a national number begins with; representative ones have none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        digits = str(value)
        return digits if len(digits) <= 8 and digits.startswith("1") else f"0{digits}"
    return str(value).strip() if value is not None else ""
