"""The spoken prompts on this machine: made when their texts have changed, or for the first time."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from ivr.prompts.synthesis import PromptError, build
from ivr.prompts.texts import PROMPTS
from local.accounts import SetupError


def make_prompts(folder: Path, tell: Callable[[str], None]) -> None:
    """Raises SetupError when espeak-ng or sox fail."""
    stamp = folder / ".texts"
    wanted = hashlib.sha256(repr(sorted(PROMPTS.items())).encode()).hexdigest()
    complete = all((folder / f"{name}.wav").exists() for name in PROMPTS)
    if complete and stamp.exists() and stamp.read_text() == wanted:
        return
    tell("speaking the prompts")
    try:
        build(folder)
    except PromptError as problem:
        raise SetupError(f"prompts: {problem}") from problem
    stamp.write_text(wanted)
