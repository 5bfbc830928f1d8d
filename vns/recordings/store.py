"""The files of recorded calls.

`new/<call id>` is encrypted and not yet known to the database; `<day>/<call id>` is. A file begins with its wrapped
key: it is complete without the database, so that nothing waits in clear for one that is away.
"""

import logging
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from vns.crypto.rules import KeyRing
from vns.crypto.streams import CHUNK, decrypted, encrypted, new_key
from vns.recordings.rules import key_context

log = logging.getLogger(__name__)

RATE: Final = 8_000  # samples a second, one channel of 16 bit
HEADER: Final = 44  # bytes before the samples of a wav file as Asterisk writes it

_NO_RECORDING: Final = "not a recording of this platform"
_MAGIC: Final = b"VNSREC1\n"
_LENGTH: Final = struct.Struct("!HQ")  # of the wrapped key; of the wav file
_NEW: Final = "new"
_UNTOLD: Final = 0xFFFF_FFFF  # for a length that 32 bits do not hold: readers go on to the end of the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """An encrypted file. `size`: of the wav file in it."""

    call_id: UUID
    wrapped_key: bytes
    size: int

    @property
    def seconds(self) -> float:
        return (self.size - HEADER) / (2 * RATE)


class RecordingStore:
    """All methods work on files and may take long: they are for threads. They raise OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unread: set[str] = set()  # names of files that were told of

    def seal(self, clear: Path, call_id: UUID, keyring: KeyRing) -> bool:
        """Encrypt what Asterisk has recorded and remove the clear file. False: nothing was recorded.

        Asterisk writes the lengths into the head of a wav file when it closes it, and never if it is killed; they are
        made anew from the length of the file. Raises OSError: then the clear file is still there.
        """
        with clear.open("rb") as source:
            samples = (clear.stat().st_size - HEADER) // 2 * 2
            if samples > 0 and not _is_sealed(
                self._folder / _NEW / str(call_id), call_id
            ):  # else only the removal failed
                key = new_key()
                wrapped = keyring.encrypt(key.hex(), context=key_context(call_id))
                size = HEADER + samples
                self._write(call_id, wrapped, size, encrypted(key, _wav(source, samples)))
        clear.unlink(missing_ok=True)
        return samples > 0

    def _write(self, call_id: UUID, wrapped: bytes, size: int, pieces: Iterator[bytes]) -> None:
        folder = self._folder / _NEW
        for place in (self._folder, folder):
            _make(place)
        beside = folder / f".{call_id}.{os.getpid()}"
        try:
            with open(beside, "wb", opener=_private) as target:
                target.write(_MAGIC + _LENGTH.pack(len(wrapped), size) + wrapped)
                for piece in pieces:
                    target.write(piece)
                target.flush()
                os.fsync(target.fileno())
            _hand_over(beside)
            beside.rename(folder / str(call_id))
        finally:
            beside.unlink(missing_ok=True)

    def unknown(self) -> list[Sealed]:
        """Encrypted files that the database has still to learn of.

        What cannot be read, or is no such file, stays and is passed over: told of once, and looked at again each time.
        """
        folder = self._folder / _NEW
        if not folder.is_dir():
            return []
        found = []
        for path in sorted(path for path in folder.iterdir() if _is_call(path.name)):
            try:
                found.append(_head(path, UUID(path.name)))
            except FileNotFoundError:
                continue  # another bridge was quicker
            except OSError as error:
                self._tell(path, error)
        return found

    def _tell(self, path: Path, error: OSError) -> None:
        """Bridges look every second."""
        if path.name not in self._unread:
            self._unread.add(path.name)
            log.error("the encrypted file of call %s cannot be read: %s", path.name, error)

    def settle(self, call_id: UUID, path: str) -> None:
        """Put a new file where the database says it is. Idempotent; a file that lies there already is the right one."""
        source, target = self._folder / _NEW / str(call_id), self._folder / path
        if target.exists():
            source.unlink(missing_ok=True)
        elif source.exists():
            _make(target.parent)
            with suppress(FileNotFoundError):  # another bridge was quicker
                source.rename(target)

    def read(self, call_id: UUID, path: str, wrapped_key: bytes, keyring: KeyRing) -> Iterator[bytes]:
        """The wav file, piece by piece. Raises DecryptionFailed, also half-way; FileNotFoundError at once."""
        place = self._folder / path
        if not place.exists():
            place = self._folder / _NEW / str(call_id)
        key = bytes.fromhex(keyring.decrypt(wrapped_key, context=key_context(call_id)))
        return _reading(place.open("rb"), key)

    def erase(self, call_id: UUID, path: str) -> None:
        """Idempotent."""
        for place in (self._folder / path, self._folder / _NEW / str(call_id)):
            place.unlink(missing_ok=True)


def path_of(call_id: UUID, day: datetime) -> str:
    """Where a recording's file lies in the store."""
    return f"{day:%Y%m%d}/{call_id}"


def _reading(source: BinaryIO, key: bytes) -> Iterator[bytes]:
    with source:
        _skip_head(source)
        yield from decrypted(key, source)


def _is_sealed(path: Path, call_id: UUID) -> bool:
    """Raises OSError for one that is damaged: what it was made of must not go."""
    try:
        _head(path, call_id)
    except FileNotFoundError:
        return False
    return True


def _head(path: Path, call_id: UUID) -> Sealed:
    with path.open("rb") as source:
        wrapped, size = _skip_head(source)
        if not HEADER < size <= os.fstat(source.fileno()).st_size:
            raise OSError(_NO_RECORDING)
    return Sealed(call_id=call_id, wrapped_key=wrapped, size=size)


def _skip_head(source: BinaryIO) -> tuple[bytes, int]:
    """Wrapped key and length of the wav file. Raises OSError for a file of another kind, or one cut within its head."""
    lengths = source.read(len(_MAGIC) + _LENGTH.size)
    if len(lengths) < len(_MAGIC) + _LENGTH.size or not lengths.startswith(_MAGIC):
        raise OSError(_NO_RECORDING)
    length, size = _LENGTH.unpack_from(lengths, len(_MAGIC))
    wrapped = source.read(length)
    if len(wrapped) < length:
        raise OSError(_NO_RECORDING)
    return wrapped, size


def _wav(source: BinaryIO, samples: int) -> Iterator[bytes]:
    """`samples`: their length in bytes."""
    data, whole = min(samples, _UNTOLD), min(36 + samples, _UNTOLD)
    yield struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", whole, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", data
    )
    source.seek(HEADER)
    while samples > 0 and (piece := source.read(min(CHUNK, samples))):
        yield piece
        samples -= len(piece)


def _is_call(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _hand_over(folder)


def _hand_over(place: Path) -> None:
    """A bridge may run as root, to take Asterisk's files; those who read and erase do not."""
    if os.geteuid() == 0:
        owner = place.parent.stat()
        os.chown(place, owner.st_uid, owner.st_gid)
