"""The code that proves a number: spoken by a call to lines that ring, by text to mobiles. Both take the ways that every
call and every text of the platform takes, and so come from a proven number."""

from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.crypto.rules import KeyRing
from vns.errors import CallerIdNotProven, InvalidNumber, RateLimited
from vns.messages import queries as message_queries
from vns.messages.records import NewMessage, insert
from vns.messages.rules import Envelope, Kind
from vns.messages.rules import Status as MessageStatus
from vns.numbering.rules import NumberKind, PhoneNumber, parse
from vns.senders import queries
from vns.senders.rules import SenderNumber, code_text, new_code
from vns.senders.service import Senders
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.verifications.rules import DAY, Limits
from vns.verifications.service import Verifications
from vns.verifications.settings import VerificationSettings

SENT_AS = "platform"  # where other texts name the session that they came in by


class Proving:
    """Sends the codes. What people type in afterwards is for `Senders.confirm`."""

    def __init__(
        self, db: Database, keyring: KeyRing, clock: Clock, settings: VerificationSettings | None = None
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock
        self._settings = settings or VerificationSettings()
        self._senders = Senders(db, keyring, clock)
        self._verifications = Verifications(db, keyring, clock, self._settings)

    async def start(self, actor: str, tenant_id: UUID, sender_id: UUID) -> SenderNumber:
        """Send a code; a former one is over.

        Raises NotFound, RateLimited, CallUnderWay, CallerIdNotProven where the platform has no number to show, and
        NumberNotMappable for what is never called (030, 050): those need a document.
        """
        found, code = await self._senders.get(tenant_id, sender_id), new_code()
        number = parse(found.number or "")
        if number.kind is not NumberKind.MOBILE:
            await self._verifications.request(actor, number, code, tenant_id=tenant_id)
            return await self._senders.expect_code(actor, tenant_id, sender_id, code)
        expecting = await self._senders.expect_code(actor, tenant_id, sender_id, code)
        async with self._db.transaction() as connection:
            await self._count(connection, number)
            await self._text(connection, tenant_id, number, code_text(code))
        return expecting

    async def _count(self, connection: asyncpg.Connection, number: PhoneNumber) -> None:
        """Raises RateLimited: texts are limited as calls are."""
        now, index = self._clock.now(), self._keyring.index(number.digits)
        await connection.execute(queries.LOCK_NUMBER, index)
        rows = await connection.fetch(queries.CODES_SINCE, index, now - DAY)
        limits = Limits(self._settings.verification_calls_per_ten_minutes, self._settings.verification_calls_per_day)
        wait = limits.wait([row["at"] for row in rows], now)
        if wait is not None:
            raise RateLimited("this number was sent too many codes", retry_after=wait)
        await connection.execute(queries.FORGET_CODES, index, now - DAY)
        await connection.execute(queries.COUNT_CODE, index, now)

    async def _text(self, connection: asyncpg.Connection, tenant_id: UUID, to: PhoneNumber, text: str) -> None:
        """Raises CallerIdNotProven: a code that cannot be sent is none."""
        try:
            shown = parse(self._settings.verification_caller_id or "")
        except InvalidNumber:
            raise CallerIdNotProven("VNS_VERIFICATION_CALLER_ID names no number to send codes from") from None
        message_id = uuids.uuid7()
        message = NewMessage(
            id=message_id,
            tenant_id=tenant_id,
            binding_id=None,
            vn=shown.key,
            from_index=None,
            to_index=None,
            from_masked=None,
            to_masked=to.masked,
            status=MessageStatus.QUEUED,
            reason=None,
            code=None,
            kind=Kind.SMS,
            envelope=Envelope(to=to.digits, sender=shown.digits, text=text),
            fingerprint=self._keyring.index(f"sender code\0{message_id}"),
            session=SENT_AS,
            at=self._clock.now(),
        )
        (recorded,) = await insert(connection, self._keyring, [message])
        if recorded.message.envelope is None:
            raise CallerIdNotProven("the number that codes are sent from has no proof on file, or no texts left today")
        await connection.execute(message_queries.NOTIFY)
