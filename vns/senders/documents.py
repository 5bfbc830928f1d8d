"""Documents as they are stored. Certificates of sender numbers: uploaded by the tenant, read by an operator, who
approves or rejects the number."""

import asyncio
import io
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.crypto.rules import KeyRing
from vns.crypto.streams import decrypted, encrypted, new_key
from vns.errors import NotFound, QuotaExceeded
from vns.senders import queries
from vns.senders.evidence import MAX_OF_NUMBER, Document, MediaType, Paper, key_context, media_type_of
from vns.senders.rules import SenderNumber
from vns.senders.service import Senders
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.pages import Page, last_id, page_of, page_size


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDocument:
    """A file that was looked at and encrypted, to be stored. `size`: bytes of the file itself."""

    id: UUID
    media_type: MediaType
    size: int
    wrapped_key: bytes
    content: bytes


async def sealed(keyring: KeyRing, content: bytes) -> SealedDocument:
    """Raises InvalidDocument."""
    media_type = await asyncio.to_thread(media_type_of, content)
    own, key = uuids.uuid7(), new_key()
    return SealedDocument(
        id=own,
        media_type=media_type,
        size=len(content),
        wrapped_key=keyring.encrypt(key.hex(), context=key_context(own)),
        content=await asyncio.to_thread(lambda: b"".join(encrypted(key, [content]))),
    )


class Documents:
    """Whatever is another tenant's is NotFound. The decision on a number: `Senders.approve` and `Senders.reject`."""

    def __init__(self, db: Database, keyring: KeyRing, clock: Clock) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock
        self._senders = Senders(db, keyring, clock)

    async def upload(self, actor: str, tenant_id: UUID, sender_id: UUID, content: bytes) -> Document:
        """A number that had failed waits again. Raises NotFound, InvalidDocument, QuotaExceeded."""
        made = await sealed(self._keyring, content)
        async with self._db.transaction() as connection:
            number = await connection.fetchrow(queries.LOCK, tenant_id, sender_id)
            if number is None:
                raise NotFound("no such sender number")
            if await connection.fetchval(queries.COUNT_DOCUMENTS, sender_id) >= MAX_OF_NUMBER:
                raise QuotaExceeded(f"a sender number has at most {MAX_OF_NUMBER} documents")
            now = self._clock.now()
            row = await connection.fetchrow(
                queries.INSERT_DOCUMENT,
                made.id,
                tenant_id,
                sender_id,
                made.media_type,
                made.size,
                made.wrapped_key,
                made.content,
                now,
            )
            await connection.execute(queries.WAIT_AGAIN, sender_id)
            await self._note(connection, actor, "sender.document_uploaded", row)
        return shown_document(row)

    async def list(self, tenant_id: UUID, sender_id: UUID) -> tuple[Document, ...]:
        """Oldest first. Raises NotFound."""
        await self._senders.get(tenant_id, sender_id)
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.DOCUMENTS, tenant_id, sender_id)
        return tuple(shown_document(row) for row in rows)

    async def read(self, actor: str, tenant_id: UUID, document_id: UUID) -> tuple[Document, bytes]:
        """Journalled. Raises NotFound."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(queries.DOCUMENT, tenant_id, document_id)
            if row is None:
                raise NotFound("no such document")
            await self._note(connection, actor, "sender.document_read", row)
        key = bytes.fromhex(self._keyring.decrypt(row["wrapped_key"], context=key_context(document_id)))
        content = await asyncio.to_thread(lambda: b"".join(decrypted(key, io.BytesIO(row["content"]))))
        return shown_document(row), content

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
            subject=row["sender_id"] or row["manager_id"] or row["application_id"],
            data={"document": str(row["id"]), "kind": row["kind"], "media_type": row["media_type"]},
        )
        await journal.append(connection, [entry])


def shown_document(row: asyncpg.Record) -> Document:
    """Without its content."""
    return Document(
        id=row["id"],
        tenant_id=row["tenant_id"],
        sender_id=row["sender_id"],
        kind=Paper(row["kind"]),
        media_type=MediaType(row["media_type"]),
        size=row["size"],
        created_at=row["created_at"],
    )
