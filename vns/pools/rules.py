"""What a pool is: a range of virtual numbers with a service, an owner and what the numbers may be used for."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from vns.errors import InvalidRequest
from vns.numbering.rules import NumberKind, parse
from vns.rulebook.documents import Document, RulesChange

MAX_POOL_SIZE = 100_000_000
MAX_TEXT = 200  # characters of a name, or of where a proof is filed
MAX_INTEGER = 2**31 - 1  # of the schema: seconds, numbers
STRIPES = 16  # parts of a pool that allocators can take never-used numbers from at the same time
MIN_STRIPE = 1_000  # numbers; smaller pools have fewer stripes


class Service(StrEnum):
    """The kinds of number on offer."""

    PERSONAL = "050"
    VOIP = "070"
    REPRESENTATIVE = "1877"


class Mode(StrEnum):
    """How parties reach one another through a virtual number."""

    ONE_WAY = "one_way"
    BIDIRECTIONAL = "bidirectional"
    PER_SIDE = "per_side"
    EXTENSION = "extension"
    GROUP = "group"
    OUTBOUND = "outbound"


class ManagedBy(StrEnum):
    """Who chooses numbers of a pool: the platform, or the customer who owns it and gives them out by name."""

    PLATFORM = "platform"
    CUSTOMER = "customer"


# Carriers do not take a forwarding 050 as a sender, so modes that present the VN need another service by default.
DEFAULT_MODES: dict[Service, frozenset[Mode]] = {
    Service.PERSONAL: frozenset({Mode.ONE_WAY, Mode.EXTENSION}),
    Service.VOIP: frozenset(Mode),
    Service.REPRESENTATIVE: frozenset(Mode),
}

_KIND_OF_SERVICE = {
    Service.PERSONAL: NumberKind.SAFE,
    Service.VOIP: NumberKind.VOIP,
    Service.REPRESENTATIVE: NumberKind.REPRESENTATIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPool:
    """What a pool is created from. `first` and `last` are keys (see vns.numbering), both inside the pool."""

    name: str
    service: Service
    first: int
    last: int
    owner_id: UUID | None = None
    modes: frozenset[Mode] | None = None  # None: the service's default
    sms_sender_proof: str | None = None
    quarantine_seconds: int = 7 * 24 * 3600
    default_ttl_seconds: int | None = None
    low_water: int | None = None  # None: one percent of the pool
    managed_by: ManagedBy = ManagedBy.PLATFORM
    rules: RulesChange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolChange:
    """What PATCH may change. None leaves a field as it is; number lists are keys."""

    name: str | None = None
    modes: frozenset[Mode] | None = None
    sms_sender_proof: str | None = None
    quarantine_seconds: int | None = None
    default_ttl_seconds: int | None = None
    low_water: int | None = None
    locked: bool | None = None
    managed_by: ManagedBy | None = None
    lock: tuple[int, ...] = ()
    reserve: tuple[int, ...] = ()
    unhold: tuple[int, ...] = ()
    rules: RulesChange | None = None  # merged into what stands there, field by field


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool as stored."""

    id: UUID
    name: str
    service: Service
    first: int
    last: int
    owner_id: UUID | None
    modes: frozenset[Mode]
    sms_sender_proof: str | None
    quarantine_seconds: int
    default_ttl_seconds: int | None
    low_water: int
    locked: bool
    created_at: datetime
    managed_by: ManagedBy = ManagedBy.PLATFORM
    rules: Document | None = None  # as they may be shown

    def offers(self, mode: Mode) -> bool:
        return mode in self.modes

    def open_to(self, tenant_id: UUID) -> bool:
        return self.owner_id is None or self.owner_id == tenant_id

    def __contains__(self, key: int) -> bool:
        return self.first <= key <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCounts:
    """How many numbers of a pool are in which state; the five add up but that a locked number may be live as well."""

    total: int
    free: int
    live: int
    quarantined: int
    locked: int


def check_text(field: str, text: str | None, longest: int) -> None:
    """Raises InvalidRequest for what is empty, too long, or cannot be stored: PostgreSQL takes no NUL."""
    if text is None:
        return
    if not 1 <= len(text) <= longest:
        raise InvalidRequest(f"{field} has 1 to {longest} characters")
    try:
        text.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise InvalidRequest(f"{field} is not text") from error
    if "\0" in text:
        raise InvalidRequest(f"{field} has a character that cannot be stored")


def check_settings(settings: NewPool | PoolChange) -> None:
    """Raises InvalidRequest for what no pool can have."""
    check_text("name", settings.name, MAX_TEXT)
    check_text("sms_sender_proof", settings.sms_sender_proof, MAX_TEXT)
    for field, value, least in (
        ("quarantine_seconds", settings.quarantine_seconds, 0),
        ("default_ttl_seconds", settings.default_ttl_seconds, 1),
        ("low_water", settings.low_water, 0),
    ):
        if value is not None and not least <= value <= MAX_INTEGER:
            raise InvalidRequest(f"{field} is {least} to {MAX_INTEGER}")


def range_of(service: Service, first: str, last: str) -> tuple[int, int]:
    """The keys of a range as typed. Raises InvalidNumber, or InvalidRequest when the range fits no pool."""
    start, end = parse(first), parse(last)
    for number in (start, end):
        if number.kind is not _KIND_OF_SERVICE[service]:
            raise InvalidRequest(f"a number of the range is not of service {service}")
    if service is Service.REPRESENTATIVE and not start.digits.startswith(end.digits[:4]):
        raise InvalidRequest("a range of representative numbers stays within one prefix")
    if service is Service.PERSONAL and start.digits[:4] != end.digits[:4]:
        raise InvalidRequest("a range of 050 numbers stays within one prefix")
    if start.digits.startswith("0502"):
        raise InvalidRequest("0502 is not a prefix that pools may use")
    if len(start.digits) != len(end.digits) or start.key > end.key:
        raise InvalidRequest("first and last have the same length, and first is not after last")
    if end.key - start.key >= MAX_POOL_SIZE:
        raise InvalidRequest(f"a pool has at most {MAX_POOL_SIZE} numbers")
    return start.key, end.key


def stripes_of(first: int, last: int) -> list[tuple[int, int]]:
    """Cut [first, last] into at most STRIPES runs of almost equal length, as (first, last) of each."""
    total = last - first + 1
    count = max(1, min(STRIPES, total // MIN_STRIPE))
    cuts = [first + total * part // count for part in range(count + 1)]
    return [(cuts[part], cuts[part + 1] - 1) for part in range(count)]
