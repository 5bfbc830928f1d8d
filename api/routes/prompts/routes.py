"""Routes of prompts: a text to be spoken comes as JSON, a recording as it is."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from api.answers import problems
from api.by_hand import documented_body, json_of, parameter, value_of
from api.routes.prompts.schemas import NewPrompt, PromptName, PromptOut, PromptPage
from api.security import BindingsReader, RulesWriter
from api.services import services_of
from vns import errors
from vns.prompts.audio import MAX_BYTES

PATH: Final = "/v1/prompts"
WAV: Final = "audio/wav"
_NAME: Final[TypeAdapter[str]] = TypeAdapter(PromptName)
_WAV_TYPES: Final = {WAV, "audio/x-wav", "audio/wave", "audio/vnd.wave"}
_SOUND: Final = {"schema": {"type": "string", "format": "binary"}}

router = APIRouter(prefix=PATH, tags=["prompts"])


def _documented() -> dict[str, Any]:
    extra = documented_body(NewPrompt)
    extra["requestBody"]["content"][WAV] = _SOUND
    described = f"PCM wav, one or two channels, 8 to 32 bit, 8 to 48 kHz, a minute and {MAX_BYTES} bytes at most."
    extra["requestBody"]["description"] = f"A text, or a recording: {described}"
    named = parameter("name", "query", _NAME)
    named["description"] = "With a recording: the prompt's name."
    return {**extra, "parameters": [named]}


@router.post(
    "",
    operation_id="createPrompt",
    summary="Make a prompt from a text or a recording",
    status_code=201,
    responses=problems(errors.InvalidAudio, errors.QuotaExceeded, errors.SpeechUnavailable, body=True),
    openapi_extra=_documented(),
)
async def create_prompt(request: Request, principal: RulesWriter) -> PromptOut:
    prompts = services_of(request).prompts
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type in _WAV_TYPES:
        name = value_of(_NAME, request.query_params.get("name"), root="query.name")
        return PromptOut.of(await prompts.record(principal, name, await request.body()))
    asked = await json_of(NewPrompt, request)
    return PromptOut.of(await prompts.speak(principal, asked.name, asked.text))


@router.get("", operation_id="listPrompts", summary="Your prompts, oldest first", responses=problems())
async def list_prompts(request: Request, principal: BindingsReader) -> PromptPage:
    return PromptPage(items=[PromptOut.of(prompt) for prompt in await services_of(request).prompts.list(principal)])


@router.get("/{prompt_id}", operation_id="getPrompt", summary="A prompt", responses=problems(errors.NotFound))
async def get_prompt(request: Request, principal: BindingsReader, prompt_id: UUID) -> PromptOut:
    return PromptOut.of(await services_of(request).prompts.get(principal, prompt_id))


@router.get(
    "/{prompt_id}/audio",
    operation_id="getPromptAudio",
    summary="What callers hear: wav, 8 kHz, mono, 16 bit",
    response_class=Response,
    responses={**problems(errors.NotFound), 200: {"description": "The wav file.", "content": {WAV: _SOUND}}},
)
async def get_prompt_audio(request: Request, principal: BindingsReader, prompt_id: UUID) -> Response:
    return Response(await services_of(request).prompts.audio(principal, prompt_id), media_type=WAV)


@router.delete(
    "/{prompt_id}",
    operation_id="deletePrompt",
    summary="Delete a prompt; rules that name it fall back to the platform's own",
    status_code=204,
    response_class=Response,
    responses=problems(errors.NotFound),
)
async def delete_prompt(request: Request, principal: RulesWriter, prompt_id: UUID) -> Response:
    await services_of(request).prompts.delete(principal, prompt_id)
    return Response(status_code=204)
