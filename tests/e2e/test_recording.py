"""Calls recorded by a real Asterisk: what stands in the recording, and where its bytes are meanwhile."""

import asyncio
import io
import os
import wave
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from ivr.ami.actions import originate
from ivr.callids import call_id_of
from ivr.recording.keeper import RecordingKeeper
from simulators.phones.carrier import Phone
from tests.core_world import CUSTOMER
from tests.e2e.conftest import Platform
from tests.e2e.speech import Sound, of_alaw, of_wav, transcript
from tests.prompts.test_audio import tone
from tests.recordings.test_service import CALL
from vns.recordings.service import Recordings
from vns.recordings.settings import RecordingSettings

pytestmark = pytest.mark.asterisk

SAID = "3604"


@pytest.fixture
def recordings(platform: Platform) -> Recordings:
    world = platform.world
    return Recordings(world.db, world.keyring, world.clock, RecordingSettings(recording_store_dir=platform.store))


@pytest.fixture
def voices(prompts_dir: Path) -> dict[str, Sound]:
    digits = {digit: of_wav(prompts_dir / f"digit_{digit}.wav") for digit in "0123456789"}
    return {**digits, "n": of_wav(prompts_dir / "recording_notice.wav")}


def clear_files(platform: Platform) -> list[Path]:
    return list(platform.switch.settings.nodes[0].recordings.iterdir())


async def start_call(platform: Platform) -> None:
    """The dialplan as vns-record.conf asks for it, with a caller who reads digits out, again and again."""
    inside = platform.switch.instance.inside
    notice = f"{inside}/prompts/recording_notice"
    options = f"iIA({notice}:{notice})U(vns-record^${{UNIQUEID}})"
    spoken = "&".join(f"{inside}/prompts/digit_{digit}" for digit in SAID)
    console = platform.switch.console
    console(f"dialplan add extension s,1,Dial(PJSIP/{CUSTOMER}@trunk,20,{options}) into vns-test replace")
    console("dialplan add extension said,1,Answer() into vns-test replace")
    console(f"dialplan add extension said,2,Playback({spoken}) into vns-test replace")
    console("dialplan add extension said,3,Goto(said,2) into vns-test replace")
    reply = await platform.bridges["a"].ami.send(
        originate(
            "Local/s@vns-test/n",
            context="vns-test",
            extension="said",
            caller_id="07080000019",
            timeout_ms=30_000,
            variables={},
        )
    )
    assert reply.success


async def kept(platform: Platform) -> UUID:
    """The call of the one recording, once it is."""
    async with asyncio.timeout(60):
        while True:
            async with platform.world.db.connection() as connection:
                call: UUID | None = await connection.fetchval("select call_id from recordings")
            if call is not None:
                return call


async def heard(platform: Platform, recordings: Recordings, call: UUID) -> Sound:
    """The recording, as the mall whose call it is hears it."""
    world = platform.world
    async with world.db.connection() as connection:
        await connection.execute(CALL, call, world.mall.tenant_id, world.clock.now())
    link = await recordings.link(world.mall, call)
    download = await recordings.download(link.recording_id, link.expires, link.signature)
    data = b"".join(download.chunks)
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)


def has_heard(words: str, voices: dict[str, Sound]) -> Callable[[Phone], bool]:
    return lambda phone: transcript(of_alaw(phone.report().sound), voices).endswith(words)


async def test_the_notice_comes_first_and_the_call_is_recorded_and_encrypted(
    platform: Platform, recordings: Recordings, voices: dict[str, Sound]
) -> None:
    async with platform.carrier.phone(mute=True) as phone:
        await start_call(platform)
        await phone.until(has_heard(SAID, voices), timeout=60)
        [part] = clear_files(platform)
        assert part.name.endswith(".part.wav")
        os.utime(part, (0, 0))
        for bridge in platform.bridges.values():
            keeper = RecordingKeeper(part.parent, bridge.ami, recordings, bridge="a")
            await keeper.keep_left()
        assert clear_files(platform) == [part], "the recording of a call that goes on is left alone"
        platform.switch.console("channel request hangup all")
        report = await phone.hung_up()
    call = await kept(platform)
    assert call == call_id_of(part.name.removesuffix(".part.wav"))
    assert clear_files(platform) == []
    told = transcript(of_alaw(report.sound), voices)
    assert told.startswith("n") and told.count("n") == 1
    recorded = transcript(await heard(platform, recordings, call), voices)
    assert SAID[:-1] in recorded and "n" not in recorded  # the last digit may have been cut off by the end
    for path in platform.store.rglob("*"):
        assert path.is_dir() or b"RIFF" not in path.read_bytes()


async def test_the_other_side_is_in_the_recording_too(
    platform: Platform, recordings: Recordings, voices: dict[str, Sound]
) -> None:
    async with platform.carrier.phone() as phone:
        await start_call(platform)
        await phone.until(has_heard(SAID, voices), timeout=60)
        platform.switch.console("channel request hangup all")
        report = await phone.hung_up()
    mixed = await heard(platform, recordings, await kept(platform))
    packet = of_alaw(report.mark * 10)
    assert transcript(mixed, {"m": packet}).count("m") > 10, "the phone's own voice"


async def test_what_a_killed_asterisk_left_is_encrypted_when_a_bridge_starts(quiet_platform: Platform) -> None:
    world, folder = quiet_platform.world, quiet_platform.switch.settings.nodes[0].recordings
    left = folder / "vns-1700000000.7.part.wav"
    left.write_bytes(tone(8_000, 1.0))
    os.utime(left, (1_700_000_000, 1_700_000_000))
    async with quiet_platform.bridge("a"):
        assert await kept(quiet_platform) == call_id_of("vns-1700000000.7")
        assert not left.exists()
    async with world.db.connection() as connection:
        assert await connection.fetchval("select seconds from recordings") == pytest.approx(1.0)
