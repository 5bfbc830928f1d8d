"""What a pool is: a range of virtual numbers with a service, an owner and what the numbers may be used for."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from vns.errors import InvalidRequest
from vns.numbering.rules import NumberKind, parse
from vns.rulebook.documents import Document, RulesChange

MAX_POOL_SIZE = 100_000_000
MAX_TEXT = 200  # characters of a name, or of where a proof is filed
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)  # the schema's "never"
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


class Proof(StrEnum):
    """What the numbers of a pool are proven for: to be shown on calls, to be shown on texts."""

    VOICE = "voice"
    SMS = "sms"


# Carriers do not take a forwarding 050 as a sender, so modes that present the VN need another service by default.
DEFAULT_MODES: dict[Service, frozenset[Mode]] = {
    Service.PERSONAL: frozenset({Mode.ONE_WAY, Mode.EXTENSION}),
    Service.VOIP: frozenset(Mode),
    Service.REPRESENTATIVE: frozenset(Mode),
}

# Carriers take a text from whoever holds a 070 or representative number, and the operator who makes a pool of such
# numbers says that they are allotted. Of a 050 they want to see the paper.
_PROVEN_BY_DEFAULT = frozenset({Service.VOIP, Service.REPRESENTATIVE})
DEFAULT_PROOF = "by default: the operator's own allotment"

_KIND_OF_SERVICE = {
    Service.PERSONAL: NumberKind.SAFE,
    Service.VOIP: NumberKind.VOIP,
    Service.REPRESENTATIVE: NumberKind.REPRESENTATIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPool:
    """What a pool is created from. `first` and `last` are keys (see vns.numbering), both inside the pool.

    A proof says where it is filed. That of texts proves calls too, unless calls have one of their own.
    """

    name: str
    service: Service
    first: int
    last: int
    owner_id: UUID | None = None
    modes: frozenset[Mode] | None = None  # None: the service's default
    sms_sender_proof: str | None = None
    voice_proof: str | None = None
    voice_proof_until: datetime | None = None  # None: it has no end
    quarantine_seconds: int = 7 * 24 * 3600
    default_ttl_seconds: int | None = None
    low_water: int | None = None  # None: one percent of the pool
    managed_by: ManagedBy = ManagedBy.PLATFORM
    rules: RulesChange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolChange:
    """What PATCH may change. None leaves a field as it is; number lists are keys.

    A new `voice_proof` has the end that comes with it; the end alone changes that of what is on file.
    """

    name: str | None = None
    modes: frozenset[Mode] | None = None
    sms_sender_proof: str | None = None
    voice_proof: str | None = None
    voice_proof_until: datetime | None = None
    withdraw_proofs: frozenset[Proof] = frozenset()
    quarantine_seconds: int | None = None
    default_ttl_seconds: int | None = None
    low_water: int | None = None
    locked: bool | None = None
    managed_by: ManagedBy | None = None
    lock: tuple[int, ...] = ()
    reserve: tuple[int, ...] = ()
    unhold: tuple[int, ...] = ()
    rules: RulesChange | None = None  # merged into what stands there, field by field

    @property
    def names_proofs(self) -> bool:
        """Whether another caller ID may come of it."""
        return bool(self.sms_sender_proof or self.voice_proof or self.voice_proof_until or self.withdraw_proofs)


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
    voice_proof: str | None
    voice_proof_until: datetime | None
    quarantine_seconds: int
    default_ttl_seconds: int | None
    low_water: int
    locked: bool
    created_at: datetime
    managed_by: ManagedBy = ManagedBy.PLATFORM
    rules: Document | None = None  # as they may be shown

    def offers(self, mode: Mode) -> bool:
        return mode in self.modes

    def may_be_shown(self, at: datetime) -> bool:
        """Whether its numbers may be presented on a call."""
        return self.voice_proof is not None and (self.voice_proof_until is None or self.voice_proof_until > at)

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


def default_sms_proof(service: Service) -> str | None:
    """What is filed for a new pool of which nobody said what proves its numbers."""
    return DEFAULT_PROOF if service in _PROVEN_BY_DEFAULT else None


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
    check_text("voice_proof", settings.voice_proof, MAX_TEXT)
    for field, value, least in (
        ("quarantine_seconds", settings.quarantine_seconds, 0),
        ("default_ttl_seconds", settings.default_ttl_seconds, 1),
        ("low_water", settings.low_water, 0),
    ):
        if value is not None and not least <= value <= MAX_INTEGER:
            raise InvalidRequest(f"{field} is {least} to {MAX_INTEGER}")


def check_proofs(settings: NewPool | PoolChange, now: datetime) -> None:
    """Raises InvalidRequest for a proof that is over already, has an end only, or is filed and withdrawn at once."""
    if settings.voice_proof_until is not None and settings.voice_proof_until <= now:
        raise InvalidRequest("voice_proof_until lies in the future")
    if isinstance(settings, NewPool):
        if settings.voice_proof_until is not None and not (settings.voice_proof or settings.sms_sender_proof):
            raise InvalidRequest("voice_proof_until is the end of a proof: name where that is filed")
        return
    filed = {Proof.VOICE: settings.voice_proof or settings.voice_proof_until, Proof.SMS: settings.sms_sender_proof}
    if any(filed[proof] for proof in settings.withdraw_proofs):
        raise InvalidRequest("a proof is filed or withdrawn, not both")


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
