"""Real numbers in clear, for those who may: one binding at a time, with a reason, and never without a record."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from vns.access.rules import Principal
from vns.bindings import queries
from vns.bindings.rules import Side, cipher_context, member_context
from vns.crypto.rules import KeyRing
from vns.errors import NotFound
from vns.pools.rules import check_text
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database

MAX_REASON: Final = 200  # characters


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Revealed:
    """The parties of a binding in national digits. Its repr is bare. `members`: in ring order."""

    real: str
    peer: str | None
    members: tuple[str, ...]


class Reveals:
    """Decrypts the parties of bindings for people; each time the journal keeps who, which and why."""

    def __init__(self, db: Database, keyring: KeyRing, clock: Clock) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock

    async def reveal(self, principal: Principal, binding_id: UUID, reason: str) -> Revealed:
        """Raises NotFound, for another tenant's binding too, and InvalidRequest for a reason that is none."""
        check_text("reason", reason, MAX_REASON)
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(queries.SELECT_ONE, binding_id, principal.tenant_id)
            if row is None:
                raise NotFound("no such binding")
            entry = journal.Entry(
                at=self._clock.now(),
                tenant_id=principal.tenant_id,
                actor=principal.actor,
                event="binding.revealed",
                subject=binding_id,
                data={"reason": reason},
            )
            await journal.append(connection, [entry])
        return Revealed(
            real=self._clear(row["real_number"], cipher_context(binding_id, Side.REAL)),
            peer=self._clear(row["peer_number"], cipher_context(binding_id, Side.PEER)) if row["peer_number"] else None,
            members=tuple(
                self._clear(blob, member_context(binding_id, party))
                for blob, party in zip(row["members"] or (), row["member_indexes"] or (), strict=True)
            ),
        )

    def _clear(self, blob: bytes, context: bytes) -> str:
        return self._keyring.decrypt(blob, context=context)
