"""The number from which a tenant's texts leave where the virtual number is no proven sender.

Its proof ends by the clock, as those of the registry do: the statement that asks for proofs looks at the end.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from vns.errors import InvalidRequest, NumberNotMappable, VirtualNumberInUse
from vns.messages import queries
from vns.numbering.rules import NumberKind, PhoneNumber, digits_of
from vns.pools.reminders import REMIND_BEFORE
from vns.pools.rules import FOREVER
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database

VALID_FOR: Final = timedelta(days=365)  # a proof that names no end
BUSINESS = frozenset({NumberKind.REPRESENTATIVE, NumberKind.VOIP, NumberKind.SEOUL, NumberKind.AREA})


class RelayNumberRegister:
    """One number for each tenant, filed with its proof. Texts to it have to be routed to the platform's links."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def put(
        self, actor: str, tenant_id: UUID, number: PhoneNumber, proof: str, until: datetime | None = None
    ) -> datetime:
        """In force within five seconds, and until the end that is given back; by default VALID_FOR from now.

        Raises NumberNotMappable, InvalidRequest, VirtualNumberInUse.
        """
        if number.kind not in BUSINESS:
            raise NumberNotMappable(f"a number of kind {number.kind} is no line of a business")
        if not proof.strip():
            raise InvalidRequest("say where the proof is filed")
        now = self._clock.now()
        ends = min(until, FOREVER).astimezone(UTC) if until is not None else now + VALID_FOR
        if ends <= now:
            raise InvalidRequest("the proof is over already")
        async with self._db.transaction() as connection:
            if await connection.fetchval(queries.IS_VIRTUAL, number.key):
                raise VirtualNumberInUse("a virtual number of the platform's needs no relay number")
            taken = await connection.fetchval(queries.PUT_RELAY_NUMBER, tenant_id, number.key, proof, now, ends)
            if taken is None:
                raise VirtualNumberInUse("another tenant's texts leave from this number")
            await journal.append(connection, [_entry(actor, tenant_id, "texts.relay_number_set", now)])
        return ends

    async def remove(self, actor: str, tenant_id: UUID) -> bool:
        """Whether there was one."""
        now = self._clock.now()
        async with self._db.transaction() as connection:
            gone = await connection.fetchval(queries.DELETE_RELAY_NUMBER, tenant_id) is not None
            if gone:
                await journal.append(connection, [_entry(actor, tenant_id, "texts.relay_number_removed", now)])
        return gone


async def remind(connection: asyncpg.Connection, now: datetime) -> int:
    """Tell tenants of proofs that end soon, once of each; how many. Within a transaction."""
    rows = await connection.fetch(queries.REMIND_RELAY_NUMBERS, now, now + REMIND_BEFORE)
    entries = [
        journal.Entry(
            at=now,
            tenant_id=row["tenant_id"],
            actor="platform",
            event="texts.relay_number_expiring",
            data={
                "number": digits_of(row["number"]),
                "proof": row["proof"],
                "expires_at": row["proof_until"].isoformat(),
            },
        )
        for row in rows
    ]
    await journal.append(connection, entries)
    return len(rows)


def _entry(actor: str, tenant_id: UUID, event: str, now: datetime) -> journal.Entry:
    return journal.Entry(at=now, tenant_id=tenant_id, actor=actor, event=event)
