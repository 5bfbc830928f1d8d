"""The prompts of tenants: kept as telephone wav, and handed to bridges by id."""

import asyncio
from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.access.rules import Principal
from vns.errors import InvalidRequest, NotFound, QuotaExceeded
from vns.prompts import queries
from vns.prompts.audio import seconds_of, telephone_wav
from vns.prompts.rules import MAX_PROMPTS, Prompt, Sound, check_name, check_text
from vns.prompts.speech import speak
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database

SHAPED_AT_ONCE = 2  # a recording takes up to two seconds of a processor
IDS_AT_ONCE = 1_000


class Prompts:
    """The prompts of one installation."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._shaping = asyncio.Semaphore(SHAPED_AT_ONCE)

    async def record(self, principal: Principal, name: str, wav: bytes) -> Prompt:
        """A prompt from a recording. Raises InvalidAudio, InvalidRequest, QuotaExceeded."""
        check_name(name)
        async with self._shaping:
            audio = await asyncio.to_thread(telephone_wav, wav)
        return await self._keep(principal, name, None, audio)

    async def speak(self, principal: Principal, name: str, text: str) -> Prompt:
        """A prompt from a text. Raises SpeechUnavailable, InvalidAudio, InvalidRequest, QuotaExceeded."""
        check_name(name)
        check_text(text)
        async with self._shaping:
            audio = await speak(text)
        return await self._keep(principal, name, text, audio)

    async def _keep(self, principal: Principal, name: str, text: str | None, audio: bytes) -> Prompt:
        prompt_id, now = uuids.uuid7(), self._clock.now()
        try:
            async with self._db.transaction() as connection:
                await connection.execute(queries.LOCK_TENANT, principal.tenant_id)
                if await connection.fetchval(queries.COUNT, principal.tenant_id) >= MAX_PROMPTS:
                    raise QuotaExceeded(f"a tenant has at most {MAX_PROMPTS} prompts")
                row = await connection.fetchrow(
                    queries.INSERT, prompt_id, principal.tenant_id, name, text, audio, seconds_of(audio), now
                )
                await self._note(connection, principal, "prompt.created", prompt_id, name)
        except asyncpg.UniqueViolationError as error:
            raise InvalidRequest("a prompt of this name exists") from error
        return _prompt(row)

    async def list(self, principal: Principal) -> list[Prompt]:
        """The tenant's prompts, oldest first."""
        async with self._db.connection() as connection:
            return [_prompt(row) for row in await connection.fetch(queries.LIST, principal.tenant_id)]

    async def get(self, principal: Principal, prompt_id: UUID) -> Prompt:
        """Raises NotFound."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.SELECT, principal.tenant_id, prompt_id)
        if row is None:
            raise NotFound("no such prompt")
        return _prompt(row)

    async def audio(self, principal: Principal, prompt_id: UUID) -> bytes:
        """The telephone wav. Raises NotFound."""
        async with self._db.connection() as connection:
            audio: bytes | None = await connection.fetchval(queries.AUDIO, principal.tenant_id, prompt_id)
        if audio is None:
            raise NotFound("no such prompt")
        return audio

    async def delete(self, principal: Principal, prompt_id: UUID) -> None:
        """Where rules still name it the platform's own prompt is played, a minute later at most. Raises NotFound."""
        async with self._db.transaction() as connection:
            name = await connection.fetchval(queries.DELETE, principal.tenant_id, prompt_id)
            if name is None:
                raise NotFound("no such prompt")
            await self._note(connection, principal, "prompt.deleted", prompt_id, name)

    async def ids(self) -> set[UUID]:
        """Of all prompts, whosever they are."""
        found: set[UUID] = set()
        last = UUID(int=0)
        while True:
            async with self._db.connection() as connection:
                rows = await connection.fetch(queries.IDS, last, IDS_AT_ONCE)
            found.update(row["id"] for row in rows)
            if len(rows) < IDS_AT_ONCE:
                return found
            last = rows[-1]["id"]

    async def names(self, prompt_ids: Iterable[UUID]) -> dict[UUID, str]:
        """The names of `Sound`s, of those ids that are prompts of anybody's."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.NAMES, list(prompt_ids))
        return {row["id"]: row["name"] for row in rows}

    async def sounds(self, prompt_ids: Iterable[UUID]) -> dict[UUID, Sound]:
        """What to play, of those ids that are prompts of anybody's."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.SOUNDS, list(prompt_ids))
        return {row["id"]: Sound(sha256(row["audio"]).hexdigest(), row["audio"]) for row in rows}

    async def _note(
        self, connection: asyncpg.Connection, principal: Principal, event: str, prompt_id: UUID, name: str
    ) -> None:
        entry = journal.Entry(
            at=self._clock.now(),
            tenant_id=principal.tenant_id,
            actor=principal.actor,
            event=event,
            subject=prompt_id,
            data={"name": name},
        )
        await journal.append(connection, [entry])


def _prompt(row: asyncpg.Record) -> Prompt:
    return Prompt(
        id=row["id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        text=row["text"],
        seconds=row["seconds"],
        size=row["size"],
        created_at=row["created_at"],
    )
