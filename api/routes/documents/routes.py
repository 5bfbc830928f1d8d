"""Routes of certificates: a file comes as it is, and what it is is seen from its content."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.answers import problems
from api.routes.documents.schemas import DocumentList, DocumentOut, OfNumber
from api.security import SendersReader, SendersWriter
from api.services import services_of
from vns import errors
from vns.senders.evidence import MAX_BYTES, Document, MediaType

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
FILES: Final[dict[str, Any]] = {kind.value: _BINARY for kind in MediaType}
FILE_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "description": f"PDF, JPEG or PNG, at most {MAX_BYTES} bytes.", "content": FILES}
}

router = APIRouter(prefix="/v1/sender-documents", tags=["sender numbers"])


@router.post(
    "",
    operation_id="uploadSenderDocument",
    summary="Add a certificate to a sender number, for an operator to decide on",
    status_code=201,
    responses=problems(errors.NotFound, errors.InvalidDocument, errors.QuotaExceeded, body=True),
    openapi_extra=FILE_BODY,
)
async def upload_sender_document(
    request: Request, principal: SendersWriter, wanted: Annotated[OfNumber, Query()]
) -> DocumentOut:
    made = await services_of(request).documents.upload(
        principal.actor, principal.tenant_id, wanted.sender_number_id, await request.body()
    )
    return DocumentOut.of(made)


@router.get(
    "",
    operation_id="listSenderDocuments",
    summary="The certificates of a sender number, oldest first",
    responses=problems(errors.NotFound),
)
async def list_sender_documents(
    request: Request, principal: SendersReader, wanted: Annotated[OfNumber, Query()]
) -> DocumentList:
    found = await services_of(request).documents.list(principal.tenant_id, wanted.sender_number_id)
    return DocumentList(items=[DocumentOut.of(one) for one in found])


@router.get(
    "/{document_id}",
    operation_id="getSenderDocument",
    summary="A certificate or a manager's paper as it was uploaded; journalled",
    response_class=Response,
    responses={**problems(errors.NotFound), 200: {"description": "The file.", "content": FILES}},
)
async def get_sender_document(request: Request, principal: SendersReader, document_id: UUID) -> Response:
    found, content = await services_of(request).documents.read(principal.actor, principal.tenant_id, document_id)
    return file_answer(found, content)


def file_answer(document: Document, content: bytes) -> Response:
    """As a file to keep: what strangers made is never shown as a page."""
    headers = {"content-disposition": "attachment", "x-content-type-options": "nosniff"}
    return Response(content, media_type=document.media_type, headers=headers)
