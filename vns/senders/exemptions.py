"""Exemptions: a tenant that an operator trusts needs no proof of each number, for a year at a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from vns.errors import NotFound
from vns.senders import application_queries, queries
from vns.senders.exemption_rules import Route
from vns.senders.rules import check_reason
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database

HOLDS: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """`proof`: where the application or the registration certificate is filed."""

    tenant_id: UUID
    route: Route
    proof: str
    approved_at: datetime
    ends_at: datetime


class Exemptions:
    """For operators. Numbers registered while one is in force are proven by it until it ends."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def grant(self, actor: str, tenant_id: UUID, route: Route, proof: str) -> Exemption:
        """For HOLDS from now, also in place of a former one; numbers that wait are proven. Raises InvalidRequest."""
        check_reason(proof)
        async with self._db.transaction() as connection:
            return await self.grant_in(connection, actor, tenant_id, route, proof)

    async def grant_in(
        self, connection: asyncpg.Connection, actor: str, tenant_id: UUID, route: Route, proof: str
    ) -> Exemption:
        """Within a transaction of the caller's."""
        now = self._clock.now()
        await connection.execute(queries.LOCK_TENANT, str(tenant_id))
        row = await connection.fetchrow(queries.PUT_EXEMPTION, tenant_id, route, proof, now, now + HOLDS)
        await connection.execute(queries.EXEMPT_NUMBERS, tenant_id, now, now + HOLDS)
        data: journal.Data = {"route": route.value, "proof": proof, "ends_at": (now + HOLDS).isoformat()}
        entry = journal.Entry(at=now, tenant_id=tenant_id, actor=actor, event="sender.exempted", data=data)
        await journal.append(connection, [entry])
        return shown_exemption(row)

    async def revoke(self, actor: str, tenant_id: UUID) -> None:
        """At once: numbers that it alone has proven wait again; its application is erased. Raises NotFound."""
        async with self._db.transaction() as connection:
            await connection.execute(queries.LOCK_TENANT, str(tenant_id))
            if await connection.fetchval(queries.DELETE_EXEMPTION, tenant_id) is None:
                raise NotFound("the tenant has no exemption")
            await connection.execute(queries.UNEXEMPT_NUMBERS, tenant_id)
            await end_approved(connection, tenant_id)
            entry = journal.Entry(
                at=self._clock.now(), tenant_id=tenant_id, actor=actor, event="sender.exemption_revoked"
            )
            await journal.append(connection, [entry])


async def end_approved(connection: asyncpg.Connection, tenant_id: UUID) -> None:
    """Erase the application that was approved last. Within a transaction."""
    ended = await connection.fetchval(application_queries.END_APPROVED, tenant_id)
    if ended is not None:
        await connection.execute(application_queries.ERASE_OTHER_CERTIFICATES, ended, None)


def shown_exemption(row: asyncpg.Record) -> Exemption:
    return Exemption(**{**dict(row), "route": Route(row["route"])})
