"""Alphabets, dividing and joining."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_relay.links.smpp.text import (
    Alphabet,
    Concatenation,
    NotEncodable,
    TooLong,
    alphabet_of,
    decode_text,
    divide,
    encode_text,
    header,
    sar,
    strip_header,
)

CODINGS = {Alphabet.CP949: 0x0E, Alphabet.UCS2: 0x08, Alphabet.LATIN1: 0x03, Alphabet.ASCII: 0x01, Alphabet.GSM7: 0x00}
_GSM = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡AZÄÖÑÜ§¿azäöñüà\f^{}\\[~]|€"
_KOREAN = st.text(st.one_of(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), st.sampled_from("ab 12!")))
_TEXTS = {
    Alphabet.CP949: _KOREAN,
    Alphabet.UCS2: st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff")),
    Alphabet.LATIN1: st.text(st.characters(max_codepoint=255)),
    Alphabet.ASCII: st.text(st.characters(max_codepoint=127)),
    Alphabet.GSM7: st.text(st.sampled_from(_GSM)),
}


@pytest.mark.parametrize("alphabet", list(Alphabet))
@given(data=st.data())
def test_every_part_stands_on_its_own(alphabet: Alphabet, data: st.DataObject) -> None:
    """No character is divided: each part alone is text, and together they are the text."""
    text = data.draw(_TEXTS[alphabet])
    single = data.draw(st.integers(16, 140))
    parts = divide(text, alphabet, single)
    pieces = [decode_text(part, CODINGS[alphabet], Alphabet.GSM7) for part in parts]
    assert None not in pieces
    assert "".join(piece or "" for piece in pieces) == text
    on_air = [(len(part) * 7 + 7) // 8 if alphabet is Alphabet.GSM7 else len(part) for part in parts]
    assert max(on_air) <= (single if len(parts) == 1 else single - 6)


@pytest.mark.parametrize(
    ("alphabet", "text", "sizes"),
    [
        pytest.param(Alphabet.CP949, "가" * 70, [140], id="70 syllables fit"),
        pytest.param(Alphabet.CP949, "a" + "가" * 70, [133, 8], id="a pair of bytes is not divided"),
        pytest.param(Alphabet.GSM7, "a" * 160, [160], id="160 septets fit"),
        pytest.param(Alphabet.GSM7, "a" * 152 + "€" + "a" * 10, [152, 12], id="an escape stays with its follower"),
        pytest.param(Alphabet.UCS2, "a" * 66 + "😀" + "a" * 5, [132, 14], id="a surrogate pair is not divided"),
    ],
)
def test_where_texts_are_divided(alphabet: Alphabet, text: str, sizes: list[int]) -> None:
    assert [len(part) for part in divide(text, alphabet, 140)] == sizes


@pytest.mark.parametrize("syllable", ["똠", "펲", "뷁", "햏"])
def test_syllables_that_euc_kr_would_swell(syllable: str) -> None:
    assert len(encode_text(syllable, Alphabet.CP949)) == 2


@pytest.mark.parametrize(
    ("alphabet", "text"),
    [(Alphabet.CP949, "😀"), (Alphabet.GSM7, "가"), (Alphabet.LATIN1, "€"), (Alphabet.ASCII, "é"),
     (Alphabet.UCS2, "\ud83d")],
)  # fmt: skip
def test_nothing_is_replaced(alphabet: Alphabet, text: str) -> None:
    with pytest.raises(NotEncodable):
        encode_text(text, alphabet)


def test_more_than_255_parts_are_no_text() -> None:
    with pytest.raises(TooLong):
        divide("가" * 67 * 256, Alphabet.CP949, 140)


@pytest.mark.parametrize(
    ("coding", "alphabet"),
    [(0x00, Alphabet.CP949), (0x01, Alphabet.ASCII), (0x02, None), (0x03, Alphabet.LATIN1), (0x04, None),
     (0x08, Alphabet.UCS2), (0x0E, Alphabet.CP949), (0x10, Alphabet.CP949), (0x14, None), (0x18, Alphabet.UCS2),
     (0x1C, None), (0x80, None), (0xC8, Alphabet.CP949), (0xE8, Alphabet.UCS2), (0xF0, Alphabet.CP949),
     (0xF4, None)],
)  # fmt: skip
def test_what_a_data_coding_means(coding: int, alphabet: Alphabet | None) -> None:
    assert alphabet_of(coding, Alphabet.CP949) is alphabet


@given(st.binary(), st.integers(0, 255), st.sampled_from(Alphabet))
def test_any_bytes_are_text_or_none(raw: bytes, coding: int, default: Alphabet) -> None:
    text = decode_text(raw, coding, default)
    assert text is None or isinstance(text, str)


@pytest.mark.parametrize(
    ("content", "place", "rest"),
    [
        (header(5, 3, 2) + b"x", Concatenation(5, 3, 2, 8), b"x"),
        (b"\x06\x08\x04\x01\x02\x03\x01y", Concatenation(0x102, 3, 1, 16), b"y"),
        (b"\x05\x00\x03\x05\x00\x01z", None, b"z"),
        (b"\x05\x00\x03\x05\x03\x04z", None, b"z"),
        (b"\x05\x00\x09\x05\x03\x01z", None, b"\x05\x00\x09\x05\x03\x01z"),
        (b"\x20short", None, b"\x20short"),
        (b"", None, b""),
    ],
)
def test_user_data_headers(content: bytes, place: Concatenation | None, rest: bytes) -> None:
    assert strip_header(content) == (place, rest)


@given(st.binary(max_size=60))
def test_any_header_is_taken_off_or_left(content: bytes) -> None:
    place, rest = strip_header(content)
    assert content.endswith(rest)
    assert place is None or 1 <= place.sequence <= place.total


@given(st.binary(max_size=3), st.binary(max_size=2), st.binary(max_size=2))
def test_sar_parameters_of_any_shape(reference: bytes, total: bytes, sequence: bytes) -> None:
    place = sar(reference, total, sequence)
    assert place is None or (place.bits == 16 and 1 <= place.sequence <= place.total)
