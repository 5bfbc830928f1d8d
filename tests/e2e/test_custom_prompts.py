"""A tenant's prompt is heard on a real phone, out of the file that a bridge has put there."""

import asyncio
from pathlib import Path

import pytest

from ivr.ami.actions import originate
from ivr.prompts.library import PromptLibrary
from tests.core_world import CUSTOMER
from tests.e2e.conftest import Platform
from tests.e2e.speech import of_alaw, of_wav, transcript
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
