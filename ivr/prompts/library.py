"""Tenants' prompts as files that Asterisk can play."""

import asyncio
import logging
import re
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
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
LOOK_EVERY = 3_600.0  # seconds between looks for sounds that no prompt has any more
SPARED_SECONDS = 3_600.0  # since a sound was written: nobody knows yet whether it is needed
NAMED_AT_ONCE = 20  # prompts whose sounds are hashed by one statement: at 1 MB each it takes some tenths of a second

_NAME = re.compile("[0-9a-f]{64}")


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
    only. `run()` is a task of the bridge's: it removes what no prompt has any more.
    """

    def __init__(self, prompts: Prompts, folders: Sequence[Path]) -> None:
        """`folders`: the prompts folder of each Asterisk that this bridge serves, as the bridge sees it."""
        self._prompts = prompts
        self._folders = folders
        self._known: dict[UUID, _Known] = {}
        self._named: dict[UUID, str] = {}  # every prompt, once looked at: none ever changes
        self._unused: set[str] = set()  # names that no prompt had at the last look

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

    # -- removing -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.remove_unused()
            except GONE as error:
                log.warning("sounds that no prompt has wait: %s", type(error).__name__)
            await asyncio.sleep(LOOK_EVERY)

    async def remove_unused(self) -> None:
        """Remove sounds that no prompt has now nor had at the look before: a call that was told to play one has
        done so by then. Should the same sound be wanted again this very moment, one call does without it and the next
        has it written anew. Raises VnsError, OSError, TimeoutError, asyncpg.PostgresError.
        """
        before = time.time() - SPARED_SECONDS
        written = await asyncio.to_thread(self._written)
        old = {name for name, at in written.items() if at <= before}
        unused = old - await self._names() if old else set()
        going, self._unused = unused & self._unused, unused
        if going:
            await asyncio.to_thread(self._remove, going)
            log.info("%d sounds removed that no prompt has any more", len(going))

    def _written(self) -> dict[str, float]:
        """When each sound was written last, in any folder; seconds since 1970. What is no sound of ours is left out."""
        found: dict[str, float] = {}
        for prompts in self._folders:
            for path in (*(prompts / SUBFOLDER).glob("*.wav"), *(prompts / tones.FOLDER).glob("*")):
                if _NAME.fullmatch(path.stem):
                    with suppress(FileNotFoundError):  # another bridge was quicker
                        found[path.stem] = max(found.get(path.stem, 0.0), path.stat().st_mtime)
        return found

    async def _names(self) -> set[str]:
        """Of all prompts there are. Each is hashed once: that reads all of it."""
        there = await self._prompts.ids()
        self._named = {one: name for one, name in self._named.items() if one in there}
        unnamed = sorted(there - self._named.keys())
        for start in range(0, len(unnamed), NAMED_AT_ONCE):
            self._named |= await self._prompts.names(unnamed[start : start + NAMED_AT_ONCE])
        return set(self._named.values())

    def _remove(self, names: set[str]) -> None:
        """Raises OSError. The tone goes first: what is left of a sound half removed is found again."""
        for prompts in self._folders:
            for name in names:
                tones.remove(prompts, name)
                (prompts / SUBFOLDER / f"{name}.wav").unlink(missing_ok=True)
