"""Takes finished recordings away from Asterisk: encrypts them, removes the clear files, tells the database.

While a call is recorded its file is `<unique id>.part.wav`; Asterisk renames it to `<unique id>.wav` when it has closed
it. A part that belongs to no call any more was left behind by an Asterisk that was killed.
"""

import asyncio
import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ivr.ami.actions import list_channels
from ivr.ami.messages import ChannelListed
from ivr.ami.supervisor import AmiSupervisor
from ivr.callids import call_id_of
from ivr.failures import GONE
from vns.crypto.errors import CryptoError
from vns.recordings.service import Recordings

log = logging.getLogger(__name__)

EVERY = 1.0  # seconds between looks
LEFT_EVERY = 20.0  # seconds between looks for what was left behind
STILL = 10.0  # seconds without a write before a part may count as left behind
PART, WHOLE = ".part.wav", ".wav"


class RecordingKeeper:
    """`run()` is a task of the bridge's. Several bridges may keep one folder: each file is one bridge's at a time."""

    def __init__(
        self,
        folder: Path,
        ami: AmiSupervisor,
        recordings: Recordings,
        *,
        bridge: str,
        still: float = STILL,
        left_every: float = LEFT_EVERY,
    ) -> None:
        """`folder`: where the Asterisk behind `ami` records, as the bridge sees it."""
        self._folder = folder
        self._ami = ami
        self._recordings = recordings
        self._bridge = bridge
        self._still = still
        self._left_every = left_every
        self._waiting: set[str] = set()  # names of files that were told of as waiting

    async def run(self) -> None:
        """Until cancelled."""
        left_due = 0.0
        while True:
            try:
                await self.keep_finished()
                now = asyncio.get_running_loop().time()
                if now >= left_due and self._ami.ready:
                    left_due = now + self._left_every
                    await self.keep_left()
            except GONE as error:
                log.warning("recordings wait: %s", type(error).__name__)
            await asyncio.sleep(EVERY)

    async def keep_finished(self) -> None:
        """Encrypt what Asterisk has finished, and tell of it. What cannot be encrypted waits for the next look.

        Raises Unavailable; OSError when a folder cannot be looked into.
        """
        for path in self._files(WHOLE):
            await self._seal(path, WHOLE)
        await self._recordings.register(self._bridge)

    async def keep_left(self) -> None:
        """Encrypt parts whose calls are gone, each by itself as in `keep_finished`.

        Raises AmiUnavailable, Unavailable; OSError when a folder cannot be looked into.
        """
        silent = [path for path in self._files(PART) if self._is_still(path)]
        if not silent:
            return
        reply = await self._ami.send(list_channels())
        alive = {event.unique_id for event in reply.events if isinstance(event, ChannelListed)}
        for path in silent:
            if path.name.removesuffix(PART) not in alive:
                log.warning("a recording was left behind")
                await self._seal(path, PART)
        await self._recordings.register(self._bridge)

    def _files(self, ending: str) -> list[Path]:
        """Oldest names first; of finished files no parts."""
        if not self._folder.is_dir():
            return []
        names = sorted(path for path in self._folder.iterdir() if path.name.endswith(ending))
        return names if ending == PART else [path for path in names if not path.name.endswith(PART)]

    def _is_still(self, path: Path) -> bool:
        """Nobody writes it any more."""
        try:
            return time.time() - path.stat().st_mtime >= self._still
        except OSError:  # as a rule another bridge was quicker
            return False

    async def _seal(self, path: Path, ending: str) -> None:
        """One that cannot be encrypted stays as it is, and keeps no other back."""
        try:
            call_id = call_id_of(path.name.removesuffix(ending))
        except ValueError:
            log.warning("a file in the folder of recordings is none of a call's")
            return
        try:
            with _alone(path) as mine:
                if mine:
                    await self._recordings.seal(path, call_id)
        except (OSError, CryptoError) as error:
            if path.name not in self._waiting:  # the next look is a second away
                self._waiting.add(path.name)
                log.warning("the recording of call %s waits: %s", call_id, type(error).__name__)
        else:
            self._waiting.discard(path.name)


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether the file is there and nobody else has it. The lock ends with the process."""
    try:
        file: BinaryIO = path.open("rb")
    except FileNotFoundError:  # another bridge was quicker
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield path.exists()
