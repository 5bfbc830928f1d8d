"""Brings a recording into telephone shape: wav, 8 kHz, mono, 16 bit. Pure, and free of programs and libraries.

A kernel cut from sinc by a Hann window takes out what the telephone cannot carry before the rate is changed.
"""

import io
import math
import wave
from array import array
from collections.abc import Sequence
from operator import mul
from typing import Final

from vns.errors import InvalidAudio

RATE: Final = 8_000  # samples a second
MAX_BYTES: Final = 2 * 1024 * 1024
MAX_SECONDS: Final = 60
MIN_SECONDS: Final = 0.1
RATES: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)

_ZEROS: Final = 12  # zero crossings of the kernel on either side
_PASSED: Final = 0.92  # of the band below half the rate
_LOUDEST: Final = 32_767


def telephone_wav(data: bytes, *, most: int = MAX_BYTES) -> bytes:
    """`data`: a PCM wav file of 8, 16, 24 or 32 bit, one or two channels, `most` bytes long. Raises InvalidAudio."""
    if len(data) > most:
        raise InvalidAudio(f"a recording has at most {most} bytes")
    rate, samples = _read(data)
    if not MIN_SECONDS * rate <= len(samples) <= MAX_SECONDS * rate:
        raise InvalidAudio(f"a recording lasts {MIN_SECONDS} to {MAX_SECONDS} seconds")
    if not any(samples):
        raise InvalidAudio("the recording is silent")
    return wav_of(samples if rate == RATE else _resampled(samples, rate))


def wav_of(samples: "array[int]") -> bytes:
    """A wav file of 16-bit samples at the telephone's rate."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return made.getvalue()


def seconds_of(telephone: bytes) -> float:
    """Length of what `telephone_wav` made."""
    with wave.open(io.BytesIO(telephone)) as file:
        return float(file.getnframes() / file.getframerate())


def _read(data: bytes) -> tuple[int, "array[int]"]:
    """Rate and samples, mixed down to one channel of 16 bit."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError, ValueError, MemoryError, RuntimeError):
        raise InvalidAudio("not a PCM wav file") from None
    if rate not in RATES:
        raise InvalidAudio(f"the rate of a recording is one of {', '.join(map(str, RATES))} Hz")
    if channels not in {1, 2} or width not in {1, 2, 3, 4}:
        raise InvalidAudio("a recording has one or two channels of 8, 16, 24 or 32 bit")
    samples = _of_width(frames[: len(frames) // (width * channels) * width * channels], width)
    if channels == 2:
        samples = array("h", ((left + right) // 2 for left, right in zip(samples[::2], samples[1::2], strict=True)))
    return rate, samples


def _of_width(frames: bytes, width: int) -> "array[int]":
    """Samples as 16 bit, of the machine's own byte order, which is the wav file's on all that this runs on."""
    if width == 1:  # unsigned, unlike the others
        return array("h", ((value - 128) << 8 for value in frames))
    high = bytearray(len(frames) // width * 2)
    high[::2], high[1::2] = frames[width - 2 :: width], frames[width - 1 :: width]
    return array("h", bytes(high))


def _resampled(samples: "array[int]", rate: int) -> "array[int]":
    common = math.gcd(rate, RATE)
    step, phases = rate // common, RATE // common  # one sample out for step/phases samples in
    reach = math.ceil(_ZEROS * rate / RATE)
    kernels = [_kernel(phase / phases, reach, _PASSED * RATE / rate) for phase in range(phases)]
    padded = array("h", bytes(2 * reach)) + samples + array("h", bytes(2 * (reach + 1)))
    made = array("h")
    for place in range(len(samples) * phases // step):
        whole, phase = divmod(place * step, phases)
        value = sum(map(mul, padded[whole : whole + 2 * reach + 1], kernels[phase]))
        made.append(max(-_LOUDEST, min(_LOUDEST, round(value))))
    return made


def _kernel(shift: float, reach: int, cut: float) -> Sequence[float]:
    """Weights of the samples from `reach` before to `reach` after; `cut`: of the band that they carry."""
    weights = []
    for offset in range(-reach, reach + 1):
        at = offset - shift
        window = 0.5 + 0.5 * math.cos(math.pi * at / (reach + 1)) if abs(at) <= reach + 1 else 0.0
        angle = math.pi * at * cut
        weights.append(window * (cut if angle == 0 else cut * math.sin(angle) / angle))
    total = sum(weights)
    return [weight / total for weight in weights]
