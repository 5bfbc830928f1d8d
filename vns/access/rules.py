"""Who may do what: tenants, the scopes of their keys, and what a request acts as. Pure."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from vns.errors import Forbidden, InvalidRequest

KEY_PREFIX: Final = "vns_"
HINT_LENGTH: Final = 10  # characters of a key that are kept for people to tell keys apart: 6 of 43 random ones
MAX_NAME: Final = 200  # characters

_KEY = re.compile(r"vns_[A-Za-z0-9_-]{43}")  # 32 random bytes in base64url
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # a tenant is named by its code or its id


class TenantKind(StrEnum):
    MALL = "mall"
    COURIER = "courier"
    OPERATOR = "operator"


class TenantStatus(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"


class Scope(StrEnum):
    """What a key may be used for."""

    BINDINGS_WRITE = "bindings:write"
    BINDINGS_READ = "bindings:read"
    DELIVERIES_READ = "deliveries:read"
    CALLS_READ = "calls:read"
    MESSAGES_READ = "messages:read"
    MESSAGES_WRITE = "messages:write"
    POOLS_READ = "pools:read"
    POOLS_WRITE = "pools:write"
    RULES_WRITE = "rules:write"
    RECORDINGS_READ = "recordings:read"
    SENDERS_READ = "senders:read"
    SENDERS_WRITE = "senders:write"
    SENDERS_REVIEW = "senders:review"


SCOPES_OF: Final[dict[TenantKind, frozenset[Scope]]] = {
    TenantKind.MALL: frozenset(
        {
            Scope.BINDINGS_WRITE,
            Scope.BINDINGS_READ,
            Scope.CALLS_READ,
            Scope.MESSAGES_READ,
            Scope.MESSAGES_WRITE,
            Scope.POOLS_READ,
            Scope.RULES_WRITE,
            Scope.RECORDINGS_READ,
            Scope.SENDERS_READ,
            Scope.SENDERS_WRITE,
        }
    ),
    TenantKind.COURIER: frozenset({Scope.DELIVERIES_READ}),
    TenantKind.OPERATOR: frozenset(
        {
            Scope.BINDINGS_READ,
            Scope.CALLS_READ,
            Scope.MESSAGES_READ,
            Scope.POOLS_READ,
            Scope.POOLS_WRITE,
            Scope.RULES_WRITE,
            Scope.SENDERS_REVIEW,
        }
    ),
}
"""The scopes that keys of a kind of tenant may have, and have where none are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a request acts as. `mall_ids`: the malls whose deliveries a courier may look up.

    `acting`: who does it in the tenant's place, without a key of the tenant's: an operator on the command line.
    """

    tenant_id: UUID
    tenant_code: str
    tenant_kind: TenantKind
    key_id: UUID
    scopes: frozenset[Scope]
    requests_per_second: int | None = None
    max_live_bindings: int | None = None
    mall_ids: tuple[UUID, ...] = ()
    acting: str | None = None

    @property
    def actor(self) -> str:
        """How the journal names this principal."""
        return self.acting or f"key:{self.key_id}"

    def require(self, scope: Scope) -> None:
        """Raises Forbidden when the key lacks `scope`."""
        if scope not in self.scopes:
            raise Forbidden(f"the key lacks the scope {scope}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A customer, or the operator itself. Limits of None: no limit."""

    id: UUID
    code: str
    name: str
    kind: TenantKind
    status: TenantStatus
    max_live_bindings: int | None
    requests_per_second: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTenant:
    code: str
    name: str
    kind: TenantKind
    max_live_bindings: int | None = None
    requests_per_second: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as stored: the secret itself is not kept."""

    id: UUID
    tenant_id: UUID
    hint: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def valid_at(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """The one time a secret is seen. Its repr hides it."""

    key_id: UUID
    secret: str

    def __repr__(self) -> str:
        return f"IssuedKey(key_id={self.key_id}, secret={hint_of(self.secret)}…)"


def in_place_of(tenant: Tenant, actor: str) -> Principal:
    """`actor` doing what the tenant's own keys could do, with no look at the tenant's being suspended."""
    return Principal(
        tenant_id=tenant.id,
        tenant_code=tenant.code,
        tenant_kind=tenant.kind,
        key_id=UUID(int=0),
        scopes=SCOPES_OF[tenant.kind],
        requests_per_second=tenant.requests_per_second,
        max_live_bindings=tenant.max_live_bindings,
        acting=actor,
    )


def new_secret() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(32)


def looks_like_key(text: str) -> bool:
    """False for what cannot be a key, so that the database need not be asked."""
    return _KEY.fullmatch(text) is not None


def hash_of(secret: str) -> bytes:
    """SHA-256: a secret of 256 random bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def hint_of(secret: str) -> str:
    return secret[:HINT_LENGTH]


def check_tenant(new: NewTenant) -> None:
    """Raises InvalidRequest."""
    if not _CODE.fullmatch(new.code) or _ID.fullmatch(new.code):
        raise InvalidRequest("a tenant's code has 1 to 63 of a-z, 0-9 and -, not first a -, and is no UUID")
    if not 1 <= len(new.name) <= MAX_NAME:
        raise InvalidRequest(f"a tenant's name has 1 to {MAX_NAME} characters")
    check_quotas(new.max_live_bindings, new.requests_per_second)


def check_quotas(max_live_bindings: int | None, requests_per_second: int | None) -> None:
    """Raises InvalidRequest."""
    if max_live_bindings is not None and not 0 <= max_live_bindings < 2**31:
        raise InvalidRequest("max_live_bindings is at least 0")
    if requests_per_second is not None and not 1 <= requests_per_second < 2**31:
        raise InvalidRequest("requests_per_second is at least 1")


def allowed_scopes(kind: TenantKind, asked: frozenset[Scope] | None) -> frozenset[Scope]:
    """What a new key gets: what was asked for, else all of its kind. Raises InvalidRequest for more."""
    allowed = SCOPES_OF[kind]
    if asked is None:
        return allowed
    if not asked:
        raise InvalidRequest("a key needs at least one scope")
    if asked - allowed:
        raise InvalidRequest(f"keys of a {kind} cannot have {', '.join(sorted(asked - allowed))}")
    return asked
