"""What a binding is, what may be asked for, and when it ends. Pure."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from vns.errors import ExpiresTooSoon, InvalidRequest, SameParty
from vns.numbering.rules import PhoneNumber, mappable
from vns.pools.rules import FOREVER, MAX_INTEGER, Mode, Service, check_text
from vns.rulebook.documents import Document, RulesChange

MIN_LIFE = timedelta(seconds=60)  # an absolute expiry lies at least this far ahead
MAX_REFERENCE = 128  # characters
MAX_KEY = 255  # characters of an Idempotency-Key
MAX_MEMBERS = 50  # of a team
DEFAULT_SERVICE = {
    Mode.ONE_WAY: Service.PERSONAL,
    Mode.EXTENSION: Service.PERSONAL,
    Mode.BIDIRECTIONAL: Service.VOIP,
    Mode.PER_SIDE: Service.VOIP,
    Mode.GROUP: Service.VOIP,
    Mode.OUTBOUND: Service.VOIP,
}
EXCLUSIVE_MODES = frozenset({Mode.ONE_WAY, Mode.OUTBOUND})  # the number is one binding's alone
PLAIN_MODES = frozenset({Mode.ONE_WAY, Mode.BIDIRECTIONAL})  # without columns, rows or names of their own
_TWO_PARTIES = frozenset({Mode.BIDIRECTIONAL, Mode.PER_SIDE})
_SHOW_CALLERS = frozenset({Mode.ONE_WAY, Mode.EXTENSION})  # the caller's own number may be presented
_EXTENSION = re.compile(r"[0-9]{2,8}")


class Channel(StrEnum):
    VOICE = "voice"
    SMS = "sms"


class CallerId(StrEnum):
    """What a one-way target sees: the caller's own number, or the virtual number."""

    CALLER = "caller"
    VIRTUAL = "virtual"


class Status(StrEnum):
    ACTIVE = "active"
    RELEASED = "released"
    EXPIRED = "expired"
    CONSUMED = "consumed"


class Side(StrEnum):
    """Which party of a binding somebody is."""

    REAL = "real"
    PEER = "peer"


class Ring(StrEnum):
    """How a team is called: one after the other, or all at once."""

    ORDER = "order"
    ALL = "all"


