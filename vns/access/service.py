"""Tenants and their keys: made, changed and recognised. Each act is journalled in its own transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from vns.access import queries
from vns.access.rules import (
    ApiKey,
    IssuedKey,
    NewTenant,
    Principal,
    Scope,
    Tenant,
    TenantKind,
    TenantStatus,
    allowed_scopes,
    check_quotas,
    check_tenant,
    hash_of,
    hint_of,
    looks_like_key,
    new_secret,
)
from vns.errors import Forbidden, InvalidRequest, NotFound, Unauthorized
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database

REMEMBERED_FOR: Final = timedelta(seconds=2)
"""How long a process goes on believing in a key: a revocation elsewhere takes effect within this time."""

_REMEMBERED_KEYS: Final = 10_000
_NOT_A_KEY: Final = "the key is unknown, expired or revoked"


@dataclass(frozen=True, slots=True)
class _Remembered:
    principal: Principal
    since: datetime
    until: datetime


class Access:
    """Tenants, keys and grants of one installation. A tenant is named by its code or its id."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._remembered: dict[bytes, _Remembered] = {}

    async def authenticate(self, secret: str) -> Principal:
        """Who holds `secret`. Raises Unauthorized, and Forbidden when the tenant is suspended."""
        if not looks_like_key(secret):
            raise Unauthorized(_NOT_A_KEY)
        secret_hash, now = hash_of(secret), self._clock.now()
        remembered = self._remembered.get(secret_hash)
        if remembered is not None and remembered.since <= now < remembered.until:
            return remembered.principal
        self._remembered.pop(secret_hash, None)
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.AUTHENTICATE, secret_hash)
        if row is None or row["revoked_at"] is not None:
            raise Unauthorized(_NOT_A_KEY)
        expires_at: datetime | None = row["expires_at"]
        if expires_at is not None and expires_at <= now:
            raise Unauthorized(_NOT_A_KEY)
        if row["status"] != TenantStatus.ACTIVE:
            raise Forbidden("the tenant is suspended")
        principal = _principal(row)
        until = now + REMEMBERED_FOR
        self._remember(secret_hash, _Remembered(principal, now, min(until, expires_at or until)))
        return principal

    def _remember(self, secret_hash: bytes, remembered: _Remembered) -> None:
        if len(self._remembered) >= _REMEMBERED_KEYS:
            self._remembered.clear()  # they are asked for again: a query each, and the memory stays bounded
        self._remembered[secret_hash] = remembered

    async def create_tenant(self, actor: str, new: NewTenant) -> Tenant:
        """Raises InvalidRequest, also when the code is taken."""
        check_tenant(new)
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(
                queries.INSERT_TENANT,
                new.code,
                new.name,
                new.kind,
                new.max_live_bindings,
                new.requests_per_second,
                self._clock.now(),
            )
            if row is None:
                raise InvalidRequest("a tenant of this code exists")
            tenant = _tenant(row)
            await self._note(connection, actor, "tenant.created", tenant, data={"kind": tenant.kind.value})
        return tenant

    async def list_tenants(self) -> list[Tenant]:
        async with self._db.connection() as connection:
            return [_tenant(row) for row in await connection.fetch(queries.SELECT_TENANTS)]

    async def get_tenant(self, tenant: UUID | str) -> Tenant:
        """Raises NotFound."""
        async with self._db.connection() as connection:
            return await _find(connection, queries.SELECT_TENANT, tenant)

    async def suspend_tenant(self, actor: str, tenant: UUID | str) -> Tenant:
        """Its keys stop working within REMEMBERED_FOR; its bindings live on. Raises NotFound."""
        return await self._set_status(actor, tenant, TenantStatus.SUSPENDED, "tenant.suspended")

    async def resume_tenant(self, actor: str, tenant: UUID | str) -> Tenant:
        """Raises NotFound."""
        return await self._set_status(actor, tenant, TenantStatus.ACTIVE, "tenant.resumed")

    async def _set_status(self, actor: str, tenant: UUID | str, status: TenantStatus, event: str) -> Tenant:
        async with self._db.transaction() as connection:
            found = await _find(connection, queries.LOCK_TENANT, tenant)
            if found.status is status:
                return found
            changed = _tenant(await connection.fetchrow(queries.SET_STATUS, found.id, status))
            await self._note(connection, actor, event, changed)
        self._remembered.clear()
        return changed

    async def set_quotas(
        self,
        actor: str,
        tenant: UUID | str,
        *,
        max_live_bindings: int | None,
        requests_per_second: int | None,
    ) -> Tenant:
        """Set both limits; None takes a limit away. Raises NotFound, InvalidRequest."""
        check_quotas(max_live_bindings, requests_per_second)
        async with self._db.transaction() as connection:
            found = await _find(connection, queries.LOCK_TENANT, tenant)
            changed = _tenant(
                await connection.fetchrow(queries.SET_QUOTAS, found.id, max_live_bindings, requests_per_second)
            )
            await self._note(
                connection,
                actor,
                "tenant.quotas_set",
                changed,
                data={"max_live_bindings": max_live_bindings, "requests_per_second": requests_per_second},
            )
        self._remembered.clear()
        return changed

    async def grant_lookup(self, actor: str, *, courier: UUID | str, mall: UUID | str) -> None:
        """Let a courier look a mall's deliveries up; idempotent. Raises NotFound, InvalidRequest."""
        await self._change_grant(actor, courier, mall, queries.INSERT_GRANT, "delivery_grant.created")

    async def revoke_lookup(self, actor: str, *, courier: UUID | str, mall: UUID | str) -> None:
        """Idempotent. Raises NotFound, InvalidRequest."""
        await self._change_grant(actor, courier, mall, queries.DELETE_GRANT, "delivery_grant.removed")

    async def list_grants(self) -> list[tuple[str, str]]:
        """Who may look up whose deliveries: codes of couriers and malls."""
        async with self._db.connection() as connection:
            return [(row["courier"], row["mall"]) for row in await connection.fetch(queries.SELECT_GRANTS)]

    async def _change_grant(
        self, actor: str, courier: UUID | str, mall: UUID | str, statement: str, event: str
    ) -> None:
        async with self._db.transaction() as connection:
            looks = await _find(connection, queries.SELECT_TENANT, courier)
            owns = await _find(connection, queries.SELECT_TENANT, mall)
            if (looks.kind, owns.kind) != (TenantKind.COURIER, TenantKind.MALL):
                raise InvalidRequest("a look-up is granted to a courier, by a mall")
            if await connection.fetchval(statement, looks.id, owns.id):
                await self._note(connection, actor, event, owns, data={"courier": looks.code})
        self._remembered.clear()

    async def issue_key(
        self,
        actor: str,
        tenant: UUID | str,
        scopes: frozenset[Scope] | None = None,
        *,
        expires_at: datetime | None = None,
    ) -> IssuedKey:
        """A new key with `scopes`, else with all of its kind of tenant. Raises NotFound, InvalidRequest."""
        async with self._db.transaction() as connection:
            found = await _find(connection, queries.SELECT_TENANT, tenant)
            granted = allowed_scopes(found.kind, scopes)
            issued = await self._insert_key(connection, found.id, granted, expires_at)
            await self._note(
                connection,
                actor,
                "key.issued",
                found,
                subject=issued.key_id,
                data={"scopes": sorted(scope.value for scope in granted)},
            )
        return issued

    async def _insert_key(
        self,
        connection: asyncpg.Connection,
        tenant_id: UUID,
        scopes: frozenset[Scope],
        expires_at: datetime | None,
    ) -> IssuedKey:
        secret = new_secret()
        key_id: UUID = await connection.fetchval(
            queries.INSERT_KEY,
            tenant_id,
            hash_of(secret),
            hint_of(secret),
            sorted(scopes),
            self._clock.now(),
            expires_at,
        )
        return IssuedKey(key_id=key_id, secret=secret)

    async def list_keys(self, tenant: UUID | str) -> list[ApiKey]:
        """All keys a tenant ever had, oldest first. Raises NotFound."""
        async with self._db.connection() as connection:
            found = await _find(connection, queries.SELECT_TENANT, tenant)
            return [_key(row) for row in await connection.fetch(queries.SELECT_KEYS, found.id)]

    async def rotate_key(self, actor: str, key_id: UUID, *, overlap_seconds: int) -> IssuedKey:
        """A new key like the old, which goes on for `overlap_seconds`. Raises NotFound, InvalidRequest."""
        if overlap_seconds < 0:
            raise InvalidRequest("overlap_seconds is at least 0")
        now = self._clock.now()
        async with self._db.transaction() as connection:
            old = await _lock_key(connection, key_id)
            if not old.valid_at(now):
                raise InvalidRequest("the key is expired or revoked: issue a new one")
            tenant = await _find(connection, queries.SELECT_TENANT, old.tenant_id)
            issued = await self._insert_key(connection, old.tenant_id, old.scopes, None)
            await connection.execute(queries.END_KEY_BY, key_id, now + timedelta(seconds=overlap_seconds))
            await self._note(
                connection,
                actor,
                "key.rotated",
                tenant,
                subject=key_id,
                data={"new_key": str(issued.key_id), "overlap_seconds": overlap_seconds},
            )
        self._remembered.clear()
        return issued

    async def revoke_key(self, actor: str, key_id: UUID) -> None:
        """Ends a key here at once and elsewhere within REMEMBERED_FOR; idempotent. Raises NotFound."""
        async with self._db.transaction() as connection:
            key = await _lock_key(connection, key_id)
            if key.revoked_at is None:
                tenant = await _find(connection, queries.SELECT_TENANT, key.tenant_id)
                await connection.execute(queries.REVOKE_KEY, key_id, self._clock.now())
                await self._note(connection, actor, "key.revoked", tenant, subject=key_id)
        self._remembered.clear()

    async def _note(
        self,
        connection: asyncpg.Connection,
        actor: str,
        event: str,
        tenant: Tenant,
        *,
        subject: UUID | None = None,
        data: journal.Data | None = None,
    ) -> None:
        entry = journal.Entry(
            at=self._clock.now(),
            tenant_id=tenant.id,
            actor=actor,
            event=event,
            subject=subject or tenant.id,
            data={"tenant": tenant.code, **(data or {})},
        )
        await journal.append(connection, [entry])


