"""What a prompt is, and what may become one. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from vns.errors import InvalidRequest

MAX_NAME: Final = 100  # characters
MAX_TEXT: Final = 500  # characters
MAX_PROMPTS: Final = 200  # of one tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """`text`: what was spoken; None for a recording. `seconds`, `size` (bytes): of the telephone wav."""

    id: UUID
    tenant_id: UUID
    name: str
    text: str | None
    seconds: float
    size: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Sound:
    """A prompt as Asterisk plays it. `name` is made from its content: the same name is the same sound."""

    name: str
    wav: bytes


def check_name(name: str) -> None:
    """Raises InvalidRequest."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or not name.strip():
        raise InvalidRequest(f"a prompt's name has 1 to {MAX_NAME} printable characters")


def check_text(text: str) -> None:
    """Raises InvalidRequest."""
    plain = text.replace("\n", " ")
    if not 1 <= len(text) <= MAX_TEXT or not plain.isprintable() or not any(letter.isalnum() for letter in text):
        raise InvalidRequest(f"a text has 1 to {MAX_TEXT} printable characters, words among them")
