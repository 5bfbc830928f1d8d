"""Barcodes pasted into a JPG, read back by a reader of another make (zxing-cpp)."""

import io
from dataclasses import replace

import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sms_relay.content.barcodes import (
    Barcode,
    BarcodeColumns,
    NoBarcodeError,
    Symbology,
    check_value,
    draw,
    from_columns,
    merge,
    wrong_check_digit,
)
from sms_relay.content.images import BadImageError, LargeImageError, read_jpeg

EAN, ITF12, ITF20 = "8801234567893", "123456789012", "12345678901234567890"
KOREAN = "안심번호 쿠폰 5,000원 — 똠방각하"


def jpeg(width: int = 220, height: int = 184, colour: str = "#ffd0d0") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "JPEG")
    return out.getvalue()


def read(picture: bytes) -> list[tuple[str, str]]:
    """What the reader finds: format and text."""
    return [(found.format.name, found.text) for found in zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))]


def barcode(symbology: Symbology, value: str, width: int = 200, height: int = 60, *, show: bool = False) -> Barcode:
    return Barcode(symbology=symbology, value=value, width=width, height=height, x=10, y=90, show_value=show)


@pytest.mark.parametrize("show", [False, True])
@pytest.mark.parametrize(
    ("symbology", "value", "name"),
    [(Symbology.EAN13, EAN, "EAN13"), (Symbology.ITF, ITF12, "ITF"), (Symbology.ITF, ITF20, "ITF")],
)
def test_bars_on_the_recommended_background(symbology: Symbology, value: str, name: str, show: bool) -> None:
    merged = merge(jpeg(), barcode(symbology, value, show=show))
    assert read(merged) == [(name, value)]
    assert read_jpeg(merged).size == (220, 184)


@pytest.mark.parametrize("value", [KOREAN, "https://example.com/c/12345", "0123456789", "ﾃｽﾄ 点字"])
def test_any_text_in_a_qr_code(value: str) -> None:
    code = Barcode(symbology=Symbology.QRCODE, value=value, width=150, height=140, x=30, y=20)
    assert read(merge(jpeg(), code)) == [("QRCode", value)]


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(codec="cp949", exclude_categories=("Cc", "Cs")), min_size=1, max_size=60))
def test_whatever_korean_text_a_column_holds_is_read_again(value: str) -> None:
    code = Barcode(symbology=Symbology.QRCODE, value=value, width=300, height=300)
    assert read(merge(jpeg(300, 300), code)) == [("QRCode", value)]


def test_the_value_is_printed_under_bars_only_when_asked_for() -> None:
    shown, plain = (draw(barcode(Symbology.EAN13, EAN, show=show)) for show in (True, False))
    assert shown.getpixel((60, 58)) == 255, "bars reach through the line of digits"
    assert min(shown.crop((0, 50, 200, 60)).tobytes()) < 100, "no digit is dark"
    assert plain.tobytes() != shown.tobytes()


@pytest.mark.parametrize(
    ("symbology", "value"),
    [
        (Symbology.EAN13, "880123456789"),
        (Symbology.EAN13, "88012345678933"),
        (Symbology.EAN13, "880123456789x"),
        (Symbology.EAN13, "８８０１２３４５６７８９３"),
        (Symbology.ITF, "1234567890"),
        (Symbology.ITF, "1234567890123"),
        (Symbology.ITF, "1234567890123456789012"),
        (Symbology.QRCODE, ""),
        (Symbology.QRCODE, "x" * 3000),
    ],
)
def test_what_no_barcode_holds(symbology: Symbology, value: str) -> None:
    with pytest.raises(NoBarcodeError) as raised:
        draw(Barcode(symbology=symbology, value=value, width=1000, height=1000))
    assert not value or value not in str(raised.value)


@pytest.mark.parametrize(
    ("width", "height", "x", "y"),
    [(200, 60, 21, 0), (200, 60, 0, 125), (200, 60, -1, 0), (200, 60, 0, -1), (221, 60, 0, 0), (0, 60, 0, 0)],
)
def test_nothing_is_clipped(width: int, height: int, x: int, y: int) -> None:
    code = Barcode(symbology=Symbology.EAN13, value=EAN, width=width, height=height, x=x, y=y)
    with pytest.raises(NoBarcodeError, match="220x184"):
        merge(jpeg(), code)


