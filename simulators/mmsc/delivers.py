"""A message from a handset on its way to the platform: what the handset hands in, and the DeliverReq made of it."""

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self
from xml.sax.saxutils import escape

from pydantic import BaseModel, ConfigDict, Field

from simulators.mmsc.submits import NAMESPACE

PATH: Final = "/handset"
_NUMBER: Final = r"^\+?[0-9]{3,20}$"


class HandsetFile(BaseModel):
    """`data`: in base64. `name`: what the handset calls it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[^\r\n\"<>]{1,100}$")
    content_type: str = Field(pattern=r"^[a-z]+/[A-Za-z0-9.+-]+$")
    data: str = Field(repr=False)


class HandsetMessage(BaseModel):
    """What a handset hands in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(pattern=_NUMBER, repr=False)
    destination: str = Field(pattern=_NUMBER, repr=False)
    subject: str = Field(default="", repr=False)
    text: str = Field(default="", repr=False)
    files: tuple[HandsetFile, ...] = ()

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises pydantic's ValidationError, ValueError."""
        return cls.model_validate(json.loads(body))


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One POST, the same each time that the message is offered."""

    content_type: str
    body: bytes

    def __repr__(self) -> str:
        return f"Posting({len(self.body)} bytes)"


def deliver_req(message: HandsetMessage, linked_id: str, version: str, *, in_base64: bool) -> Posting:
    """As MMSCs write it: the envelope, then one multipart with the presentation and all parts."""
    outer, inner = f"outer{secrets.token_hex(12)}", f"inner{secrets.token_hex(12)}"
    parts = [_part("application/smil", "<start>", "start.smil", _presentation(message), in_base64=False)]
    if message.text:
        parts.append(
            _part('text/plain; charset="utf-8"', "<text>", "text.txt", message.text.encode(), in_base64=in_base64)
        )
    for number, file in enumerate(message.files):
        data = base64.b64decode(file.data, validate=True)
        parts.append(_part(file.content_type, f"<file{number}>", file.name, data, in_base64=in_base64))
    content = (
        f'Content-Type: multipart/related; type="application/smil"; start="<start>"; boundary="{inner}"\r\n'
        "Content-ID: <content>\r\n\r\n"
    ).encode() + _joined(parts, inner)
    soap = b'Content-Type: text/xml; charset="utf-8"\r\nContent-ID: <soap>\r\n\r\n' + _soap(message, linked_id, version)
    return Posting(
        content_type=f'multipart/related; type="text/xml"; start="<soap>"; boundary="{outer}"',
        body=_joined([soap, content], outer),
    )


def _joined(parts: list[bytes], boundary: str) -> bytes:
    mark = f"--{boundary}".encode()
    return b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


def _part(content_type: str, content_id: str, name: str, data: bytes, *, in_base64: bool) -> bytes:
    encoding, content = ("base64", base64.encodebytes(data)) if in_base64 else ("binary", data)
    head = (
        f"Content-Type: {content_type}\r\nContent-ID: {content_id}\r\nContent-Location: {name}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return head.encode() + content


def _presentation(message: HandsetMessage) -> bytes:
    """With what handsets of some makes write into it: who sent it."""
    shown = '<text src="cid:text"/>' if message.text else ""
    shown += "".join(f'<img src="cid:file{number}"/>' for number, _ in enumerate(message.files))
    meta = f'<meta name="author" content="{message.source}"/>'
    return f"<smil><head>{meta}</head><body><par>{shown}</par></body></smil>".encode()


def _soap(message: HandsetMessage, linked_id: str, version: str) -> bytes:
    inside = (
        f"<MM7Version>{version}</MM7Version><MMSRelayServerID>simulator</MMSRelayServerID>"
        f"<LinkedID>{linked_id}</LinkedID><Sender><Number>{message.source}</Number></Sender>"
        f"<Recipients><To><Number>{message.destination}</Number></To></Recipients>"
        f"<TimeStamp>{datetime.now(UTC).isoformat(timespec='seconds')}</TimeStamp><Priority>Normal</Priority>"
    )
    inside += f"<Subject>{escape(message.subject)}</Subject>" if message.subject else ""
    inside += '<Content href="cid:content" allowAdaptations="true"/>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/"><soap-env:Header>'
        f'<TransactionID xmlns="{NAMESPACE}" soap-env:mustUnderstand="1">deliver-{linked_id}</TransactionID>'
        f'</soap-env:Header><soap-env:Body><DeliverReq xmlns="{NAMESPACE}">{inside}</DeliverReq></soap-env:Body>'
        "</soap-env:Envelope>"
    ).encode()
