"""Pictures from handsets made into what carriers take, and no more than what is to be seen on them. Pure.

Each is written anew from its pixels: place, time, owner and device that a camera notes, thumbnails and whatever else
lies in the file do not come along.
"""

import io
from typing import Final

from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile

from sms_relay.content.images import MOST_BYTES, MOST_SIDE

FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP", "BMP")
MOST_PIXELS: Final = 50_000_000  # of which a picture is unpacked; a JPG is unpacked smaller
QUALITIES: Final = (90, 80, 70, 55, 40)
SMALLER: Final = 0.75


class NoPictureError(ValueError):
    """It cannot be read as a picture. The message says why."""


def rewritten(raw: bytes) -> bytes:
    """A JPG within the limits of carriers, upright, of an animation the first picture. Raises `NoPictureError`."""
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as picture:
            seen = _seen(picture)
    except Exception as error:  # anybody's bytes: Pillow lets struct.error through, KeyError and others
        raise NoPictureError(f"no readable picture ({type(error).__name__})") from error
    seen.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.LANCZOS)
    return _small(seen)


def _seen(picture: ImageFile) -> Image.Image:
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError("more pixels than are unpacked")
    picture.draft("RGB", (MOST_SIDE, MOST_SIDE))
    return _flat(ImageOps.exif_transpose(picture))


def _flat(picture: Image.Image) -> Image.Image:
    """Its pixels alone, in RGB; what shows through is white."""
    if picture.has_transparency_data:
        above = picture.convert("RGBA")
        picture = Image.new("RGBA", above.size, "white")
        picture.alpha_composite(above)
    plain = Image.new("RGB", picture.size)
    plain.paste(picture.convert("RGB"))
    return plain


def _small(picture: Image.Image) -> bytes:
    """As good as the bytes allow: first less quality, then fewer pixels."""
    while True:
        for quality in QUALITIES:
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=quality, optimize=True)
            if out.tell() <= MOST_BYTES:
                return out.getvalue()
        picture = picture.resize((max(1, int(picture.width * SMALLER)), max(1, int(picture.height * SMALLER))))
