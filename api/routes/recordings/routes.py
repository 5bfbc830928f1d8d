"""Routes of recorded calls: a key makes a link, the link is all that hearing needs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from api.answers import problems
from api.routes.recordings.schemas import PATH, LinkParts, RecordingLink
from api.security import RecordingsReader
from api.services import services_of
from vns import errors

WAV = "audio/wav"

router = APIRouter(tags=["recordings"])


@router.post(
    "/v1/calls/{call_id}/recording-url",
    operation_id="linkRecording",
    summary="A link to the recording of your call, for 15 minutes at most",
    status_code=201,
    responses=problems(errors.NotFound),
)
async def link_recording(request: Request, principal: RecordingsReader, call_id: UUID) -> RecordingLink:
    return RecordingLink.of(await services_of(request).recordings.link(principal, call_id))


@router.get(
    f"{PATH}/{{recording_id}}",
    operation_id="hearRecording",
    summary="A recorded call: wav, 8 kHz, mono, 16 bit",
    response_class=Response,
    responses={
        **problems(errors.InvalidLink, errors.NotFound),
        200: {
            "description": "The wav file.",
            "content": {WAV: {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def hear_recording(request: Request, recording_id: UUID, parts: Annotated[LinkParts, Query()]) -> Response:
    heard = await services_of(request).recordings.download(recording_id, parts.expires, parts.signature)
    headers = {
        "content-length": str(heard.size),
        "content-disposition": f'attachment; filename="{recording_id}.wav"',
        "cache-control": "private, no-store",
    }
    return StreamingResponse(heard.chunks, media_type=WAV, headers=headers)
