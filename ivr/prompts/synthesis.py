"""Speaks the prompts with espeak-ng and shapes them for the telephone with sox: 8 kHz, mono, 16 bit."""

import subprocess
import wave
from pathlib import Path

from ivr.prompts.texts import PROMPTS

LONGEST = 9.0  # seconds: a refusal is over within 12
WORDS_PER_MINUTE = 150


class PromptError(Exception):
    """A prompt could not be made. The message names the program that failed."""


def speak(text: str, target: Path) -> None:
    """Write `text` as telephone speech. Raises PromptError."""
    raw = target.with_suffix(".raw.wav")
    beside = target.with_suffix(".new.wav")
    try:
        _run(["espeak-ng", "-v", "ko", "-s", str(WORDS_PER_MINUTE), "-w", str(raw), text])
        shape = ["rate", "8000", "highpass", "200", "lowpass", "3600", "norm", "-3", "pad", "0.2", "0.1"]
        _run(["sox", str(raw), "-c", "1", "-b", "16", "-e", "signed-integer", str(beside), *shape])
        if duration(beside) > LONGEST:
            raise PromptError(f"{target.stem} takes longer than {LONGEST} s")
        beside.rename(target)
    finally:
        raw.unlink(missing_ok=True)
        beside.unlink(missing_ok=True)


def build(into: Path) -> list[Path]:
    """Make every prompt in `into`, whatever is there. Returns the files."""
    into.mkdir(parents=True, exist_ok=True)
    made = []
    for name, text in PROMPTS.items():
        target = into / f"{name}.wav"
        speak(text, target)
        made.append(target)
    return made


def duration(path: Path) -> float:
    """Seconds of a wav file."""
    with wave.open(str(path)) as sound:
        return float(sound.getnframes() / sound.getframerate())


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise PromptError(f"{command[0]} is not installed (apt-get install espeak-ng sox)") from error
    if done.returncode != 0:
        raise PromptError(f"{command[0]} failed: {done.stderr.strip()}")
