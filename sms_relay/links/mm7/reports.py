"""A DeliveryReportReq: what became of a message. Pure."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sms_relay.links.interface import ReceiptState
from sms_relay.links.mm7.soap import BadMessage, Message

MOST_ID: Final = 80  # characters of an id that whoever stores it has room for

STATES: Final = {
    "retrieved": ReceiptState.DELIVERED,
    "forwarded": ReceiptState.DELIVERED,  # the recipient disposed of it and had it sent on
    "expired": ReceiptState.EXPIRED,
    "rejected": ReceiptState.REFUSED,
    "unrecognised": ReceiptState.UNRECOGNISED,
    "unrecognized": ReceiptState.UNRECOGNISED,
    "deferred": ReceiptState.ENROUTE,
    "indeterminate": ReceiptState.UNKNOWN,
}
"""MMStatus, compared without case. Whatever is not here is UNKNOWN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`message_id`: canonical. `done_at`: aware, None where the report does not say."""

    message_id: str
    state: ReceiptState
    done_at: datetime | None


def canonical_id(raw: str) -> str:
    """Ids are compared as they are; of one that nobody has room for, or that is not in ASCII (some
    tables are in EUC-KR), its hash stands in."""
    text = raw.strip()
    return text if len(text) <= MOST_ID and text.isascii() else hashlib.sha256(text.encode()).hexdigest()


def read_report(message: Message) -> Report:
    """Raises `BadMessage` where no message is named."""
    message_id = canonical_id(message.text("MessageID"))
    if not message_id:
        raise BadMessage("a report that names no message")
    state = STATES.get(message.text("MMStatus").lower(), ReceiptState.UNKNOWN)
    return Report(message_id=message_id, state=state, done_at=_moment(message.text("Date")))


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
