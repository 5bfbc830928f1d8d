"""The code that proves a number: spoken by a call to lines that ring, by text to mobiles. Both take the ways that every
call and every text of the platform takes, and so come from a proven number."""

from uuid import UUID

from vns.crypto.rules import KeyRing
from vns.numbering.rules import NumberKind, parse
from vns.senders.rules import SenderNumber, code_text, new_code
from vns.senders.service import Senders
from vns.senders.texting import CodeTexts
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.verifications.rules import VerificationCall
from vns.verifications.service import Verifications
from vns.verifications.settings import VerificationSettings


class Proving:
    """Sends the codes. What people type in afterwards is for `Senders.confirm`."""

    def __init__(
        self, db: Database, keyring: KeyRing, clock: Clock, settings: VerificationSettings | None = None
    ) -> None:
        settings = settings or VerificationSettings()
        self._db = db
        self._senders = Senders(db, keyring, clock)
        self._texts = CodeTexts(keyring, clock, settings)
        self._verifications = Verifications(db, keyring, clock, settings)

    async def start(self, actor: str, tenant_id: UUID, sender_id: UUID) -> SenderNumber:
        """Send a code; a former one is over then, and stays good where none can be sent.

        Raises NotFound, RateLimited, CallUnderWay, CallerIdNotProven where the platform has no number to show, and
        NumberNotMappable for what is never called (030, 050): those need a document.
        """
        found, code = await self._senders.get(tenant_id, sender_id), new_code()
        number = parse(found.number or "")
        if number.kind is not NumberKind.MOBILE:
            await self._verifications.request(actor, number, code, tenant_id=tenant_id)
            return await self._senders.expect_code(actor, tenant_id, sender_id, code)
        async with self._db.transaction() as connection:
            expecting = await self._senders.expect_code_in(connection, actor, tenant_id, sender_id, code)
            await self._texts.send(connection, tenant_id, number, code_text(code))
        return expecting

    async def last_call(self, tenant_id: UUID, sender_id: UUID) -> VerificationCall | None:
        """The newest call that was to prove the number, and what became of it. Raises NotFound."""
        found = await self._senders.get(tenant_id, sender_id)
        return await self._verifications.last(tenant_id, parse(found.number or ""), found.created_at)
