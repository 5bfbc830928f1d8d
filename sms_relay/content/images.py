"""What carriers take as a picture: a JPG of at most 200 KB, neither side over 1,500 pixels. Pure."""

import io
from typing import Final

from PIL import Image, UnidentifiedImageError

MOST_BYTES: Final = 200 * 1024
MOST_SIDE: Final = 1_500

_BOMBS: Final = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""What Pillow says of a size before it can be asked for; the warning where warnings are errors."""


class BadImageError(ValueError):
    """No carrier would take this picture. The message says why."""


class LargeImageError(BadImageError):
    """It has more bytes or pixels than carriers take."""


def read_jpeg(raw: bytes) -> Image.Image:
    """The picture in RGB. Its size is looked at before a pixel is unpacked. Raises `BadImageError`."""
    if len(raw) > MOST_BYTES:
        raise LargeImageError(f"{len(raw)} bytes; {MOST_BYTES} are the most")
    try:
        with Image.open(io.BytesIO(raw), formats=("JPEG",)) as picture:
            if max(picture.size) > MOST_SIDE:
                raise LargeImageError(f"{picture.width}x{picture.height} pixels; {MOST_SIDE} are the most for a side")
            return picture.convert("RGB")
    except _BOMBS as error:
        raise LargeImageError(f"more pixels than anybody unpacks; {MOST_SIDE} are the most for a side") from error
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise BadImageError("no readable JPG") from error
