"""A SubmitReq as it goes over the wire, and what its answer says. Pure."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sms_relay.links.interface import Outgoing
from sms_relay.links.mm7 import mime, smil
from sms_relay.links.mm7.config import Mm7LinkConfig
from sms_relay.links.mm7.mime import Part
from sms_relay.links.mm7.reports import canonical_id
from sms_relay.links.mm7.soap import BadMessage, element, envelope, read

SUCCESS: Final = (1000, 1100)
"""Success, and partial success: of one recipient it is the same."""
_KINDS: Final = {"image/jpeg": "jpg", "text/plain": "txt", "application/vnd.smaf": "mmf"}
_NUMBER = re.compile(r"\d{1,20}")


class BadNumber(ValueError):
    """A number holds more than digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The body of one POST."""

    content_type: str
    body: bytes

    def __repr__(self) -> str:
        return f"Request({len(self.body)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the MMSC says of a submit. `message_id`: canonical, empty where it gave none."""

    status: int
    message_id: str

    @property
    def accepted(self) -> bool:
        return self.status in SUCCESS


def compose(config: Mm7LinkConfig, outgoing: Outgoing, at: datetime) -> Request:
    """`at`: aware; TimeStamp of the request. Raises `BadNumber`."""
    if not _NUMBER.fullmatch(outgoing.destination) or not re.fullmatch(r"\d*", outgoing.source):
        raise BadNumber
    outer, inner = secrets.token_hex(20), secrets.token_hex(20)
    parts = _contents(outgoing)
    content = Part(
        content_type=mime.related_type(smil.CONTENT_TYPE, parts[0].content_id, inner),
        content_id="content",
        data=mime.related(parts, inner),
    )
    soap = Part(
        content_type='text/xml; charset="utf-8"',
        content_id="soap",
        data=envelope(secrets.token_hex(12), _submit_req(config, outgoing, at), config.namespace),
    )
    return Request(
        content_type=mime.related_type("text/xml", soap.content_id, outer), body=mime.related((soap, content), outer)
    )


def _submit_req(config: Mm7LinkConfig, outgoing: Outgoing, at: datetime) -> str:
    """The elements in the order of the schema."""
    sender = element("VASPID", config.vasp_id or config.user) + element("VASID", config.vas_id)
    if outgoing.source:
        sender += f"<SenderAddress>{element('Number', outgoing.source)}</SenderAddress>"
    inside = (
        element("MM7Version", config.version),
        f"<SenderIdentification>{sender}</SenderIdentification>",
        f"<Recipients><To>{element('Number', outgoing.destination)}</To></Recipients>",
        element("ServiceCode", config.service_code),
        element("MessageClass", "Personal"),
        element("TimeStamp", at.isoformat(timespec="seconds")),
        element("DeliveryReport", "true"),
        element("ReadReply", "false"),
        element("Subject", outgoing.subject),
        '<Content href="cid:content" allowAdaptations="true"/>',
    )
    return f'<SubmitReq xmlns="{config.namespace}">{"".join(inside)}</SubmitReq>'


def _contents(outgoing: Outgoing) -> list[Part]:
    """The presentation, then what it shows: the body is the first text."""
    shown: list[Part] = []
    names: dict[str, list[str]] = {"image": [], "text": [], "audio": []}
    media = [(one.content_type, one.data) for one in outgoing.media]
    if outgoing.text:
        media.insert(0, ("text/plain", outgoing.text.encode()))
    for number, (content_type, data) in enumerate(media, 1):
        name = f"{number}.{_KINDS.get(content_type, 'bin')}"
        kind = content_type.partition("/")[0]
        names[kind if kind in names else "audio"].append(name)
        charset = '; charset="utf-8"' if kind == "text" else ""
        shown.append(Part(content_type=content_type + charset, content_id=name, data=data))
    slides = smil.presentation(images=names["image"], texts=names["text"], sounds=names["audio"])
    return [Part(content_type=smil.CONTENT_TYPE, content_id="start.smil", data=slides), *shown]


def read_answer(content_type: str, body: bytes) -> Answer:
    """A SubmitRsp, or a SOAP fault with an RSErrorRsp. Raises `BadMessage`."""
    message = read(mime.root(content_type, body))
    if message.kind not in ("SubmitRsp", "Fault"):
        raise BadMessage("an answer to something else")
    status = message.text("StatusCode")
    if not re.fullmatch(r"[0-9]{1,6}", status):
        raise BadMessage("an answer without a status")
    answer = Answer(status=int(status), message_id=canonical_id(message.text("MessageID")))
    if message.kind == "Fault" and answer.accepted:
        raise BadMessage("a fault that speaks of success")
    return answer
