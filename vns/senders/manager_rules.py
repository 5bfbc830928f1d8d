"""Managers (담당자): whom a tenant has put in charge of its sender numbers. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from vns.errors import InvalidNumber, InvalidRequest
from vns.numbering.rules import NumberKind, PhoneNumber, parse
from vns.senders.evidence import Document, Paper

MAX_NAME: Final = 100  # characters
PAPERS: Final = (Paper.EMPLOYMENT, Paper.ATTORNEY)  # what an operator wants to see of one

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")


class ManagerStatus(StrEnum):
    DRAFT = "draft"  # the mobile's proof and the papers are being gathered
    WAITING = "waiting"  # for an operator
    APPROVED = "approved"
    REFUSED = "refused"  # may bring other papers and be submitted again
    ENDED = "ended"  # un-designated, and erased


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """A tenant's manager, who is not ENDED. `papers`: at most one of a kind. The repr is bare."""

    id: UUID
    tenant_id: UUID
    name: str
    mobile_masked: str
    status: ManagerStatus
    reason: str | None
    mobile_proven_at: datetime | None
    papers: tuple[Document, ...]
    decided_at: datetime | None
    created_at: datetime

    @property
    def missing(self) -> tuple[str, ...]:
        """What has still to come before an operator can be asked: `mobile`, and kinds of papers."""
        there = {paper.kind for paper in self.papers}
        mobile = () if self.mobile_proven_at else ("mobile",)
        return (*mobile, *(kind.value for kind in PAPERS if kind not in there))

    def __repr__(self) -> str:
        return f"Manager({self.id}, {self.status})"


def check_name(name: str) -> None:
    """Raises InvalidRequest."""
    if not _NAME.fullmatch(name) or not name.strip():
        raise InvalidRequest(f"a manager's name has 1 to {MAX_NAME} characters")


def manager_mobile(text: str) -> PhoneNumber:
    """Raises InvalidNumber, never with the number."""
    number = parse(text)
    if number.kind is not NumberKind.MOBILE:
        raise InvalidNumber("a manager has a mobile number")
    return number


def field_context(manager_id: UUID, column: str) -> bytes:
    """What name and mobile are encrypted for."""
    return f"sender_managers:{manager_id}:{column}".encode()
