"""New rows of messages, as many at a time as there are."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg

from vns.crypto.rules import KeyRing
from vns.messages import queries, senders
from vns.messages.rules import (
    CODES,
    Envelope,
    Kind,
    Objection,
    OpenMessage,
    Status,
    cipher_context,
    picture_context,
    sealed_envelope,
)
from vns.messages.senders import DAILY_LIMIT, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A row to be written. `envelope` None: nothing is to be sent, and the message is final as it is recorded.

    `vn` is a key, `session` the SMPP session or, of a text from elsewhere, where it comes from. `held`: it waits for
    `send_at`.
    """

    id: UUID
    tenant_id: UUID | None
    binding_id: UUID | None
    vn: int
    from_index: bytes | None
    to_index: bytes | None
    from_masked: str | None
    to_masked: str | None
    status: Status
    reason: str | None
    code: str | None
    kind: Kind
    envelope: Envelope | None
    fingerprint: bytes
    session: str
    at: datetime
    send_at: datetime | None = None
    held: bool = False
    pictures: tuple[bytes, ...] = ()  # kept for as long as the envelope
    bulk: bool = False  # counts among the texts of its line's day

    def objected(self, objection: Objection) -> "NewMessage":
        """The same, not to be sent."""
        return replace(
            self, status=Status.FAILED, reason=objection.value, code=CODES[objection], envelope=None, held=False
        )

    def __repr__(self) -> str:
        return f"NewMessage({self.id}, {self.status})"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row as it was written: what had an envelope may have lost it to the check of its sender."""

    message: NewMessage
    npro_id: int

    @property
    def open(self) -> OpenMessage | None:
        """What is to be handed over now; None where nothing is, or not before its time."""
        message = self.message
        if message.envelope is None or message.held:
            return None
        return OpenMessage(
            id=message.id,
            npro_id=self.npro_id,
            kind=message.kind,
            status=message.status,
            envelope=message.envelope,
            received_at=message.at,
        )


async def insert(
    connection: asyncpg.Connection, keyring: KeyRing, messages: Sequence[NewMessage], *, daily_limit: int = DAILY_LIMIT
) -> list[Recorded]:
    """Write them in the transaction that `connection` is in. No proven sender, or over its day: nothing is sent."""
    if not messages:
        return []
    allowed = await _allowed(connection, keyring, messages, daily_limit)
    columns = zip(*(_values(keyring, one) for one in allowed), strict=True)
    rows = await connection.fetch(queries.INSERT, *map(list, columns))
    await _insert_pictures(connection, keyring, [one for one in allowed if one.envelope and one.pictures])
    npro_ids = {row["id"]: row["npro_id"] for row in rows}
    return [Recorded(one, npro_ids[one.id]) for one in allowed]


async def _insert_pictures(connection: asyncpg.Connection, keyring: KeyRing, messages: Sequence[NewMessage]) -> None:
    for message in messages:
        sealed = [
            keyring.encrypt(base64.b64encode(picture).decode(), context=picture_context(message.id, position))
            for position, picture in enumerate(message.pictures, 1)
        ]
        await connection.execute(queries.INSERT_PICTURES, message.id, sealed)


def unsealed_picture(keyring: KeyRing, row: asyncpg.Record) -> bytes:
    """Of a row of message_pictures."""
    context = picture_context(row["message_id"], row["position"])
    return base64.b64decode(keyring.decrypt(row["content"], context=context))


async def _allowed(
    connection: asyncpg.Connection, keyring: KeyRing, messages: Sequence[NewMessage], daily_limit: int
) -> list[NewMessage]:
    """Every text that leaves has passed here: see vns.messages.senders."""
    shown = {one.id: Sender(one.tenant_id, one.envelope.sender) for one in messages if one.envelope}
    proven = await senders.proven(connection, keyring, shown.values(), messages[0].at)
    judged = {one: None if sender in proven else Objection.SENDER_NOT_REGISTERED for one, sender in shown.items()}
    bulk = {one.id for one in messages if one.bulk}
    counted = {one: sender for one, sender in shown.items() if sender in proven and one in bulk}
    if counted:
        within = await senders.within_limit(connection, list(counted.values()), messages[0].at, daily_limit)
        judged |= {one: None if fits else Objection.DAILY_LIMIT for one, fits in zip(counted, within, strict=True)}
    return [one.objected(objection) if (objection := judged.get(one.id)) else one for one in messages]


def _values(keyring: KeyRing, message: NewMessage) -> tuple[object, ...]:
    sealed = None
    if message.envelope is not None:
        sealed = keyring.encrypt(sealed_envelope(message.envelope), context=cipher_context(message.id))
    return (
        message.id,
        message.tenant_id,
        message.binding_id,
        message.vn,
        message.from_index,
        message.to_index,
        message.from_masked,
        message.to_masked,
        message.status.value,
        message.reason,
        message.code,
        message.kind.value,
        sealed,
        message.fingerprint,
        message.session,
        message.at,
        None if message.envelope else message.at,
        message.send_at,
        message.held,
    )