@pytest.mark.parametrize(
    ("symbology", "value", "width", "height"),
    [(Symbology.EAN13, EAN, 110, 60), (Symbology.ITF, ITF20, 150, 60), (Symbology.QRCODE, KOREAN, 60, 60)],
)
def test_too_small_to_be_read_is_refused(symbology: Symbology, value: str, width: int, height: int) -> None:
    with pytest.raises(NoBarcodeError, match="too small"):
        draw(barcode(symbology, value, width, height))


def test_a_wrong_check_digit_is_noticed_and_drawn() -> None:
    assert not wrong_check_digit(barcode(Symbology.EAN13, EAN))
    wrong = barcode(Symbology.EAN13, EAN[:12] + "4")
    assert wrong_check_digit(wrong)
    assert draw(wrong).tobytes() != draw(barcode(Symbology.EAN13, EAN)).tobytes()
    assert read(merge(jpeg(), wrong)) == []


@given(st.integers(0, 10**12 - 1))
def test_twelve_digits_have_one_check_digit(number: int) -> None:
    wrong = [wrong_check_digit(barcode(Symbology.EAN13, f"{number:012d}{last}")) for last in range(10)]
    assert wrong.count(False) == 1


def test_a_good_value_passes() -> None:
    for symbology, value in ((Symbology.EAN13, EAN), (Symbology.ITF, ITF12), (Symbology.QRCODE, KOREAN)):
        check_value(symbology, value)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "no readable"),
        (b"GIF89a", "no readable"),
        (jpeg()[:300], "no readable"),
        (jpeg(1501, 10), "1501x10"),
        (jpeg() + bytes(200 * 1024), "are the most"),
    ],
)
def test_pictures_no_carrier_takes(raw: bytes, why: str) -> None:
    with pytest.raises(BadImageError, match=why):
        read_jpeg(raw)


def claiming(width: int, height: int) -> bytes:
    """A small JPG whose frame says that it is larger."""
    small = jpeg(16, 16)
    at = small.index(b"\xff\xc0") + 5
    return small[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + small[at + 4 :]


@pytest.mark.parametrize("side", [1501, 10_000, 20_000, 65_000])
def test_a_size_that_is_only_claimed_is_too_large(side: int) -> None:
    """Pillow warns of the second one, and raises an error of its own for the last two."""
    with pytest.raises(LargeImageError):
        read_jpeg(claiming(side, side))


def test_the_largest_picture_is_taken() -> None:
    assert read_jpeg(jpeg(1500, 1500)).size == (1500, 1500)


def test_a_value_does_not_show() -> None:
    assert EAN not in repr(barcode(Symbology.EAN13, EAN))


COLUMNS = BarcodeColumns(
    kind="EAN13", value=EAN, width=200, height=60, x=10, y=None, view="Y", background="/var/mms/1.jpg"
)


def test_what_the_columns_ask_for() -> None:
    asked = Barcode(symbology=Symbology.EAN13, value=EAN, width=200, height=60, x=10, show_value=True)
    assert from_columns(COLUMNS) == asked
    assert not from_columns(replace(COLUMNS, view="N")).show_value


@pytest.mark.parametrize(
    "columns",
    [
        replace(COLUMNS, kind="PDF417"),
        replace(COLUMNS, kind=None),
        replace(COLUMNS, value=None),
        replace(COLUMNS, width=None),
        replace(COLUMNS, height=-1),
        replace(COLUMNS, width=2_000_000_000),
        replace(COLUMNS, background=None),
    ],
    ids=repr,
)
def test_columns_that_ask_for_nothing_possible(columns: BarcodeColumns) -> None:
    with pytest.raises(NoBarcodeError):
        from_columns(columns)


def test_no_picture_is_made_that_is_larger_than_carriers_take() -> None:
    with pytest.raises(NoBarcodeError, match="1500"):
        draw(Barcode(symbology=Symbology.QRCODE, value="1", width=1501, height=1501))
