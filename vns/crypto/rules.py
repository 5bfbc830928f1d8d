"""Encryption of what must be read again, and the blind index of what must only be found again.

A ciphertext is `version (2 bytes, big endian) | nonce (12) | ciphertext | tag (16)`: AES-256-GCM with a
random nonce. The context (which row and column it stands in) is authenticated with it, so that a ciphertext
moved to another row does not open. The blind index is HMAC-SHA256 of the digits, cut to 16 bytes.
"""

import hmac
import logging
import os
import time
from pathlib import Path
from typing import Final, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vns.crypto import keyfile
from vns.crypto.errors import DecryptionFailed, KeyFileInvalid, UnknownKeyVersion
from vns.crypto.keyfile import Keys

_log = logging.getLogger(__name__)

INDEX_BYTES: Final = 16
STALE_AFTER: Final = 2.0
"""Seconds for which a process may go on encrypting with a version after `rotate` has added a newer one."""

_VERSION: Final = 2  # bytes
_NONCE: Final = 12  # bytes
_HEAD: Final = _VERSION + _NONCE
_TAG: Final = 16  # bytes


class _Encrypting(NamedTuple):
    """The newest version, taken up as one, so that head and cipher always belong together."""

    version: int
    head: bytes
    cipher: AESGCM


class KeyRing:
    """All versions of the encryption key, and the index key.

    A running process takes up a rotated file by itself: within STALE_AFTER seconds when it encrypts, and at
    once when it meets a ciphertext of a version that it does not know.
    """

    def __init__(self, path: Path, keys: Keys) -> None:
        self.path = path
        self._file_seen = _identity(path)
        self._look_again_at = time.monotonic() + STALE_AFTER
        self._adopt(keys)

    @classmethod
    def generate(cls, path: Path) -> Self:
        """Make a new key ring file. Raises KeyFileExists, KeyFileInvalid."""
        keys = keyfile.new_keys()
        keyfile.create(path, keys)
        return cls(path, keys)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises KeyFileInvalid."""
        return cls(path, keyfile.read(path))

    @staticmethod
    def rotate(path: Path) -> int:
        """Add a version, with which all encrypt from then on, and return it. Raises KeyFileInvalid."""
        with keyfile.sole_writer(path):
            keys = keyfile.with_new_version(keyfile.read(path))
            keyfile.replace(path, keys)
        return max(keys.by_version)

    def __repr__(self) -> str:
        return f"KeyRing(versions={list(self.versions)})"

    @property
    def versions(self) -> tuple[int, ...]:
        return tuple(sorted(self._ciphers))

    @property
    def newest(self) -> int:
        """The version that `encrypt` uses."""
        return self._encrypting.version

    def encrypt(self, text: str, *, context: bytes) -> bytes:
        """`context`: what names the place of this ciphertext; `decrypt` needs the same."""
        if time.monotonic() >= self._look_again_at:
            self._take_up_rotation()
        now = self._encrypting
        nonce = os.urandom(_NONCE)
        return now.head + nonce + now.cipher.encrypt(nonce, text.encode(), context)

    def decrypt(self, blob: bytes, *, context: bytes) -> str:
        """Raises UnknownKeyVersion, DecryptionFailed; KeyFileInvalid when the file had to be read again."""
        version = version_of(blob)
        if version not in self._ciphers:
            self.reload()
        cipher = self._ciphers.get(version)
        if cipher is None:
            raise UnknownKeyVersion(f"no key of version {version} in the key ring")
        try:
            return cipher.decrypt(blob[_VERSION:_HEAD], blob[_HEAD:], context).decode()
        except (InvalidTag, UnicodeDecodeError):
            raise DecryptionFailed("changed, or encrypted for another context") from None

    def index(self, digits: str) -> bytes:
        """The same 16 bytes for the same digits, always; nobody without the key can make or undo them."""
        mac = self._index_mac.copy()  # OpenSSL looks its algorithms up for each new one
        mac.update(digits.encode())
        return mac.digest()[:INDEX_BYTES]

    def sign(self, purpose: str, message: bytes) -> bytes:
        """HMAC-SHA256 that only holders of the ring can make, of a key of its own for each `purpose`."""
        return hmac.digest(hmac.digest(self._index_key, b"sign " + purpose.encode(), "sha256"), message, "sha256")

    def reload(self) -> None:
        """Read the file again. Raises KeyFileInvalid, also when it has become another ring's."""
        seen = _identity(self.path)
        keys = keyfile.read(self.path)
        if keys.index_key != self._index_key:
            raise KeyFileInvalid(f"{self.path} now holds another key ring than this process started with")
        self._adopt(keys)
        self._file_seen = seen

    def _take_up_rotation(self) -> None:
        """A file that is gone or unusable now changes nothing: the keys in memory are still right."""
        self._look_again_at = time.monotonic() + STALE_AFTER
        if _identity(self.path) in {None, self._file_seen}:
            return
        try:
            self.reload()
        except KeyFileInvalid as error:
            _log.warning("going on with the keys in memory: %s", error.detail)

    def _adopt(self, keys: Keys) -> None:
        self._index_key = keys.index_key
        self._index_mac = hmac.new(keys.index_key, digestmod="sha256")
        self._ciphers = {version: AESGCM(key) for version, key in keys.by_version.items()}
        newest = max(self._ciphers)
        self._encrypting = _Encrypting(newest, newest.to_bytes(_VERSION, "big"), self._ciphers[newest])


def version_of(blob: bytes) -> int:
    """The key version that a ciphertext was made with. Raises DecryptionFailed when it is too short."""
    if len(blob) < _HEAD + _TAG:
        raise DecryptionFailed("too short to be a ciphertext")
    return int.from_bytes(blob[:_VERSION], "big")


def _identity(path: Path) -> tuple[int, int] | None:
    """What changes when the file is replaced; None while it cannot be seen."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns
