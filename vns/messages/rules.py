"""What a text is, what may be sent of it, and the words for what became of it. Pure."""

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from vns.bindings.rules import Side
from vns.numbering.rules import NumberKind, PhoneNumber

SMS_BYTES: Final = 90  # in MS949, as Korean networks count
LMS_BYTES: Final = 2000
UCS2_SMS_BYTES: Final = 140  # what one SMPP message carries
RESEND_WINDOW: Final = timedelta(minutes=10)
"""A carrier that lost our acknowledgement offers a text again through its next session; later it is a new text."""
NAMED_RESEND_WINDOW: Final = timedelta(days=7)
"""The same of messages that the carrier has given a name of their own: no other message has it."""

NO_NUMBER: Final = 0  # stored as VN where what was dialled is none
_RECORDED_KINDS = frozenset({NumberKind.SAFE, NumberKind.VOIP, NumberKind.REPRESENTATIVE})


class Status(StrEnum):
    RECEIVED = "received"
    REFUSED = "refused"
    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    SMS = "sms"
    LMS = "lms"
    MMS = "mms"


class Objection(StrEnum):
    """Why a text is not sent though the decision would connect; a refusal of the decision has its own reason."""

    UNREADABLE = "unreadable"  # binary, or in no known coding
    EMPTY = "empty"
    TOO_LONG = "too_long"
    NOT_ENCODABLE = "not_encodable"
    SENDER_NOT_REGISTERED = "sender_not_registered"
    DAILY_LIMIT = "daily_limit"  # the line has sent its texts of the day
    OPTED_OUT = "opted_out"  # the recipient does not want texts of this tenant
    ADVERTISING = "advertising_not_allowed"  # see vns.messages.advertising
    CANCELLED = "cancelled"
    NOTHING_TO_SHOW = "nothing_to_show"  # a multimedia message of which no handset would show anything
    TAG_NEEDED = "tag_needed"  # an answer to a relay number that does not say whom it is for


CODES: Final[dict[Objection, str]] = {
    Objection.UNREADABLE: "f",
    Objection.EMPTY: "q",
    Objection.TOO_LONG: "o",
    Objection.NOT_ENCODABLE: "f",
    Objection.SENDER_NOT_REGISTERED: "i",
    Objection.DAILY_LIMIT: "n",
    Objection.OPTED_OUT: "c",
    Objection.ADVERTISING: "m",
    Objection.CANCELLED: "z",
    Objection.NOTHING_TO_SHOW: "g",
    Objection.TAG_NEEDED: "q",
}
"""The RSLT_CODE2 that an objection would have had in MSG_DATA."""

ADDRESSED: Final = re.compile(r"\s*#?(?P<digits>[0-9][0-9-]{1,14})[#:,\s]\s*(?P<text>.+)", re.DOTALL)
"""A text to a number that many share by extension, or that a subscriber sends on: `1234 hello`."""

ADDRESSED_ALONE: Final = re.compile(r"\s*#?(?P<digits>[0-9][0-9-]{1,14})#?\s*(?P<text>)")
"""The same where pictures are all that is to be passed on."""

INCOMPLETE: Final = "incomplete"
"""Reason of a text of which a part never came: what came is passed on."""

FILES_LEFT_OUT: Final = "files_left_out"
"""Reason of a multimedia message of which not every file could be passed on. Its recipient is told so, too."""

SUBJECT_BYTES: Final = 40  # in MS949


