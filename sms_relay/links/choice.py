"""Which link a text goes out by: the carrier of its recipient, what is up, what is least loaded. Pure but for
`load_ported`, which reads a file once at the start.

Numbers are kept when a subscriber changes carrier, so a prefix is only a guess and the table of ported
numbers goes before it.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sms_relay.links.interface import Carrier, Link, SubmitOutcome, SubmitStatus

_ANY = 0  # rank of a link that reaches every network as well as the recipient's own carrier does

_ELSEWHERE = frozenset(
    {
        0x00000004,  # ESME_RINVBNDSTS
        0x00000008,  # ESME_RSYSERR
        0x0000000B,  # ESME_RINVDSTADR: the number may be another carrier's by now
        0x00000014,  # ESME_RMSGQFUL
        0x00000045,  # ESME_RSUBMITFAIL
        0x00000058,  # ESME_RTHROTTLED
        0x00000064,  # ESME_RX_T_APPN
    }
)
"""Refusals that speak of this carrier's state or customers. Whatever else is refused speaks of the text or of
its sender, and another carrier is not asked to overlook it.
"""


_ELSEWHERE_MM7 = frozenset(
    {
        2002,  # address error
        2003,  # address not found: the number may be another carrier's by now
        3000,  # server error
        3001,  # not possible
        4000,  # general service error
        4005,  # service error
        4006,  # service unavailable
    }
)
"""The same of MM7."""


class BadDirectory(ValueError):
    """A table of ported numbers cannot be read. The message names file and line, never a number."""


_CODES = tuple(Carrier)
_SHIFT = 2  # bits for the place of a carrier in _CODES


def _key(number: str) -> int:
    """Leading zeros count: a one stands before them."""
    return int("1" + number)


def _key_of(entry: int) -> int:
    return entry >> _SHIFT


class PortedNumbers:
    """Exact number → carrier, eight bytes a number: such tables have tens of millions of lines.

    Of a number named twice the last naming counts.
    """

    def __init__(self, entries: Iterable[tuple[str, Carrier]] = ()) -> None:
        unsorted = array("Q", (_key(number) << _SHIFT | _CODES.index(carrier) for number, carrier in entries))
        self._entries = array("Q", sorted(unsorted, key=_key_of))

    def carrier(self, number: str) -> Carrier | None:
        key = _key(number)
        at = bisect_right(self._entries, key, key=_key_of) - 1
        if at < 0 or _key_of(self._entries[at]) != key:
            return None
        return _CODES[self._entries[at] & (1 << _SHIFT) - 1]

    def __len__(self) -> int:
        return len(self._entries)


def load_ported(path: Path) -> PortedNumbers:
    """One `number,carrier` a line; empty lines and lines with `#` first are passed over; hyphens are allowed.

    Raises `BadDirectory`.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            return PortedNumbers(_entries(path.name, lines))
    except (OSError, UnicodeDecodeError) as error:
        raise BadDirectory(f"{path.name}: {type(error).__name__}") from error


def _entries(name: str, lines: Iterable[str]) -> Iterator[tuple[str, Carrier]]:
    for at, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        number, _, carrier = (piece.strip() for piece in line.partition(","))
        digits = number.replace("-", "")
        if not (digits.isascii() and digits.isdigit() and 8 <= len(digits) <= 12):
            raise BadDirectory(f"{name}, line {at}: not a number of 8 to 12 digits")
        try:
            yield digits, Carrier(carrier)
        except ValueError:
            raise BadDirectory(f"{name}, line {at}: the carrier is none of SKT, KTF, LGT, ETC") from None


@dataclass(frozen=True, slots=True)
class Directory:
    """Whose customer a number is. Empty, it knows nobody and every link is as good as the next."""

    prefixes: Mapping[str, Carrier] = field(default_factory=dict)
    ported: PortedNumbers = field(default_factory=PortedNumbers)

    def carrier(self, number: str) -> Carrier | None:
        """The ported number's carrier, else that of the longest prefix, else None."""
        found = self.ported.carrier(number)
        if found is not None:
            return found
        for length in range(len(number), 0, -1):
            by_prefix = self.prefixes.get(number[:length])
            if by_prefix is not None:
                return by_prefix
        return None


class Choice:
    """Gives each text its link, and the next one when that does not take it.

    The recipient's own carrier comes first, then links of no carrier in particular (ETC), then the others.
    Among equals the one with the smallest share of its window in use, then the order of the settings.
    """

    def __init__(self, links: Sequence[Link], directory: Directory) -> None:
        self._links = tuple(links)
        self._directory = directory
        self._busy = {link.name: 0 for link in self._links}

    @property
    def any(self) -> bool:
        """Whether there is a link at all, up or down."""
        return bool(self._links)

    def network(self, destination: str, link: Link) -> Carrier | None:
        """Whose handset the recipient has: the directory's word, else the link's carrier; None: nobody knows."""
        carrier = self._directory.carrier(destination) or link.carrier
        return None if carrier is Carrier.OTHER else carrier

    @property
    def room(self) -> int:
        """How many texts the links that are up may have on their way in all; 0: none is up."""
        return sum(link.window for link in self._links if link.connected)

    def best(self, destination: str, tried: Sequence[Link] = ()) -> Link | None:
        """The link to try now; None where none is up that was not tried."""
        carrier = self._directory.carrier(destination)
        left = [link for link in self._links if link.connected and link not in tried]
        return min(left, key=lambda link: (_rank(link, carrier), self._busy[link.name] / link.window), default=None)

    def taken(self, link: Link) -> None:
        """A text is being given to `link`; `freed` when its outcome is there."""
        self._busy[link.name] += 1

    def freed(self, link: Link) -> None:
        self._busy[link.name] -= 1


def _rank(link: Link, carrier: Carrier | None) -> int:
    if carrier is None or link.carrier is carrier:
        return _ANY
    return 1 if link.carrier is Carrier.OTHER else 2


def may_go_elsewhere(outcome: SubmitOutcome) -> bool:
    """Whether another link may be asked without any risk of a second copy, and with a chance that it accepts.

    Never for UNKNOWN: what may have been taken is not given to anybody else.
    """
    if outcome.message_ids:
        return False
    if outcome.status is SubmitStatus.NOT_SENT:
        return True
    if outcome.status is not SubmitStatus.REFUSED:
        return False
    elsewhere = outcome.command_status in _ELSEWHERE or outcome.mm7_status in _ELSEWHERE_MM7
    return outcome.retryable or elsewhere