async def _find(connection: asyncpg.Connection, statement: str, tenant: UUID | str) -> Tenant:
    row = await connection.fetchrow(statement, str(tenant))
    if row is None:
        raise NotFound("no such tenant")
    return _tenant(row)


async def _lock_key(connection: asyncpg.Connection, key_id: UUID) -> ApiKey:
    row = await connection.fetchrow(queries.LOCK_KEY, key_id)
    if row is None:
        raise NotFound("no such key")
    return _key(row)


def _tenant(row: asyncpg.Record) -> Tenant:
    return Tenant(
        id=row["id"],
        code=row["code"],
        name=row["name"],
        kind=TenantKind(row["kind"]),
        status=TenantStatus(row["status"]),
        max_live_bindings=row["max_live_bindings"],
        requests_per_second=row["requests_per_second"],
        created_at=row["created_at"],
    )


def _key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        id=row["id"],
        tenant_id=row["tenant_id"],
        hint=row["hint"],
        scopes=frozenset(Scope(scope) for scope in row["scopes"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


def _principal(row: asyncpg.Record) -> Principal:
    return Principal(
        tenant_id=row["tenant_id"],
        tenant_code=row["code"],
        tenant_kind=TenantKind(row["kind"]),
        key_id=row["key_id"],
        scopes=frozenset(Scope(scope) for scope in row["scopes"]),
        requests_per_second=row["requests_per_second"],
        max_live_bindings=row["max_live_bindings"],
        mall_ids=tuple(row["mall_ids"]),
    )
