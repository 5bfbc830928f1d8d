"""A SubmitReq as an MMSC that takes the standard at its word reads it: whatever is not as it should be is refused.

Nothing of the platform's own MM7 is used here, so that its mistakes are found.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from email.message import Message as Headers
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

SOAP: Final = "{http://schemas.xmlsoap.org/soap/envelope/}"
NAMESPACE: Final = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-6-MM7-1-4"
MM7: Final = f"{{{NAMESPACE}}}"
ORDER: Final = (
    "MM7Version",
    "SenderIdentification",
    "Recipients",
    "ServiceCode",
    "LinkedID",
    "MessageClass",
    "TimeStamp",
    "ReplyCharging",
    "EarliestDeliveryTime",
    "ExpiryDate",
    "DeliveryReport",
    "ReadReply",
    "Priority",
    "Subject",
    "ChargedParty",
    "DistributionIndicator",
    "Content",
)
"""Elements of SubmitReq in the order of the schema."""
MOST_IMAGE: Final = 200 * 1024
FORMAT_CORRUPT: Final = 2007
VALIDATION: Final = 4004
ADDRESS: Final = 2002
CONTENT: Final = 2004


class Refused(Exception):
    """`status`: the StatusCode of the answer; `text` says what is wrong."""

    def __init__(self, status: int, text: str, transaction_id: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.transaction_id = transaction_id


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One part of the contents; `name` is its Content-ID."""

    name: str
    content_type: str
    charset: str
    data: bytes

    def __repr__(self) -> str:
        return f"File({self.content_type!r}, {len(self.data)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """What is to be delivered. `files`: in the order of the contents, without the presentation."""

    transaction_id: str
    vasp_id: str
    source: str
    destination: str
    subject: str
    report_wanted: bool
    files: tuple[File, ...]

    def __repr__(self) -> str:
        return f"Submit({self.transaction_id!r}, {len(self.files)} files)"

    @property
    def text(self) -> str:
        return "\n".join(file.data.decode(file.charset) for file in self.files if file.content_type == "text/plain")


@dataclass(frozen=True, slots=True)
class _Piece:
    headers: Headers
    data: bytes

    @property
    def content_id(self) -> str:
        return str(self.headers.get("Content-ID", "")).removeprefix("<").removesuffix(">")


def read_submit(headers: dict[str, str], body: bytes) -> Submit:
    """Raises `Refused`."""
    outer = _headers({"Content-Type": headers.get("content-type", "")})
    if "soapaction" not in headers:
        raise Refused(FORMAT_CORRUPT, "no SOAPAction")
    pieces = _related(outer, body, "text/xml")
    if len(pieces) != 2:
        raise Refused(FORMAT_CORRUPT, "not an envelope and one content")
    transaction_id, request = _envelope(pieces[0].data)
    try:
        return _submit(transaction_id, request, pieces[1])
    except Refused as refused:
        raise Refused(refused.status, refused.text, transaction_id) from None


def _submit(transaction_id: str, request: Element, content: _Piece) -> Submit:
    names = [child.tag.removeprefix(MM7) for child in request]
    places = [ORDER.index(name) if name in ORDER else -1 for name in names]
    if -1 in places or places != sorted(set(places)):
        raise Refused(VALIDATION, f"elements of SubmitReq out of order, twice or unknown: {' '.join(names)}")
    if not {"MM7Version", "SenderIdentification", "Recipients", "Content"} <= set(names):
        raise Refused(VALIDATION, "an element that is required is missing")
    if not re.fullmatch(r"\d\.\d{1,2}\.\d", _text(request, "MM7Version")):
        raise Refused(VALIDATION, "MM7Version is no version")
    recipients = list(request.iterfind(f"{MM7}Recipients/{MM7}To/{MM7}Number"))
    if len(recipients) != 1 or len(request.findall(f"{MM7}Recipients/*")) != 1:
        raise Refused(VALIDATION, "not exactly one recipient")
    destination = recipients[0].text or ""
    source = _text(request, f"SenderIdentification/{MM7}SenderAddress/{MM7}Number")
    if not re.fullmatch(r"\d{3,20}", destination) or not re.fullmatch(r"\d{0,20}", source):
        raise Refused(ADDRESS, "a number that is none")
    _check_time(_text(request, "TimeStamp"))
    href = request.find(f"{MM7}Content")
    if href is None or href.get("href") != f"cid:{content.content_id}":
        raise Refused(VALIDATION, "Content does not point to the content")
    return Submit(
        transaction_id=transaction_id,
        vasp_id=_text(request, f"SenderIdentification/{MM7}VASPID"),
        source=source,
        destination=destination,
        subject=_text(request, "Subject"),
        report_wanted=_boolean(_text(request, "DeliveryReport")),
        files=_files(content),
    )


def _headers(values: dict[str, str]) -> Headers:
    found = Headers()
    for name, value in values.items():
        found[name] = value
    return found


def _related(headers: Headers, body: bytes, kind: str) -> list[_Piece]:
    """The parts of a multipart/related, the first one as its parameters promise."""
    boundary = headers.get_param("boundary")
    start, promised = headers.get_param("start"), headers.get_param("type")
    if headers.get_content_type() != "multipart/related" or not isinstance(boundary, str) or len(boundary) > 70:
        raise Refused(FORMAT_CORRUPT, "no multipart/related")
    pieces = [_piece(raw) for raw in _split(body, boundary.encode("ascii", "replace"))]
    first = pieces[0]
    if promised != kind or first.headers.get_content_type() != kind or first.headers.get("Content-ID") != start:
        raise Refused(FORMAT_CORRUPT, f"the first part is not the {kind} that is promised")
    return pieces


def _split(body: bytes, boundary: bytes) -> list[bytes]:
    opening, between, closing = b"--" + boundary + b"\r\n", b"\r\n--" + boundary + b"\r\n", b"\r\n--" + boundary + b"--"
    if not body.startswith(opening) or body.count(closing) != 1:
        raise Refused(FORMAT_CORRUPT, "a multipart that does not begin or end")
    inside, rest = body[len(opening) :].split(closing)
    if rest not in (b"", b"\r\n"):
        raise Refused(FORMAT_CORRUPT, "something behind the last part")
    return inside.split(between)


def _piece(raw: bytes) -> _Piece:
    head, blank, data = raw.partition(b"\r\n\r\n")
    if not blank:
        raise Refused(FORMAT_CORRUPT, "a part without a blank line")
    values: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z-]+", name) or name in values:
            raise Refused(FORMAT_CORRUPT, "a part with a bad header")
        values[name] = value.strip()
    if not re.fullmatch(r"<[^<>\s]+>", values.get("Content-ID", "")) or "Content-Type" not in values:
        raise Refused(FORMAT_CORRUPT, "a part without Content-ID or Content-Type")
    if values.get("Content-Transfer-Encoding", "7bit").lower() not in ("7bit", "8bit", "binary"):
        raise Refused(FORMAT_CORRUPT, "a transfer encoding that HTTP does not need")
    return _Piece(_headers(values), data)


def _envelope(data: bytes) -> tuple[str, Element]:
    try:
        envelope: Element = fromstring(data, forbid_dtd=True)
    except (ParseError, ValueError) as error:
        raise Refused(FORMAT_CORRUPT, "no XML") from error
    transaction = envelope.find(f"{SOAP}Header/{MM7}TransactionID")
    if envelope.tag != f"{SOAP}Envelope" or transaction is None or not transaction.text:
        raise Refused(FORMAT_CORRUPT, "no envelope with a TransactionID")
    if transaction.get(f"{SOAP}mustUnderstand") != "1":
        raise Refused(FORMAT_CORRUPT, "TransactionID must be understood")
    bodies = envelope.findall(f"{SOAP}Body/*")
    if len(bodies) != 1 or bodies[0].tag != f"{MM7}SubmitReq":
        raise Refused(4003, "no SubmitReq", transaction.text)
    return transaction.text, bodies[0]


def _text(request: Element, path: str) -> str:
    found = request.find(f"{MM7}{path}")
    return (found.text or "") if found is not None else ""


def _boolean(text: str) -> bool:
    if text not in ("", "true", "false", "1", "0"):
        raise Refused(VALIDATION, "neither true nor false")
    return text in ("true", "1")


def _check_time(text: str) -> None:
    try:
        aware = not text or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise Refused(VALIDATION, "TimeStamp is no time with a zone")


def _files(content: _Piece) -> tuple[File, ...]:
    """The parts that the presentation shows: all of them, and no other."""
    presentation, *pieces = _related(content.headers, content.data, "application/smil")
    try:
        smil: Element = fromstring(presentation.data, forbid_dtd=True)
    except (ParseError, ValueError) as error:
        raise Refused(CONTENT, "a presentation that is no XML") from error
    shown = [source for one in smil.iter() if (source := one.get("src")) is not None]
    files = tuple(_file(piece) for piece in pieces)
    if smil.tag != "smil" or sorted(shown) != sorted(f"cid:{file.name}" for file in files):
        raise Refused(CONTENT, "the presentation shows other parts than there are")
    if not files:
        raise Refused(CONTENT, "nothing to show")
    return files


def _file(piece: _Piece) -> File:
    file = File(
        name=piece.content_id,
        content_type=piece.headers.get_content_type(),
        charset=str(piece.headers.get_param("charset") or "us-ascii"),
        data=piece.data,
    )
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,60}", file.name):
        raise Refused(CONTENT, "a Content-ID that is no file's name")
    if file.content_type == "text/plain":
        try:
            file.data.decode(file.charset)
        except (UnicodeDecodeError, LookupError) as error:
            raise Refused(CONTENT, "a text in another character set than it says") from error
    elif file.content_type == "image/jpeg":
        if not file.data.startswith(b"\xff\xd8\xff") or len(file.data) > MOST_IMAGE:
            raise Refused(CONTENT, "no JPG, or too large")
    elif not (file.content_type == "application/vnd.smaf" and file.data.startswith(b"MMMD")):
        raise Refused(CONTENT, f"no handset takes {file.content_type}")
    return file
