"""The number from which a tenant's texts leave where the virtual number is no proven sender."""

from datetime import datetime
from uuid import UUID

from vns.errors import InvalidRequest, NumberNotMappable, VirtualNumberInUse
from vns.messages import queries
from vns.numbering.rules import NumberKind, PhoneNumber
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database

BUSINESS = frozenset({NumberKind.REPRESENTATIVE, NumberKind.VOIP, NumberKind.SEOUL, NumberKind.AREA})


class RelayNumberRegister:
    """One number for each tenant, filed with its proof. Texts to it have to be routed to the platform's links."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def put(self, actor: str, tenant_id: UUID, number: PhoneNumber, proof: str) -> None:
        """In force within five seconds. Raises NumberNotMappable, InvalidRequest, VirtualNumberInUse."""
        if number.kind not in BUSINESS:
            raise NumberNotMappable(f"a number of kind {number.kind} is no line of a business")
        if not proof.strip():
            raise InvalidRequest("say where the proof is filed")
        now = self._clock.now()
        async with self._db.transaction() as connection:
            if await connection.fetchval(queries.IS_VIRTUAL, number.key):
                raise VirtualNumberInUse("a virtual number of the platform's needs no relay number")
            taken = await connection.fetchval(queries.PUT_RELAY_NUMBER, tenant_id, number.key, proof, now)
            if taken is None:
                raise VirtualNumberInUse("another tenant's texts leave from this number")
            await journal.append(connection, [_entry(actor, tenant_id, "texts.relay_number_set", now)])

    async def remove(self, actor: str, tenant_id: UUID) -> bool:
        """Whether there was one."""
        now = self._clock.now()
        async with self._db.transaction() as connection:
            gone = await connection.fetchval(queries.DELETE_RELAY_NUMBER, tenant_id) is not None
            if gone:
                await journal.append(connection, [_entry(actor, tenant_id, "texts.relay_number_removed", now)])
        return gone


def _entry(actor: str, tenant_id: UUID, event: str, now: datetime) -> journal.Entry:
    return journal.Entry(at=now, tenant_id=tenant_id, actor=actor, event=event)
