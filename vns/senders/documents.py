"""Certificates of sender numbers: uploaded by the tenant, read by an operator, who approves or rejects the number."""

import asyncio
import io
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.crypto.rules import KeyRing
from vns.crypto.streams import decrypted, encrypted, new_key
from vns.errors import NotFound, QuotaExceeded
from vns.senders import queries
from vns.senders.evidence import MAX_OF_NUMBER, Document, MediaType, key_context, media_type_of
from vns.senders.rules import SenderNumber
from vns.senders.service import Senders
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.pages import Page, last_id, page_of, page_size


class Documents:
    """Whatever is another tenant's is NotFound. The decision on a number: `Senders.approve` and `Senders.reject`."""

    def __init__(self, db: Database, keyring: KeyRing, clock: Clock) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock
        self._senders = Senders(db, keyring, clock)

    async def upload(self, actor: str, tenant_id: UUID, sender_id: UUID, content: bytes) -> Document:
        """A number that had failed waits again. Raises NotFound, InvalidDocument, QuotaExceeded."""
        media_type = await asyncio.to_thread(media_type_of, content)
        own, key = uuids.uuid7(), new_key()
        sealed = await asyncio.to_thread(lambda: b"".join(encrypted(key, [content])))
        wrapped = self._keyring.encrypt(key.hex(), context=key_context(own))
        async with self._db.transaction() as connection:
            number = await connection.fetchrow(queries.LOCK, tenant_id, sender_id)
            if number is None:
                raise NotFound("no such sender number")
            if await connection.fetchval(queries.COUNT_DOCUMENTS, sender_id) >= MAX_OF_NUMBER:
                raise QuotaExceeded(f"a sender number has at most {MAX_OF_NUMBER} documents")
            now = self._clock.now()
            row = await connection.fetchrow(
                queries.INSERT_DOCUMENT, own, tenant_id, sender_id, media_type, len(content), wrapped, sealed, now
            )
            await connection.execute(queries.WAIT_AGAIN, sender_id)
            await self._note(connection, actor, "sender.document_uploaded", row)
        return _shown(row)

    async def list(self, tenant_id: UUID, sender_id: UUID) -> tuple[Document, ...]:
        """Oldest first. Raises NotFound."""
        await self._senders.get(tenant_id, sender_id)
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.DOCUMENTS, tenant_id, sender_id)
        return tuple(_shown(row) for row in rows)

    async def read(self, actor: str, tenant_id: UUID, document_id: UUID) -> tuple[Document, bytes]:
        """Journalled. Raises NotFound."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(queries.DOCUMENT, tenant_id, document_id)
            if row is None:
                raise NotFound("no such document")
            await self._note(connection, actor, "sender.document_read", row)
        key = bytes.fromhex(self._keyring.decrypt(row["wrapped_key"], context=key_context(document_id)))
        content = await asyncio.to_thread(lambda: b"".join(decrypted(key, io.BytesIO(row["content"]))))
        return _shown(row), content

    async def review(self, *, cursor: str | None = None, limit: int = 100) -> Page[SenderNumber]:
        """For operators: numbers of all tenants that wait and have a document, newest first. Raises InvalidRequest."""
        size = page_size(limit)
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.REVIEW, last_id(cursor), size + 1)
        return page_of(rows, size, self._senders.shown)

    async def _note(self, connection: asyncpg.Connection, actor: str, event: str, row: asyncpg.Record) -> None:
        entry = journal.Entry(
            at=self._clock.now(),
            tenant_id=row["tenant_id"],
            actor=actor,
            event=event,
            subject=row["sender_id"],
            data={"document": str(row["id"]), "media_type": row["media_type"]},
        )
        await journal.append(connection, [entry])


def _shown(row: asyncpg.Record) -> Document:
    return Document(
        id=row["id"],
        tenant_id=row["tenant_id"],
        sender_id=row["sender_id"],
        media_type=MediaType(row["media_type"]),
        size=row["size"],
        created_at=row["created_at"],
    )
