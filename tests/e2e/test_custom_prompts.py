"""A tenant's prompt is heard on a real phone, out of the file that a bridge has put there."""

import asyncio
from pathlib import Path

import pytest

from ivr.ami.actions import originate
from ivr.prompts import library as library_module
from ivr.prompts import tones
from ivr.prompts.library import PromptLibrary
from tests.core_world import CUSTOMER
from tests.e2e.conftest import Platform
from tests.e2e.speech import of_alaw, of_wav, transcript
from tests.prompts.test_audio import tone
from tests.waiting import until
from vns.prompts.service import Prompts

pytestmark = pytest.mark.asterisk


async def test_a_prompt_is_played_from_its_file(platform: Platform, tmp_path: Path) -> None:
    world, switch = platform.world, platform.switch
    prompts = Prompts(world.db, world.clock)
    spoken = await prompts.speak(world.mall, "closed", "오늘은 쉽니다.")
    names = await PromptLibrary(prompts, switch.settings.prompt_folders).ensure([spoken.id])
    audio = tmp_path / "closed.wav"
    audio.write_bytes(await prompts.audio(world.mall, spoken.id))
    voices = {"closed": of_wav(audio)}
    path = f"{switch.instance.inside}/prompts/{names[spoken.id]}"
    switch.console(f"dialplan add extension s,1,Playback({path}) into vns-test-prompts replace")
    async with platform.carrier.phone(mute=True) as phone:
        reply = await platform.bridges["a"].ami.send(
            originate(
                f"PJSIP/{CUSTOMER}@trunk",
                context="vns-test-prompts",
                extension="s",
                caller_id="07080000019",
                timeout_ms=30_000,
                variables={},
            )
        )
        assert reply.success
        report = await phone.hung_up()
    assert await asyncio.to_thread(transcript, of_alaw(report.sound), voices) == "closed"


async def test_a_bridge_removes_the_sound_of_a_deleted_prompt(
    quiet_platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its tone. What another prompt has stays, and so do the platform's own."""
    world, [folder] = quiet_platform.world, quiet_platform.switch.settings.prompt_folders
    prompts = Prompts(world.db, world.clock)
    kept, gone = [await prompts.record(world.mall, name, tone(8_000, 0.7)) for name in ("kept", "gone")]
    other = await prompts.record(world.mall, "other", tone(8_000, 0.6))
    names = await PromptLibrary(prompts, [folder]).ensure([kept.id, other.id])
    monkeypatch.setattr(library_module, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(library_module, "SPARED_SECONDS", -60.0)  # as if all had been written long ago
    for prompt in (gone, other):
        await prompts.delete(world.mall, prompt.id)

    async def removed() -> bool:
        return not (folder / f"{names[other.id]}.wav").exists()

    async with quiet_platform.bridge("a"):
        await until(removed)
    assert not tones.is_there(folder, Path(names[other.id]).name)
    assert (folder / f"{names[kept.id]}.wav").exists()
    assert tones.is_there(folder, Path(names[kept.id]).name)
    assert (folder / "ended.wav").exists()
