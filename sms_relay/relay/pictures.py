"""What is passed on of a multimedia message's files, and the folder in which it lies for the agent.

Files are named by the message: written again after a crash, they are the same files. They are erased when the message
has had its result for a while, and not before.
"""

import asyncio
import base64
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from sms_relay.agent.wakeup import Wakeup
from sms_relay.content.multimedia import MOST_IMAGES
from sms_relay.content.photos import NoPictureError, rewritten
from sms_relay.links.interface import Media
from sms_relay.relay.passing import PASSING, told
from sms_relay.whole_files import write_whole
from vns.messages.service import Messages
from vns.storage.clock import Clock

_log = logging.getLogger(__name__)

SWEEP_SECONDS = 600.0
BATCH = 500
ENDING: Final = ".jpg"


@dataclass(frozen=True, slots=True)
class Chosen:
    """`left_out`: how many files no handset would get."""

    pictures: tuple[bytes, ...] = ()
    left_out: int = 0


def chosen(media: Sequence[Media]) -> Chosen:
    """The first pictures that can be read, as many as carriers take.

    All else is left out: sounds and films, which the tables do not know as handsets write them; cards and calendars, in
    which numbers stand that are to stay hidden.
    """
    pictures: list[bytes] = []
    for one in media:
        if len(pictures) == MOST_IMAGES or not one.content_type.startswith("image/"):
            continue
        try:
            pictures.append(rewritten(one.data))
        except NoPictureError as error:
            _log.info("a picture is left out: %s", error)
    return Chosen(tuple(pictures), len(media) - len(pictures))


class PictureFolder:
    """`folder` is the agent's to read: the agent of another make, too, names files by their full path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    async def write(self, message_id: UUID, pictures: Sequence[bytes]) -> tuple[str, ...]:
        """Their paths, once they are on the disk. Raises OSError."""
        return await asyncio.to_thread(self._write, message_id, pictures)

    def _write(self, message_id: UUID, pictures: Sequence[bytes]) -> tuple[str, ...]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        paths = [self._folder / f"{_name(message_id)}-{number}{ENDING}" for number in range(1, len(pictures) + 1)]
        for path, data in zip(paths, pictures, strict=True):
            write_whole(path, data, mode=0o640)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return tuple(map(str, paths))

    async def sweeping(self, messages: Messages, clock: Clock, life: timedelta) -> None:
        """Erases until cancelled. `life`: for how long files stay after the result."""
        while True:
            try:
                await self.sweep(messages, clock, life)
            except PASSING as error:
                _log.warning("files of messages that have ended cannot be erased now: %s", told(error))
            await Wakeup().wait(SWEEP_SECONDS)

    async def sweep(self, messages: Messages, clock: Clock, life: timedelta) -> int:
        """Returns how many were erased. A file of no message is of one whose record is gone, or half written."""
        there = await asyncio.to_thread(self._there, time.time() - life.total_seconds())
        erased = 0
        for start in range(0, len(there), BATCH):
            part = there[start : start + BATCH]
            kept = await messages.kept_files([one for one, _, _ in part if one], clock.now() - life)
            over = [path for one, path, old in part if (one not in kept if one else old)]
            erased += await asyncio.to_thread(_erase, over)
        if erased:
            _log.info("%d files of messages that have ended erased", erased)
        return erased

    def _there(self, before: float) -> list[tuple[UUID | None, Path, bool]]:
        """Message (None: the name is no message's), path, and whether it was written before that time."""
        try:
            paths = [path for path in self._folder.iterdir() if path.is_file() and not path.is_symlink()]
        except FileNotFoundError:
            return []
        return [(_message_of(path.name), path, path.stat().st_mtime < before) for path in paths]


def _name(message_id: UUID) -> str:
    """FILE_NAME holds a hundred characters: short."""
    return base64.b32encode(message_id.bytes).decode().rstrip("=").lower()


def _message_of(name: str) -> UUID | None:
    stem, _, number = name.removesuffix(ENDING).rpartition("-")
    if not name.endswith(ENDING) or not number.isdigit():
        return None
    try:
        return UUID(bytes=base64.b32decode(stem.upper() + "=" * (-len(stem) % 8)))
    except ValueError:
        return None


def _erase(paths: Sequence[Path]) -> int:
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)
