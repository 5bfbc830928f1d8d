"""Tells an owner by text of a call that it missed."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.bindings.rules import Side
from vns.bindings.rules import cipher_context as binding_context
from vns.crypto.errors import CryptoError
from vns.crypto.rules import KeyRing
from vns.messages import queries, records
from vns.messages.rules import Envelope, Kind, Status
from vns.numbering.rules import digits_of, hyphenate, mask
from vns.rulebook.opening import KOREA
from vns.storage import journal

log = logging.getLogger(__name__)

SESSION = "platform"  # where other texts name the SMPP session that they came in by


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedCall:
    """`vn`: the number dialled, a key. `caller`: digits, None where the owner would not have seen them."""

    call_id: UUID
    binding_id: UUID
    vn: int
    at: datetime
    caller: str | None

    def __repr__(self) -> str:
        return f"MissedCall({self.call_id})"


def missed_text(vn: str, caller: str | None, at: datetime) -> str:
    """At most 90 bytes of MS949: one SMS. `at` is when the call ended."""
    text = f"[부재중 전화] 안심번호 {hyphenate(vn)} {at.astimezone(KOREA):%m/%d %H:%M}"
    return text if caller is None else f"{text} 발신 {hyphenate(caller)}"


async def tell_missed(
    connection: asyncpg.Connection, keyring: KeyRing, calls: Sequence[MissedCall], now: datetime
) -> None:
    """Record one text for each call, in the caller's transaction; the relay takes it from there.

    It comes from the virtual number. Where that is no proven sender, the record says that nothing was sent. An owner
    whose number cannot be decrypted is told nothing: that would hold up the ends of calls.
    """
    rows = await connection.fetch(queries.OWNERS, list({call.binding_id for call in calls}))
    owners = {row["id"]: row for row in rows}
    for call in calls:
        try:
            await _tell(connection, keyring, call, owners[call.binding_id], now)
        except CryptoError as error:
            log.error("the owner cannot be told of call %s: %s", call.call_id, type(error).__name__)  # noqa: TRY400 - says it all


async def _tell(
    connection: asyncpg.Connection, keyring: KeyRing, call: MissedCall, owner: asyncpg.Record, now: datetime
) -> None:
    message_id = uuids.uuid7()
    real = keyring.decrypt(owner["real_number"], context=binding_context(call.binding_id, Side.REAL))
    vn = owner["peer_vn"] or call.vn  # whom the owner would have seen, and can call back
    envelope = Envelope(to=real, sender=digits_of(vn), text=missed_text(digits_of(vn), call.caller, call.at))
    message = records.NewMessage(
        id=message_id,
        tenant_id=owner["tenant_id"],
        binding_id=call.binding_id,
        vn=vn,
        from_index=None,
        to_index=owner["real_index"],
        from_masked=None,
        to_masked=mask(real),
        status=Status.QUEUED,
        reason=None,
        code=None,
        kind=Kind.SMS,
        envelope=envelope,
        fingerprint=keyring.index(f"missed call\0{call.call_id}"),
        session=SESSION,
        at=now,
    )
    (recorded,) = await records.insert(connection, keyring, [message])
    entry = journal.Entry(
        at=now,
        tenant_id=owner["tenant_id"],
        actor=f"call:{call.call_id}",
        event="message.missed_call",
        subject=message_id,
        data={
            "binding_id": str(call.binding_id),
            "status": recorded.message.status.value,
            "reason": recorded.message.reason,
        },
    )
    await journal.append(connection, [entry])
