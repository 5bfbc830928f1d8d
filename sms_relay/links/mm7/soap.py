"""SOAP 1.1 envelopes of MM7: written, and read with suspicion. Pure.

Written: exactly the elements of TS 23.140, in the order of its schema. Read: elements are known by their local names,
since every release of the standard has a namespace of its own; no DTD and no entity is accepted.
"""

import re
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml.ElementTree import fromstring

SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
MOST_TEXT: Final = 4_096  # characters that one value may have
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class BadMessage(ValueError):
    """What came is no MM7. The message says why, without any of it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One envelope. `kind`: SubmitRsp, DeliveryReportReq …, or Fault. `body`: that element."""

    kind: str
    transaction_id: str
    namespace: str
    body: Element

    def text(self, name: str) -> str:
        """The value of the first element called `name` below the body, however deep; empty where there is none."""
        for element in self.body.iter():
            if local(element.tag) == name:
                return (element.text or "").strip()[:MOST_TEXT]
        return ""


def local(tag: str) -> str:
    """A tag without its namespace."""
    return tag.rpartition("}")[2]


def read(data: bytes) -> Message:
    """Raises `BadMessage`."""
    try:
        envelope: Element = fromstring(data, forbid_dtd=True)
    except (ParseError, ValueError, LookupError) as error:
        raise BadMessage(f"no XML that may be read ({type(error).__name__})") from error
    if envelope.tag != f"{{{SOAP}}}Envelope":
        raise BadMessage("no SOAP 1.1 envelope")
    bodies = [child for child in envelope if child.tag == f"{{{SOAP}}}Body"]
    if len(bodies) != 1 or len(bodies[0]) == 0:
        raise BadMessage("no body in the envelope")
    found = bodies[0][0]
    headers = (child for header in envelope if header.tag == f"{{{SOAP}}}Header" for child in header)
    transaction = next((child for child in headers if local(child.tag) == "TransactionID"), None)
    return Message(
        kind=local(found.tag),
        transaction_id=(transaction.text or "").strip()[:MOST_TEXT] if transaction is not None else "",
        namespace=found.tag.rpartition("}")[0].lstrip("{"),
        body=found,
    )


def element(name: str, value: str) -> str:
    """`<name>value</name>`; nothing for an empty value. Characters that XML cannot hold are left out."""
    return f"<{name}>{escape(_NO_XML.sub('', value))}</{name}>" if value else ""


def envelope(transaction_id: str, body: str, namespace: str) -> bytes:
    """`body`: elements, already written."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<env:Envelope xmlns:env="{SOAP}"><env:Header>'
        f'<mm7:TransactionID xmlns:mm7="{escape(namespace)}" env:mustUnderstand="1">'
        f"{escape(_NO_XML.sub('', transaction_id))}</mm7:TransactionID>"
        f"</env:Header><env:Body>{body}</env:Body></env:Envelope>\n"
    ).encode()


def answer(request: Message, kind: str, version: str, status: int, text: str) -> bytes:
    """`kind`: DeliveryReportRsp, DeliverRsp."""
    inside = element("MM7Version", version) + _status(status, text)
    return envelope(request.transaction_id, _body(kind, request.namespace, inside), request.namespace)


def fault(transaction_id: str, namespace: str, version: str, status: int, text: str) -> bytes:
    """What a VASP answers instead: a SOAP fault with a VASPErrorRsp. Status 2xxx and 4004: the client's fault."""
    whose = "Client" if status // 1000 == 2 or status == 4004 else "Server"
    error = _body("VASPErrorRsp", namespace, element("MM7Version", version) + _status(status, text))
    body = (
        f"<env:Fault><faultcode>env:{whose}</faultcode>{element('faultstring', text)}"
        f"<detail>{error}</detail></env:Fault>"
    )
    return envelope(transaction_id, body, namespace)


def _body(kind: str, namespace: str, inside: str) -> str:
    return f'<{kind} xmlns="{escape(namespace)}">{inside}</{kind}>'


def _status(status: int, text: str) -> str:
    return f"<Status>{element('StatusCode', str(status))}{element('StatusText', text)}</Status>"
