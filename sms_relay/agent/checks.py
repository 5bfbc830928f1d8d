"""What a row must be like to be sent, and what it is answered with otherwise. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from sms_relay.content.barcodes import BarcodeColumns, NoBarcodeError, from_columns
from sms_relay.links.interface import Outgoing, OutgoingKind, Reason, SubmitOutcome, SubmitStatus
from sms_relay.npro.codes import (
    MM7_BASE,
    Detail,
    MessageType,
    Result,
    ResultCode,
    mm7_result,
    submit_detail,
    submit_result,
)
from sms_relay.npro.text import fits_body, fits_sms

_MOBILE = re.compile(r"010\d{8}|01[16789]\d{7,8}")
_SENDER = re.compile(r"\d{1,12}")
_ADDRESS = re.compile(r"(?:https?://)?[^\s/.]+(?:\.[^\s/.]+)+(?:/\S*)?", re.IGNORECASE)

CODES: dict[Detail, ResultCode] = {
    Detail.NO_RECIPIENT: ResultCode.BAD_FIELD_OR_DUPLICATE,
    Detail.BAD_RECIPIENT: ResultCode.BAD_NUMBER,
    Detail.BAD_SENDER: ResultCode.BAD_NUMBER,
    Detail.NO_TEXT: ResultCode.BAD_FIELD_OR_DUPLICATE,
    Detail.SMS_TOO_LONG: ResultCode.TOO_LONG,
    Detail.BODY_TOO_LONG: ResultCode.TOO_LONG,
    Detail.UNKNOWN_TYPE: ResultCode.BAD_FIELD_OR_DUPLICATE,
    Detail.NO_MULTIMEDIA_LINK_FOR_BARCODE: ResultCode.ANY_OTHER,
    Detail.NO_MULTIMEDIA_LINK_FOR_FILES: ResultCode.ANY_OTHER,
    Detail.NO_CONTENT: ResultCode.NO_CONTENT,
    Detail.TOO_LATE: ResultCode.ANY_OTHER,
    Detail.NOT_ENCODABLE: ResultCode.GATEWAY_FORMAT,
    Detail.LINK_FOUND_TOO_LONG: ResultCode.TOO_LONG,
    Detail.LINK_FOUND_BAD_NUMBER: ResultCode.BAD_NUMBER,
    Detail.NO_BARCODE: ResultCode.NO_BARCODE,
    Detail.BAD_URL: ResultCode.BAD_FIELD_OR_DUPLICATE,
    Detail.FILE_NOT_FOUND: ResultCode.NO_CONTENT,
    Detail.FILE_TOO_LARGE: ResultCode.TOO_LONG,
    Detail.FILE_UNSUITABLE: ResultCode.UNSUPPORTED_BY_HANDSET,
    Detail.NOTHING_FOR_CARRIER: ResultCode.NO_CONTENT,
    Detail.NO_DATE: ResultCode.BAD_FIELD_OR_DUPLICATE,
    Detail.TEXT_BLOCKED: ResultCode.TEXT_BLOCKED,
    Detail.RECIPIENT_BLOCKED: ResultCode.LIMIT_OR_RECIPIENT_BLOCKED,
    Detail.SENDER_BLOCKED: ResultCode.SENDER_BLOCKED,
    Detail.SEVERAL_BLOCKS: ResultCode.SEVERAL_BLOCKS,
    Detail.WORD_MISSING: ResultCode.WORD_MISSING,
    Detail.DAILY_COUNT: ResultCode.DAILY_COUNT,
    Detail.DUPLICATE_KEY: ResultCode.BAD_FIELD_OR_DUPLICATE,
    Detail.OUTCOME_LOST_BY_RESTART: ResultCode.ANY_OTHER,
    Detail.OUTCOME_LOST_ON_LINK: ResultCode.ANY_OTHER,
    Detail.LINK_REFUSED: ResultCode.ANY_OTHER,
    Detail.AGENT_FAILED: ResultCode.ANY_OTHER,
    Detail.ANSWER_NOT_HELD: ResultCode.ANY_OTHER,
}
"""The RSLT_CODE2 that goes with each RSLT_CODE of the agent's own."""

_LINK_REASONS: dict[Reason, Detail] = {
    Reason.TOO_LONG: Detail.LINK_FOUND_TOO_LONG,
    Reason.NOT_ENCODABLE: Detail.NOT_ENCODABLE,
    Reason.BAD_NUMBER: Detail.LINK_FOUND_BAD_NUMBER,
}


WITH_FILES = frozenset({Detail.NO_MULTIMEDIA_LINK_FOR_BARCODE, Detail.NO_MULTIMEDIA_LINK_FOR_FILES})
"""What `judge` says of rows whose files are still to be looked into, where no link takes multimedia messages."""

