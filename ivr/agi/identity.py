"""Who calls, read from the headers of an INVITE. Pure; a header may hold anything that a caller likes to write."""

import re
from dataclasses import dataclass

from vns.numbering.rules import PhoneNumber, caller_from_sip

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_BETWEEN_WISHES = re.compile(r"[;,]")
_URI = re.compile(r"(?:sips?|tel):([^@>;,\s]*)", re.IGNORECASE)
LONGEST_HEADER = 2_000  # characters looked at


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """`number` None: withheld, or nothing that is a number of the plan. `show` False: `Privacy` asks to hide it."""

    number: PhoneNumber | None
    show: bool


def read_identity(asserted: str, from_user: str, privacy: str) -> CallerIdentity:
    """P-Asserted-Identity of the trusted trunk, of several URIs the first that holds a number; else who From names."""
    number = _first_number(asserted) if asserted.strip() else caller_from_sip(from_user.partition(";")[0])
    if not privacy:
        return CallerIdentity(number, show=True)
    wishes = {wish.strip().lower() for wish in _BETWEEN_WISHES.split(privacy)}
    return CallerIdentity(number, show=not wishes & {"id", "user", "header"})


def _first_number(header: str) -> PhoneNumber | None:
    bare = _QUOTED.sub("", header[:LONGEST_HEADER])
    found = (caller_from_sip(user.replace("%2B", "+").replace("%2b", "+")) for user in _URI.findall(bare))
    return next((number for number in found if number is not None), None)
