"""Files that the agent has made are deleted when they are old enough."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sms_relay.agent.wakeup import Wakeup

_log = logging.getLogger(__name__)

SWEEP_SECONDS = 3600.0
DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A folder whose files are deleted when they are older than `days`."""

    folder: Path
    days: float


async def sweeping(kept: Sequence[Kept]) -> None:
    """Looks once an hour until cancelled."""
    while True:
        for one in kept:
            await asyncio.to_thread(sweep, one, time.time())
        await Wakeup().wait(SWEEP_SECONDS)


def sweep(kept: Kept, now: float) -> int:
    """Deletes old files of one folder, neither folders in it nor what links lead to. Returns how many."""
    deleted = 0
    try:
        for path in kept.folder.iterdir():
            if not path.is_symlink() and path.is_file() and path.stat().st_mtime < now - kept.days * DAY_SECONDS:
                path.unlink(missing_ok=True)
                deleted += 1
    except FileNotFoundError:
        return deleted  # nothing has been kept yet
    except OSError as error:
        _log.warning("old files of a folder cannot be deleted (%s)", type(error).__name__)
    if deleted:
        _log.info("%d files beyond their life time deleted", deleted)
    return deleted
