"""What carriers take as a sound: MA3, that is Yamaha's SMAF, with waves of at most 16 kHz. Pure.

A SMAF file is `MMMD`, four bytes of length, chunks (four bytes of name, four of length, content) and a CRC. The third
byte of an audio track (`ATR…`) holds a code for the rate in its lower half. Waves in score tracks are not looked at.
"""

from collections.abc import Iterator
from typing import Final

MOST_BYTES: Final = 200 * 1024
MOST_HERTZ: Final = 16_000
_TRACK_RATES: Final = {0: 4_000, 1: 8_000, 2: 11_025, 3: 22_050, 4: 44_100}
_TRACK_HEADER: Final = 3  # bytes up to the rate


class BadAudioError(ValueError):
    """No carrier would take this sound. The message says why."""


def check_smaf(raw: bytes) -> None:
    """Raises `BadAudioError`."""
    if len(raw) > MOST_BYTES:
        raise BadAudioError(f"{len(raw)} bytes; {MOST_BYTES} are the most")
    if raw[:4] != b"MMMD" or len(raw) < 8:
        raise BadAudioError("no MA3 (SMAF)")
    for rate in _rates(raw[8 : 8 + int.from_bytes(raw[4:8], "big")]):
        if rate > MOST_HERTZ:
            raise BadAudioError(f"sampled at {rate} Hz; {MOST_HERTZ} are the most")


def _chunks(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(raw):
        end = at + 8 + int.from_bytes(raw[at + 4 : at + 8], "big")
        yield raw[at : at + 4], raw[at + 8 : end]
        at = end


def _rates(raw: bytes) -> Iterator[int]:
    for name, content in _chunks(raw):
        if name[:3] == b"ATR" and len(content) >= _TRACK_HEADER:
            yield _TRACK_RATES.get(content[2] & 0x0F, 0)
