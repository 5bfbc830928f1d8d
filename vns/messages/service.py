"""Texts from arrival to their end. Every public method is one transaction."""

import json
import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from vns.access.rules import Principal
from vns.crypto.errors import UNREADABLE
from vns.crypto.rules import KeyRing
from vns.errors import InvalidRequest, NotFound, NotScheduled, Unavailable, VnsError
from vns.messages import queries, records
from vns.messages.arrivals import Arrivals
from vns.messages.rules import (
    CODES,
    Arrival,
    Envelope,
    Kind,
    Message,
    NewText,
    Objection,
    OpenMessage,
    Outcome,
    Received,
    Status,
    Unencodable,
    cipher_context,
)
from vns.messages.senders import DAILY_LIMIT
from vns.messages.sending import (
    MAX_BATCH,
    Batch,
    KeyJustUsed,
    Render,
    Sent,
    fingerprint_of,
    store_answer,
    stored_answer,
)
from vns.routing.intercept import Interceptor
from vns.routing.rules import Reason
from vns.routing.service import Router
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.pages import HistoryQuery, Page, history_page
from vns.storage.traffic import HourCount, hourly

_log = logging.getLogger(__name__)

TRIES = 5
MOST_UNREAD = 10_000


class Messages:
    """The texts of one installation. `policy`: what happens to characters that MS949 does not have."""

    def __init__(
        self,
        db: Database,
        router: Router,
        keyring: KeyRing,
        clock: Clock,
        *,
        policy: Unencodable = Unencodable.TRANSLITERATE,
        interceptor: Interceptor | None = None,
        daily_limit: int = DAILY_LIMIT,
        render: Render = str,
    ) -> None:
        """`interceptor`: asks the hooks of tenants; without it no hook ever answers. `daily_limit`: texts of a line.

        `render` makes the body that an Idempotency-Key stores.
        """
        self._db = db
        self._keyring = keyring
        self._clock = clock
        self._policy = policy
        self._daily_limit = daily_limit
        self._render = render
        self._unread: set[UUID] = set()
        self._arrivals = Arrivals(db, router, keyring, clock, policy=policy, interceptor=interceptor)

    async def receive(self, arrival: Arrival) -> tuple[Received, OpenMessage | None]:
        """Record a text and decide what becomes of it, or recognise it as recorded before.

        The second of the pair is the message to be handed over, None where nothing is to be sent (now). Raises
        Unavailable: then nothing is recorded, and the carrier has to keep the text.
        """
        return await self._arrivals.receive(arrival)

    async def pending_handover(self, *, after: int = -1, limit: int = 1_000) -> list[OpenMessage]:
        """Queued messages not known to be in MSG_DATA, by npro_id, from behind `after`. Raises KeyFileInvalid."""
        return await self._open(queries.PENDING, after, limit)

    async def awaited(self, *, after: int = -1, limit: int = 1_000) -> list[OpenMessage]:
        """Messages known to be in MSG_DATA whose result has not come, as `pending_handover` gives them."""
        return await self._open(queries.AWAITED, after, limit)

    async def last_npro_id(self) -> int:
        """The newest one that was given to a message, recorded by now or not. They start again at 1 after 2^31."""
        async with self._db.connection() as connection:
            newest: int = await connection.fetchval(queries.LAST_NPRO_ID)
        return newest

    @property
    def any_unread(self) -> bool:
        """Whether open messages were passed over since they cannot be read: a key that comes back shows them again."""
        return bool(self._unread)

    async def _open(self, query: str, after: int, limit: int) -> list[OpenMessage]:
        """Nothing only where nothing that can be read is left."""
        while True:
            async with self._db.connection() as connection:
                rows = await connection.fetch(query, after, limit)
            opened = self._readable(rows)
            if opened or not rows:
                return opened
            after = rows[-1]["npro_id"]

    def _readable(self, rows: Sequence[asyncpg.Record]) -> list[OpenMessage]:
        """Those that can be read now. The others stay as they are: their key may come back."""
        found = []
        for row in rows:
            try:
                found.append(self._opened(row))
            except UNREADABLE as error:
                self._pass_over(row["id"], error)
            else:
                self._unread.discard(row["id"])
        return found

    def _pass_over(self, message_id: UUID, error: Exception) -> None:
        """Told once, though it is tried again and again."""
        if message_id in self._unread:
            return
        if len(self._unread) >= MOST_UNREAD:
            self._unread.clear()
        self._unread.add(message_id)
        _log.error("text %s cannot be read (%s): it waits until it can", message_id, type(error).__name__)

    def _opened(self, row: asyncpg.Record) -> OpenMessage:
        content = json.loads(self._keyring.decrypt(row["envelope"], context=cipher_context(row["id"])))
        return OpenMessage(
            id=row["id"],
            npro_id=row["npro_id"],
            kind=Kind(row["kind"]),
            status=Status(row["status"]),
            envelope=Envelope(
                to=content["to"], sender=content["from"], text=content["text"], subject=content.get("subject", "")
            ),
            received_at=row["received_at"],
        )

    async def pictures(self, message_id: UUID) -> tuple[bytes, ...]:
        """The pictures of a message that is not final yet, in their order. Raises KeyFileInvalid, and UNREADABLE."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.PICTURES, message_id)
        return tuple(records.unsealed_picture(self._keyring, row) for row in rows)

    async def kept_files(self, ids: Sequence[UUID], before: datetime) -> set[UUID]:
        """Those messages that have no result yet, or none that is older than `before`: their files are not erased."""
        async with self._db.connection() as connection:
            return {row["id"] for row in await connection.fetch(queries.KEPT_FILES, list(ids), before)}

    async def mark_handed(self, ids: Sequence[UUID]) -> None:
        """These are in MSG_DATA now, certainly. Idempotent."""
        async with self._db.transaction() as connection:
            await connection.execute(queries.MARK_HANDED, list(ids), self._clock.now())

    async def record_result(self, outcomes: Sequence[Outcome]) -> int:
        """Write what became of messages; returns how many became final by it. Idempotent.

        A final message loses its envelope and its pictures: numbers and contents are gone from here.
        """
        async with self._db.transaction() as connection:
            return await self._finish(connection, outcomes)

    async def _finish(self, connection: asyncpg.Connection, outcomes: Sequence[Outcome]) -> int:
        sent = [outcome for outcome in outcomes if outcome.status is Status.SENT]
        final = [outcome for outcome in outcomes if outcome.status is not Status.SENT]
        if sent:
            await connection.execute(queries.MARK_SENT, [one.id for one in sent], [one.at for one in sent])
        if not final:
            return 0
        rows = await connection.fetch(
            queries.FINISH,
            [one.id for one in final],
            [one.status.value for one in final],
            [one.code for one in final],
            [one.reason for one in final],
            [one.at for one in final],
            self._clock.now(),
            [one.sent_at for one in final],
        )
        pictured = [row["id"] for row in rows if row["kind"] == Kind.MMS]
        if pictured:
            await connection.execute(queries.ERASE_PICTURES, pictured)
        await journal.append(connection, [_finished(row, self._clock.now()) for row in rows])
        return len(rows)

    async def send(self, principal: Principal, text: NewText, idempotency_key: str | None = None) -> Sent:
        """A text of the tenant's own. Durable once this returns; the relay takes it from there, at its time.

        Raises what a text can be refused for (vns.messages.sending), IdempotencyMismatch.
        """
        for _ in range(TRIES):
            sent = await self._send(principal, text, idempotency_key)
            if sent is not None:
                return sent
        raise Unavailable("too many others used the same Idempotency-Key at the same time")

    async def _send(self, principal: Principal, text: NewText, key: str | None) -> Sent | None:
        """None: another request has used the key meanwhile, nothing was done, and its answer will be found next."""
        fingerprint, now, tenant_id = fingerprint_of(self._keyring, text), self._clock.now(), principal.tenant_id
        try:
            async with self._db.transaction() as connection:
                if key is not None:
                    stored = await stored_answer(connection, tenant_id, key, fingerprint, now)
                    if stored is not None:
                        return stored
                message = _told((await self._batch(connection, principal, now).send([text]))[0])
                if key is not None:
                    body = self._render(message)
                    await store_answer(connection, tenant_id, key, fingerprint, body, now)
        except KeyJustUsed:
            return None
        return Sent(message=message)

    async def send_many(self, principal: Principal, texts: Sequence[NewText]) -> Sequence[Message | VnsError]:
        """Up to MAX_BATCH texts in one transaction; each has its own answer or error."""
        if len(texts) > MAX_BATCH:
            raise InvalidRequest(f"at most {MAX_BATCH} items")
        async with self._db.transaction() as connection:
            return await self._batch(connection, principal, self._clock.now()).send(texts)

    def _batch(self, connection: asyncpg.Connection, principal: Principal, now: datetime) -> Batch:
        return Batch(
            connection=connection,
            keyring=self._keyring,
            principal=principal,
            now=now,
            policy=self._policy,
            daily_limit=self._daily_limit,
        )

    async def get(self, principal: Principal, message_id: UUID) -> Message:
        """Raises NotFound, for another tenant's text too."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.GET, principal.tenant_id, message_id)
        if row is None:
            raise NotFound("no such message")
        return _message(row)

    async def cancel(self, principal: Principal, message_id: UUID) -> Message:
        """A text that waits for its time is not sent. Idempotent. Raises NotFound, NotScheduled."""
        now, tenant_id = self._clock.now(), principal.tenant_id
        reason, code = Objection.CANCELLED.value, CODES[Objection.CANCELLED]
        async with self._db.transaction() as connection:
            done = await connection.fetchrow(queries.CANCEL, tenant_id, message_id, now, reason, code)
            row = await connection.fetchrow(queries.GET, tenant_id, message_id)
            if row is None:
                raise NotFound("no such message")
            if done is None and row["reason"] != reason:
                raise NotScheduled("the text does not wait for its time any more")
            if done is not None:
                entry = journal.Entry(
                    at=now, tenant_id=tenant_id, actor=principal.actor, event="message.cancelled", subject=message_id
                )
                await journal.append(connection, [entry])
        return _message(row)

    async def release_due(self, limit: int = 500) -> Sequence[OpenMessage]:
        """Texts whose time has come, free to be handed over now. What must not leave any more ends as refused.

        What cannot be read is free too, and found by `pending_handover` once it can. Raises KeyFileInvalid.
        """
        now = self._clock.now()
        async with self._db.transaction() as connection:
            rows = await connection.fetch(queries.HELD_DUE, now, limit)
            if not rows:
                return []
            live = await connection.fetch(queries.HOLD_LIVE, list({row["binding_id"] for row in rows}), now)
            tenants, parties = [row["tenant_id"] for row in rows], [row["to_index"] for row in rows]
            out = {row["place"] - 1 for row in await connection.fetch(queries.OPTED_OUT, tenants, parties)}
            living = {row["id"] for row in live}
            ended = {row["id"]: Reason.ENDED.value for row in rows if row["binding_id"] not in living}
            ended |= {row["id"]: Objection.OPTED_OUT.value for place, row in enumerate(rows) if place in out}
            leaving = [row for row in rows if row["id"] not in ended]
            await connection.execute(queries.RELEASE_HELD, [row["id"] for row in leaving])
            await self._finish(
                connection, [Outcome(id=one, status=Status.REFUSED, at=now, reason=why) for one, why in ended.items()]
            )
        return self._readable(leaving)

    async def list(self, principal: Principal, query: HistoryQuery | None = None) -> Page[Message]:
        """The tenant's messages, newest first. Raises InvalidRequest for a cursor that is none."""
        async with self._db.connection() as connection:
            return await history_page(connection, queries.LIST, principal.tenant_id, query or HistoryQuery(), _message)

    async def by_hour(self, principal: Principal, since: datetime, until: datetime) -> Sequence[HourCount]:
        """How many of the tenant's messages came in each hour, by what became of them; a week at most."""
        async with self._db.connection() as connection:
            return await hourly(connection, queries.BY_HOUR, principal.tenant_id, since, until)


def _told(answer: Message | VnsError) -> Message:
    """Raises the error."""
    if isinstance(answer, VnsError):
        raise answer
    return answer


def _finished(row: asyncpg.Record, now: datetime) -> journal.Entry:
    return journal.Entry(
        at=now,
        tenant_id=row["tenant_id"],
        actor="relay",
        event="message.finished",
        subject=row["id"],
        data={
            "binding_id": str(row["binding_id"]) if row["binding_id"] else None,
            "status": row["status"],
            "reason": row["reason"],
            "code": row["code"],
            "kind": row["kind"],
        },
    )


def _message(row: asyncpg.Record) -> Message:
    return Message(
        id=row["id"],
        binding_id=row["binding_id"],
        vn=row["vn"],
        sender=row["from_masked"],
        recipient=row["to_masked"],
        status=Status(row["status"]),
        reason=row["reason"],
        code=row["code"],
        kind=Kind(row["kind"]),
        received_at=row["received_at"],
        sent_at=row["sent_at"],
        finished_at=row["finished_at"],
        send_at=row["send_at"],
    )
