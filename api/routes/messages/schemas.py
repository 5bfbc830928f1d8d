"""Texts as JSON. What was written in them is not shown."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

from api.problems import Problem
from api.routes.bindings.schemas import Flag
from api.wire import Digits, In, Masked, Number, Out, Time
from vns.bindings.rules import Side
from vns.messages.rules import NO_NUMBER, Kind, Message, NewText, Status
from vns.messages.sending import MAX_BATCH
from vns.numbering.rules import digits_of, parse

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
    "send_at": None,
}
_REQUEST_EXAMPLE: Final[dict[str, Any]] = {
    "binding_id": "019a0000-0000-7000-8000-000000000000",
    "to": "real_number",
    "text": "오늘 15시에 배송 예정입니다.",
}
_LATER_EXAMPLE: Final[dict[str, Any]] = {
    "binding_id": "019a0000-0000-7000-8000-000000000000",
    "to": "peer_number",
    "from": "1877-1234",
    "text": "내일 방문 예정입니다.",
    "send_at": "2099-12-31T00:00:00Z",
}

_SIDES: Final = {"real_number": Side.REAL, "peer_number": Side.PEER}


# Inline, because bindings have a `Status` too and a document has one schema for each name.
MessageStatus = Annotated[str, WithJsonSchema({"type": "string", "enum": [status.value for status in Status]})]


class NewMessage(In):
    """A text to one side of a binding."""

    binding_id: UUID = Field(description="Through this binding, which has to be live.")
    to: Annotated[Literal["real_number", "peer_number"], Field(description="To this side; a `group`'s first member.")]
    text: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
    sender: Number | None = Field(
        default=None,
        alias="from",
        description="A virtual number you have in use, or a verified number of yours; by default the virtual number "
        "that the recipient would answer to.",
    )
    send_at: Time | None = Field(default=None, description="Not before this moment, at most 180 days ahead.")
    advertising: Flag = Field(
        default=False, description="Advertising: (광고) first, a free 080 number last, not between 21:00 and 08:00."
    )
    night_consent: Flag = Field(default=False, description="The recipient agreed to advertising at night, separately.")

    model_config = ConfigDict(json_schema_extra={"examples": [_REQUEST_EXAMPLE, _LATER_EXAMPLE]})

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, fields: object) -> object:
        """Clients made from a schema send null for whatever they do not set."""
        return (
            {name: value for name, value in fields.items() if value is not None} if isinstance(fields, dict) else fields
        )

    def text_to_send(self) -> NewText:
        """The same for the core. Raises InvalidNumber."""
        return NewText(
            binding_id=self.binding_id,
            to=_SIDES[self.to],
            text=self.text,
            sender=parse(self.sender) if self.sender is not None else None,
            send_at=self.send_at,
            advertising=self.advertising,
            night_consent=self.night_consent,
        )


class NewMessages(In):
    """Each item is answered on its own; one bad item spoils no other."""

    items: list[NewMessage] = Field(min_length=1, max_length=MAX_BATCH)


class RawMessages(In):
    """The same, its items not yet looked at."""

    items: list[Any] = Field(min_length=1, max_length=MAX_BATCH)


class MessageOut(Out):
    """A text and what became of it. `delivered` means that the carrier's receipt says so."""

    id: UUID
    binding_id: UUID | None
    virtual_number: Digits | None = Field(description="Null where what was texted is no number of this kind.")
    sender: Masked | None = Field(serialization_alias="from", description="Null when withheld.")
    recipient: Masked | None = Field(serialization_alias="to", description="Null when refused.")
    status: MessageStatus
    reason: str | None = Field(description="Why it was refused or failed; `sent_again`: delivered, perhaps twice.")
    code: str | None = Field(description="RSLT_CODE2 of the sending agent.")
    kind: Kind
    received_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    send_at: datetime | None = Field(description="When the tenant wanted it sent; null for at once.")

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
            send_at=message.send_at,
        )


class MessagePageOut(Out):
    items: list[MessageOut]
    next_cursor: str | None = Field(description="For the next page; null on the last.")


class MessageItemOut(Out):
    """Either of the two."""

    message: MessageOut | None = None
    error: Problem | None = None


class MessageBatchOut(Out):
    items: list[MessageItemOut] = Field(description="One for each item, in their order.")


def render(message: Message) -> str:
    """The body of an answer."""
    return MessageOut.of(message).model_dump_json(by_alias=True)