BOTH_CHANNELS = frozenset(Channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationRequest:
    """One binding asked for. Numbers are parsed; `pool` is a pool's id or name; virtual numbers are keys.

    `peer_virtual_number`: per_side only, what real_number dials. `members` and `ring`: group only. `extension`: the
    digits wished for.
    """

    mode: Mode
    real_number: PhoneNumber
    peer_number: PhoneNumber | None = None
    service: Service | None = None
    pool: str | None = None
    virtual_number: int | None = None
    peer_virtual_number: int | None = None
    extension: str | None = None
    members: tuple[PhoneNumber, ...] = ()
    ring: Ring | None = None
    expires_at: datetime | None = None
    ttl_seconds: int | None = None
    expire_after_call: bool = False
    reference: str | None = None
    purpose: str = "delivery"
    channels: frozenset[Channel] = BOTH_CHANNELS
    caller_id: CallerId | None = None
    rules: RulesChange | None = None
    ensure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingChange:
    """What PATCH may change; None leaves a field as it is. `clear_expires_at` takes the absolute end away.

    `members` is a whole new team; `add_members` and `remove_members` change the one that is there.
    """

    real_number: PhoneNumber | None = None
    peer_number: PhoneNumber | None = None
    members: tuple[PhoneNumber, ...] | None = None
    add_members: tuple[PhoneNumber, ...] = ()
    remove_members: tuple[PhoneNumber, ...] = ()
    ring: Ring | None = None
    expires_at: datetime | None = None
    clear_expires_at: bool = False
    ttl_seconds: int | None = None
    clear_ttl_seconds: bool = False
    expire_after_call: bool | None = None
    channels: frozenset[Channel] | None = None
    caller_id: CallerId | None = None
    reference: str | None = None
    rules: RulesChange | None = None  # merged into what stands there, field by field


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A binding as its owner may see it: real numbers masked, the virtual number a key."""

    id: UUID
    tenant_id: UUID
    mode: Mode
    status: Status
    vn: int
    real_masked: str
    peer_masked: str | None
    reference: str | None
    purpose: str
    expires_at: datetime | None  # the effective end as of now: absolute or sliding, whichever comes first
    ttl_seconds: int | None
    expire_after_call: bool
    channels: frozenset[Channel]
    caller_id: CallerId
    created_at: datetime
    ended_at: datetime | None
    rules: Document | None = None  # its own, as they may be shown
    peer_vn: int | None = None  # per_side: dialling it reaches the peer
    extension: str | None = None
    members_masked: tuple[str, ...] | None = None  # of a group, in ring order
    ring: Ring | None = None

    @property
    def exposes(self) -> tuple[str, ...]:
        """Whose real number the other side will see."""
        if self.mode in _SHOW_CALLERS and self.caller_id is CallerId.CALLER:
            return ("caller",)
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The answer to an allocation: `created` is False for a live binding that `ensure` found.

    A replay by Idempotency-Key carries the answer as first given in `stored_status` and `stored_body`.
    """

    binding: Binding | None
    created: bool
    stored_status: int | None = None
    stored_body: str | None = None


def check_request(request: AllocationRequest, now: datetime) -> None:
    """Everything about a request that needs no database. Raises the errors of the class tree under InvalidRequest."""
    mappable(request.real_number)
    _check_peer(request)
    _check_team(request)
    if request.peer_virtual_number is not None:
        _only_in(request.mode, Mode.PER_SIDE, "peer_virtual_number")
        if request.peer_virtual_number == request.virtual_number:
            raise InvalidRequest("virtual_number and peer_virtual_number are two numbers")
    if request.extension is not None:
        _only_in(request.mode, Mode.EXTENSION, "extension")
        if not _EXTENSION.fullmatch(request.extension):
            raise InvalidRequest("extension has 2 to 8 digits")
    if request.caller_id is CallerId.CALLER and request.mode not in _SHOW_CALLERS:
        raise InvalidRequest(f"mode {request.mode} always presents a virtual number")
    if not request.channels:
        raise InvalidRequest("channels must name at least one channel")
    check_text("reference", request.reference, MAX_REFERENCE)
    check_text("purpose", request.purpose, MAX_REFERENCE)
    check_expiry(request.expires_at, request.ttl_seconds, now)


def _only_in(mode: Mode, owner: Mode, field: str) -> None:
    if mode is not owner:
        raise InvalidRequest(f"{field} belongs to mode {owner}")


def _check_peer(request: AllocationRequest) -> None:
    if request.mode not in _TWO_PARTIES:
        if request.peer_number is not None:
            raise InvalidRequest("peer_number belongs to modes bidirectional and per_side")
        return
    if request.peer_number is None:
        raise InvalidRequest(f"mode {request.mode} needs peer_number")
    mappable(request.peer_number)
    if request.peer_number.digits == request.real_number.digits:
        raise SameParty("real_number and peer_number are the same number")


def _check_team(request: AllocationRequest) -> None:
    if request.mode is Mode.GROUP:
        check_members(request.members, request.real_number.digits)
        return
    if request.members:
        _only_in(request.mode, Mode.GROUP, "members")
    if request.ring is not None:
        _only_in(request.mode, Mode.GROUP, "ring")


def check_members(members: Sequence[PhoneNumber], real_digits: str | None) -> None:
    """A team as it may stand beside its other side. Raises InvalidRequest, SameParty, NumberNotMappable."""
    if not 1 <= len(members) <= MAX_MEMBERS:
        raise InvalidRequest(f"members are 1 to {MAX_MEMBERS} numbers")
    for member in members:
        mappable(member)
    digits = [member.digits for member in members]
    if len(set(digits)) < len(digits):
        raise SameParty("a member is named twice")
    if real_digits in digits:
        raise SameParty("real_number is one of the members")


def check_expiry(expires_at: datetime | None, ttl_seconds: int | None, now: datetime) -> None:
    """Raises ExpiresTooSoon, or InvalidRequest for a time without zone, one of no calendar, or a ttl out of range."""
    if expires_at is not None:
        if expires_at.tzinfo is None:
            raise InvalidRequest("expires_at needs a time zone")
        try:
            expires_at.astimezone(UTC)
        except OverflowError as error:
            raise InvalidRequest("expires_at lies beyond the year 9999") from error
        if expires_at < now + MIN_LIFE:
            raise ExpiresTooSoon("expires_at lies less than 60 seconds ahead")
    if ttl_seconds is not None and not 1 <= ttl_seconds <= MAX_INTEGER:
        raise InvalidRequest(f"ttl_seconds is 1 to {MAX_INTEGER}")


def absolute_end(expires_at: datetime | None) -> datetime | None:
    """As it is stored: nothing lies beyond "never", least of all what the driver takes for infinity."""
    return min(expires_at, FOREVER) if expires_at is not None else None


def effective_end(expires_at: datetime | None, ttl_seconds: int | None, last_connected: datetime) -> datetime:
    """When a binding ends if nothing more happens: the sliding end never passes the absolute one."""
    absolute = absolute_end(expires_at) or FOREVER
    if ttl_seconds is None:
        return absolute
    return min(absolute, last_connected + timedelta(seconds=ttl_seconds))


def end_of_quarantine(ends_at: datetime, quarantine_seconds: int) -> datetime:
    """When the number of a binding that ends at `ends_at` is free again."""
    if ends_at >= FOREVER - timedelta(seconds=quarantine_seconds):
        return FOREVER
    return ends_at + timedelta(seconds=quarantine_seconds)


def current_status(status: Status, ends_at: datetime, now: datetime) -> Status:
    """A stored `active` is over once its end has come, whether or not the worker has written so."""
    return Status.EXPIRED if status is Status.ACTIVE and ends_at <= now else status


def request_fingerprint(request: AllocationRequest, index_of: "IndexOf") -> bytes:
    """32 bytes that tell whether an Idempotency-Key is used for the same request; numbers only as blind index."""
    fields = asdict(request)
    fields["real_number"] = index_of(request.real_number.digits).hex()
    fields["peer_number"] = index_of(request.peer_number.digits).hex() if request.peer_number else None
    fields["members"] = [index_of(member.digits).hex() for member in request.members]
    fields["channels"] = sorted(request.channels)
    fields["rules"] = _rules_fingerprint(request.rules, index_of)
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).digest()