class Unencodable(StrEnum):
    """What happens to characters that MS949 does not have (emoji, other scripts)."""

    TRANSLITERATE = "transliterate"
    UCS2 = "ucs2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A text as a link hands it over. `text` None: unreadable, then `raw` tells it from others. Its repr is bare.

    `id` becomes the message's. Offered again after an attempt whose commit was not confirmed, it has the same.
    A multimedia message has `pictures` as they are to be sent, and `left_out` counts the files that are not.
    `delivery`: the carrier's own name for it, or empty.
    """

    id: UUID
    link: str
    session: str
    sender: str
    dialled: str
    text: str | None
    raw: bytes = b""
    incomplete: bool = False
    pictures: tuple[bytes, ...] = ()
    left_out: int = 0
    subject: str = ""
    delivery: str = ""

    def __repr__(self) -> str:
        return f"Arrival(link={self.link!r})"

    @property
    def identity(self) -> str:
        """What is the same when a carrier offers the same text again."""
        if self.delivery:
            named = ("message", self.link, self.sender, self.dialled, "named:" + self.delivery, self.raw.hex())
            return "\0".join(named)
        body = "text:" + self.text if self.text is not None else "raw:" + self.raw.hex()
        return "\0".join(("message", self.link, self.sender, self.dialled, body))

    @property
    def resend_window(self) -> timedelta:
        """For how long the same may come again and be no new text."""
        return NAMED_RESEND_WINDOW if self.delivery else RESEND_WINDOW

    @property
    def multimedia(self) -> bool:
        """Whether it had files, whatever became of them."""
        return bool(self.pictures or self.left_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewText:
    """A text that a tenant asks for. `sender` None: the virtual number that the recipient would answer to."""

    binding_id: UUID
    to: Side
    text: str
    sender: PhoneNumber | None = None
    send_at: datetime | None = None
    advertising: bool = False
    night_consent: bool = False

    def __repr__(self) -> str:
        return f"NewText(binding_id={self.binding_id}, {len(self.text)} characters)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The record of an arrival. `duplicate`: it had been recorded before, and nothing was done now."""

    id: UUID
    status: Status
    duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Who gets what from whom: national digits and text. Kept encrypted, and only until the message is final.

    `subject`: of a multimedia message, as its sender wrote it; empty where there is none.
    """

    to: str
    sender: str
    text: str
    subject: str = ""

    def __repr__(self) -> str:
        return f"Envelope({len(self.text)} characters)"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMessage:
    """A message that is not final yet."""

    id: UUID
    npro_id: int
    kind: Kind
    status: Status
    envelope: Envelope
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a message. `status` is SENT or final; `sent_at` None: it never left for the carrier."""

    id: UUID
    status: Status
    at: datetime
    sent_at: datetime | None = None
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as its tenant may see it. `sender` and `recipient` are masked, `vn` is a key."""

    id: UUID
    binding_id: UUID | None
    vn: int
    sender: str | None
    recipient: str | None
    status: Status
    reason: str | None
    code: str | None
    kind: Kind
    received_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    send_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sendable:
    """A text as it will be sent."""

    text: str
    kind: Kind


def sendable(text: str, policy: Unencodable) -> Sendable | Objection:
    """What to send of `text`. Control characters but line ends and tabs are dropped: no phone shows them."""
    clean = "".join(
        character for character in text if character in "\n\r\t" or unicodedata.category(character) not in {"Cc", "Cs"}
    )
    if not clean:
        return Objection.EMPTY
    if korean_bytes(clean) is None and policy is Unencodable.TRANSLITERATE:
        written = transliterate(clean)
        if written is None:
            return Objection.NOT_ENCODABLE
        clean = written
    kind = _kind(clean)
    return Sendable(text=clean, kind=kind) if kind else Objection.TOO_LONG


def sendable_with_files(text: str, arrival: Arrival, policy: Unencodable) -> Sendable | Objection:
    """The same of a multimedia message: its text may be empty, and tells of files left out if there is room."""
    checked = sendable(text, policy)
    if checked is Objection.EMPTY:
        checked = Sendable(text="", kind=Kind.SMS)
    if isinstance(checked, Objection):
        return checked
    if not arrival.pictures and not checked.text:
        return Objection.NOTHING_TO_SHOW
    if arrival.left_out:
        noted = sendable("\n".join(filter(None, (checked.text, left_out_note(arrival.left_out)))), policy)
        checked = noted if isinstance(noted, Sendable) else checked
    return Sendable(text=checked.text, kind=Kind.MMS) if arrival.pictures else checked


def left_out_note(files: int) -> str:
    return f"[안심번호] 첨부 파일 {files}개는 전달할 수 없어 빠졌습니다."


def subject_of(text: str, policy: Unencodable) -> str:
    """As much of a subject as the tables hold; empty where it cannot be written."""
    checked = sendable(" ".join(text.split())[:SUBJECT_BYTES], policy)
    if isinstance(checked, Objection):
        return ""
    subject = checked.text[:SUBJECT_BYTES]
    while (korean_bytes(subject) or 0) > SUBJECT_BYTES:
        subject = subject[:-1]
    return subject


def _kind(text: str) -> Kind | None:
    length, single = korean_bytes(text), SMS_BYTES
    if length is None:
        length, single = len(text.encode("utf-16-be")), UCS2_SMS_BYTES
    if length <= single:
        return Kind.SMS
    return Kind.LMS if length <= LMS_BYTES else None


def korean_bytes(text: str) -> int | None:
    """Length in MS949, None where MS949 lacks a character. (Python's euc_kr would write 똠 in eight bytes.)"""
    try:
        return len(text.encode("cp949"))
    except UnicodeEncodeError:
        return None


def transliterate(text: str) -> str | None:
    """`text` in characters that MS949 has; None where a character has neither likeness nor name.

    Letters lose accents that MS949 lacks (é → e), compatibility forms become what they stand for (① stays, ﬁ → fi),
    and what is left is written as its Unicode name: 😀 → [grinning face]. Marks that only modify the character before
    them (variation selectors, joiners, skin tones) are dropped. Nothing is turned into a question mark.
    """
    pieces = [_piece(character) for character in unicodedata.normalize("NFC", text)]
    return None if any(piece is None for piece in pieces) else "".join(piece or "" for piece in pieces)


def _piece(character: str) -> str | None:
    if korean_bytes(character) is not None:
        return character
    if unicodedata.category(character) in {"Cf", "Mn", "Me"} or 0x1F3FB <= ord(character) <= 0x1F3FF:
        return ""
    plain = "".join(one for one in unicodedata.normalize("NFKD", character) if not unicodedata.combining(one))
    if plain and korean_bytes(plain) is not None:
        return plain
    name = unicodedata.name(character, "")
    return f"[{name.lower()}]" if name else None


def recorded_vn(dialled: PhoneNumber | None) -> int:
    """What a record keeps of the number dialled: a mobile or area number dialled by mistake is not written down."""
    return dialled.key if dialled is not None and dialled.kind in _RECORDED_KINDS else NO_NUMBER


def sealed_envelope(envelope: Envelope) -> str:
    """What is encrypted of it."""
    content = {"to": envelope.to, "from": envelope.sender, "text": envelope.text}
    if envelope.subject:
        content["subject"] = envelope.subject
    return json.dumps(content, ensure_ascii=False)


def cipher_context(message_id: UUID) -> bytes:
    """What an encrypted envelope is tied to."""
    return b"message:" + message_id.bytes


def picture_context(message_id: UUID, position: int) -> bytes:
    """What an encrypted picture is tied to. `position`: from 1."""
    return b"picture:" + message_id.bytes + bytes([position])
