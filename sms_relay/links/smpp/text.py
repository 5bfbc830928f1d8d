"""Characters and bytes of a text: alphabets by data_coding, dividing a long text, the headers of its parts.
Pure.

Korean carriers take KS C 5601. Python's `euc_kr` turns 똠 or 펲 into sequences of eight bytes, so it is
`cp949` here: two bytes each. References: SMPP 3.4 5.2.19, GSM 03.38 (alphabet, data coding groups), GSM
03.40 9.2.3.24 (user data header).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

UDH_BYTES: Final = 6  # 05 00 03 reference total sequence
MOST_PARTS: Final = 255


class Alphabet(Enum):
    CP949 = "cp949"
    UCS2 = "ucs2"
    GSM7 = "gsm7"
    LATIN1 = "latin1"
    ASCII = "ascii"


_CODECS: Final = {
    Alphabet.CP949: "cp949",
    Alphabet.UCS2: "utf-16-be",
    Alphabet.LATIN1: "latin-1",
    Alphabet.ASCII: "ascii",
}

UCS2_CODING: Final = 0x08

_GSM_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_ESCAPE: Final = 0x1B
_GSM_EXTENSION: Final = dict(
    zip(b"\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65", "\f^{}\\[~]|€", strict=True),
)
_GSM_BYTES: Final = {
    **{char: bytes((code,)) for code, char in enumerate(_GSM_BASIC) if code != _GSM_ESCAPE},
    **{char: bytes((_GSM_ESCAPE, code)) for code, char in _GSM_EXTENSION.items()},
}


class NotEncodable(ValueError):
    """The text has a character the alphabet lacks."""


class TooLong(ValueError):
    """The text needs more than 255 parts."""


def encode_text(text: str, alphabet: Alphabet) -> bytes:
    """The text's bytes; GSM-7 unpacked, one septet a byte, as SMPP carries it. Raises `NotEncodable`."""
    if alphabet is Alphabet.GSM7:
        try:
            return b"".join([_GSM_BYTES[char] for char in text])
        except KeyError as error:
            raise NotEncodable("a character outside GSM 03.38") from error
    try:
        return text.encode(_CODECS[alphabet])
    except UnicodeEncodeError as error:
        raise NotEncodable(f"a character outside {alphabet.value}") from error


def alphabet_of(data_coding: int, default: Alphabet) -> Alphabet | None:
    """Which alphabet a data_coding names; None for binary and for alphabets not spoken here. `default`: the
    SMSC's own, for 0x00.
    """
    if data_coding < 0x10:
        return {
            0x00: default,
            0x01: Alphabet.ASCII,
            0x03: Alphabet.LATIN1,
            0x08: Alphabet.UCS2,
            0x0E: Alphabet.CP949,
        }.get(data_coding)
    if data_coding < 0x40:
        return (default, None, Alphabet.UCS2, None)[data_coding >> 2 & 3]
    if 0xC0 <= data_coding < 0xE0:
        return default
    if 0xE0 <= data_coding < 0xF0:
        return Alphabet.UCS2
    if data_coding >= 0xF0:
        return None if data_coding & 0x04 else default
    return None


def decode_text(raw: bytes, data_coding: int, default: Alphabet) -> str | None:
    """The text, or None where the bytes are none: nothing is guessed and nothing replaced."""
    alphabet = alphabet_of(data_coding, default)
    if alphabet is None:
        return None
    if alphabet is Alphabet.GSM7:
        return _decode_gsm(raw)
    try:
        text = raw.decode(_CODECS[alphabet])
    except UnicodeDecodeError:
        return None
    return text.removeprefix("\ufeff") if alphabet is Alphabet.UCS2 else text


def _decode_gsm(raw: bytes) -> str | None:
    out: list[str] = []
    escaped = False
    for code in raw:
        if code > 0x7F:
            return None
        if escaped:
            out.append(_GSM_EXTENSION.get(code, _GSM_BASIC[code]))
            escaped = False
        elif code == _GSM_ESCAPE:
            escaped = True
        else:
            out.append(_GSM_BASIC[code])
    return "".join(out)


def divide(text: str, alphabet: Alphabet, single_max: int) -> list[bytes]:
    """The bytes of a text, in as many pieces as it needs.

    `single_max`: octets of user data one message carries on the air (140); a piece of several leaves room
    for the header. GSM-7 packs eight septets into seven octets there, so it may be longer here. A character
    is never divided: neither two bytes of KS C 5601, nor a surrogate pair, nor an escape and its follower.
    Raises `NotEncodable` or `TooLong`.
    """
    whole = encode_text(text, alphabet)
    if len(whole) <= _octets(single_max, alphabet):
        return [whole]
    room = _octets(single_max - UDH_BYTES, alphabet)
    parts: list[bytes] = []
    current = bytearray()
    for char in text:
        raw = encode_text(char, alphabet)
        if len(current) + len(raw) > room:
            parts.append(bytes(current))
            current.clear()
        current += raw
    parts.append(bytes(current))
    if len(parts) > MOST_PARTS:
        raise TooLong(f"{len(parts)} parts")
    return parts


def _octets(on_air: int, alphabet: Alphabet) -> int:
    return on_air * 8 // 7 if alphabet is Alphabet.GSM7 else on_air


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Which part of which long text this is. `bits`: width of the reference (8, or 16), part of its
    identity.
    """

    reference: int
    total: int
    sequence: int
    bits: int


def header(reference: int, total: int, sequence: int) -> bytes:
    """The user data header of one part, reference in eight bits."""
    return bytes((5, 0, 3, reference & 0xFF, total, sequence))


def strip_header(content: bytes) -> tuple[Concatenation | None, bytes]:
    """Takes the user data header off. A header that is nonsense is left where it is: the bytes are all
    there is.
    """
    if not content or content[0] + 1 > len(content):
        return None, content
    end = content[0] + 1
    found: Concatenation | None = None
    at = 1
    while at + 2 <= end:
        element, length = content[at], content[at + 1]
        value = content[at + 2 : at + 2 + length]
        at += 2 + length
        if at > end:
            return None, content
        if element == 0x00 and length == 3:
            found = _concatenation(value[0], value[1], value[2], 8) or found
        elif element == 0x08 and length == 4:
            found = _concatenation(int.from_bytes(value[:2], "big"), value[2], value[3], 16) or found
    return found, content[end:]


def sar(reference: bytes, total: bytes, sequence: bytes) -> Concatenation | None:
    """The same from sar_msg_ref_num, sar_total_segments and sar_segment_seqnum; None where they make no
    sense.
    """
    if len(reference) != 2 or len(total) != 1 or len(sequence) != 1:
        return None
    return _concatenation(int.from_bytes(reference, "big"), total[0], sequence[0], 16)


def _concatenation(reference: int, total: int, sequence: int, bits: int) -> Concatenation | None:
    """Counts that make no sense are to be ignored (GSM 03.40): the part then stands alone."""
    if total < 2 or not 1 <= sequence <= total:
        return None
    return Concatenation(reference, total, sequence, bits)
