"""Recorded calls: heard by their tenant alone, through links that end, and erased in time."""

import re
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.core_world import World
from tests.prompts.test_audio import tone
from vns.access.rules import Principal
from vns.crypto.rules import KeyRing
from vns.errors import InvalidLink, NotFound, Unavailable
from vns.recordings.retention import Retention
from vns.recordings.service import Recordings
from vns.recordings.settings import RecordingSettings

WAV = tone(8_000, 1.5)
UUID_NAME = re.compile("[0-9a-f-]{36}")

CALL = """
insert into calls (id, tenant_id, vn, direction, result, cause, hangup_by, arrived_at, ended_at, bridge, channel)
values ($1, $2, 50410000000, 'to_real', 'answered', 16, 'caller', $3, $3, 'a', 'c')
"""


@pytest.fixture
def settings(tmp_path: Path) -> RecordingSettings:
    return RecordingSettings(recording_store_dir=tmp_path / "store", recording_retention_days=30)


@pytest.fixture
def recordings(world: World, settings: RecordingSettings) -> Recordings:
    return Recordings(world.db, world.keyring, world.clock, settings)


async def called(world: World, tenant: Principal, call_id: UUID | None = None) -> UUID:
    call_id = call_id or uuid4()
    async with world.db.connection() as connection:
        await connection.execute(CALL, call_id, tenant.tenant_id, world.clock.now())
    return call_id


async def kept(recordings: Recordings, folder: Path, call_id: UUID) -> None:
    clear = folder / f"{call_id}.wav"
    clear.write_bytes(WAV)
    assert await recordings.seal(clear, call_id)
    assert await recordings.register("a") == 1


async def journal(world: World) -> list[tuple[str, Any]]:
    async with world.db.connection() as connection:
        rows = await connection.fetch("select * from journal where event like 'recording.%' order by id")
    return [(row["event"], row) for row in rows]


async def test_a_recording_is_kept_heard_and_erased(
    world: World, recordings: Recordings, settings: RecordingSettings, tmp_path: Path
) -> None:
    call = await called(world, world.mall)
    await kept(recordings, tmp_path, call)
    assert await recordings.register("b") == 0
    link = await recordings.link(world.mall, call)
    assert link.expires_at == world.clock.now() + timedelta(seconds=900)
    heard = await recordings.download(link.recording_id, link.expires, link.signature)
    assert (b"".join(heard.chunks), heard.size) == (WAV, len(WAV))
    retention = Retention(world.db, world.clock, settings)
    world.clock.move(days=30, seconds=-1)
    assert await retention.erase_over() == 0
    world.clock.move(seconds=1)
    assert await retention.erase_over() == 1
    assert await retention.erase_over() == 0
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    with pytest.raises(NotFound):
        await recordings.link(world.mall, call)
    events = await journal(world)
    assert [event for event, _ in events] == [
        "recording.kept",
        "recording.link_made",
        "recording.downloaded",
        "recording.erased",
    ]
    assert all(row["tenant_id"] == world.mall.tenant_id for _, row in events)
    made, downloaded = events[1][1], events[2][1]
    assert made["actor"] == world.mall.actor
    assert made["data"]["link"] == downloaded["data"]["link"]
    assert link.signature not in str(made["data"])


async def test_another_tenants_recording_is_not_there(world: World, recordings: Recordings, tmp_path: Path) -> None:
    call = await called(world, world.mall)
    await kept(recordings, tmp_path, call)
    for nobody in (call, uuid4()):
        with pytest.raises(NotFound):
            await recordings.link(await world.tenant(f"other-{nobody.hex[:8]}"), nobody)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda expires, signature: (expires, signature[:-1] + "x"), id="signature"),
        pytest.param(lambda expires, signature: (str(int(expires) + 1), signature), id="later"),
        pytest.param(lambda expires, signature: (f"0{expires}", signature), id="spelt otherwise"),
        pytest.param(lambda _, signature: ("", signature), id="for ever"),
        pytest.param(lambda expires, _: (expires, ""), id="unsigned"),
        pytest.param(lambda expires, _: (expires, "가"), id="not even hex"),
        pytest.param(lambda _, signature: ("9" * 400, signature), id="endless"),
    ],
)
async def test_a_link_that_was_touched(
    world: World, recordings: Recordings, tmp_path: Path, change: Callable[[str, str], tuple[str, str]]
) -> None:
    call = await called(world, world.mall)
    await kept(recordings, tmp_path, call)
    link = await recordings.link(world.mall, call)
    with pytest.raises(InvalidLink):
        await recordings.download(link.recording_id, *change(link.expires, link.signature))
    with pytest.raises(InvalidLink):
        await recordings.download(uuid4(), link.expires, link.signature)
    assert [event for event, _ in await journal(world)] == ["recording.kept", "recording.link_made"]


