"""Exemptions: a tenant that an operator trusts needs no proof of each number, for a year at a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from vns.errors import NotFound
from vns.senders import queries
from vns.senders.rules import check_reason
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database

HOLDS: Final = timedelta(days=365)


class Route(StrEnum):
    INTEGRATION = "integration"  # a customer whose server is connected, approved by the agency
    CARRIER = "carrier"  # a registered special value-added carrier


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
        now = self._clock.now()
        async with self._db.transaction() as connection:
            await connection.execute(queries.LOCK_TENANT, str(tenant_id))
            row = await connection.fetchrow(queries.PUT_EXEMPTION, tenant_id, route, proof, now, now + HOLDS)
            await connection.execute(queries.EXEMPT_NUMBERS, tenant_id, now, now + HOLDS)
            entry = journal.Entry(
                at=now,
                tenant_id=tenant_id,
                actor=actor,
                event="sender.exempted",
                data={"route": route.value, "proof": proof},
            )
            await journal.append(connection, [entry])
        return Exemption(**{**dict(row), "route": Route(row["route"])})

    async def revoke(self, actor: str, tenant_id: UUID) -> None:
        """At once: numbers that it alone has proven are proven no more. Raises NotFound."""
        async with self._db.transaction() as connection:
            await connection.execute(queries.LOCK_TENANT, str(tenant_id))
            if await connection.fetchval(queries.DELETE_EXEMPTION, tenant_id) is None:
                raise NotFound("the tenant has no exemption")
            await connection.execute(queries.UNEXEMPT_NUMBERS, tenant_id)
            entry = journal.Entry(
                at=self._clock.now(), tenant_id=tenant_id, actor=actor, event="sender.exemption_revoked"
            )
            await journal.append(connection, [entry])
