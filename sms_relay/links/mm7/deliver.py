"""A DeliverReq: a multimedia message from a handset. Pure.

Of the presentation nothing is kept, nor are names and descriptions of files: what is passed on is built anew.
"""

import codecs
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sms_relay.links.interface import Media
from sms_relay.links.mm7.mime import Piece
from sms_relay.links.mm7.soap import BadMessage, Message, local

PRESENTATIONS: Final = frozenset({"application/smil", "application/smil+xml", "text/smil"})
_TYPE = re.compile(r"/TYPE=.*", re.IGNORECASE)  # of an MMS address: 01012345678/TYPE=PLMN
_CLAIMED = frozenset({"ascii", "iso8859-1"})
"""Under these names comes what is none of it: whoever means ASCII writes no more than ASCII."""

_NO_CHARSETS = frozenset({"undefined", "idna", "punycode", "unicode-escape", "raw-unicode-escape"})
"""What Python decodes under other names that are no character set: into what is no text, or for hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """`text` None: no character set in which its text can be read. `media`: what else it holds, in its order.

    `delivery`: the same when an MMSC offers the message again. `digest`: of all that it holds.
    """

    sender: str
    recipient: str
    subject: str
    text: str | None
    media: tuple[Media, ...]
    delivery: str
    digest: bytes

    def __repr__(self) -> str:
        return f"Delivered({len(self.media)} files)"


def read_deliver(message: Message, pieces: Sequence[Piece]) -> Delivered:
    """`pieces`: the content. Raises `BadMessage` where it is not told who sends what to whom."""
    sender, recipients = _numbers(message, "Sender"), _numbers(message, "Recipients")
    delivery = message.text("LinkedID") or message.transaction_id
    if len(sender) != 1 or len(recipients) != 1:
        raise BadMessage("not one sender and one recipient")
    if not delivery:
        raise BadMessage("a message without LinkedID and TransactionID cannot be told from others")
    shown = [piece for piece in pieces if piece.content_type not in PRESENTATIONS]
    texts = [_text(piece) for piece in shown if piece.content_type == "text/plain"]
    subject = message.text("Subject")
    return Delivered(
        sender=sender[0],
        recipient=recipients[0],
        subject=subject,
        text=None if None in texts else "\n".join(text for text in texts if text),
        media=tuple(
            Media(content_type=piece.content_type, data=piece.data)
            for piece in shown
            if piece.content_type != "text/plain"
        ),
        delivery=delivery,
        digest=_digest(subject, shown),
    )


def _numbers(message: Message, name: str) -> list[str]:
    """The numbers below the first element of that name."""
    found = next((element for element in message.body.iter() if local(element.tag) == name), None)
    inside = found.iter() if found is not None else ()
    texts = [element.text or "" for element in inside if local(element.tag) in ("Number", "ShortCode")]
    return [number for text in texts if (number := _TYPE.sub("", text.strip()))]


def _text(piece: Piece) -> str | None:
    try:
        charset = codecs.lookup(piece.charset or "ascii").name
    except (LookupError, ValueError):  # ValueError: there is a NUL in the name, or no character
        return None
    if charset in _NO_CHARSETS:
        return None
    candidates = ("utf-8", "cp949") if charset in _CLAIMED else ("cp949" if charset == "euc_kr" else charset,)
    for one in candidates:
        try:
            text = piece.data.decode(one)
            text.encode()  # not of halves of characters, which UTF-7 lets through
        except (UnicodeError, LookupError):  # LookupError: it decodes no text, as `hex`
            continue
        return text.removeprefix("\ufeff").rstrip("\0")
    return None


def _digest(subject: str, pieces: Sequence[Piece]) -> bytes:
    whole = hashlib.sha256(subject.encode("utf-8", "replace"))
    for piece in pieces:
        whole.update(b"\0" + piece.content_type.encode("utf-8", "replace") + hashlib.sha256(piece.data).digest())
    return whole.digest()
