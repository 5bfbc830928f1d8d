"""Files of recorded calls: encrypted whole, cut off nowhere, and never in clear for longer than needed."""

import io
import os
import struct
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.prompts.test_audio import tone
from vns.crypto.errors import DecryptionFailed
from vns.crypto.rules import KeyRing
from vns.crypto.streams import CHUNK, decrypted, encrypted, new_key
from vns.recordings.store import HEADER, RecordingStore

CALL = UUID("019a0000-0000-7000-8000-000000000002")


@pytest.fixture
def keyring(tmp_path: Path) -> KeyRing:
    return KeyRing.generate(tmp_path / "keys.json")


@pytest.fixture
def store(tmp_path: Path) -> RecordingStore:
    return RecordingStore(tmp_path / "store")


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7])
def test_a_stream_of_any_length(size: int) -> None:
    key, clear = new_key(), os.urandom(size)
    pieces = [clear[at : at + 1000] for at in range(0, size, 1000)]
    sealed = b"".join(encrypted(key, pieces))
    assert b"".join(decrypted(key, io.BytesIO(sealed))) == clear


def swapped(sealed: bytes) -> bytes:
    first, second = sealed[: CHUNK + 16], sealed[CHUNK + 16 : 2 * (CHUNK + 16)]
    return second + first + sealed[2 * (CHUNK + 16) :]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda sealed: sealed[:-1], id="cut"),
        pytest.param(lambda sealed: sealed[: 2 * (CHUNK + 16)], id="cut between two chunks"),
        pytest.param(lambda sealed: sealed + sealed[: CHUNK + 16], id="repeated"),
        pytest.param(lambda sealed: sealed[CHUNK + 16 :], id="begun later"),
        pytest.param(swapped, id="moved"),
        pytest.param(lambda sealed: bytes([sealed[0] ^ 1]) + sealed[1:], id="changed"),
        pytest.param(lambda _: b"", id="emptied"),
    ],
)
def test_a_stream_that_was_touched_does_not_open(change: Callable[[bytes], bytes]) -> None:
    key = new_key()
    sealed = b"".join(encrypted(key, [os.urandom(2 * CHUNK + 100)]))
    with pytest.raises(DecryptionFailed):
        list(decrypted(key, io.BytesIO(change(sealed))))


def test_a_recording_is_encrypted_and_the_clear_file_gone(
    store: RecordingStore, keyring: KeyRing, tmp_path: Path
) -> None:
    clear = tmp_path / "call.wav"
    clear.write_bytes(tone(8_000, 12.0))
    before = clear.read_bytes()
    assert store.seal(clear, CALL, keyring)
    assert not clear.exists()
    [sealed] = store.unknown()
    assert (sealed.call_id, sealed.size, sealed.seconds) == (CALL, len(before), 12.0)
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file():
            assert before[1000:1040] not in path.read_bytes()
            assert path.stat().st_mode & 0o077 == 0
    store.settle(CALL, "20260301/x")
    assert store.unknown() == []
    store.settle(CALL, "20260301/x")
    assert b"".join(store.read(CALL, "20260301/x", sealed.wrapped_key, keyring)) == before
    store.erase(CALL, "20260301/x")
    with pytest.raises(FileNotFoundError):
        store.read(CALL, "20260301/x", sealed.wrapped_key, keyring)


def test_what_a_killed_asterisk_left_is_mended(store: RecordingStore, keyring: KeyRing, tmp_path: Path) -> None:
    """It wrote samples, but no lengths into the head."""
    whole = tone(8_000, 0.5)
    clear = tmp_path / "left.wav"
    clear.write_bytes(whole[:4] + bytes(4) + whole[8:40] + bytes(4) + whole[HEADER:] + b"\x07")
    assert store.seal(clear, CALL, keyring)
    [sealed] = store.unknown()
    wav = b"".join(store.read(CALL, "not/there/yet", sealed.wrapped_key, keyring))
    with wave.open(io.BytesIO(wav)) as file:
        assert file.getnframes() == 4_000
        assert file.readframes(4_000) == whole[HEADER:]


