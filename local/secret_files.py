"""Secrets of one installation, each made once and kept in a file that only its owner can read."""

import secrets
import string
from pathlib import Path


def kept_secret(run_dir: Path, name: str, *, length: int = 32) -> str:
    """`length` letters and digits, made at the first call; `<run_dir>/secrets/<name>`."""
    folder = run_dir / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = folder / name
    if not kept.exists():
        fresh = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
        write_private(kept, fresh)
    return kept.read_text()


def write_private(path: Path, text: str) -> None:
    """Replace `path` at once by a file (0600) that holds `text`."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600)
    beside.write_text(text)
    beside.rename(path)
