"""Barcodes of BARCODE messages: from the BAR_* columns to a JPG with the barcode pasted in. Pure.

QR by segno, EAN-13 and ITF by python-barcode (their patterns only: the bars are drawn here, each a whole number of
pixels wide, since resizing a picture of bars makes it unreadable).
"""

import io
from dataclasses import dataclass
from enum import Enum
from typing import Final

import segno
from barcode.ean import EuropeanArticleNumber13
from barcode.itf import ITF
from PIL import Image, ImageDraw, ImageFont
from segno import DataOverflowError

from sms_relay.content.images import MOST_SIDE, read_jpeg

QR_PIXELS: Final = 2  # a module of fewer pixels does not survive JPG
QR_BORDER: Final = 4
EAN_QUIET: Final = 11  # modules of white on either side
ITF_QUIET: Final = 10
LEAST_BARS: Final = 15  # pixels of height
QUALITY: Final = 95


class Symbology(Enum):
    """BAR_TYPE."""

    QRCODE = "QRCODE"
    EAN13 = "EAN13"
    ITF = "ITF"


class NoBarcodeError(ValueError):
    """The barcode cannot be made (RSLT_CODE2 `u`). The message says why, without the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Barcode:
    """One barcode and its place, in pixels from the upper left corner. Its repr does not show the value.

    `show_value` prints it under EAN-13 and ITF; a QR code has no such line.
    """

    symbology: Symbology
    value: str
    width: int
    height: int
    x: int = 0
    y: int = 0
    show_value: bool = False

    def __repr__(self) -> str:
        return f"Barcode({self.symbology.value}, {self.width}x{self.height} at {self.x},{self.y})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BarcodeColumns:
    """The BAR_* columns as a customer wrote them. `background`: the path in the FILE_NAME that BAR_MERGE_FILE names."""

    kind: str | None
    value: str | None
    width: int | None
    height: int | None
    x: int | None
    y: int | None
    view: str | None
    background: str | None

    def __repr__(self) -> str:
        return f"BarcodeColumns({self.kind!r})"


def from_columns(columns: BarcodeColumns) -> Barcode:
    """The barcode that is asked for; no place means the upper left corner. Raises `NoBarcodeError`."""
    try:
        symbology = Symbology((columns.kind or "").strip().upper())
    except ValueError:
        raise NoBarcodeError("BAR_TYPE is none of QRCODE, EAN13, ITF") from None
    if not columns.background:
        raise NoBarcodeError("BAR_MERGE_FILE names no file")
    barcode = Barcode(
        symbology=symbology,
        value=columns.value or "",
        width=columns.width or 0,
        height=columns.height or 0,
        x=columns.x or 0,
        y=columns.y or 0,
        show_value=columns.view == "Y",
    )
    check_value(symbology, barcode.value)
    _check_size(barcode)
    return barcode


def _check_size(barcode: Barcode) -> None:
    """No picture is larger than carriers take, so no barcode is either: sizes come from anybody's row."""
    if not (0 < barcode.width <= MOST_SIDE and 0 < barcode.height <= MOST_SIDE):
        raise NoBarcodeError(f"a side is not within 1 to {MOST_SIDE} pixels")


def check_value(symbology: Symbology, value: str) -> None:
    """Raises `NoBarcodeError` where this kind of barcode cannot hold the value.

    EAN-13: exactly 13 digits. ITF: 12 to 20 digits, an even count. QR: any text that fits.
    """
    digits = value.isascii() and value.isdigit()
    if symbology is Symbology.EAN13 and not (digits and len(value) == 13):
        raise NoBarcodeError("EAN13 holds exactly 13 digits")
    if symbology is Symbology.ITF and not (digits and 12 <= len(value) <= 20 and len(value) % 2 == 0):
        raise NoBarcodeError("ITF holds 12 to 20 digits, an even count")
    if symbology is Symbology.QRCODE and not value:
        raise NoBarcodeError("an empty value")


