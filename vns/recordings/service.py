"""Recorded calls from the clear file to their erasure, with a journal row for each that hears of one."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.access.rules import Principal
from vns.crypto.errors import CryptoError
from vns.crypto.rules import KeyRing, version_of
from vns.errors import InvalidLink, NotFound, Unavailable
from vns.recordings import queries
from vns.recordings.rules import Link, Recording, key_context, make_link, read_link
from vns.recordings.settings import RecordingSettings
from vns.recordings.store import RecordingStore, Sealed, path_of
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database

log = logging.getLogger(__name__)

BATCH: Final = 200
_NOT_THERE: Final = "this call has no recording"


@dataclass(frozen=True, slots=True)
class Download:
    """`chunks`: the wav file; a generator to be used in a thread. `size` in bytes."""

    size: int
    chunks: Iterator[bytes]


class Recordings:
    """The recorded calls of one installation."""

    def __init__(self, db: Database, keyring: KeyRing, clock: Clock, settings: RecordingSettings | None = None) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock
        self._settings = settings or RecordingSettings()
        self._store = RecordingStore(self._settings.recording_store_dir)
        self._waiting: set[UUID] = set()  # calls whose recordings were told of as waiting

    async def seal(self, clear: Path, call_id: UUID) -> bool:
        """Encrypt a recorded call and remove the clear file, without the database. False: it was empty.

        Raises OSError: then the clear file is still there.
        """
        return await asyncio.to_thread(self._store.seal, clear, call_id, self._keyring)

    async def register(self, bridge: str) -> int:
        """Tell the database of what was encrypted; how many were new.

        A file with which that does not go stays, and keeps no other back. Raises Unavailable; OSError when the store
        cannot be looked into.
        """
        new = 0
        for sealed in await asyncio.to_thread(self._store.unknown):
            try:
                new += await self._registered(sealed, bridge)
            except (OSError, CryptoError) as error:
                if sealed.call_id not in self._waiting:  # bridges come here every second
                    self._waiting.add(sealed.call_id)
                    log.warning("the recording of call %s waits: %s", sealed.call_id, type(error).__name__)
            else:
                self._waiting.discard(sealed.call_id)
        return new

    async def _registered(self, sealed: Sealed, bridge: str) -> bool:
        """Whether it was new. Raises Unavailable; OSError, CryptoError for this file."""
        async with self._db.transaction() as connection:
            path, first = await self._insert(connection, sealed, bridge)
        await asyncio.to_thread(self._store.settle, sealed.call_id, path)
        return first

    async def _insert(self, connection: asyncpg.Connection, sealed: Sealed, bridge: str) -> tuple[str, bool]:
        """Where the file is to lie, and whether this call is new."""
        now, recording_id = self._clock.now(), uuids.uuid7()
        path = path_of(sealed.call_id, now)
        row = await connection.fetchrow(
            queries.INSERT,
            recording_id,
            sealed.call_id,
            path,
            sealed.size,
            sealed.seconds,
            sealed.wrapped_key,
            version_of(sealed.wrapped_key),
            now,
            now + timedelta(days=self._settings.recording_retention_days),
        )
        if row is None:
            return await connection.fetchval(queries.PATH_OF_CALL, sealed.call_id), False
        await self._note(
            connection,
            f"bridge:{bridge}",
            "recording.kept",
            row["tenant_id"],
            recording_id,
            {"call": str(sealed.call_id), "seconds": round(sealed.seconds)},
        )
        return path, True

    async def link(self, principal: Principal, call_id: UUID) -> Link:
        """A link to the recording of a call of the tenant's. Raises NotFound."""
        now = self._clock.now()
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(queries.OF_CALL, call_id, principal.tenant_id, now)
            if row is None:
                raise NotFound(_NOT_THERE)
            recording = Recording(**dict(row))
            until = min(now + timedelta(seconds=self._settings.recording_url_seconds), recording.expires_at)
            link = make_link(self._keyring, recording.id, until)
            await self._note(
                connection,
                principal.actor,
                "recording.link_made",
                principal.tenant_id,
                recording.id,
                {"call": str(call_id), "link": link.name},
            )
        return link

    async def download(self, recording_id: UUID, expires: str, signature: str) -> Download:
        """What a link leads to. Raises InvalidLink; NotFound once it is erased; Unavailable, DecryptionFailed."""
        now = self._clock.now()
        link = read_link(self._keyring, recording_id, expires, signature, now)
        if link is None:
            raise InvalidLink("the link is not one of ours, or its time is over")
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(queries.SELECT, recording_id, now)
            if row is None:
                raise NotFound(_NOT_THERE)
            chunks = await asyncio.to_thread(self._opened, row)
            await self._note(
                connection,
                f"link:{link.name}",
                "recording.downloaded",
                row["tenant_id"],
                recording_id,
                {"call": str(row["call_id"]), "link": link.name},
            )
        return Download(row["size"], chunks)

    def _opened(self, row: asyncpg.Record) -> Iterator[bytes]:
        """With the first piece decrypted, so that an error comes before the answer has begun."""
        try:
            chunks = self._store.read(row["call_id"], row["path"], row["wrapped_key"], self._keyring)
            return chain([next(chunks)], chunks)
        except FileNotFoundError as error:
            raise Unavailable("the store of recordings does not have the file") from error
        except OSError as error:
            raise Unavailable("the store of recordings cannot read the file") from error

    async def rewrap_once(self) -> int:
        """Bring the keys of all recordings to the newest version of the ring; how many were not."""
        renewed, after = 0, UUID(int=0)
        while True:
            async with self._db.transaction() as connection:
                rows = await connection.fetch(queries.OLD_KEYS, self._keyring.newest, after, BATCH)
                if not rows:
                    return renewed
                anew = [self._rewrapped(row) for row in rows]
                columns = [row["call_id"] for row in rows], [row["wrapped_key"] for row in rows], anew
                renewed += len(await connection.fetch(queries.RENEW, *columns, self._keyring.newest))
            after = rows[-1]["call_id"]

    def _rewrapped(self, row: asyncpg.Record) -> bytes:
        context = key_context(row["call_id"])
        return self._keyring.encrypt(self._keyring.decrypt(row["wrapped_key"], context=context), context=context)

    async def _note(
        self,
        connection: asyncpg.Connection,
        actor: str,
        event: str,
        tenant_id: UUID | None,
        recording_id: UUID,
        data: journal.Data,
    ) -> None:
        entry = journal.Entry(
            at=self._clock.now(), tenant_id=tenant_id, actor=actor, event=event, subject=recording_id, data=data
        )
        await journal.append(connection, [entry])
