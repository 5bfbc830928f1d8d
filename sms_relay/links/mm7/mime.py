"""multipart/related (RFC 2387) around envelopes and contents. Pure.

Written by hand, since parts are binary and must stay so byte for byte; read by the standard library.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from typing import Final

from sms_relay.links.mm7.soap import BadMessage

CRLF: Final = b"\r\n"
MOST_PIECES: Final = 30
MOST_DEPTH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """`content_type` with its parameters; `content_id` without brackets."""

    content_type: str
    content_id: str
    data: bytes

    def __repr__(self) -> str:
        return f"Part({self.content_type!r}, {len(self.data)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One part of a content that came. `content_type`: lower case, no parameters; `charset`: empty if not told."""

    content_type: str
    charset: str
    data: bytes

    def __repr__(self) -> str:
        return f"Piece({self.content_type!r}, {len(self.data)} bytes)"


def related_type(kind: str, start: str, boundary: str) -> str:
    """The Content-Type of what `related` makes: its first part is of type `kind` and has the id `start`."""
    return f'multipart/related; boundary="{boundary}"; type="{kind}"; start="<{start}>"'


def related(parts: Sequence[Part], boundary: str) -> bytes:
    """`boundary` must be in none of the parts: take a long random one."""
    mark = b"--" + boundary.encode("ascii")
    pieces: list[bytes] = []
    for part in parts:
        head = f"Content-Type: {part.content_type}\r\nContent-ID: <{part.content_id}>\r\n"
        if not part.content_type.startswith("multipart/"):
            head += f"Content-Transfer-Encoding: 8bit\r\nContent-Location: {part.content_id}\r\n"
            if not part.content_type.startswith("text/"):
                head = head.replace("8bit", "binary")
        pieces.append(mark + CRLF + head.encode("ascii") + CRLF + part.data + CRLF)
    return b"".join(pieces) + mark + b"--" + CRLF


def root(content_type: str, body: bytes) -> bytes:
    """The XML of what came: the body itself, or the part that a multipart names as its first. Raises `BadMessage`."""
    return opened(content_type, body)[0]


def opened(content_type: str, body: bytes) -> tuple[bytes, tuple[Piece, ...]]:
    """The XML, and all that lies in the other parts, however nested. Raises `BadMessage`, for too many parts too."""
    message = _parsed(content_type, body)
    if not message.is_multipart():
        return body, ()
    parts = list(message.iter_parts())
    if not parts:
        raise BadMessage("a multipart without parts")
    start = _parameter(message, "start")
    first = next((part for part in parts if start and part.get("Content-ID", "").strip() == start), parts[0])
    pieces: list[Piece] = []
    for part in parts:
        if part is not first:
            _gather(part, pieces, 1)
    return _bytes(first), tuple(pieces)


def _gather(part: MIMEPart, pieces: list[Piece], depth: int) -> None:
    if part.is_multipart():
        if depth == MOST_DEPTH:
            raise BadMessage("parts in parts in parts")
        for inner in part.iter_parts():
            _gather(inner, pieces, depth + 1)
        return
    if len(pieces) == MOST_PIECES:
        raise BadMessage("more parts than a message may have")
    charset = str(part.get_param("charset", "") or "")
    pieces.append(Piece(content_type=part.get_content_type(), charset=charset, data=_bytes(part)))


def _parsed(content_type: str, body: bytes) -> EmailMessage:
    """Some MMSCs call plain XML a multipart and give no boundary: it stays what it is."""
    head = f"MIME-Version: 1.0\r\nContent-Type: {content_type}\r\n\r\n"
    try:
        return BytesParser(policy=policy.HTTP).parsebytes(head.encode("latin-1") + body)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, UnicodeError) as error:
        raise BadMessage(f"no MIME that can be read ({type(error).__name__})") from error


def _parameter(message: EmailMessage, name: str) -> str:
    return str(message.get_param(name, "") or "").strip()


def _bytes(part: MIMEPart) -> bytes:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        raise BadMessage("a part without content")
    return data