@pytest.mark.parametrize("data", [b"", tone(8_000, 0.5)[:HEADER]])
def test_an_empty_recording_leaves_nothing(
    store: RecordingStore, keyring: KeyRing, tmp_path: Path, data: bytes
) -> None:
    clear = tmp_path / "empty.wav"
    clear.write_bytes(data)
    assert not store.seal(clear, CALL, keyring)
    assert not clear.exists()
    assert store.unknown() == []


def test_a_seal_whose_clear_file_came_back_keeps_the_first_key(
    store: RecordingStore, keyring: KeyRing, tmp_path: Path
) -> None:
    """As after a crash between the encrypted file and the removal of the clear one, before or after it was settled."""
    clear, data = tmp_path / "call.wav", tone(8_000, 0.5)
    clear.write_bytes(data)
    store.seal(clear, CALL, keyring)
    [first] = store.unknown()
    clear.write_bytes(data)
    store.seal(clear, CALL, keyring)
    assert store.unknown() == [first]
    store.settle(CALL, "day/x")
    clear.write_bytes(data)
    store.seal(clear, CALL, keyring)
    store.settle(CALL, "day/x")
    assert b"".join(store.read(CALL, "day/x", first.wrapped_key, keyring)) == data
    assert store.unknown() == []


def test_the_key_of_one_call_does_not_open_anothers(store: RecordingStore, keyring: KeyRing, tmp_path: Path) -> None:
    clear = tmp_path / "call.wav"
    clear.write_bytes(tone(8_000, 0.5))
    store.seal(clear, CALL, keyring)
    [sealed] = store.unknown()
    with pytest.raises(DecryptionFailed):
        store.read(uuid4(), f"new/{CALL}", sealed.wrapped_key, keyring)


def test_lengths_that_a_wav_head_cannot_hold(
    store: RecordingStore, keyring: KeyRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 4 GiB and more. The head is looked at in clear; the samples, a hole in the file, are left out."""

    def head_alone(_: bytes, clear: Iterator[bytes]) -> Iterator[bytes]:
        yield next(clear)

    monkeypatch.setattr("vns.recordings.store.encrypted", head_alone)
    clear = tmp_path / "call.wav"
    with clear.open("wb") as file:
        file.truncate(HEADER + 2**32)
    assert store.seal(clear, CALL, keyring)
    head = (tmp_path / "store/new" / str(CALL)).read_bytes()[-HEADER:]
    assert (head[:4], head[36:40]) == (b"RIFF", b"data")
    assert (*struct.unpack("<I", head[4:8]), *struct.unpack("<I", head[40:])) == (2**32 - 1, 2**32 - 1)


WHOLE_HEAD = 8 + 2 + 8  # bytes: what tells the kind of file, and the lengths of wrapped key and wav file
OTHER = UUID("019a0000-0000-7000-8000-000000000001")  # before the other one


@pytest.mark.parametrize("left", [0, 5, 8, 9, WHOLE_HEAD - 1, WHOLE_HEAD, WHOLE_HEAD + 10, 100])
def test_a_damaged_file_is_passed_over_and_stays(
    store: RecordingStore, keyring: KeyRing, tmp_path: Path, caplog: pytest.LogCaptureFixture, left: int
) -> None:
    for call in (OTHER, CALL):
        clear = tmp_path / "call.wav"
        clear.write_bytes(tone(8_000, 0.5))
        store.seal(clear, call, keyring)
    damaged = tmp_path / "store/new" / str(OTHER)
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:left])
    for _ in range(3):
        assert [sealed.call_id for sealed in store.unknown()] == [CALL]
    assert caplog.text.count(f"the encrypted file of call {OTHER} cannot be read") == 1
    assert damaged.read_bytes() == whole[:left]
    # nor is the clear file taken for one that is safe already
    clear.write_bytes(tone(8_000, 0.5))
    with pytest.raises(OSError, match="not a recording"):
        store.seal(clear, OTHER, keyring)
    assert clear.exists()
    damaged.write_bytes(whole)
    assert [sealed.call_id for sealed in store.unknown()] == [OTHER, CALL]