async def test_a_link_ends_and_never_outlives_the_recording(
    world: World, recordings: Recordings, tmp_path: Path
) -> None:
    call = await called(world, world.mall)
    await kept(recordings, tmp_path, call)
    link = await recordings.link(world.mall, call)
    world.clock.move(seconds=899)
    await recordings.download(link.recording_id, link.expires, link.signature)
    world.clock.move(seconds=1)
    with pytest.raises(InvalidLink):
        await recordings.download(link.recording_id, link.expires, link.signature)
    world.clock.move(days=30, seconds=-1_000)
    late = await recordings.link(world.mall, call)
    assert late.expires_at == world.clock.now() + timedelta(seconds=100)


async def test_a_call_written_down_later_than_its_recording(
    world: World, recordings: Recordings, tmp_path: Path
) -> None:
    call = uuid4()
    await kept(recordings, tmp_path, call)
    with pytest.raises(NotFound):
        await recordings.link(world.mall, call)
    await called(world, world.mall, call)
    link = await recordings.link(world.mall, call)
    await recordings.download(link.recording_id, link.expires, link.signature)


async def test_a_store_without_the_file(world: World, recordings: Recordings, tmp_path: Path) -> None:
    call = await called(world, world.mall)
    await kept(recordings, tmp_path, call)
    link = await recordings.link(world.mall, call)
    [file] = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    file.unlink()
    with pytest.raises(Unavailable):
        await recordings.download(link.recording_id, link.expires, link.signature)
    assert [event for event, _ in await journal(world)] == ["recording.kept", "recording.link_made"]


async def test_a_rotated_ring_wraps_the_keys_anew(world: World, recordings: Recordings, tmp_path: Path) -> None:
    call = await called(world, world.mall)
    await kept(recordings, tmp_path, call)
    assert await recordings.rewrap_once() == 0
    KeyRing.rotate(world.keyring.path)
    world.keyring.reload()
    assert await recordings.rewrap_once() == 1
    assert await recordings.rewrap_once() == 0
    link = await recordings.link(world.mall, call)
    heard = await recordings.download(link.recording_id, link.expires, link.signature)
    assert b"".join(heard.chunks) == WAV


async def test_a_file_that_cannot_be_erased_keeps_no_other(
    world: World,
    recordings: Recordings,
    settings: RecordingSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor does a whole batch of them."""
    monkeypatch.setattr("vns.recordings.retention.BATCH", 1)
    calls = []
    for _ in range(3):
        calls.append(await called(world, world.mall))
        await kept(recordings, tmp_path, calls[-1])
        world.clock.move(seconds=1)
    [first] = (tmp_path / "store").rglob(str(calls[0]))
    first.unlink()
    first.mkdir()
    world.clock.move(days=30)
    retention = Retention(world.db, world.clock, settings)
    assert await retention.erase_over() == 2
    assert [path for path in (tmp_path / "store").rglob("*") if UUID_NAME.fullmatch(path.name)] == [first]
    assert f"the recording of call {calls[0]} cannot be erased" in caplog.text
    assert await retention.erase_over() == 0
    first.rmdir()
    assert await retention.erase_over() == 1
    erased = [row["data"]["call"] for event, row in await journal(world) if event == "recording.erased"]
    assert erased == [str(call) for call in (calls[1], calls[2], calls[0])]


async def test_a_file_that_cannot_be_registered_keeps_no_other(
    world: World, recordings: Recordings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its wrapped key is none."""
    bad, good = UUID(int=1), await called(world, world.mall)
    await kept(recordings, tmp_path, await called(world, world.mall))
    file = tmp_path / "store/new" / str(bad)
    file.write_bytes(b"VNSREC1\n" + struct.pack("!HQ", 2, 100) + bytes(200))
    for _ in range(2):
        await recordings.register("a")
    await kept(recordings, tmp_path, good)
    assert file.exists()
    assert caplog.text.count(f"the recording of call {bad} waits: DecryptionFailed") == 1


async def test_a_file_cut_within_its_head(world: World, recordings: Recordings, tmp_path: Path) -> None:
    call = await called(world, world.mall)
    await kept(recordings, tmp_path, call)
    link = await recordings.link(world.mall, call)
    [file] = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    file.write_bytes(file.read_bytes()[:12])
    with pytest.raises(Unavailable):
        await recordings.download(link.recording_id, link.expires, link.signature)
