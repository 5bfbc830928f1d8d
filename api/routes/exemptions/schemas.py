"""Exemptions and applications for one as JSON."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from api.routes.documents.schemas import DocumentOut
from api.wire import In, Out
from vns.senders.applications import Standing
from vns.senders.exemption_rules import (
    MAX_ADDRESS,
    MAX_NAME,
    MAX_NUMBERS,
    Application,
    ApplicationStatus,
    Company,
    Route,
)
from vns.senders.exemptions import Exemption
from vns.sheets import MAX_CELL

_COMPANY: Final[dict[str, Any]] = {
    "company": "한빛 주식회사",
    "business_number": "124-81-00998",
    "corporate_number": "130111-0006246",
    "representative": "홍대표",
    "address": "서울특별시 중구 세종대로 110",
    "numbers": ["02-1234-5678"],
}
_APPLICATION: Final[dict[str, Any]] = {
    "id": "019a0000-0000-7000-8000-000000000009",
    "route": "integration",
    "status": "waiting",
    "company": {
        **_COMPANY,
        "business_number": "1248100998",
        "corporate_number": "1301110006246",
        "new_corporate_number": False,
        "numbers": ["0212345678"],
    },
    "certificate": None,
    "reason": None,
    "decided_at": None,
    "created_at": "2030-01-01T00:00:00Z",
}
_LINE: Final = r"^[^\x00-\x1f\x7f]+$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME, pattern=_LINE)]
Typed = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CELL)]


class ShownApplicationStatus(StrEnum):
    """The states that are shown: one that was withdrawn or renewed is not there."""

    DRAFT = ApplicationStatus.DRAFT.value
    WAITING = ApplicationStatus.WAITING.value
    APPROVED = ApplicationStatus.APPROVED.value
    REFUSED = ApplicationStatus.REFUSED.value


class NewApplication(In):
    """What a tenant whose server is connected tells of itself."""

    company: Name
    business_number: Typed = Field(description="사업자등록번호; its last digit checks the others.")
    corporate_number: Typed | None = Field(default=None, description="법인등록번호; a sole proprietor has none.")
    new_corporate_number: bool = Field(
        default=False, strict=True, description="Assigned since 31 January 2025: without a check digit."
    )
    representative: Name
    address: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ADDRESS, pattern=_LINE)]
    numbers: list[Typed] = Field(min_length=1, max_length=MAX_NUMBERS)

    model_config = ConfigDict(json_schema_extra={"examples": [_COMPANY]})

    def given(self) -> Company:
        return Company(**{**self.model_dump(), "numbers": tuple(self.numbers)})


class CompanyOut(Out):
    company: str
    business_number: str
    corporate_number: str | None
    new_corporate_number: bool
    representative: str
    address: str
    numbers: list[str]

    @classmethod
    def of(cls, one: Company) -> "CompanyOut":
        return cls(
            company=one.company,
            business_number=one.business_number,
            corporate_number=one.corporate_number,
            new_corporate_number=one.new_corporate_number,
            representative=one.representative,
            address=one.address,
            numbers=list(one.numbers),
        )


class ApplicationOut(Out):
    """An application for an exemption."""

    id: UUID
    route: Route
    status: ShownApplicationStatus = Field(description="`draft`: not submitted yet; `waiting`: for an operator.")
    company: CompanyOut | None = Field(description="By the route `integration`.")
    certificate: DocumentOut | None = Field(description="By the route `carrier`.")
    reason: str | None = Field(description="Why an operator has refused.")
    decided_at: datetime | None
    created_at: datetime

    model_config = ConfigDict(json_schema_extra={"examples": [_APPLICATION]})

    @classmethod
    def of(cls, one: Application) -> "ApplicationOut":
        return cls(
            id=one.id,
            route=one.route,
            status=ShownApplicationStatus(one.status),
            company=CompanyOut.of(one.company) if one.company else None,
            certificate=DocumentOut.of(one.certificate) if one.certificate else None,
            reason=one.reason,
            decided_at=one.decided_at,
            created_at=one.created_at,
        )


class ExemptionOut(Out):
    """An exemption, also one that is over."""

    route: Route
    approved_at: datetime
    ends_at: datetime

    @classmethod
    def of(cls, one: Exemption) -> "ExemptionOut":
        return cls(route=one.route, approved_at=one.approved_at, ends_at=one.ends_at)


class StandingOut(Out):
    exemption: ExemptionOut | None
    application: ApplicationOut | None = Field(description="The one under way, else the one that was approved.")

    @classmethod
    def of(cls, one: Standing) -> "StandingOut":
        return cls(
            exemption=ExemptionOut.of(one.exemption) if one.exemption else None,
            application=ApplicationOut.of(one.application) if one.application else None,
        )
