"""Pictures made into what carriers take, with nothing beside what is to be seen."""

import io

import pytest
from PIL import Image

from sms_relay.content.images import MOST_BYTES, read_jpeg
from sms_relay.content.photos import NoPictureError, rewritten
from tests.relay.photos import OWNER, alike, drawn, encoded, photo


def test_what_a_camera_notes_stays_behind() -> None:
    before = photo(drawn(), "01012345678")
    assert all(word in before for word in (b"Exif", OWNER.encode(), b"1012345678"))
    after = rewritten(before)
    assert not any(word in after for word in (b"Exif", OWNER.encode(), b"1012345678", b"trailer"))
    assert alike(after, drawn())


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP", "JPEG"])
def test_every_kind_of_picture_becomes_a_jpg(kind: str) -> None:
    after = rewritten(encoded(drawn(), kind))
    assert read_jpeg(after).size == (320, 240)
    assert alike(after, drawn())


def test_a_picture_is_turned_upright_before_its_notes_are_dropped() -> None:
    sideways = drawn().transpose(Image.Transpose.ROTATE_90)
    assert alike(rewritten(photo(sideways, "1", orientation=6)), drawn())


def test_what_shows_through_is_white() -> None:
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert alike(rewritten(encoded(clear, "PNG")), Image.new("RGB", (20, 20), "white"))


@pytest.mark.parametrize("size", [(3000, 1000), (1000, 3000), (1500, 1500)])
def test_large_ones_are_made_small_enough(size: tuple[int, int]) -> None:
    noise = Image.effect_noise(size, 120).convert("RGB")
    after = rewritten(encoded(noise, "PNG"))
    assert len(after) <= MOST_BYTES
    seen = read_jpeg(after)
    assert abs(seen.width / seen.height - size[0] / size[1]) < 0.02


def bomb() -> bytes:
    """Says that it has more pixels than anybody unpacks."""
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("raw", [b"", b"no picture", encoded(drawn(), "PNG")[:300], encoded(drawn(), "TIFF"), bomb()])
def test_what_is_no_picture_is_told(raw: bytes) -> None:
    with pytest.raises(NoPictureError):
        rewritten(raw)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_whose_notes_are_cut_off_is_told_too(kind: str) -> None:
    """Pillow raises struct.error there; of a JPG only where it says how many dots an inch has."""
    out = io.BytesIO()
    drawn().save(out, kind, exif=b"Exif\0\0MM\0*", dpi=(72, 72))
    with pytest.raises(NoPictureError):
        rewritten(out.getvalue())
