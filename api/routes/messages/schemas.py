"""Texts as JSON. What was written in them is not shown."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field, WithJsonSchema

from api.wire import Digits, Masked, Out
from vns.messages.rules import NO_NUMBER, Kind, Message, Status
from vns.numbering.rules import digits_of

_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019a0000-0000-7000-8000-000000000003",
    "binding_id": "019a0000-0000-7000-8000-000000000000",
    "virtual_number": "07080000001",
    "from": "010-****-4321",
    "to": "010-****-5678",
    "status": "delivered",
    "reason": None,
    "code": "0",
    "kind": "sms",
    "received_at": "2030-01-02T03:04:05Z",
    "sent_at": "2030-01-02T03:04:06Z",
    "finished_at": "2030-01-02T03:04:09Z",
}


# Inline, because bindings have a `Status` too and a document has one schema for each name.
MessageStatus = Annotated[str, WithJsonSchema({"type": "string", "enum": [status.value for status in Status]})]


class MessageOut(Out):
    """A text and what became of it. `delivered` means that the carrier's receipt says so."""

    id: UUID
    binding_id: UUID | None
    virtual_number: Digits | None = Field(description="Null where what was texted is no number of this kind.")
    sender: Masked | None = Field(serialization_alias="from", description="Null when withheld.")
    recipient: Masked | None = Field(serialization_alias="to", description="Null when refused.")
    status: MessageStatus
    reason: str | None = Field(description="Why it was refused or failed.")
    code: str | None = Field(description="RSLT_CODE2 of the sending agent.")
    kind: Kind
    received_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    @classmethod
    def of(cls, message: Message) -> "MessageOut":
        return cls(
            id=message.id,
            binding_id=message.binding_id,
            virtual_number=digits_of(message.vn) if message.vn != NO_NUMBER else None,
            sender=message.sender,
            recipient=message.recipient,
            status=message.status,
            reason=message.reason,
            code=message.code,
            kind=message.kind,
            received_at=message.received_at,
            sent_at=message.sent_at,
            finished_at=message.finished_at,
        )


class MessagePageOut(Out):
    items: list[MessageOut]
    next_cursor: str | None = Field(description="For the next page; null on the last.")
