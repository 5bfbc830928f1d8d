"""Encryption, the blind index, and a key ring that is rotated under running processes."""

import base64
import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vns.crypto import keyfile, rules
from vns.crypto.errors import DecryptionFailed, KeyFileExists, KeyFileInvalid, UnknownKeyVersion
from vns.crypto.rules import KeyRing, version_of

HERE = b"binding:1:real"


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing.generate(tmp_path / "keys.json")


@pytest.fixture(scope="module")
def shared_ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing.generate(tmp_path_factory.mktemp("ring") / "keys.json")


@given(text=st.text(), context=st.binary(max_size=64))
def test_what_is_encrypted_comes_back(shared_ring: KeyRing, text: str, context: bytes) -> None:
    assert shared_ring.decrypt(shared_ring.encrypt(text, context=context), context=context) == text


@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_changed_bit_is_noticed(shared_ring: KeyRing, position: int, bit: int) -> None:
    blob = bytearray(shared_ring.encrypt("01012345678", context=HERE))
    blob[position % len(blob)] ^= 1 << bit
    with pytest.raises((DecryptionFailed, UnknownKeyVersion)):
        shared_ring.decrypt(bytes(blob), context=HERE)


@given(cut=st.integers(min_value=0, max_value=40))
def test_a_cut_ciphertext_is_noticed(shared_ring: KeyRing, cut: int) -> None:
    blob = shared_ring.encrypt("01012345678", context=HERE)
    assert len(blob) == 2 + 12 + 11 + 16
    with pytest.raises(DecryptionFailed):
        shared_ring.decrypt(blob[:cut], context=HERE)


def test_a_ciphertext_does_not_open_in_another_place(ring: KeyRing) -> None:
    blob = ring.encrypt("01012345678", context=HERE)
    with pytest.raises(DecryptionFailed):
        ring.decrypt(blob, context=b"binding:2:real")


def test_the_same_text_never_looks_the_same(ring: KeyRing) -> None:
    assert len({ring.encrypt("01012345678", context=HERE) for _ in range(100)}) == 100


def test_the_index_is_stable_keyed_and_short(ring: KeyRing, shared_ring: KeyRing) -> None:
    index = ring.index("01012345678")
    assert len(index) == 16
    assert KeyRing.load(ring.path).index("01012345678") == index
    assert ring.index("01012345679") != index
    assert shared_ring.index("01012345678") != index


def test_rotation_changes_the_version_but_not_the_index(ring: KeyRing) -> None:
    old, index = ring.encrypt("01012345678", context=HERE), ring.index("01012345678")
    assert KeyRing.rotate(ring.path) == 2
    rotated = KeyRing.load(ring.path)
    new = rotated.encrypt("01012345678", context=HERE)
    assert (version_of(old), version_of(new)) == (1, 2)
    assert rotated.decrypt(old, context=HERE) == rotated.decrypt(new, context=HERE) == "01012345678"
    assert rotated.index("01012345678") == index
    assert rotated.versions == (1, 2)


def test_a_running_process_reads_what_a_rotated_one_wrote(ring: KeyRing) -> None:
    KeyRing.rotate(ring.path)
    blob = KeyRing.load(ring.path).encrypt("01012345678", context=HERE)
    assert ring.versions == (1,)
    assert ring.decrypt(blob, context=HERE) == "01012345678"
    assert ring.newest == 2


def test_a_running_process_soon_encrypts_with_the_new_version(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert version_of(ring.encrypt("x", context=HERE)) == 1
    KeyRing.rotate(ring.path)
    assert version_of(ring.encrypt("x", context=HERE)) == 1
    now += 2 * rules.STALE_AFTER
    assert version_of(ring.encrypt("x", context=HERE)) == 2


@pytest.mark.parametrize("trouble", ["gone", "broken", "another ring"])
def test_a_running_process_survives_the_loss_of_its_file(
    ring: KeyRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    index = ring.index("01012345678")
    ring.path.unlink()
    if trouble == "broken":
        ring.path.write_text("{")
    elif trouble == "another ring":
        KeyRing.generate(ring.path)
    later = time.monotonic() + 2 * rules.STALE_AFTER
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert ring.decrypt(ring.encrypt("x", context=HERE), context=HERE) == "x"
    assert ring.index("01012345678") == index
    with pytest.raises(KeyFileInvalid):
        ring.reload()


def test_a_version_nobody_has_is_a_typed_error(ring: KeyRing) -> None:
    blob = b"\x00\x07" + ring.encrypt("x", context=HERE)[2:]
    with pytest.raises(UnknownKeyVersion):
        ring.decrypt(blob, context=HERE)


def test_the_file_is_the_owners_alone_and_stays_so(ring: KeyRing) -> None:
    assert stat.S_IMODE(ring.path.stat().st_mode) == 0o600
    KeyRing.rotate(ring.path)
    assert stat.S_IMODE(ring.path.stat().st_mode) == 0o600
    assert [file.name for file in ring.path.parent.iterdir()] == ["keys.json"]


def test_generate_never_overwrites(ring: KeyRing) -> None:
    before = ring.path.read_bytes()
    with pytest.raises(KeyFileExists):
        KeyRing.generate(ring.path)
    assert ring.path.read_bytes() == before
    assert [file.name for file in ring.path.parent.iterdir()] == ["keys.json"]


def test_rotations_at_the_same_time_lose_no_version(ring: KeyRing) -> None:
    with ThreadPoolExecutor(8) as threads:
        versions = list(threads.map(KeyRing.rotate, [ring.path] * 16))
    assert sorted(versions) == list(range(2, 18))
    assert KeyRing.load(ring.path).versions == tuple(range(1, 18))


def test_no_key_shows_itself(ring: KeyRing) -> None:
    content = json.loads(ring.path.read_text())
    keys = [content["index_key"], *content["versions"].values()]
    shown = f"{ring!r} {ring} {keyfile.read(ring.path)!r}"
    assert "versions=[1]" in shown
    for key in keys:
        assert key not in shown
        assert repr(base64.b64decode(key)) not in shown


GOOD = base64.b64encode(bytes(32)).decode()
SHORT = base64.b64encode(bytes(16)).decode()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        json.dumps({"index_key": GOOD, "versions": {}}),
        json.dumps({"index_key": GOOD, "versions": {"0": GOOD}}),
        json.dumps({"index_key": GOOD, "versions": {"65536": GOOD}}),
        json.dumps({"index_key": GOOD, "versions": {"one": GOOD}}),
        json.dumps({"index_key": GOOD, "versions": {"1": SHORT}}),
        json.dumps({"index_key": SHORT, "versions": {"1": GOOD}}),
        json.dumps({"index_key": "?" + GOOD[1:], "versions": {"1": GOOD}}),
        json.dumps({"index_key": None, "versions": {"1": GOOD}}),
        json.dumps({"index_key": GOOD, "versions": [GOOD]}),
    ],
)
def test_a_file_that_is_no_key_ring(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(KeyFileInvalid):
        KeyRing.load(path)


def test_a_file_or_folder_that_is_not_there(tmp_path: Path) -> None:
    for act in (KeyRing.load, KeyRing.rotate, KeyRing.generate):
        with pytest.raises(KeyFileInvalid):
            act(tmp_path / "missing" / "keys.json")


def test_version_numbers_end(ring: KeyRing) -> None:
    ring.path.write_text(json.dumps({"index_key": GOOD, "versions": {"65535": GOOD}}))
    with pytest.raises(KeyFileInvalid):
        KeyRing.rotate(ring.path)
