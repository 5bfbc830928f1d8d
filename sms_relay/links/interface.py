"""What every channel towards a carrier looks like to those who use it.

The agent gives a link what is to be sent and stores what comes back; the relay takes texts that arrive.
Neither knows the protocol underneath. Numbers are national digits without hyphens. Who builds the links
sets `on_incoming` and `on_receipt`, then keeps `run()` alive as a task; cancelling it unbinds and ends the
link.

Promises of every link:

- A text or a receipt is acknowledged to the carrier only after its handler returned: commit first, return
  then. A handler that raises `TryLater` (or anything else) makes the carrier keep it and offer it again.
- Message ids are in one canonical form on both sides: `Receipt.message_id` equals the one of
  `SubmitOutcome.message_ids` it belongs to, whatever notation the carrier uses in either place.
- A receipt that overtakes the answer to its submit is held back: what stands directly behind `await
  link.submit(...)`, up to its first suspension, runs before the handler sees a receipt for that message.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol


class Carrier(Enum):
    """The final network as customers' tables spell it (RSLT_NET)."""

    SKT = "SKT"
    KTF = "KTF"
    LGT = "LGT"
    OTHER = "ETC"


class OutgoingKind(Enum):
    SMS = "sms"
    URL = "url"  # text is the title, and the address under it
    LMS = "lms"  # a long body; links without multimedia send it in parts
    MMS = "mms"  # files, with or without a body; only for links that take multimedia messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One file of a multimedia message. `content_type` without parameters: image/jpeg, text/plain (then in UTF-8), …"""

    content_type: str
    data: bytes

    def __repr__(self) -> str:
        return f"Media({self.content_type!r}, {len(self.data)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One text to a handset, or a multimedia message. `id` is the sender's own: it names the message in logs, and
    is the same when it is given to a link again.

    `subject` and `media`: of LMS and MMS, for links that take multimedia messages.
    """

    id: str
    source: str
    destination: str
    text: str
    kind: OutgoingKind = OutgoingKind.SMS
    subject: str = ""
    media: tuple[Media, ...] = ()

    def __repr__(self) -> str:
        return f"Outgoing(id={self.id!r}, kind={self.kind.value}, {len(self.text)} characters, {len(self.media)} files)"


class SubmitStatus(Enum):
    ACCEPTED = "accepted"
    """The carrier took it: `message_ids` holds one id per part."""
    REFUSED = "refused"
    """The carrier (or the link, see `reason`) will not take it. Sending it again unchanged is of no use,
    except where `retryable`.
    """
    NOT_SENT = "not_sent"
    """Nothing of it was written to the wire: it may be given to this or another link again without any risk
    of a duplicate.
    """
    UNKNOWN = "unknown"
    """Written, but the answer was lost (link cut, or silence), or only some parts were taken. Sent again,
    it may arrive twice.
    """


class Reason(Enum):
    """Why the link itself gave an answer that no carrier gave."""

    NOT_CONNECTED = "not_connected"
    CLOSING = "closing"
    LINK_LOST = "link_lost"
    NO_ANSWER = "no_answer"
    TOO_LONG = "too_long"
    NOT_ENCODABLE = "not_encodable"
    BAD_NUMBER = "bad_number"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOutcome:
    """What became of one `submit`.

    `message_ids`: canonical ids of the parts the carrier took, in order. It is complete when ACCEPTED;
    otherwise it holds those taken before the failure. `command_status`: the SMPP status of the refusal, and
    `mm7_status` the MM7 StatusCode of one, each None where no such carrier answered. `retryable`: the refusal
    speaks of load (throttled, queue full), and the link has already tried as often as it is allowed to.
    """

    status: SubmitStatus
    message_ids: tuple[str, ...] = ()
    parts: int = 1
    command_status: int | None = None
    mm7_status: int | None = None
    retryable: bool = False
    reason: Reason | None = None

    @property
    def message_id(self) -> str | None:
        """The id of the first part, all there is for an ordinary text."""
        return self.message_ids[0] if self.message_ids else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A text from a handset, parts already joined.

    `text` is None where the bytes are no text (binary coding, or undecodable); `raw` always holds the bytes
    without user data headers, in `data_coding`. `parts`: how many parts were received. `missing`: sequence
    numbers of parts that never came (an incomplete message is handed over as it is after a time rather than
    lost). `reference`: the concatenation reference, None for a single text.

    A multimedia message has `media` beside the text, which may then be empty, and perhaps a `subject`; `raw` is a
    digest of it all. `delivery`: the carrier's own name for it, the same when it is offered again; empty where there
    is none.
    """

    source: str
    destination: str
    text: str | None
    raw: bytes
    data_coding: int
    link: str
    session_id: str
    parts: int = 1
    missing: tuple[int, ...] = ()
    reference: int | None = None
    media: tuple[Media, ...] = ()
    subject: str = ""
    delivery: str = ""

    def __repr__(self) -> str:
        return f"Incoming(link={self.link!r}, {len(self.raw)} bytes, parts={self.parts}, missing={self.missing})"


class ReceiptState(Enum):
    """States of a message: first those of SMPP 3.4 (5.2.28) in its order, spelled as in a receipt's text, then what
    only MM7 tells.
    """

    ENROUTE = "ENROUTE"
    DELIVERED = "DELIVRD"
    EXPIRED = "EXPIRED"
    DELETED = "DELETED"
    UNDELIVERABLE = "UNDELIV"
    ACCEPTED = "ACCEPTD"
    UNKNOWN = "UNKNOWN"
    REJECTED = "REJECTD"
    REFUSED = "REFUSED"  # by the recipient
    UNRECOGNISED = "UNRECOGNISED"  # the handset cannot take such a message

    @property
    def final(self) -> bool:
        """Whether nothing more can be expected: ENROUTE and ACCEPTD only say that the message is on its
        way.
        """
        return self not in (ReceiptState.ENROUTE, ReceiptState.ACCEPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the carrier says became of one part.

    `error_code`: as the carrier wrote it, without leading zeros ("" when absent or zero); its meaning is
    the carrier's own. `done_at`: aware, None where the receipt does not say.
    """

    message_id: str
    state: ReceiptState
    error_code: str
    carrier: Carrier
    done_at: datetime | None
    link: str


class TryLater(Exception):
    """Raised by a handler: it cannot take this now (database away, queue full). The carrier keeps it and
    offers it again.
    """

    def __init__(self, detail: str, *, queue_full: bool = False) -> None:
        super().__init__(detail)
        self.queue_full = queue_full


IncomingHandler = Callable[[Incoming], Awaitable[None]]
ReceiptHandler = Callable[[Receipt], Awaitable[None]]


class Link(Protocol):
    """One channel to one carrier."""

    on_incoming: IncomingHandler | None
    on_receipt: ReceiptHandler | None

    @property
    def name(self) -> str: ...

    @property
    def carrier(self) -> Carrier: ...

    @property
    def window(self) -> int:
        """How many submits may be on their way at once."""
        ...

    @property
    def connected(self) -> bool:
        """Whether a submit would be written now."""
        ...

    async def submit(self, outgoing: Outgoing) -> SubmitOutcome:
        """Sends one text; returns when the carrier answered, or cannot be expected to.

        Waits for a free place in the window and for the agreed rate; every place is free again after the
        response time-out at the latest. Never raises for what a peer does. Call it concurrently, about
        `window` at a time: throughput comes from the window.
        """
        ...

    async def run(self) -> None:
        """Connects and keeps connected until cancelled; then unbinds. Outstanding submits end as UNKNOWN
        when the link goes.
        """
        ...
