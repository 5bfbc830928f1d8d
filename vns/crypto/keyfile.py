"""The key ring's file: JSON with base64 keys, written whole or not at all, readable by its owner only.

    {"index_key": "…", "versions": {"1": "…", "2": "…"}}

The index key never changes: every blind index in the database was made with it.
"""

import base64
import binascii
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vns.crypto.errors import KeyFileExists, KeyFileInvalid

KEY_BYTES = 32
HIGHEST_VERSION = 0xFFFF  # two bytes at the head of each ciphertext


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What one reading of the file found. Its repr shows versions, never keys."""

    index_key: bytes = field(repr=False)
    by_version: dict[int, bytes] = field(repr=False)

    @property
    def versions(self) -> tuple[int, ...]:
        return tuple(sorted(self.by_version))


def new_keys() -> Keys:
    return Keys(index_key=secrets.token_bytes(KEY_BYTES), by_version={1: secrets.token_bytes(KEY_BYTES)})


def with_new_version(keys: Keys) -> Keys:
    """Raises KeyFileInvalid when there are no more version numbers."""
    version = max(keys.by_version) + 1
    if version > HIGHEST_VERSION:
        raise KeyFileInvalid("the key ring has used up its version numbers")
    return Keys(index_key=keys.index_key, by_version={**keys.by_version, version: secrets.token_bytes(KEY_BYTES)})


def read(path: Path) -> Keys:
    """Raises KeyFileInvalid."""
    try:
        return _from_json(path.read_bytes())
    except OSError as error:
        raise KeyFileInvalid(f"the key ring {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        # Without the cause: it may quote a piece of a key.
        raise KeyFileInvalid(f"{path} is not a key ring") from None


def _from_json(text: bytes) -> Keys:
    content = json.loads(text)
    by_version = {int(version): _key(encoded) for version, encoded in content["versions"].items()}
    if not by_version or not all(1 <= version <= HIGHEST_VERSION for version in by_version):
        raise ValueError("no usable version")
    return Keys(index_key=_key(content["index_key"]), by_version=by_version)


def _key(encoded: str) -> bytes:
    key = base64.b64decode(encoded, validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError("a key of another length")
    return key


def _to_json(keys: Keys) -> bytes:
    def text(key: bytes) -> str:
        return base64.b64encode(key).decode()

    content = {
        "index_key": text(keys.index_key),
        "versions": {str(version): text(keys.by_version[version]) for version in keys.versions},
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def create(path: Path, keys: Keys) -> None:
    """Write a file that was not there before. Raises KeyFileExists, KeyFileInvalid."""
    with _written_beside(path, keys) as complete:
        try:
            os.link(complete, path)  # unlike a rename, never replaces what is there
        except FileExistsError:
            raise KeyFileExists(f"{path} exists and is not overwritten") from None


def replace(path: Path, keys: Keys) -> None:
    """Put `keys` in the place of the file; a reader finds the old or the new whole. Raises KeyFileInvalid."""
    with _written_beside(path, keys) as complete:
        complete.replace(path)


@contextmanager
def _written_beside(path: Path, keys: Keys) -> Iterator[Path]:
    """The content in a file of its own in the same folder, on the disk; the folder is synced after use."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, _to_json(keys))
            os.fsync(file)
        finally:
            os.close(file)
        yield beside
        with _folder(path) as folder:
            os.fsync(folder)
    except OSError as error:
        raise KeyFileInvalid(f"the key ring {path} cannot be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Two rotations at a time would lose a version: the second waits here. Raises KeyFileInvalid."""
    with _folder(path) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise KeyFileInvalid(f"the folder of {path} cannot be opened: {error.strerror}") from error
    try:
        yield folder
    finally:
        os.close(folder)
