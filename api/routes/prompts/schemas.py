"""Prompts as JSON."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from api.wire import In, Out
from vns.prompts.rules import MAX_NAME, MAX_TEXT, Prompt

PromptName = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_NAME), Field(description="Of your own choice, used once.")
]

_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019a0000-0000-7000-8000-000000000004",
    "name": "ended",
    "text": "주문하신 상품의 배송이 끝났습니다.",
    "seconds": 2.6,
    "bytes": 41644,
    "created_at": "2030-01-01T00:00:00Z",
}


class NewPrompt(In):
    """A prompt that is spoken from a text. A recording is sent as it is, as `audio/wav`."""

    name: PromptName
    text: str = Field(min_length=1, max_length=MAX_TEXT, description="Spoken in Korean.")

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ended", "text": "주문하신 상품의 배송이 끝났습니다."}]}
    )


class PromptOut(Out):
    """A prompt. Rules name it by its id, per reason (`prompts`) or as `ringback`."""

    id: UUID
    name: str
    text: str | None = Field(description="Null for a recording.")
    seconds: float
    size: int = Field(serialization_alias="bytes", description="Of the wav file.")
    created_at: datetime

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    @classmethod
    def of(cls, prompt: Prompt) -> "PromptOut":
        return cls(
            id=prompt.id,
            name=prompt.name,
            text=prompt.text,
            seconds=round(prompt.seconds, 3),
            size=prompt.size,
            created_at=prompt.created_at,
        )


class PromptPage(Out):
    items: list[PromptOut]
