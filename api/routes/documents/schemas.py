"""Certificates as JSON."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field

from api.wire import In, Out
from vns.senders.evidence import Document, MediaType, Paper

_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019a0000-0000-7000-8000-000000000006",
    "sender_number_id": "019a0000-0000-7000-8000-000000000005",
    "kind": "subscription",
    "media_type": "application/pdf",
    "bytes": 48213,
    "created_at": "2030-01-01T00:00:00Z",
}


class OfNumber(In):
    sender_number_id: UUID


class DocumentOut(Out):
    """A certificate. An operator reads it and decides on the number, or on the manager."""

    id: UUID
    sender_number_id: UUID | None = Field(description="Null: a manager's, or of an application for an exemption.")
    kind: Paper = Field(
        description="`subscription`: of a number; `employment`, `attorney`: of a manager, the certificate of "
        "employment and the power of attorney; `registration`: a carrier's, of an application for an exemption."
    )
    media_type: MediaType
    size: int = Field(serialization_alias="bytes")
    created_at: datetime

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    @classmethod
    def of(cls, one: Document) -> "DocumentOut":
        return cls(
            id=one.id,
            sender_number_id=one.sender_id,
            kind=one.kind,
            media_type=one.media_type,
            size=one.size,
            created_at=one.created_at,
        )


class DocumentList(Out):
    items: list[DocumentOut]
