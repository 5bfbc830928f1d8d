"""Recordings brought into telephone shape."""

import io
import math
import wave
from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vns.errors import InvalidAudio
from vns.prompts.audio import MAX_BYTES, RATE, RATES, seconds_of, telephone_wav

HALF = 16_384  # amplitude of the tones


def tone(rate: int, seconds: float, pitch: float = 440.0, *, width: int = 2, channels: int = 1) -> bytes:
    frames = bytearray()
    for place in range(round(rate * seconds)):
        value = round(HALF * math.sin(2 * math.pi * pitch * place / rate))
        sample = bytes(max(0, width - 2)) + value.to_bytes(2, "little", signed=True)
        if width == 1:  # unsigned
            sample = bytes([(value >> 8) + 128])
        frames += sample * channels
    return wav(bytes(frames), rate, width, channels)


def wav(frames: bytes, rate: int = RATE, width: int = 2, channels: int = 1) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(frames)
    return made.getvalue()


def samples_of(data: bytes) -> "array[int]":
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return array("h", file.readframes(file.getnframes()))


def loudness(samples: "array[int]") -> float:
    return math.sqrt(sum(value * value for value in samples) / len(samples))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_tone_stays_the_same_tone(rate: int, width: int) -> None:
    made = samples_of(telephone_wav(tone(rate, 0.5, width=width, channels=1 + width % 2)))
    assert abs(len(made) - 4000) <= 1
    assert loudness(made) == pytest.approx(HALF / math.sqrt(2), rel=0.03)
    rises = sum(before < 0 <= after for before, after in pairwise(made))
    assert abs(rises - 220) <= 2


def test_what_the_telephone_cannot_carry_is_taken_out() -> None:
    assert loudness(samples_of(telephone_wav(tone(44_100, 0.5, 6_000)))) < HALF / 100
    assert loudness(samples_of(telephone_wav(tone(44_100, 0.5, 3_000)))) == pytest.approx(HALF / math.sqrt(2), rel=0.03)


def test_the_telephones_own_shape_passes_unchanged() -> None:
    data = tone(8_000, 0.3)
    assert samples_of(telephone_wav(data)) == samples_of(data)
    assert seconds_of(telephone_wav(data)) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "not a PCM wav", id="nothing"),
        pytest.param(b"ID3\x03" * 100, "not a PCM wav", id="another format"),
        pytest.param(tone(8_000, 0.3)[:30], "not a PCM wav", id="cut in its head"),
        pytest.param(tone(8_000, 0.05), "lasts", id="too short"),
        pytest.param(wav(bytes(8_000 * 61), width=1), "lasts", id="too long"),
        pytest.param(wav(bytes(8_000)), "silent", id="silence"),
        pytest.param(tone(7_000, 0.3), "rate", id="a rate of its own"),
        pytest.param(wav(b"\x01\x02" * 3 * 4_000, channels=3), "channels", id="three channels"),
        pytest.param(bytes(MAX_BYTES + 1), "bytes", id="too large"),
    ],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(InvalidAudio, match=words):
        telephone_wav(data)


@given(st.data())
def test_damaged_files_are_refused_or_played(data: st.DataObject) -> None:
    """No other error, whatever the file holds."""
    damaged = bytearray(tone(16_000, 0.2))
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    try:
        made = telephone_wav(bytes(damaged))
    except InvalidAudio:
        return
    assert len(samples_of(made)) > 0
