"""Exemptions (예외 적용): by which route, and what a tenant tells of itself to get one. Pure."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from vns.errors import InvalidApplication
from vns.senders.evidence import Document

MAX_NAME: Final = 100  # characters, of the company and of its representative
MAX_ADDRESS: Final = 200  # characters
MAX_NUMBERS: Final = 1_000  # of one application; more are added once it is approved

_ONE_LINE: Final = re.compile(r"[^\x00-\x1f\x7f]+")
_BUSINESS_WEIGHTS: Final = (1, 3, 7, 1, 3, 7, 1, 3, 5)
_CORPORATE_WEIGHTS: Final = (1, 2) * 6


class Route(StrEnum):
    INTEGRATION = "integration"  # a customer whose server is connected, approved by the agency
    CARRIER = "carrier"  # a registered special value-added carrier


class ApplicationStatus(StrEnum):
    DRAFT = "draft"
    WAITING = "waiting"  # for an operator
    APPROVED = "approved"
    REFUSED = "refused"  # may be changed and submitted again
    ENDED = "ended"  # withdrawn, taken back, or followed by a renewal; erased


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """What a tenant tells by the route `integration`. Numbers are digits alone; the repr is bare.

    `corporate_number` None: a sole proprietor has none. `new_corporate_number`: the tenant says that it was assigned
    since 31 January 2025, when corporate numbers lost their check digit.
    """

    company: str
    business_number: str
    corporate_number: str | None = None
    new_corporate_number: bool = False
    representative: str
    address: str
    numbers: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        return f"Company({len(self.numbers)} numbers)"

    @property
    def business_number_masked(self) -> str:
        return f"{self.business_number[:3]}-**-*****"

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Company":
        stored = json.loads(text)
        return cls(**{**stored, "numbers": tuple(stored["numbers"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One that has not ended. `company`: by the route `integration`; `certificate`: by the route `carrier`."""

    id: UUID
    tenant_id: UUID
    route: Route
    status: ApplicationStatus
    company: Company | None
    certificate: Document | None
    reason: str | None
    decided_at: datetime | None
    created_at: datetime


def checked(company: Company) -> Company:
    """The same with its numbers as digits alone; those of `numbers` are for the registry to judge.

    Raises InvalidApplication.
    """
    for name, most in (("company", MAX_NAME), ("representative", MAX_NAME), ("address", MAX_ADDRESS)):
        text: str = getattr(company, name)
        if not text.strip() or len(text) > most or not _ONE_LINE.fullmatch(text):
            raise InvalidApplication(f"{name} has 1 to {most} characters on one line", field=name)
    corporate = company.corporate_number
    return Company(
        company=company.company.strip(),
        business_number=business_number(company.business_number),
        corporate_number=corporate_number(corporate, checks=not company.new_corporate_number) if corporate else None,
        new_corporate_number=bool(corporate) and company.new_corporate_number,
        representative=company.representative.strip(),
        address=company.address.strip(),
        numbers=company.numbers,
    )


def business_number(text: str) -> str:
    """사업자등록번호: ten digits, the last of which checks the others. Raises InvalidApplication."""
    digits = _digits(text)
    if len(digits) == 10:
        total = _weighed(digits, _BUSINESS_WEIGHTS) + int(digits[8]) * 5 // 10
        if (total + int(digits[9])) % 10 == 0:
            return digits
    raise InvalidApplication(
        "a business number has ten digits, the last of which checks the others", field="business_number"
    )


def corporate_number(text: str, *, checks: bool = True) -> str:
    """법인등록번호: thirteen digits; with `checks` the last checks the others. Raises InvalidApplication."""
    digits = _digits(text)
    if len(digits) == 13 and (not checks or (_weighed(digits, _CORPORATE_WEIGHTS) + int(digits[12])) % 10 == 0):
        return digits
    raise InvalidApplication(
        "a corporate number has thirteen digits, the last of which checks the others in those assigned before "
        "31 January 2025",
        field="corporate_number",
    )


def check_rows(wrong: Sequence[int]) -> None:
    """`wrong`: the places, from 1, of numbers that cannot be registered. Raises InvalidApplication."""
    if wrong:
        shown = ", ".join(str(place) for place in wrong[:10]) + (" …" if len(wrong) > 10 else "")
        raise InvalidApplication(
            f"numbers that cannot be senders, or stand there twice, in the rows {shown}",
            field="numbers",
            rows=tuple(wrong),
        )


def details_context(application_id: UUID) -> bytes:
    """What the details are encrypted for."""
    return f"sender_exemption_applications:{application_id}:details".encode()


def _digits(text: str) -> str:
    """Without hyphens and spaces; empty where anything else stands there."""
    digits = re.sub(r"[\s-]", "", text)
    return digits if digits.isascii() and digits.isdigit() else ""


def _weighed(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))