MULTIMEDIA = frozenset({MessageType.MMS.value, MessageType.BARCODE.value})
"""MSG_TYPEs that such links take, where there are some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """FILE_TYPEn, FILE_NAMEn, SERVICE_DEPn as a customer wrote them; `number` is n."""

    number: int
    kind: str
    path: str
    network: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The row of MMS_CONTENTS_INFO that a message points to, as far as it is used.

    `package`: SKN_FILE_NAME where BUILD_YN says that it is built.
    """

    seq: int
    subject: str
    body: str | None
    named: tuple[NamedFile, ...]
    stated_count: int
    package: str | None = None
    barcode: BarcodeColumns | None = None
    merged_into: int = 0

    @property
    def count(self) -> int:
        """What FILE_CNT should say."""
        return len(self.named) + (1 if self.body else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of MSG_DATA that is to be sent now. Its repr shows no number and no text.

    `no_date`: REQ_DATE holds something that is no date, as MariaDB's 0000-00-00.
    """

    seq: int
    userdata: int | None
    kind: int
    to: str | None
    sender: str | None
    text: str | None
    requested_for: datetime | None
    content: Content | None = None
    no_date: bool = False

    def __repr__(self) -> str:
        return f"Row({self.seq}, type {self.kind})"


def judge(row: Row, now: datetime, before: timedelta, *, multimedia: bool = False) -> Outgoing | Detail:
    """What to send, or why not. `before`: how far REQ_DATE may lie in the past.

    `multimedia`: whether there are links that take files. What is to be sent then lacks those still.
    """
    objection = _time(row, now, before) or _numbers(row)
    if objection is not None:
        return objection
    if row.kind == MessageType.SMS:
        return _sms(row)
    if row.kind == MessageType.MMS:
        return _long(row, multimedia=multimedia)
    if row.kind == MessageType.BARCODE:
        return _barcode(row, multimedia=multimedia)
    if row.kind == MessageType.URL:
        return _url(row)
    return Detail.UNKNOWN_TYPE


def _time(row: Row, now: datetime, before: timedelta) -> Detail | None:
    if row.no_date:
        return Detail.NO_DATE
    late = row.requested_for is not None and row.requested_for < now - before
    return Detail.TOO_LATE if late else None


def _numbers(row: Row) -> Detail | None:
    if not (row.to or "").strip():
        return Detail.NO_RECIPIENT
    if not _MOBILE.fullmatch(row.to or ""):
        return Detail.BAD_RECIPIENT
    if row.sender and not _SENDER.fullmatch(row.sender):
        return Detail.BAD_SENDER
    return None


def _sms(row: Row) -> Outgoing | Detail:
    if not row.text:
        return Detail.NO_TEXT
    if not fits_sms(row.text):
        return Detail.SMS_TOO_LONG
    return _outgoing(row, row.text, OutgoingKind.SMS)


def _url(row: Row) -> Outgoing | Detail:
    """`URL TITLE`, divided by the first space, leaves as a text of as many bytes: the title, and the address under it.

    Handsets make an address in a text a link; the push messages that URL once meant are shown by no smartphone.
    """
    if not row.text:
        return Detail.NO_TEXT
    if not fits_sms(row.text):
        return Detail.SMS_TOO_LONG
    address, _, title = row.text.partition(" ")
    if not _ADDRESS.fullmatch(address) or not title.strip():
        return Detail.BAD_URL
    return _outgoing(row, f"{title}\n{address}", OutgoingKind.URL)


def _long(row: Row, *, multimedia: bool) -> Outgoing | Detail:
    content = row.content
    if content is None:
        return Detail.NO_CONTENT
    if content.body and not fits_body(content.body):
        return Detail.BODY_TOO_LONG
    if content.named:
        return _with_files(row, content) if multimedia else Detail.NO_MULTIMEDIA_LINK_FOR_FILES
    if not content.body:
        return Detail.NO_TEXT
    return _outgoing(row, content.body, OutgoingKind.LMS, content.subject)


def _barcode(row: Row, *, multimedia: bool) -> Outgoing | Detail:
    content = row.content
    if content is None:
        return Detail.NO_CONTENT
    if content.body and not fits_body(content.body):
        return Detail.BODY_TOO_LONG
    if content.barcode is None:
        return Detail.NO_BARCODE
    try:
        from_columns(content.barcode)
    except NoBarcodeError:
        return Detail.NO_BARCODE
    return _with_files(row, content) if multimedia else Detail.NO_MULTIMEDIA_LINK_FOR_BARCODE


def _with_files(row: Row, content: Content) -> Outgoing:
    return _outgoing(row, content.body or "", OutgoingKind.MMS, content.subject)


def _outgoing(row: Row, text: str, kind: OutgoingKind, subject: str = "") -> Outgoing:
    return Outgoing(
        id=str(row.seq),
        source=row.sender or "",
        destination=row.to or "",
        text=text,
        kind=kind,
        subject=subject,
    )


def refusal(detail: Detail, at: datetime) -> Result:
    """The result of a row that the agent itself ends."""
    return Result(code=CODES[detail], detail=int(detail), at=at)


def not_accepted(outcome: SubmitOutcome, at: datetime) -> Result | None:
    """The result of a submit that did not end ACCEPTED; None: nothing was sent and it may be tried again."""
    if outcome.status is SubmitStatus.NOT_SENT:
        return None
    if outcome.status is SubmitStatus.UNKNOWN:
        return refusal(Detail.OUTCOME_LOST_ON_LINK, at)
    if outcome.command_status is not None:
        code = submit_result(outcome.command_status)
        return Result(code=code, detail=submit_detail(outcome.command_status), at=at)
    if outcome.mm7_status is not None:
        return Result(code=mm7_result(outcome.mm7_status), detail=MM7_BASE + outcome.mm7_status, at=at)
    detail = _LINK_REASONS.get(outcome.reason, Detail.LINK_REFUSED) if outcome.reason else Detail.LINK_REFUSED
    return refusal(detail, at)
