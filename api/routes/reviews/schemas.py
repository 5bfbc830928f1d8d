"""What waits for an operator, and the decision, as JSON."""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from api.routes.documents.schemas import DocumentOut
from api.routes.exemptions.schemas import ApplicationOut
from api.routes.managers.schemas import ManagerOut
from api.routes.senders.schemas import SenderNumberOut
from api.wire import Cursor, In, Out, PageSize
from vns.senders.rules import MAX_SENDERS, MAX_VALID_DAYS, Policy, Proof

_EXAMPLE: Final[dict[str, Any]] = {"decision": "approve", "reason": "document 019a0000-0000-7000-8000-000000000006"}

Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$")]


class Verdict(StrEnum):
    APPROVE = "approve"
    REFUSE = "refuse"


class Decision(In):
    """`reason`: where the certificate is filed, or why it is refused; the tenant reads it."""

    decision: Verdict
    reason: Reason

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})


class ManagerDecision(In):
    """`reason`: why the manager or the application is refused; the tenant reads it. An approval needs none."""

    decision: Verdict
    reason: Reason | None = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"decision": "refuse", "reason": "위임장에 날인이 없습니다"}]}
    )


class Waiting(In):
    cursor: Cursor | None = None
    limit: PageSize = 100


class NumberReview(Out):
    tenant: str = Field(description="The tenant's code.")
    sender_number: SenderNumberOut


class NumberReviewPage(Out):
    items: list[NumberReview]
    next_cursor: str | None = Field(description="For the next page; null on the last.")


class NumberUnderReview(NumberReview):
    documents: list[DocumentOut]


class ManagerReview(Out):
    tenant: str = Field(description="The tenant's code.")
    manager: ManagerOut


class ManagerReviewPage(Out):
    items: list[ManagerReview]
    next_cursor: str | None = Field(description="For the next page; null on the last.")


class ApplicationReview(Out):
    tenant: str = Field(description="The tenant's code.")
    application: ApplicationOut


class ApplicationReviewPage(Out):
    items: list[ApplicationReview]
    next_cursor: str | None = Field(description="For the next page; null on the last.")


class PolicyBody(In):
    """What a tenant's sender numbers need, whole: what is left out becomes the default."""

    proof: Proof = Field(
        default=Proof.REQUIRED, description="`required`: of each number; `listed`: they count at once."
    )
    max_numbers: int = Field(default=30, strict=True, ge=0, le=MAX_SENDERS, description="How many numbers are allowed.")
    valid_days: int = Field(default=365, strict=True, ge=1, le=MAX_VALID_DAYS, description="How long a proof holds.")
    allow_050: bool = Field(default=False, strict=True, description="Its carriers take a 050 as sender.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"proof": "required", "max_numbers": 100, "valid_days": 365, "allow_050": False}]
        }
    )

    def policy(self) -> Policy:
        return Policy(**self.model_dump())


class PolicyOut(Out):
    proof: Proof
    max_numbers: int
    valid_days: int
    allow_050: bool

    @classmethod
    def of(cls, one: Policy) -> "PolicyOut":
        return cls(proof=one.proof, max_numbers=one.max_numbers, valid_days=one.valid_days, allow_050=one.allow_050)
