"""Tenants' prompts as files that Asterisk can play."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from ivr.failures import GONE
from ivr.prompts import tones
from vns.prompts.rules import Sound
from vns.prompts.service import Prompts

log = logging.getLogger(__name__)

SUBFOLDER = "custom"
REMEMBERED_SECONDS = 60.0  # a deleted prompt is played no longer than this
FETCH_TIMEOUT = 1.0  # seconds: a call waits for it, the first one with this prompt


@dataclass(frozen=True, slots=True)
class _Known:
    """`name` None: there is no such prompt. `until`: of the event loop's clock."""

    name: str | None
    until: float


class PromptLibrary:
    """Before a prompt of a rule is played its file is put into the prompts folder of every Asterisk.

        names = await library.ensure(wanted_ids)
        play = names.get(prompt_id, default_name)

    A name is relative to Asterisk's prompts folder and without `.wav`, as Playback wants it: `custom/<sha256 of the
    sound>`; without `custom/` it is the name of the ringback tone (ivr.prompts.tones). An id that is missing from the
    answer (deleted, never made, no database, no room on the disk) means: play the default prompt. `ensure` raises
    nothing and takes at most FETCH_TIMEOUT; for prompts that were played within the last minute it looks at the files
    only.
    """

    def __init__(self, prompts: Prompts, folders: Sequence[Path]) -> None:
        """`folders`: the prompts folder of each Asterisk that this bridge serves, as the bridge sees it."""
        self._prompts = prompts
        self._folders = folders
        self._known: dict[UUID, _Known] = {}

    async def ensure(self, prompt_ids: Collection[UUID]) -> dict[UUID, str]:
        """Those of `prompt_ids` that can be played now, with the name to play."""
        now = asyncio.get_running_loop().time()
        wanted = set(prompt_ids)
        unknown = {one for one in wanted if not self._remembered(one, now)}
        if unknown:
            try:
                async with asyncio.timeout(FETCH_TIMEOUT):
                    await self._fetch(unknown)
            except GONE as error:
                log.warning("%d prompts cannot be had: %s", len(unknown), type(error).__name__)
        return {
            one: f"{SUBFOLDER}/{known.name}"
            for one in wanted
            if (known := self._known.get(one)) is not None and known.name is not None and self._is_there(known.name)
        }

    def _remembered(self, prompt_id: UUID, now: float) -> bool:
        known = self._known.get(prompt_id)
        return known is not None and now < known.until and (known.name is None or self._is_there(known.name))

    async def _fetch(self, prompt_ids: set[UUID]) -> None:
        """Names first: mostly the files are there, and only the memory of them has run out."""
        names = await self._prompts.names(prompt_ids)
        missing = [one for one, name in names.items() if not self._is_there(name)]
        if missing:
            sounds = await self._prompts.sounds(missing)
            await asyncio.to_thread(self._write, list(sounds.values()))
        until = asyncio.get_running_loop().time() + REMEMBERED_SECONDS
        for one in prompt_ids:
            self._known[one] = _Known(names.get(one), until)

    def _is_there(self, name: str) -> bool:
        return all(
            (folder / SUBFOLDER / f"{name}.wav").is_file() and tones.is_there(folder, name) for folder in self._folders
        )

    def _write(self, sounds: list[Sound]) -> None:
        """Raises OSError. A file appears whole or not at all, also with several bridges at once."""
        for prompts in self._folders:
            folder = prompts / SUBFOLDER
            folder.mkdir(exist_ok=True)
            for sound in sounds:
                beside = folder / f".{uuid4().hex}"
                try:
                    beside.write_bytes(sound.wav)
                    beside.chmod(0o644)  # Asterisk runs as somebody else
                    beside.rename(folder / f"{sound.name}.wav")
                finally:
                    beside.unlink(missing_ok=True)
                tones.add(prompts, sound.name, folder / f"{sound.name}.wav")