def _rules_fingerprint(rules: RulesChange | None, index_of: "IndexOf") -> list[object] | None:
    if rules is None:
        return None
    fallback = index_of(rules.fallback.digits).hex() if rules.fallback is not None else None
    return [dict(rules.given), sorted(rules.removed), fallback]


def seats_of(
    mode: Mode,
    vn: int,
    real: bytes,
    *,
    peer: bytes | None = None,
    peer_vn: int | None = None,
    members: Sequence[bytes] = (),
) -> set[tuple[int, bytes]]:
    """The seats (virtual number, party) that a binding takes: where each party is known by the number it dials."""
    match mode:
        case Mode.BIDIRECTIONAL if peer is not None:
            return {(vn, real), (vn, peer)}
        case Mode.PER_SIDE if peer is not None and peer_vn is not None:
            return {(vn, peer), (peer_vn, real)}
        case Mode.GROUP:
            return {(vn, real), *((vn, member) for member in members)}
        case Mode.EXTENSION:
            return {(vn, real)}
        case _:
            return set()


def cipher_context(binding_id: UUID, side: Side) -> bytes:
    """What an encrypted number is tied to, so that it cannot be moved to another binding or side."""
    return b"binding:" + binding_id.bytes + side.encode()


def member_context(binding_id: UUID, party: bytes) -> bytes:
    """The same for a member of a group's team, by blind index: members change places, not numbers."""
    return b"member:" + binding_id.bytes + party


def last_caller_context(binding_id: UUID) -> bytes:
    """The same for the number that the owner of an extension reaches by calling back."""
    return b"last caller:" + binding_id.bytes


class IndexOf(Protocol):
    """The shape of KeyRing.index: digits to the 16 bytes of the blind index."""

    def __call__(self, digits: str) -> bytes: ...


def lock_key(index: bytes) -> int:
    """The advisory lock of a party, by its blind index."""
    return int.from_bytes(index[:8], "big", signed=True)
