"""Sending accounts (SP IDs): tenants that may show what their administrator has proven, beside what is their own."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from vns.errors import Conflict, InvalidRequest, NotFound
from vns.senders import queries
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A tenant under an administrator. `name`: its company's."""

    tenant_id: UUID
    code: str
    name: str
    created_at: datetime


class Accounts:
    """For operators, but for `list`, which an administrator may see of its own."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def put(self, actor: str, administrator_id: UUID, tenant_id: UUID) -> None:
        """In force with the next text. Idempotent. Raises InvalidRequest, Conflict under another administrator."""
        if administrator_id == tenant_id:
            raise InvalidRequest("a tenant is no account of its own")
        now = self._clock.now()
        async with self._db.transaction() as connection:
            if await connection.fetchval(queries.PUT_ACCOUNT, tenant_id, administrator_id, now) is None:
                if await connection.fetchval(queries.ADMINISTRATOR, tenant_id) == administrator_id:
                    return
                raise Conflict("the account is under another administrator")
            await journal.append(connection, [self._entry(actor, administrator_id, tenant_id, "sender.account_added")])

    async def remove(self, actor: str, administrator_id: UUID, tenant_id: UUID) -> None:
        """In force with the next text. Raises NotFound."""
        async with self._db.transaction() as connection:
            if await connection.fetchval(queries.DELETE_ACCOUNT, tenant_id, administrator_id) is None:
                raise NotFound("no such account")
            entry = self._entry(actor, administrator_id, tenant_id, "sender.account_removed")
            await journal.append(connection, [entry])

    async def list(self, administrator_id: UUID) -> tuple[Account, ...]:
        """By the code."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.ACCOUNTS, administrator_id)
        return tuple(Account(**dict(row)) for row in rows)

    def _entry(self, actor: str, administrator_id: UUID, tenant_id: UUID, event: str) -> journal.Entry:
        return journal.Entry(
            at=self._clock.now(), tenant_id=administrator_id, actor=actor, event=event, subject=tenant_id
        )
