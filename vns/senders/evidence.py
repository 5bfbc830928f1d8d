"""What a certificate may be: told by its content, whatever its sender calls it. Pure."""

import io
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from PIL import Image

from vns.errors import InvalidDocument

MAX_BYTES: Final = 1_048_576  # what the API takes as a body unless it is set otherwise
MAX_PIXELS: Final = 50_000_000
MAX_OF_NUMBER: Final = 10  # documents
_PDF_END: Final = 1_024  # bytes from the end within which a PDF says that it ends


class MediaType(StrEnum):
    PDF = "application/pdf"
    JPEG = "image/jpeg"
    PNG = "image/png"


_STARTS: Final = ((b"%PDF-", MediaType.PDF), (b"\xff\xd8\xff", MediaType.JPEG), (b"\x89PNG\r\n\x1a\n", MediaType.PNG))
_FORMATS: Final = {MediaType.JPEG: "JPEG", MediaType.PNG: "PNG"}


class Paper(StrEnum):
    """What a document is for."""

    SUBSCRIPTION = "subscription"  # 통신서비스 이용증명원, of a number
    EMPLOYMENT = "employment"  # 재직증명서, of a manager
    ATTORNEY = "attorney"  # 위임장, of a manager
    REGISTRATION = "registration"  # 특수한 유형의 부가통신사업자 등록증, of an application for an exemption


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A certificate without its content. `sender_id` None: it is not a number's. `size`: bytes."""

    id: UUID
    tenant_id: UUID
    sender_id: UUID | None
    kind: Paper
    media_type: MediaType
    size: int
    created_at: datetime


def media_type_of(content: bytes) -> MediaType:
    """Raises InvalidDocument for what is too large, of another kind, or cut off."""
    if not 0 < len(content) <= MAX_BYTES:
        raise InvalidDocument(f"a document has 1 to {MAX_BYTES} bytes")
    kind = next((kind for start, kind in _STARTS if content.startswith(start)), None)
    if kind is None:
        raise InvalidDocument("a document is a PDF, a JPEG or a PNG")
    if kind is MediaType.PDF:
        if b"%%EOF" not in content[-_PDF_END:]:
            raise InvalidDocument("the PDF is not complete")
    else:
        _check_image(content, _FORMATS[kind])
    return kind


def _check_image(content: bytes, kind: str) -> None:
    """Size first: nothing is unpacked that a few bytes blow up to gigabytes."""
    try:
        with Image.open(io.BytesIO(content), formats=(kind,)) as image:
            small = image.width * image.height <= MAX_PIXELS
            if small:
                image.load()
    except Exception as error:
        raise InvalidDocument("the picture cannot be read") from error
    if not small:
        raise InvalidDocument(f"a picture has at most {MAX_PIXELS} pixels")


def key_context(document_id: UUID) -> bytes:
    """What a document's key is wrapped for."""
    return f"sender_documents:{document_id}:key".encode()
