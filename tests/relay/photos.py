"""Pictures as handsets take them: with what a camera notes beside them."""

import io
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageStat
from PIL.Image import Exif

OWNER = "HONG GILDONG"
GPS = 0x8825
ARTIST = 0x013B
ORIENTATION = 0x0112


def drawn(width: int = 320, height: int = 240, colour: str = "orange") -> Image.Image:
    """Something with an up and a down."""
    picture = Image.new("RGB", (width, height), colour)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width // 2, height // 3), fill="navy")
    draw.ellipse((width // 2, height // 2, width - 5, height - 5), fill="white")
    return picture


def photo(picture: Image.Image, number: str, *, orientation: int = 1, quality: int = 95) -> bytes:
    """A JPG with place, owner and a number in its notes and its comment."""
    exif = Exif()
    exif[ARTIST] = f"{OWNER} {number}"
    exif[ORIENTATION] = orientation
    exif.get_ifd(GPS)[1] = "N"
    exif.get_ifd(GPS)[2] = (37.0, 33.0, 59.0)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, exif=exif, comment=f"from {number}".encode())
    return out.getvalue() + f"trailer {number}".encode()


def encoded(picture: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def alike(data: bytes | Path, picture: Image.Image) -> bool:
    """Whether it shows the same, as far as a JPG does."""
    with Image.open(data if isinstance(data, Path) else io.BytesIO(data)) as opened:
        seen = opened.convert("RGB")
    if seen.size != picture.size:
        return False
    return (
        max(ImageStat.Stat(ImageChops.difference(seen, picture.convert("RGB"))).mean) < 8
    )  # a picture upside down differs by far more
