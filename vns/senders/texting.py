"""Codes by text: counted, so that nobody's mobile is flooded, and from a proven number, as every text is."""

from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.crypto.rules import KeyRing
from vns.errors import CallerIdNotProven, InvalidNumber, RateLimited
from vns.messages import queries as message_queries
from vns.messages.records import NewMessage, insert
from vns.messages.rules import Envelope, Kind, Status
from vns.numbering.rules import PhoneNumber, parse
from vns.senders import queries
from vns.storage.clock import Clock
from vns.verifications.rules import DAY, Limits
from vns.verifications.settings import VerificationSettings

SENT_AS = "platform"  # where other texts name the session that they came in by


class CodeTexts:
    """Sends codes within the transaction in which they are expected: a code that cannot be sent is none."""

    def __init__(self, keyring: KeyRing, clock: Clock, settings: VerificationSettings) -> None:
        self._keyring = keyring
        self._clock = clock
        self._settings = settings

    async def send(self, connection: asyncpg.Connection, tenant_id: UUID, to: PhoneNumber, text: str) -> None:
        """Raises RateLimited, and CallerIdNotProven where the platform has no number to show."""
        await self._count(connection, to)
        await self._text(connection, tenant_id, to, text)

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
        """Raises CallerIdNotProven."""
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
            status=Status.QUEUED,
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
