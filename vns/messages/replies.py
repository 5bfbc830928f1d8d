"""What the platform makes of a text beside passing it on: wishes to get no more of them, and answers of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.crypto.rules import KeyRing
from vns.messages import advertising, queries
from vns.messages.records import NewMessage
from vns.messages.rules import Envelope, Objection, Status, Unencodable, sendable
from vns.numbering.rules import NumberKind, PhoneNumber, digits_of, hyphenate
from vns.rulebook.documents import read
from vns.rulebook.opening import KOREA
from vns.storage import journal

SESSION = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Somebody wants no texts of a tenant any more, or (`stop` False) wants them again."""

    tenant_id: UUID
    party: bytes
    binding_id: UUID | None
    stop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A text of the platform's own to whoever has just texted `vn` (a key)."""

    tenant_id: UUID
    binding_id: UUID | None
    vn: int
    to: PhoneNumber
    party: bytes
    text: str


async def keep(connection: asyncpg.Connection, wishes: Sequence[Wish], now: datetime) -> None:
    """Written down in the transaction of the text that said so."""
    for wish in wishes:
        if wish.stop:
            await connection.execute(queries.OPT_OUT, wish.tenant_id, wish.party, wish.binding_id, now)
        else:
            await connection.execute(queries.OPT_IN, wish.tenant_id, wish.party)
    entries = [
        journal.Entry(
            at=now,
            tenant_id=wish.tenant_id,
            actor="party",
            event="texts.opted_out" if wish.stop else "texts.opted_in",
            subject=wish.binding_id,
        )
        for wish in wishes
    ]
    await journal.append(connection, entries)


def wish_of(text: str | None, tenant_id: UUID | None, party: bytes | None, binding_id: UUID | None) -> Wish | None:
    said = advertising.wish(text)
    if said is None or tenant_id is None or party is None:
        return None
    return Wish(tenant_id=tenant_id, party=party, binding_id=binding_id, stop=not said)


async def wanting_reply(connection: asyncpg.Connection, binding_ids: Sequence[UUID]) -> set[UUID]:
    """Those ended bindings whose rules, or their pool's, have texts to them answered."""
    if not binding_ids:
        return set()
    rows = await connection.fetch(queries.RULES_OF, list(set(binding_ids)))
    return {row["id"] for row in rows if read(row["rules"]).over(read(row["pool_rules"])).ended_text}


def ended_text(vn: int) -> str:
    return f"[안심번호] {hyphenate(digits_of(vn))} 번호는 사용이 종료되어 문자가 전달되지 않았습니다."


async def rows_of(
    connection: asyncpg.Connection, keyring: KeyRing, replies: Sequence[Reply], now: datetime
) -> list[NewMessage]:
    """Each at most once a day to the same person about the same number, and to mobile phones only."""
    made = []
    day = now.astimezone(KOREA).date()
    for reply in replies:
        if reply.to.kind is not NumberKind.MOBILE:
            continue
        if await connection.fetchval(queries.NOTE_REPLY, reply.vn, reply.party, day) is None:
            continue
        written = sendable(reply.text, Unencodable.TRANSLITERATE)
        if isinstance(written, Objection):
            raise TypeError("a text of the platform's own can be sent")
        message_id = uuids.uuid7()
        made.append(
            NewMessage(
                id=message_id,
                tenant_id=reply.tenant_id,
                binding_id=reply.binding_id,
                vn=reply.vn,
                from_index=None,
                to_index=reply.party,
                from_masked=None,
                to_masked=reply.to.masked,
                status=Status.QUEUED,
                reason=None,
                code=None,
                kind=written.kind,
                envelope=Envelope(to=reply.to.digits, sender=digits_of(reply.vn), text=written.text),
                fingerprint=keyring.index(f"reply\0{message_id}"),
                session=SESSION,
                at=now,
            )
        )
    return made
