"""Sender numbers as JSON. A number is searched for in a body, never in an address: it may be a person's own."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from api.wire import Cursor, Digits, In, Number, Out, PageSize, moment
from vns.senders.bulk import Fault, Row
from vns.senders.rules import MAX_LABEL, Method, SenderNumber, Status
from vns.sheets import MAX_CELL
from vns.verifications.rules import Failure, VerificationCall
from vns.verifications.rules import Status as CallStatus

MOST_AT_ONCE: Final = 1_000  # numbers in JSON; a file holds more

_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019a0000-0000-7000-8000-000000000005",
    "number": "0212345678",
    "label": "고객센터",
    "status": "verified",
    "method": "call",
    "reason": None,
    "verified_at": "2030-01-01T00:00:00Z",
    "expires_at": "2031-01-01T00:00:00Z",
    "created_at": "2029-12-31T00:00:00Z",
}

Label = Annotated[
    str,
    StringConstraints(max_length=MAX_LABEL, pattern=r"^[^\x00-\x1f\x7f]*$"),
    Field(description="What the number is, for people.", examples=["고객센터"]),
]


class SenderStatus(StrEnum):
    """The states that are shown: a number that was removed is not there."""

    WAITING = Status.WAITING.value
    VERIFIED = Status.VERIFIED.value
    FAILED = Status.FAILED.value
    EXPIRED = Status.EXPIRED.value


class Sort(StrEnum):
    NEWEST = "newest"
    OLDEST = "oldest"


class NewSenderNumber(In):
    """A number to register. It waits for its proof, unless the tenant's policy lists numbers at once."""

    number: Number
    label: Label = ""

    model_config = ConfigDict(json_schema_extra={"examples": [{"number": "02-1234-5678", "label": "고객센터"}]})


class NewSenderNumbers(In):
    """Numbers to register together: all of them, or none."""

    numbers: list[Annotated[str, StringConstraints(max_length=MAX_CELL)]] = Field(
        min_length=1, max_length=MOST_AT_ONCE, description="As typed; what is wrong with one is said of its row."
    )
    check_only: bool = Field(default=False, strict=True, description="Only tell what is wrong.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"numbers": ["02-1234-5678", "1588-1234"]}]})


class SenderFilter(In):
    sort: Sort = Field(default=Sort.NEWEST, description="By the time of registration.")
    cursor: Cursor | None = None
    limit: PageSize = 100


class SenderSearch(SenderFilter):
    """Which sender numbers to show. The same as the list, and by number."""

    number: Number | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"number": "02-1234-5678"}]})


class AccountOut(Out):
    """A sending account: it may show the numbers that its administrator has proven."""

    tenant: str = Field(description="Its code.")
    name: str
    created_at: datetime

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"tenant": "branch-2", "name": "2호점", "created_at": "2030-01-01T00:00:00Z"}]}
    )


class AccountList(Out):
    items: list[AccountOut]


class Confirmation(In):
    """The code that was spoken or sent."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "482910"}]})


class SenderNumberOut(Out):
    """A registered number, whole: it is the tenant's own."""

    id: UUID
    number: Digits
    label: str
    status: SenderStatus = Field(description="`expired`: was verified, and may be verified anew.")
    method: Method | None = Field(description="How it was proven last.")
    reason: str | None = Field(description="Why it failed, or where the proof is filed.")
    verified_at: datetime | None
    expires_at: datetime | None = Field(description="When the proof ends, at that instant.")
    created_at: datetime

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    @classmethod
    def of(cls, one: SenderNumber) -> "SenderNumberOut":
        return cls(
            id=one.id,
            number=one.number or "",
            label=one.label,
            status=SenderStatus(one.status),
            method=one.method,
            reason=one.reason,
            verified_at=one.verified_at,
            expires_at=one.expires_at,
            created_at=one.created_at,
        )


class SenderNumberPage(Out):
    items: list[SenderNumberOut]
    next_cursor: str | None = Field(description="For the next page; null on the last.")
    registered: int = Field(description="How many numbers the tenant has.")
    allowed: int = Field(description="How many it may have.")


class RowOut(Out):
    """A row that cannot be registered."""

    row: int = Field(ge=1, description="Its place, from 1.")
    text: str = Field(description="As it came.")
    fault: Fault = Field(
        description="`malformed`: no number that may be a sender; `duplicate`: after the first of its kind; "
        "`registered`: there already; `over_quota`: more than is allowed."
    )


class SenderNumbersOut(Out):
    """What became of a list or a file. Nothing is registered while `faults` has a row."""

    rows: int
    registered: int = Field(description="0 where a row has a fault, or only a check was asked for.")
    faults: list[RowOut]

    @classmethod
    def of(cls, rows: list[Row], *, check_only: bool) -> "SenderNumbersOut":
        faults = [RowOut(row=row.place, text=row.text, fault=row.fault) for row in rows if row.fault]
        return cls(rows=len(rows), registered=0 if faults or check_only else len(rows), faults=faults)


class CodeSent(Out):
    """A code is on its way: by text to a mobile, by a call that speaks it to any other number."""

    sender_number: SenderNumberOut
    code_expires_at: datetime = Field(description="Until then it can be confirmed.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"sender_number": {**_EXAMPLE, "status": "waiting"}, "code_expires_at": "2030-01-01T00:05:00Z"}
            ]
        }
    )


class VerificationStatus(StrEnum):
    """Under a name of its own: the document has other states."""

    QUEUED = CallStatus.QUEUED.value
    CALLING = CallStatus.CALLING.value
    COMPLETED = CallStatus.COMPLETED.value
    FAILED = CallStatus.FAILED.value


class VerificationCallOut(Out):
    """The newest call that was to speak the number's code, and what became of it."""

    status: VerificationStatus
    reason: Failure | None = Field(
        description="Why the code was not heard; `hung_up_early`: before it had been spoken once; `expired`: nobody "
        "made the call in time."
    )
    spoken: int = Field(ge=0, description="How often the whole code was heard.")
    attempts: int = Field(ge=0)
    requested_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, one: VerificationCall) -> "VerificationCallOut":
        return cls(
            status=VerificationStatus(one.status),
            reason=one.reason,
            spoken=one.spoken,
            attempts=one.attempts,
            requested_at=one.requested_at,
            answered_at=one.answered_at,
            ended_at=one.ended_at,
        )


def sheet_row(one: SenderNumber) -> tuple[str, ...]:
    """A line of the download; `SHEET_HEAD` names its cells."""
    times = (moment(at) or "" for at in (one.created_at, one.verified_at, one.expires_at))
    return (one.number or "", one.label, one.status, one.method or "", *times)


SHEET_HEAD: Final = ("number", "label", "status", "method", "registered", "verified", "expires")
