"""The presentation of a multimedia message: which file is seen and heard when. Pure."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final
from xml.sax.saxutils import quoteattr

CONTENT_TYPE: Final = "application/smil"
_SECONDS = 10
_HEAD = (
    '<head><layout><root-layout width="320" height="480"/>'
    '<region id="Image" left="0" top="0" width="320" height="320" fit="meet"/>'
    '<region id="Text" left="0" top="320" width="320" height="160" fit="scroll"/></layout></head>'
)


def presentation(*, images: Sequence[str], texts: Sequence[str], sounds: Sequence[str]) -> bytes:
    """One slide for the first of each kind, one for the second … The names are content ids."""
    slides: list[str] = []
    for image, text, sound in zip_longest(images, texts, sounds):
        seen = _media("img", image, ' region="Image"') + _media("text", text, ' region="Text"')
        slides.append(f'<par dur="{_SECONDS}s">{seen}{_media("audio", sound, "")}</par>')
    return f"<smil>{_HEAD}<body>{''.join(slides)}</body></smil>".encode()


def _media(kind: str, name: str | None, place: str) -> str:
    return f"<{kind} src={quoteattr(f'cid:{name}')}{place}/>" if name else ""