def wrong_check_digit(barcode: Barcode) -> bool:
    """Whether an EAN-13 ends in another digit than its first twelve ask for: it is drawn, and many readers
    refuse it.
    """
    if barcode.symbology is not Symbology.EAN13:
        return False
    weighted = sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(barcode.value[:12]))
    return (10 - weighted % 10) % 10 != int(barcode.value[12])


def merge(background: bytes, barcode: Barcode) -> bytes:
    """The JPG with the barcode pasted onto it. Raises `NoBarcodeError`, or `BadImageError` for the background."""
    check_value(barcode.symbology, barcode.value)
    canvas = read_jpeg(background)
    inside = (
        min(barcode.x, barcode.y) >= 0
        and min(barcode.width, barcode.height) > 0
        and barcode.x + barcode.width <= canvas.width
        and barcode.y + barcode.height <= canvas.height
    )
    if not inside:
        raise NoBarcodeError(f"it does not lie inside the picture of {canvas.width}x{canvas.height} pixels")
    canvas.paste(draw(barcode), (barcode.x, barcode.y))
    out = io.BytesIO()
    canvas.save(out, "JPEG", quality=QUALITY, subsampling=0)
    return out.getvalue()


def draw(barcode: Barcode) -> Image.Image:
    """The barcode alone, black on white, exactly as large as asked for. Raises `NoBarcodeError`."""
    check_value(barcode.symbology, barcode.value)
    _check_size(barcode)
    if barcode.symbology is Symbology.QRCODE:
        return _qr(barcode)
    return _bars(barcode)


def _qr(barcode: Barcode) -> Image.Image:
    """Text beyond ASCII is marked as UTF-8 (ECI): without it a reader has to guess."""
    try:
        if barcode.value.isascii():
            code = segno.make_qr(barcode.value, error="m")
        else:
            code = segno.make_qr(barcode.value, error="m", mode="byte", encoding="utf-8", eci=True)
    except DataOverflowError:
        raise NoBarcodeError("a QR code does not hold so much") from None
    rows = [bytes(255 * (not dark) for dark in row) for row in code.matrix]
    pixels = min(barcode.width, barcode.height) // (len(rows) + 2 * QR_BORDER)
    if pixels < QR_PIXELS:
        raise NoBarcodeError("too small for what it holds")
    small = Image.frombytes("L", (len(rows), len(rows)), b"".join(rows))
    side = len(rows) * pixels
    picture = Image.new("L", (barcode.width, barcode.height), 255)
    large = small.resize((side, side), Image.Resampling.NEAREST)
    picture.paste(large, ((barcode.width - side) // 2, (barcode.height - side) // 2))
    return picture


def _bars(barcode: Barcode) -> Image.Image:
    pattern = _pattern(barcode)
    pixels = barcode.width // len(pattern)
    line = max(10, min(24, barcode.height // 6)) if barcode.show_value else 0
    bottom = barcode.height - line
    if pixels < 1 or bottom < LEAST_BARS:
        raise NoBarcodeError("too small for what it holds")
    picture = Image.new("L", (barcode.width, barcode.height), 255)
    pen = ImageDraw.Draw(picture)
    left = (barcode.width - len(pattern) * pixels) // 2
    for at, bar in enumerate(pattern):
        if bar == "1":
            pen.rectangle((left + at * pixels, 0, left + (at + 1) * pixels - 1, bottom - 1), fill=0)
    if line:
        font = ImageFont.load_default(line - 2)
        pen.text((barcode.width / 2, bottom + line / 2), barcode.value, fill=0, font=font, anchor="mm")
    return picture


def _pattern(barcode: Barcode) -> str:
    """Ones are bars; white on both sides included. ITF: wide bars of three modules, of two where space is short."""
    if barcode.symbology is Symbology.EAN13:
        return _with_white(EuropeanArticleNumber13(barcode.value, no_checksum=True).build(), EAN_QUIET)
    generous, tight = (_with_white(ITF(barcode.value, narrow=1, wide=wide).build(), ITF_QUIET) for wide in (3, 2))
    return generous if len(generous) <= barcode.width else tight


def _with_white(built: list[str], modules: int) -> str:
    return f"{'0' * modules}{built[0]}{'0' * modules}"
