"""Numbers as people and trunks write them, and the one form in which the platform keeps them.

Kept are national digits without separators: 01012345678, 050412345678, 18771234. In the database stands their
integer value, the key. `str` and `repr` of a number are masked, so that no log line and no error shows it by
accident; who has the right to the whole number asks for `.digits` or `.hyphenated`.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from vns.errors import InvalidNumber, NumberNotMappable
from vns.numbering.plan import LONGEST, PREFIX, Found, NumberKind, Table, table_on, table_today

__all__ = [
    "NumberKind",
    "PhoneNumber",
    "caller_from_sip",
    "digits_of",
    "hyphenate",
    "key_of",
    "mappable",
    "mask",
    "parse",
]

_LONGEST_INPUT: Final = 64  # characters; nobody writes a number longer, separators included
_TAIL: Final = 4  # digits after the last hyphen

_SEPARATORS = "-‐‑‒–—―−－﹣ー.．·・()（） \t\u00a0\u2002\u2003\u2009\u202f\u3000"
_INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_CLEAN: Final = str.maketrans(
    {
        **dict.fromkeys(_SEPARATORS + _INVISIBLE),
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        "＋": "+",
    }
)

_NEVER_A_PARTY: Final = {
    NumberKind.EMERGENCY: "an emergency number",
    NumberKind.SPECIAL: "a special service number",
    NumberKind.PREMIUM: "a premium-rate number (060)",
    NumberKind.COMMON_MESSAGE: "a common message number (030)",
    NumberKind.SAFE: "a 050 number",
}


@dataclass(frozen=True, slots=True, repr=False)
class PhoneNumber:
    """A number of the Korean plan. `digits`: national, with the leading 0 where there is one."""

    digits: str
    kind: NumberKind

    @property
    def key(self) -> int:
        """The number as the database keeps it; see `key_of`."""
        return int(self.digits)

    @property
    def masked(self) -> str:
        """For those without a right to the whole number: 010-****-5678."""
        return mask(self.digits)

    @property
    def hyphenated(self) -> str:
        """For those with that right: 010-1234-5678."""
        return hyphenate(self.digits)

    def __str__(self) -> str:
        return self.masked

    def __repr__(self) -> str:
        return f"PhoneNumber({self.masked}, {self.kind.value})"


def parse(text: str, *, on: date | None = None) -> PhoneNumber:
    """The number that `text` means, by the plan in force `on` that day (today, if left out).

    Accepts hyphens, dots, spaces, parentheses, full-width digits, +82, 0082 and 82, each with or without the
    0 that follows inside the country. Raises InvalidNumber, whose detail does not repeat the number.
    """
    table = table_today() if on is None else table_on(on)
    digits = text
    if not (text.isascii() and text.isdigit()):
        digits = _without_separators(text)
    if digits.startswith(("+", "82", "0082")):
        digits = _national(digits)
    found = _find(table, digits)
    if found is None:
        raise InvalidNumber("not a number of the Korean numbering plan")
    return PhoneNumber(digits, found.kind)


def _without_separators(text: str) -> str:
    if len(text) > _LONGEST_INPUT:
        raise InvalidNumber("too long for a phone number")
    digits = text.strip().translate(_CLEAN)
    bare = digits[1:] if digits.startswith("+") else digits
    if not (bare.isascii() and bare.isdigit()):
        raise InvalidNumber("a phone number consists of digits")
    return digits


def _national(digits: str) -> str:
    """From the international to the national form. Raises InvalidNumber for a number of another country."""
    bare = digits[1:] if digits.startswith("+") else digits.removeprefix("00")
    if not bare.startswith("82"):
        raise InvalidNumber("a foreign number")
    rest = bare[2:]
    dialled_without_zero = rest.startswith("0") or (rest.startswith("1") and len(rest) <= 8)
    return rest if dialled_without_zero else "0" + rest


def _find(table: Table, digits: str) -> Found | None:
    answers = table.get(digits[:PREFIX])
    return answers[len(digits)] if answers is not None and len(digits) <= LONGEST else None


def key_of(digits: str) -> int:
    """The integer value of national digits, as the database keeps it; `digits_of` turns it back."""
    return int(digits)


def digits_of(key: int) -> str:
    """National digits of a key. Only representative (8 digits from 1) and special ones (3, 4) have no 0."""
    if 10_000_000 <= key < 20_000_000 or key < 10_000:
        return str(key)
    return f"0{key}"


def mappable(number: PhoneNumber) -> None:
    """Raises NumberNotMappable if `number` must never be a party of a binding.

    A virtual number of the platform's own is refused too, but only the pools know those.
    """
    reason = _NEVER_A_PARTY.get(number.kind)
    if reason is not None:
        raise NumberNotMappable(f"{reason} cannot be mapped")


def _parts(digits: str) -> tuple[str, str, str]:
    """What stands before, between and after the hyphens; the middle is empty in representative numbers."""
    found = _find(table_today(), digits)
    lead = found.lead if found is not None else 3
    return digits[:lead], digits[lead:-_TAIL], digits[max(lead, len(digits) - _TAIL) :]


def hyphenate(digits: str) -> str:
    """01012345678 → 010-1234-5678; 0212345678 → 02-1234-5678; 18771234 → 1877-1234; 112 → 112."""
    return "-".join(part for part in _parts(digits) if part)


def mask(digits: str) -> str:
    """01012345678 → 010-****-5678; 18771234 → 1877-****; numbers under 8 digits are hidden altogether."""
    if len(digits) < 8:
        return "*" * len(digits)
    first, middle, last = _parts(digits)
    return f"{first}-{'*' * len(middle)}-{last}" if middle else f"{first}-{'*' * len(last)}"


def caller_from_sip(text: str) -> PhoneNumber | None:
    """The caller as a trunk writes it (+8210…, 8210…, 010…); None: withheld, foreign or no number at all."""
    try:
        return parse(text.partition(";")[0])
    except InvalidNumber:
        return None
