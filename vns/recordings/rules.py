"""What is known of a recorded call, and the links through which it is heard. Pure."""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from vns.crypto.rules import KeyRing

PURPOSE: Final = "recording link"
_LONGEST: Final = 10  # digits of an expiry; the year 2286


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """`size` in bytes and `seconds`: of the wav file."""

    id: UUID
    call_id: UUID
    size: int
    seconds: float
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Whoever has it may hear the recording until `expires_at`."""

    recording_id: UUID
    expires_at: datetime
    signature: str

    @property
    def expires(self) -> str:
        """As it stands in the link."""
        return str(int(self.expires_at.timestamp()))

    @property
    def name(self) -> str:
        """How the journal tells links apart; not enough to use one."""
        return self.signature[:8]


def make_link(keyring: KeyRing, recording_id: UUID, expires_at: datetime) -> Link:
    """Whole seconds count."""
    whole = expires_at.replace(microsecond=0)
    expires = str(int(whole.timestamp()))
    return Link(recording_id=recording_id, expires_at=whole, signature=_signature(keyring, recording_id, expires))


def read_link(keyring: KeyRing, recording_id: UUID, expires: str, signature: str, now: datetime) -> Link | None:
    """The link that was made with these words; None: there is none, or its time is over."""
    if not (expires.isascii() and expires.isdigit() and len(expires) <= _LONGEST and signature.isascii()):
        return None
    if not hmac.compare_digest(signature, _signature(keyring, recording_id, expires)):
        return None
    expires_at = datetime.fromtimestamp(int(expires), UTC)
    if now >= expires_at:
        return None
    return Link(recording_id=recording_id, expires_at=expires_at, signature=signature)


def _signature(keyring: KeyRing, recording_id: UUID, expires: str) -> str:
    return keyring.sign(PURPOSE, f"{recording_id} {expires}".encode()).hex()


def key_context(call_id: UUID) -> bytes:
    """What the wrapped key of a recording is bound to."""
    return f"recordings:{call_id}:key".encode()
