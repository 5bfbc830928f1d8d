"""Recordings taken away from Asterisk: each once, also without a database, and never while a call goes on."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ivr.ami.supervisor import AmiSupervisor
from ivr.callids import call_id_of
from ivr.recording.keeper import RecordingKeeper
from tests.conftest import free_port
from tests.core_world import World
from tests.ivr.fake_ami import Action, FakeAmi, fake_ami, message, obliging
from tests.prompts.test_audio import tone
from vns.errors import Unavailable
from vns.recordings.service import Recordings
from vns.recordings.settings import RecordingSettings
from vns.storage.database import Database

ALIVE = "vns-1700000000.1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "clear"
    made.mkdir()
    return made


@pytest.fixture
def recordings(world: World, tmp_path: Path) -> Recordings:
    return recordings_on(world.db, world, tmp_path)


def recordings_on(db: Database, world: World, tmp_path: Path) -> Recordings:
    return Recordings(db, world.keyring, world.clock, RecordingSettings(recording_store_dir=tmp_path / "store"))


def keeper(folder: Path, recordings: Recordings, ami: AmiSupervisor | None = None, name: str = "a") -> RecordingKeeper:
    away = AmiSupervisor(f"ami://vns:vns@127.0.0.1:{free_port()}")
    return RecordingKeeper(folder, ami or away, recordings, bridge=name)


def record(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(tone(8_000, 0.3))
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def calls_kept(world: World) -> set[str]:
    async with world.db.connection() as connection:
        return {str(row["call_id"]) for row in await connection.fetch("select call_id from recordings")}


async def test_two_bridges_keep_each_recording_once(world: World, recordings: Recordings, folder: Path) -> None:
    for number in range(20):
        record(folder, f"vns-1700000000.{number}.wav")
    await asyncio.gather(*(keeper(folder, recordings, name=name).keep_finished() for name in "abab"))
    await keeper(folder, recordings).keep_finished()
    assert names(folder) == set()
    assert await calls_kept(world) == {str(call_id_of(f"vns-1700000000.{number}")) for number in range(20)}
    async with world.db.connection() as connection:
        assert await connection.fetchval("select count(*) from journal where event = 'recording.kept'") == 20


async def test_without_a_database_nothing_stays_in_clear(
    world: World, recordings: Recordings, folder: Path, tmp_path: Path, database_url: str
) -> None:
    away = await Database.open(database_url, size=1)
    without = recordings_on(away, world, tmp_path)
    await away.close()
    record(folder, "vns-1700000000.5.wav")
    with pytest.raises(Unavailable):
        await keeper(folder, without).keep_finished()
    assert names(folder) == set()
    assert await calls_kept(world) == set()
    await keeper(folder, recordings).keep_finished()
    assert await calls_kept(world) == {str(call_id_of("vns-1700000000.5"))}


async def test_what_is_still_written_or_not_ours_is_left_alone(
    world: World, recordings: Recordings, folder: Path
) -> None:
    kept = {"vns-1700000000.6.part.wav", "holiday.wav", "vns-1700000000.7.txt"}
    for name in kept:
        record(folder, name)
    await keeper(folder, recordings).keep_finished()
    assert names(folder) == kept
    assert await calls_kept(world) == set()


@asynccontextmanager
async def asterisk_with(unique_id: str) -> AsyncIterator[AmiSupervisor]:
    """One that has this channel."""

    def answer(fake: FakeAmi, action: Action, writer: asyncio.StreamWriter) -> bytes | None:
        if action["Action"] != ["CoreShowChannels"]:
            return obliging(fake, action, writer)
        number = action["ActionID"][0]
        head = message(Response="Success", ActionID=number, EventList="start", Message="Channels will follow")
        one = message(Event="CoreShowChannel", ActionID=number, Uniqueid=unique_id)
        return (
            head + one + message(Event="CoreShowChannelsComplete", ActionID=number, EventList="Complete", ListItems="1")
        )

    async with fake_ami(answer) as fake, asyncio.TaskGroup() as tasks:
        ami = AmiSupervisor(fake.url)
        running = tasks.create_task(ami.run())
        await ami.wait_ready()
        yield ami
        running.cancel()


async def test_parts_of_calls_that_are_gone_are_kept(world: World, recordings: Recordings, folder: Path) -> None:
    fresh, going_on = record(folder, "vns-1700000000.2.part.wav"), record(folder, f"{ALIVE}.part.wav")
    left = record(folder, "vns-1700000000.3.part.wav")
    for path in (going_on, left):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    async with asterisk_with(ALIVE) as ami:
        await keeper(folder, recordings, ami).keep_left()
    assert names(folder) == {fresh.name, going_on.name}
    assert await calls_kept(world) == {str(call_id_of("vns-1700000000.3"))}


async def test_a_recording_that_cannot_be_read_keeps_no_other_back(
    world: World, recordings: Recordings, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = folder / "vns-1700000000.1.wav"
    bad.mkdir()
    record(folder, "vns-1700000000.2.wav")
    keeping = keeper(folder, recordings)
    for _ in range(3):
        await keeping.keep_finished()
    assert names(folder) == {bad.name}
    assert await calls_kept(world) == {str(call_id_of("vns-1700000000.2"))}
    assert caplog.text.count(f"the recording of call {call_id_of('vns-1700000000.1')} waits") == 1
    bad.rmdir()
    record(folder, bad.name)
    await keeping.keep_finished()
    assert names(folder) == set()
    assert await calls_kept(world) == {str(call_id_of(f"vns-1700000000.{number}")) for number in (1, 2)}


async def test_a_part_that_cannot_be_read_keeps_no_other_back(
    world: World, recordings: Recordings, folder: Path
) -> None:
    bad = folder / "vns-1700000000.2.part.wav"
    bad.mkdir()
    left = record(folder, "vns-1700000000.3.part.wav")
    for path in (bad, left):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    async with asterisk_with(ALIVE) as ami:
        await keeper(folder, recordings, ami).keep_left()
    assert names(folder) == {bad.name}
    assert await calls_kept(world) == {str(call_id_of("vns-1700000000.3"))}
