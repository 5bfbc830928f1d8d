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


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """`content_type` with its parameters; `content_id` without brackets."""

    content_type: str
    content_id: str
    data: bytes

    def __repr__(self) -> str:
        return f"Part({self.content_type!r}, {len(self.data)} bytes)"


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
    message = _parsed(content_type, body)
    if not message.is_multipart():
        return body
    parts = list(message.iter_parts())
    start = _parameter(message, "start")
    for part in parts:
        if start and part.get("Content-ID", "").strip() == start:
            return _bytes(part)
    if not parts:
        raise BadMessage("a multipart without parts")
    return _bytes(parts[0])


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
