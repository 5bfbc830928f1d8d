"""Encryption of what is too long to be held in memory: AES-256-GCM chunk by chunk, each file with a key of its own.

The nonce of a chunk is its place, so a key must never encrypt a second stream. What is authenticated with a chunk tells
whether it is the last: chunks moved, repeated, left out or cut off do not open.
"""

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vns.crypto.errors import DecryptionFailed

CHUNK: Final = 64 * 1024  # bytes of clear text
_TAG: Final = 16
_NONCE: Final = 12
_MORE, _LAST = b"more", b"last"


def new_key() -> bytes:
    """For one stream."""
    return os.urandom(32)


def encrypted(key: bytes, clear: Iterable[bytes]) -> Iterator[bytes]:
    """`clear` in pieces of any size."""
    cipher, waiting, place = AESGCM(key), bytearray(), 0
    for piece in clear:
        waiting += piece
        while len(waiting) > CHUNK:  # the last chunk, full or not, is known only at the end
            yield cipher.encrypt(place.to_bytes(_NONCE, "big"), bytes(waiting[:CHUNK]), _MORE)
            del waiting[:CHUNK]
            place += 1
    yield cipher.encrypt(place.to_bytes(_NONCE, "big"), bytes(waiting), _LAST)


def decrypted(key: bytes, source: BinaryIO) -> Iterator[bytes]:
    """From where `source` stands to its end. Raises DecryptionFailed, for a stream cut off only at its end."""
    cipher, place = AESGCM(key), 0
    chunk = source.read(CHUNK + _TAG)
    while True:
        following = source.read(CHUNK + _TAG)
        try:
            yield cipher.decrypt(place.to_bytes(_NONCE, "big"), chunk, _MORE if following else _LAST)
        except InvalidTag:
            raise DecryptionFailed("a stream was changed or cut, or belongs to another key") from None
        if not following:
            return
        chunk, place = following, place + 1
