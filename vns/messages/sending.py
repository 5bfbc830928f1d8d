"""Texts that tenants send themselves: through a binding, to one of its sides; now or at a later time."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.access.rules import Principal
from vns.bindings import queries as binding_queries
from vns.bindings.rules import Channel, Side, cipher_context, member_context
from vns.crypto.rules import KeyRing
from vns.errors import (
    AdvertisingNotAllowed,
    BindingEnded,
    DailyLimitReached,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    RecipientRefuses,
    SenderNotRegistered,
    VnsError,
)
from vns.messages import advertising, queries, records
from vns.messages.rules import Envelope, Message, NewText, Objection, Sendable, Unencodable, sendable
from vns.messages.rules import Status as MessageStatus
from vns.numbering.rules import digits_of, mask
from vns.pools.rules import Mode
from vns.storage import journal

MAX_BATCH: Final = 1_000
LONGEST_WAIT: Final = timedelta(days=180)
ANSWERS_KEPT: Final = timedelta(hours=24)
SESSION: Final = "api"

Render = Callable[[Message], str]


class KeyJustUsed(Exception):
    """Another request has used the Idempotency-Key meanwhile: roll back and find its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """`message` None: the stored answer of an earlier request with the same key."""

    message: Message | None
    stored_status: int | None = None
    stored_body: str | None = None


@dataclass(slots=True, kw_only=True)
class Batch:
    """One transaction's worth of texts of one tenant. Each has its own answer or error and spoils no other."""

    connection: asyncpg.Connection
    keyring: KeyRing
    principal: Principal
    now: datetime
    policy: Unencodable
    daily_limit: int

    async def send(self, texts: Sequence[NewText]) -> list[Message | VnsError]:
        ids, sides = [text.binding_id for text in texts], [text.to.value for text in texts]
        rows = await self.connection.fetch(queries.SENDING, self.principal.tenant_id, ids, sides)
        found = {row["place"] - 1: row for row in rows}
        live = await self.connection.fetch(queries.HOLD_LIVE, list({row["id"] for row in rows}), self.now)
        numbers = await self._own_numbers(texts)
        made: dict[int, records.NewMessage] = {}
        answers: dict[int, Message | VnsError] = {}
        for place, text in enumerate(texts):
            try:
                made[place] = self._message(text, found.get(place), {row["id"] for row in live}, numbers)
            except VnsError as error:
                answers[place] = error
        recorded = await self._insert([*made.values()])
        answers |= {place: _told(recorded[message.id]) for place, message in made.items()}
        return [answers[place] for place in range(len(texts))]

    async def _own_numbers(self, texts: Sequence[NewText]) -> set[int]:
        named = list({text.sender.key for text in texts if text.sender is not None})
        if not named:
            return set()
        rows = await self.connection.fetch(queries.IN_USE, self.principal.tenant_id, named, self.now)
        relay = await self.connection.fetchval(queries.RELAY_NUMBER, self.principal.tenant_id)
        return {row["vn"] for row in rows} | ({relay} if relay is not None else set())

    def _message(
        self, text: NewText, row: asyncpg.Record | None, live: set[UUID], numbers: set[int]
    ) -> records.NewMessage:
        if row is None:
            raise NotFound("no such binding")
        if row["id"] not in live:
            raise BindingEnded("the binding has ended")
        self._may_reach(text, row)
        vn = row["peer_vn"] if row["mode"] == Mode.PER_SIDE and text.to is Side.REAL else row["vn"]
        if text.sender is not None and text.sender.key not in numbers:
            raise SenderNotRegistered("`from` is neither a virtual number in use by you nor a verified number of yours")
        written = self._written(text, row["purpose"])
        to = self._recipient(text, row)
        sender = text.sender.digits if text.sender is not None else digits_of(vn)
        message_id = uuids.uuid7()
        return records.NewMessage(
            id=message_id,
            tenant_id=self.principal.tenant_id,
            binding_id=row["id"],
            vn=vn,
            from_index=None,
            to_index=row["party"],
            from_masked=mask(sender),
            to_masked=mask(to),
            status=MessageStatus.QUEUED,
            reason=None,
            code=None,
            kind=written.kind,
            envelope=Envelope(to=to, sender=sender, text=written.text),
            fingerprint=self.keyring.index(f"sent\0{message_id}"),
            session=SESSION,
            at=self.now,
            send_at=text.send_at,
            held=text.send_at is not None,
            bulk=True,
        )

    def _may_reach(self, text: NewText, row: asyncpg.Record) -> None:
        if row["number"] is None:
            raise InvalidRequest(f"a binding of mode {row['mode']} has no {text.to.value} to be texted")
        if Channel.SMS not in row["channels"]:
            raise RecipientRefuses("the binding takes no texts")
        if row["blocked"]:
            raise RecipientRefuses("the recipient is blocked")
        if row["opted_out"]:
            raise RecipientRefuses("the recipient does not want texts of yours")

    def _written(self, text: NewText, purpose: str) -> Sendable:
        if text.send_at is not None and not self.now < text.send_at <= self.now + LONGEST_WAIT:
            raise InvalidRequest(f"send_at lies ahead, at most {LONGEST_WAIT.days} days")
        written = sendable(text.text, self.policy)
        if isinstance(written, Objection):
            raise InvalidRequest(f"text: {_WORDS[written]}")
        if text.advertising or advertising.is_marked(text.text):
            why = advertising.objection(
                written.text,
                purpose=purpose,
                leaves_at=text.send_at or self.now,
                night_consent=text.night_consent,
            )
            if why is not None:
                raise AdvertisingNotAllowed(why)
        return written

    def _recipient(self, text: NewText, row: asyncpg.Record) -> str:
        context = member_context(row["id"], row["party"]) if row["of_team"] else cipher_context(row["id"], text.to)
        return self.keyring.decrypt(row["number"], context=context)

    async def _insert(self, messages: Sequence[records.NewMessage]) -> dict[UUID, records.NewMessage]:
        """Those that may leave; the rest is not recorded at all: its error is the answer."""
        recorded = await records.insert(self.connection, self.keyring, messages, daily_limit=self.daily_limit)
        refused = [one.message.id for one in recorded if one.message.envelope is None]
        if refused:
            await self.connection.execute(queries.TAKE_BACK, refused)
        kept = [one.message for one in recorded if one.message.envelope is not None]
        await journal.append(self.connection, [self._entry(one) for one in kept])
        if kept:
            await self.connection.execute(queries.NOTIFY)
        return {one.message.id: one.message for one in recorded}

    def _entry(self, message: records.NewMessage) -> journal.Entry:
        return journal.Entry(
            at=self.now,
            tenant_id=message.tenant_id,
            actor=self.principal.actor,
            event="message.requested",
            subject=message.id,
            data={
                "binding_id": str(message.binding_id),
                "kind": message.kind.value,
                "send_at": message.send_at.isoformat() if message.send_at else None,
            },
        )


_WORDS: Final[dict[Objection, str]] = {
    Objection.EMPTY: "is empty",
    Objection.TOO_LONG: "is longer than a text may be",
    Objection.NOT_ENCODABLE: "has a character that no Korean network carries",
}


def _told(message: records.NewMessage) -> Message | VnsError:
    if message.reason == Objection.SENDER_NOT_REGISTERED:
        return SenderNotRegistered("the number that would be shown is no proven sender")
    if message.reason == Objection.DAILY_LIMIT:
        return DailyLimitReached("this line has sent its texts of the day")
    return Message(
        id=message.id,
        binding_id=message.binding_id,
        vn=message.vn,
        sender=message.from_masked,
        recipient=message.to_masked,
        status=message.status,
        reason=message.reason,
        code=message.code,
        kind=message.kind,
        received_at=message.at,
        sent_at=None,
        finished_at=None,
        send_at=message.send_at,
    )


def fingerprint_of(keyring: KeyRing, text: NewText) -> bytes:
    """What a second request with the same Idempotency-Key must repeat."""
    fields: list[str | bool | None] = [
        str(text.binding_id),
        text.to.value,
        text.text,
        text.advertising,
        text.night_consent,
    ]
    fields += [text.sender.digits if text.sender else None, text.send_at.isoformat() if text.send_at else None]
    return keyring.index("message\0" + json.dumps(fields, ensure_ascii=False))


async def stored_answer(
    connection: asyncpg.Connection, tenant_id: UUID, key: str, fingerprint: bytes, now: datetime
) -> Sent | None:
    """What an earlier request with this key was answered. Raises IdempotencyMismatch."""
    rows = await connection.fetch(binding_queries.SELECT_STORED_ANSWERS, [tenant_id], [key], now - ANSWERS_KEPT)
    if not rows:
        return None
    if bytes(rows[0]["request_hash"]) != fingerprint:
        raise IdempotencyMismatch("the Idempotency-Key was used for another request")
    return Sent(message=None, stored_status=rows[0]["status"], stored_body=rows[0]["body"])


async def store_answer(
    connection: asyncpg.Connection, tenant_id: UUID, key: str, fingerprint: bytes, body: str, now: datetime
) -> None:
    """Raises KeyJustUsed."""
    stored = await connection.fetch(
        binding_queries.STORE_ANSWERS, [tenant_id], [key], [fingerprint], [201], [body], now, now - ANSWERS_KEPT
    )
    if not stored:
        raise KeyJustUsed
