"""Finds spoken prompts in what a phone has heard."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float64]
ALIKE = 0.9  # correlation from which a prompt counts as heard


def of_wav(path: Path) -> Sound:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)


def of_alaw(data: bytes) -> Sound:
    """G.711, as the standard writes it down."""
    code = np.frombuffer(data, np.uint8).astype(np.int64) ^ 0x55
    exponent, mantissa = (code & 0x70) >> 4, code & 0x0F
    size = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.float64)


def transcript(heard: Sound, voices: dict[str, Sound]) -> str:
    """The names of the prompts that were heard, in order: of those that are alike in one place the most alike."""
    found = sorted(found for name, voice in voices.items() for found in _occurrences(heard, voice, name))[::-1]
    kept: list[tuple[float, int, int, str]] = []
    for likeness, start, end, name in found:
        if all(end <= other[1] or other[2] <= start for other in kept):
            kept.append((likeness, start, end, name))
    return "".join(name for _, _, name in sorted((start, end, name) for _, start, end, name in kept))


def _occurrences(heard: Sound, prompt: Sound, name: str) -> list[tuple[float, int, int, str]]:
    """Likeness, first and last sample of each, by normalised cross-correlation."""
    loud = np.flatnonzero(np.abs(prompt) > 200)
    prompt = prompt[loud[0] : loud[-1] + 1]
    if len(heard) < len(prompt):
        return []
    size = 1 << (len(heard) + len(prompt)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(prompt, size)), size)
    energy = np.concatenate([[0.0], np.cumsum(heard**2)])
    window = energy[len(prompt) :] - energy[: -len(prompt)]
    likeness = product[: len(window)] / (np.sqrt(np.maximum(window, 1.0)) * np.linalg.norm(prompt))
    found = []
    while likeness[best := int(np.argmax(likeness))] >= ALIKE:
        found.append((float(likeness[best]), best, best + len(prompt), name))
        likeness[max(0, best - len(prompt) // 2) : best + len(prompt) // 2] = 0
    return found
