"""Accounts: made with a temporary password, unlocked, given another one. Each act is journalled in its transaction."""

from collections.abc import Iterable, Sequence
from datetime import date
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.access.rules import Tenant, TenantKind
from vns.crypto.rules import KeyRing
from vns.errors import InvalidRequest, NotFound, WrongCredentials
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.users import queries
from vns.users.passwords import fits, hashed
from vns.users.rules import (
    IssuedPassword,
    NewUser,
    Role,
    User,
    check_password,
    check_user,
    temporary_password,
    token_hash,
)

ACTOR = "user:"


class Users:
    """The accounts of one installation."""

    def __init__(self, db: Database, keyring: KeyRing, clock: Clock) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock

    async def create(self, actor: str, tenant: Tenant, new: NewUser) -> IssuedPassword:
        """Raises InvalidRequest, also when the login is taken or the role is not for such a tenant."""
        check_user(new)
        if (new.role is Role.OPERATOR) != (tenant.kind is TenantKind.OPERATOR):
            raise InvalidRequest("operators are of the operator's tenant, and of no other")
        user_id, password, now = uuids.uuid7(), temporary_password(), self._clock.now()
        hash_of_it = await hashed(password)
        birth = new.birth_date.isoformat() if new.birth_date else None
        async with self._db.transaction() as connection:
            made = await connection.fetchval(
                queries.INSERT,
                user_id,
                tenant.id,
                new.login,
                new.role,
                new.name,
                self._keyring.encrypt(birth, context=context_of(user_id, "birth")) if birth else None,
                self._keyring.encrypt(new.mobile.digits, context=context_of(user_id, "mobile")),
                new.mobile.masked,
                hash_of_it,
                now,
            )
            if made is None:
                raise InvalidRequest("the login is taken")
            await self._note(connection, actor, "user.created", tenant.id, user_id, {"login": new.login})
        return IssuedPassword(user=await self.get(user_id), password=password)

    async def get(self, user_id: UUID) -> User:
        """Raises NotFound."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.SELECT, user_id)
        if row is None:
            raise NotFound("no such user")
        return user_of(row, self._keyring)

    async def of_tenant(self, tenant_id: UUID) -> Sequence[User]:
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.OF_TENANT, tenant_id)
        return [user_of(row, self._keyring) for row in rows]

    async def by_login(self, login: str) -> User:
        """Raises NotFound."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.BY_LOGIN, login)
        if row is None:
            raise NotFound("no such user")
        return user_of(row, self._keyring)

    async def names(self, actors: Iterable[str]) -> dict[str, str]:
        """The logins of those who the journal knows as `user:<id>`."""
        ids = []
        for actor in set(actors):
            if actor.startswith(ACTOR):
                ids.append(UUID(actor.removeprefix(ACTOR)))
        if not ids:
            return {}
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.NAMES, ids)
        return {f"{ACTOR}{row['id']}": row["login"] for row in rows}

    async def unlock(self, actor: str, user_id: UUID) -> None:
        """Raises NotFound."""
        async with self._db.transaction() as connection:
            tenant_id = await connection.fetchval(queries.UNLOCK, user_id)
            if tenant_id is None:
                raise NotFound("no such user")
            await self._note(connection, actor, "user.unlocked", tenant_id, user_id)

    async def reset_password(self, actor: str, user_id: UUID) -> IssuedPassword:
        """A new temporary password; all its sessions end, and a lock is taken away. Raises NotFound."""
        user = await self.get(user_id)
        password = temporary_password()
        hash_of_it = await hashed(password)
        async with self._db.transaction() as connection:
            await connection.execute(queries.SET_HASH, user_id, hash_of_it, True)
            await connection.execute(queries.UNLOCK, user_id)
            await connection.execute(queries.END_OTHERS, user_id, b"")
            await self._note(connection, actor, "user.password_reset", user.tenant_id, user_id)
        return IssuedPassword(user=user, password=password)

    async def change_password(self, user: User, current: str, new: str, *, keep: str) -> None:
        """By the person itself; `keep`: the token of its session, the only one that goes on.

        Raises WrongCredentials for another current password, InvalidRequest for a new one that will not do.
        """
        async with self._db.connection() as connection:
            stored = await connection.fetchval(queries.HASH_OF, user.id)
        if not await fits(current, stored):
            raise WrongCredentials("the current password is another")
        check_password(new, user.login)
        if new == current:
            raise InvalidRequest("the new password is the current one")
        hash_of_it = await hashed(new)
        async with self._db.transaction() as connection:
            await connection.execute(queries.SET_HASH, user.id, hash_of_it, False)
            await connection.execute(queries.END_OTHERS, user.id, token_hash(keep))
            await self._note(connection, f"{ACTOR}{user.id}", "user.password_changed", user.tenant_id, user.id)

    async def _note(
        self,
        connection: asyncpg.Connection,
        actor: str,
        event: str,
        tenant_id: UUID,
        subject: UUID,
        data: journal.Data | None = None,
    ) -> None:
        entry = journal.Entry(
            at=self._clock.now(), tenant_id=tenant_id, actor=actor, event=event, subject=subject, data=data or {}
        )
        await journal.append(connection, [entry])


def context_of(user_id: UUID, column: str) -> bytes:
    """What an encrypted field is tied to."""
    return f"users:{user_id}:{column}".encode()


def user_of(row: asyncpg.Record, keyring: KeyRing) -> User:
    birth = row["birth_date"]
    return User(
        id=row["id"],
        tenant_id=row["tenant_id"],
        login=row["login"],
        role=Role(row["role"]),
        name=row["name"],
        birth_date=date.fromisoformat(keyring.decrypt(birth, context=context_of(row["id"], "birth")))
        if birth
        else None,
        mobile_masked=row["mobile_masked"],
        must_change_password=row["must_change"],
        locked_until=row["locked_until"],
        created_at=row["created_at"],
    )
