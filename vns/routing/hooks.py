"""Where tenants want to be asked before one of their bindings connects anybody: set, shown, taken away."""

import re
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from vns.access.rules import Principal
from vns.crypto.rules import KeyRing
from vns.errors import InvalidRequest, NotFound
from vns.routing import queries
from vns.routing.service import OnFailure, hook_context
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.revocation import Revocations

SHORTEST_SECRET, LONGEST_SECRET = 16, 128  # characters
LONGEST_URL: Final = 500  # characters
SHORTEST_DEADLINE, LONGEST_DEADLINE = 50, 1_500  # milliseconds: a caller hears nothing meanwhile
DEFAULT_DEADLINE: Final = 700

_HOST_AND_PORT: Final = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:@]+))(?::[0-9]*)?")
_FOUR_NUMBERS: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3}")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NewHook:
    url: str
    secret: str
    deadline_ms: int = DEFAULT_DEADLINE
    on_failure: OnFailure = OnFailure.ALLOW


@dataclass(frozen=True, slots=True, kw_only=True)
class HookShown:
    """A hook without its secret."""

    url: str
    deadline_ms: int
    on_failure: OnFailure
    changed_at: datetime


class Hooks:
    """One hook a tenant. In force with the next call and text."""

    def __init__(self, db: Database, keyring: KeyRing, clock: Clock, copies: Revocations | None = None) -> None:
        """`copies`: what bridges may have copied of the tenant is taken back before a new hook is acknowledged."""
        self._db = db
        self._copies = copies
        self._keyring = keyring
        self._clock = clock

    async def put(self, principal: Principal, hook: NewHook) -> HookShown:
        """Set the tenant's hook, in place of any before it. Raises InvalidRequest, Unavailable."""
        check_hook(hook)
        tenant_id, now = principal.tenant_id, self._clock.now()
        secret = self._keyring.encrypt(hook.secret, context=hook_context(tenant_id))
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(
                queries.PUT_HOOK, tenant_id, hook.url, secret, hook.deadline_ms, hook.on_failure.value, now
            )
            await journal.append(connection, [_entry(principal, "hook.changed", now)])
        if self._copies is not None:
            await self._copies.revoke_all()
        return _shown(row)

    async def get(self, principal: Principal) -> HookShown:
        """Raises NotFound where there is none."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.GET_HOOK, principal.tenant_id)
        if row is None:
            raise NotFound("no hook is set")
        return _shown(row)

    async def remove(self, principal: Principal) -> HookShown:
        """Nobody is asked any more. Raises NotFound where there is none."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(queries.DELETE_HOOK, principal.tenant_id)
            if row is None:
                raise NotFound("no hook is set")
            await journal.append(connection, [_entry(principal, "hook.removed", self._clock.now())])
        return _shown(row)


def check_hook(hook: NewHook) -> None:
    """Raises InvalidRequest for what no hook can have."""
    try:
        parts = urlsplit(hook.url)
        usable = parts.scheme in ("http", "https") and _names_a_host(parts.netloc) and parts.port != 0
        bare = parts.username is None and parts.password is None and not parts.fragment
    except ValueError:
        usable = bare = False
    plain = hook.url.isascii() and hook.url.isprintable() and " " not in hook.url and len(hook.url) <= LONGEST_URL
    if not (usable and bare and plain):
        raise InvalidRequest("url is an http or https address without user, password and fragment")
    if not (SHORTEST_SECRET <= len(hook.secret) <= LONGEST_SECRET and hook.secret.isascii()):
        raise InvalidRequest(f"secret has {SHORTEST_SECRET} to {LONGEST_SECRET} ASCII characters")
    if not SHORTEST_DEADLINE <= hook.deadline_ms <= LONGEST_DEADLINE:
        raise InvalidRequest(f"deadline_ms is {SHORTEST_DEADLINE} to {LONGEST_DEADLINE}")


def _names_a_host(netloc: str) -> bool:
    """Whether the client of hooks (hooks.client) can call it. Raises ValueError for what looks like an IP address and
    is none: urlsplit would take it, and that client would not.
    """
    found = _HOST_AND_PORT.fullmatch(netloc)
    if found is None:
        return False
    in_brackets, name = found.groups()
    if in_brackets is not None:
        IPv6Address(in_brackets)
    elif _FOUR_NUMBERS.fullmatch(name):
        IPv4Address(name)
    return True


def _shown(row: asyncpg.Record) -> HookShown:
    return HookShown(
        url=row["url"],
        deadline_ms=row["deadline_ms"],
        on_failure=OnFailure(row["on_failure"]),
        changed_at=row["changed_at"],
    )


def _entry(principal: Principal, event: str, now: datetime) -> journal.Entry:
    """Without the address: it may hold a token of the tenant's."""
    return journal.Entry(at=now, tenant_id=principal.tenant_id, actor=principal.actor, event=event)
