"""Delivery receipts as carriers write them: text (SMPP 3.4 appendix B, with everybody's liberties) and
optional parameters. Pure.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Final

from sms_relay.links.interface import ReceiptState
from sms_relay.links.smpp.pdu import Message, Tag
from sms_relay.links.smpp.text import UCS2_CODING


class IdNotation(Enum):
    """How an SMSC writes message ids in one place; it may differ between the submit response and the
    receipt.
    """

    AS_IS = "as-is"  # letters compared without case, leading zeros ignored
    HEX = "hex"
    DECIMAL = "decimal"


_NAMES: Final = r"id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err"
_FIELD: Final = re.compile(
    rf"\b({_NAMES})\s*[:=][ \t]*(?!(?:{_NAMES})\s*[:=])(\S*)",
    re.IGNORECASE,
)
_PLAIN: Final = re.compile(r"[ -~]{0,80}")
_TEXT: Final = re.compile(r"\btext\s*[:=]", re.IGNORECASE)
_STATES: Final = tuple(ReceiptState)[:8]  # message_state 1 ENROUTE … 8 REJECTED
_STATE_WORDS: Final = {
    **{state.value: state for state in _STATES},
    "DELIVERED": ReceiptState.DELIVERED,
    "DELIVERD": ReceiptState.DELIVERED,
    "UNDELIVERABLE": ReceiptState.UNDELIVERABLE,
    "UNDELIVERED": ReceiptState.UNDELIVERABLE,
    "ACCEPTED": ReceiptState.ACCEPTED,
    "REJECTED": ReceiptState.REJECTED,
}
_STATE_NUMBERS: Final = dict(enumerate(_STATES, start=1))

_ESM_TYPE: Final = 0x3C
_ESM_RECEIPT: Final = 0x04
_ESM_INTERMEDIATE: Final = 0x20


@dataclass(frozen=True, slots=True)
class ParsedReceipt:
    """`message_id` is canonical; None where the receipt names none and is of no use."""

    message_id: str | None
    state: ReceiptState
    error_code: str
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReceiptHabits:
    """Where an SMSC differs: notation of ids in the receipt's text and in TLV 0x001E, and the zone of its
    dates.
    """

    in_text: IdNotation
    in_parameter: IdNotation
    zone: timezone = timezone(timedelta(hours=9))


def canonical_id(raw: str, notation: IdNotation) -> str:
    """One form for an id, whatever the notation. An id that is no number in the notation promised is
    compared as it is. Of one that not every table holds (SMPP has ids in ASCII) its hash stands in.
    """
    text = raw.strip(" \0\t\r\n").lower()
    if notation is IdNotation.HEX:
        digits = text.removeprefix("0x")
        if re.fullmatch(r"[0-9a-f]{1,64}", digits):
            return str(int(digits, 16))
    elif notation is IdNotation.DECIMAL and re.fullmatch(r"[0-9]{1,64}", text):
        return str(int(text))
    plain = text.lstrip("0") or text[:1]
    return plain if _PLAIN.fullmatch(plain) else hashlib.sha256(plain.encode()).hexdigest()


def is_receipt(message: Message) -> bool:
    """Only what the SMSC marks as a receipt is one: a handset may write `id:1 stat:DELIVRD` as its text."""
    kind = message.esm_class & _ESM_TYPE
    return kind in (_ESM_RECEIPT, _ESM_INTERMEDIATE) or Tag.RECEIPTED_MESSAGE_ID in message.tlvs


def parse_receipt(message: Message, habits: ReceiptHabits) -> ParsedReceipt:
    """Reads text and parameters; the parameters win where both speak: they cannot be cut off or misread."""
    coding = "utf-16-be" if message.data_coding == UCS2_CODING else "latin-1"
    found = _FIELD.findall(_before_text(message.content.decode(coding, "replace")))
    fields = {name.lower().replace(" ", "").replace("_", ""): value for name, value in reversed(found)}
    return ParsedReceipt(
        message_id=_message_id(message, fields.get("id", ""), habits),
        state=_state(message, fields.get("stat", "")),
        error_code=_error_code(message, fields.get("err")),
        done_at=_date(fields.get("donedate", ""), habits.zone),
    )


def _before_text(content: str) -> str:
    """The receipt without its `text:` field, which repeats what the sender wrote, and could look like any
    field.
    """
    match = _TEXT.search(content)
    return content[: match.start()] if match else content


def _message_id(message: Message, in_text: str, habits: ReceiptHabits) -> str | None:
    parameter = message.tlvs.get(Tag.RECEIPTED_MESSAGE_ID, b"").split(b"\0", 1)[0].decode("latin-1")
    if parameter.strip():
        return canonical_id(parameter, habits.in_parameter)
    return canonical_id(in_text, habits.in_text) or None


def _state(message: Message, word: str) -> ReceiptState:
    number = message.tlvs.get(Tag.MESSAGE_STATE, b"")
    if len(number) == 1 and number[0] in _STATE_NUMBERS:
        return _STATE_NUMBERS[number[0]]
    return _STATE_WORDS.get(word.upper().rstrip(".,;"), ReceiptState.UNKNOWN)


def _error_code(message: Message, word: str | None) -> str:
    if word:
        return word.lstrip("0").rstrip(",;")
    network = message.tlvs.get(Tag.NETWORK_ERROR_CODE, b"")
    code = int.from_bytes(network[1:], "big") if len(network) == 3 else 0
    return str(code) if code else ""


def _date(word: str, zone: timezone) -> datetime | None:
    """YYMMDDhhmm[ss] or YYYYMMDDhhmm[ss] in the SMSC's zone."""
    if not (word.isascii() and word.isdigit()) or len(word) not in (10, 12, 14):
        return None
    if len(word) == 14:
        return _from_digits(word, zone)
    short = _from_digits("20" + word, zone)
    return short or (_from_digits(word, zone) if len(word) == 12 else None)


def _from_digits(word: str, zone: timezone) -> datetime | None:
    """YYYYMMDDhhmm[ss]; None where there is no such moment, as `202026…` (month 26) for a long date read as short."""
    month, day, hour, minute, second = (int(word[at : at + 2] or "0") for at in range(4, 14, 2))
    try:
        return datetime(int(word[:4]), month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None
