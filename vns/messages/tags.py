"""Texts whose virtual number is no proven sender: they leave from the tenant's relay number, with a tag that names it.

The recipient sees `[0504-1234-5678 #7] …` from the relay number and answers `#7 …` to it; where only one number has
texted through the relay number, an answer needs no tag. A tag belongs to one recipient, so that it stays short.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from vns.messages import queries
from vns.numbering.rules import digits_of, hyphenate

KEPT_SECONDS: Final = 5.0  # for which the list of relay numbers is kept
TAG_LIFE: Final = timedelta(days=90)  # since it was last used; then it may stand for another number
MOST_NAMED: Final = 5  # numbers in an explanation

_TAGGED = re.compile(r"\s*#\s*(?P<tag>[0-9]{1,4})(?![0-9])[\s:,.\]]*(?P<text>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Tag:
    """What stands for a virtual number in texts between a relay number and one person."""

    number: int
    vn: int  # key
    binding_id: UUID


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nobody can say whom an answer is for. `tags`: whom it could be for."""

    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that has found its number. `text` is without the tag."""

    tag: Tag
    text: str


class RelayNumbers:
    """Which numbers are relay numbers, and whose."""

    def __init__(self) -> None:
        self._tenants: dict[int, UUID] = {}
        self._until = 0.0

    async def tenant_of(self, connection: asyncpg.Connection, number: int) -> UUID | None:
        return (await self._known(connection)).get(number)

    async def of_tenant(self, connection: asyncpg.Connection, tenant_id: UUID | None) -> int | None:
        known = await self._known(connection)
        return next((number for number, tenant in known.items() if tenant == tenant_id), None)

    async def _known(self, connection: asyncpg.Connection) -> dict[int, UUID]:
        if time.monotonic() >= self._until:
            rows = await connection.fetch(queries.RELAY_NUMBERS)
            self._tenants = {row["number"]: row["tenant_id"] for row in rows}
            self._until = time.monotonic() + KEPT_SECONDS
        return self._tenants


async def tag_for(
    connection: asyncpg.Connection, relay: int, party: bytes, vn: int, binding_id: UUID, now: datetime
) -> Tag | None:
    """The tag of a virtual number for one recipient, a new one if there is none; None: all 9,999 are in use."""
    await connection.execute(queries.LOCK_TAGS, _lock(relay, party))
    await connection.execute(queries.FORGET_TAGS, relay, party, now - TAG_LIFE)
    number = await connection.fetchval(queries.PUT_TAG, relay, party, vn, binding_id, now)
    return Tag(number, vn, binding_id) if number is not None else None


async def answered(
    connection: asyncpg.Connection, relay: int, party: bytes, text: str | None, now: datetime
) -> Answer | Unclear:
    """Whom a text to a relay number is for."""
    rows = await connection.fetch(queries.TAGS, relay, party, now - TAG_LIFE, now)
    tags = [Tag(row["tag"], row["vn"], row["binding_id"]) for row in rows]
    tagged = _TAGGED.fullmatch(text or "")
    if tagged is not None:
        named = next((tag for tag in tags if tag.number == int(tagged["tag"])), None)
        if named is not None:
            return Answer(named, tagged["text"])
    live = [tag for tag, row in zip(tags, rows, strict=True) if row["live"]]
    if tagged is None and len(live) == 1:
        return Answer(live[0], text or "")
    return Unclear(tuple(live[:MOST_NAMED]))


def tagged_text(tag: Tag, text: str) -> str:
    return f"[{hyphenate(digits_of(tag.vn))} #{tag.number}] {text}"


def explanation(tags: Sequence[Tag]) -> str:
    """What somebody is told whose answer could not be passed on."""
    if not tags:
        return "[안심번호] 답장할 수 있는 상대가 없어 문자가 전달되지 않았습니다."
    listed = " ".join(f"#{tag.number}={hyphenate(digits_of(tag.vn))}" for tag in tags)
    return f"[안심번호] 전달되지 않았습니다. 받을 상대의 번호를 앞에 붙여 주세요(예: #{tags[0].number} 내용). {listed}"


def _lock(relay: int, party: bytes) -> int:
    return int.from_bytes(party[:8], "big", signed=True) ^ relay
