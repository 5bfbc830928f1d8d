"""Managers and selections of numbers as JSON."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from api.routes.documents.schemas import DocumentOut
from api.wire import In, Masked, Number, Out
from vns.senders.evidence import Paper
from vns.senders.manager_rules import MAX_NAME, Manager, ManagerStatus
from vns.senders.selections import Selection

MOST_CHOSEN: Final = 1_000

_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019a0000-0000-7000-8000-000000000007",
    "name": "김담당",
    "mobile": "010-****-5432",
    "status": "draft",
    "missing": ["employment", "attorney"],
    "reason": None,
    "mobile_proven_at": "2030-01-01T00:00:00Z",
    "documents": [],
    "decided_at": None,
    "created_at": "2030-01-01T00:00:00Z",
}


class ShownStatus(StrEnum):
    """The states that are shown: a manager who was un-designated is not there."""

    DRAFT = ManagerStatus.DRAFT.value
    WAITING = ManagerStatus.WAITING.value
    APPROVED = ManagerStatus.APPROVED.value
    REFUSED = ManagerStatus.REFUSED.value


class ManagerPaper(StrEnum):
    EMPLOYMENT = Paper.EMPLOYMENT.value
    ATTORNEY = Paper.ATTORNEY.value


class NewManager(In):
    """Who is put in charge of the tenant's sender numbers."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME, pattern=r"^[^\x00-\x1f\x7f]+$")]
    mobile: Number

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "김담당", "mobile": "010-9876-5432"}]})


class OfKind(In):
    kind: ManagerPaper = Field(description="Certificate of employment, or power of attorney.")


class ManagerOut(Out):
    """The tenant's manager."""

    id: UUID
    name: str
    mobile: Masked
    status: ShownStatus = Field(description="`draft`: not submitted yet; `waiting`: for an operator.")
    missing: list[str] = Field(description="What has to come before it can be submitted.")
    reason: str | None = Field(description="Why an operator has refused.")
    mobile_proven_at: datetime | None
    documents: list[DocumentOut]
    decided_at: datetime | None
    created_at: datetime

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    @classmethod
    def of(cls, one: Manager) -> "ManagerOut":
        return cls(
            id=one.id,
            name=one.name,
            mobile=one.mobile_masked,
            status=ShownStatus(one.status),
            missing=list(one.missing),
            reason=one.reason,
            mobile_proven_at=one.mobile_proven_at,
            documents=[DocumentOut.of(paper) for paper in one.papers],
            decided_at=one.decided_at,
            created_at=one.created_at,
        )


class ManagerCodeSent(Out):
    """A code is on its way to the manager's mobile."""

    code_expires_at: datetime = Field(description="Until then it can be confirmed.")


class NewSelection(In):
    """Which numbers one code is to prove: some, or all that wait for their proof."""

    sender_number_ids: list[UUID] | None = Field(default=None, min_length=1, max_length=MOST_CHOSEN)
    all_waiting: bool = Field(default=False, strict=True)

    model_config = ConfigDict(json_schema_extra={"examples": [{"all_waiting": True}]})

    @model_validator(mode="after")
    def _one_of_two(self) -> "NewSelection":
        if (self.sender_number_ids is None) != self.all_waiting:
            raise ValueError("either sender_number_ids, or all_waiting")
        return self


class SelectionOut(Out):
    """Numbers that one code proves. Those that are proven or refused already are left out."""

    id: UUID
    numbers: int = Field(ge=1, description="How many the code proves.")
    mobile: Masked
    code_expires_at: datetime

    @classmethod
    def of(cls, one: Selection) -> "SelectionOut":
        return cls(id=one.id, numbers=one.numbers, mobile=one.mobile_masked, code_expires_at=one.expires_at)


class SelectionProven(Out):
    verified: int = Field(ge=0, description="How many numbers are proven now.")
