"""What waits for an operator, and the decision, as JSON."""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from api.routes.documents.schemas import DocumentOut
from api.routes.managers.schemas import ManagerOut
from api.routes.senders.schemas import SenderNumberOut
from api.wire import Cursor, In, Out, PageSize

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
    """`reason`: why the manager is refused; the tenant reads it. An approval needs none."""

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
