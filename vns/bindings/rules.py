"""What a binding is, what may be asked for, and when it ends. Pure."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from vns.errors import ExpiresTooSoon, InvalidRequest, ModeNotSupported, SameParty
from vns.numbering.rules import PhoneNumber, mappable
from vns.pools.rules import MAX_INTEGER, Mode, Service, check_text

MIN_LIFE = timedelta(seconds=60)  # an absolute expiry lies at least this far ahead
MAX_REFERENCE = 128  # characters
MAX_KEY = 255  # characters of an Idempotency-Key
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)  # the schema's "never"
BUILT_MODES = frozenset({Mode.ONE_WAY, Mode.BIDIRECTIONAL})
DEFAULT_SERVICE = {Mode.ONE_WAY: Service.PERSONAL, Mode.BIDIRECTIONAL: Service.VOIP}


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


BOTH_CHANNELS = frozenset(Channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationRequest:
    """One binding asked for. Numbers are parsed; `pool` is a pool's id or name; `virtual_number` a key."""

    mode: Mode
    real_number: PhoneNumber
    peer_number: PhoneNumber | None = None
    service: Service | None = None
    pool: str | None = None
    virtual_number: int | None = None
    expires_at: datetime | None = None
    ttl_seconds: int | None = None
    expire_after_call: bool = False
    reference: str | None = None
    purpose: str = "delivery"
    channels: frozenset[Channel] = BOTH_CHANNELS
    caller_id: CallerId | None = None
    ensure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingChange:
    """What PATCH may change; None leaves a field as it is. `clear_expires_at` takes the absolute end away."""

    real_number: PhoneNumber | None = None
    peer_number: PhoneNumber | None = None
    expires_at: datetime | None = None
    clear_expires_at: bool = False
    ttl_seconds: int | None = None
    clear_ttl_seconds: bool = False
    expire_after_call: bool | None = None
    channels: frozenset[Channel] | None = None
    caller_id: CallerId | None = None
    reference: str | None = None


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

    @property
    def exposes(self) -> tuple[str, ...]:
        """Whose real number the other side will see."""
        if self.mode is Mode.ONE_WAY and self.caller_id is CallerId.CALLER:
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
    if request.mode not in BUILT_MODES:
        raise ModeNotSupported(f"mode {request.mode} is not offered")
    mappable(request.real_number)
    if request.mode is Mode.BIDIRECTIONAL:
        _check_pair(request)
    elif request.peer_number is not None:
        raise InvalidRequest("peer_number belongs to mode bidirectional")
    if not request.channels:
        raise InvalidRequest("channels must name at least one channel")
    check_text("reference", request.reference, MAX_REFERENCE)
    check_text("purpose", request.purpose, MAX_REFERENCE)
    check_expiry(request.expires_at, request.ttl_seconds, now)


def _check_pair(request: AllocationRequest) -> None:
    if request.peer_number is None:
        raise InvalidRequest("mode bidirectional needs peer_number")
    mappable(request.peer_number)
    if request.peer_number.digits == request.real_number.digits:
        raise SameParty("real_number and peer_number are the same number")
    if request.caller_id is CallerId.CALLER:
        raise InvalidRequest("mode bidirectional always presents the virtual number")


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
    fields["channels"] = sorted(request.channels)
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).digest()


def cipher_context(binding_id: UUID, side: Side) -> bytes:
    """What an encrypted number is tied to, so that it cannot be moved to another binding or side."""
    return b"binding:" + binding_id.bytes + side.encode()


class IndexOf(Protocol):
    """The shape of KeyRing.index: digits to the 16 bytes of the blind index."""

    def __call__(self, digits: str) -> bytes: ...


def lock_key(index: bytes) -> int:
    """The advisory lock of a party, by its blind index."""
    return int.from_bytes(index[:8], "big", signed=True)
