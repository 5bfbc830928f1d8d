"""What callers hear: every prompt, in telephone quality, short enough."""

import subprocess
import sys
import wave
from pathlib import Path

import pytest

from ivr.prompts.synthesis import LONGEST, PromptError, duration, speak
from ivr.prompts.texts import PROMPTS
from vns.routing.rules import REFUSALS


def test_every_refusal_has_words() -> None:
    assert {refusal.prompt for refusal in REFUSALS.values()} <= set(PROMPTS)


def test_the_command_makes_every_prompt(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ivr.prompts", "--into", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert len(done.stdout.splitlines()) == len(PROMPTS)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.wav" for name in PROMPTS}
    for path in tmp_path.iterdir():
        with wave.open(str(path)) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
            assert any(sound.readframes(sound.getnframes())), "it is not silence"
        assert (0.4 if path.stem.startswith("digit_") else 1) < duration(path) <= LONGEST


def test_a_prompt_too_long_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="longer"):
        speak("아주 긴 안내 말씀입니다. " * 30, tmp_path / "long.wav")
    assert list(tmp_path.iterdir()) == []
