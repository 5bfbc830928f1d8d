"""How busy the machine is, and for how long questions may therefore gather before they are answered together.

What a question costs is mostly memory that has to be fetched into the processor's caches anew, as hundreds of other
things have run since the last one (docs/decisions/0053-questions-gather-on-a-busy-machine.md). Of several in a row only
the first pays that. While processors are idle nobody saves anything by waiting, so nobody waits.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psutil

FROM: Final = 0.7  # busy share of all processors from which on questions gather
FULLY: Final = 0.85  # and from which on for as long as they ever do
LONGEST: Final = 0.01  # seconds. The kernel acknowledges half a question by itself after 0.04 (ivr.agi.server)
LOOK_EVERY: Final = 0.5  # seconds


def gathering(busy: float) -> float:
    """Seconds between answering and answering again, for a share from 0 to 1. It grows with the load, so that what is
    saved by it does not turn it off and on."""
    return LONGEST * min(1.0, max(0.0, (busy - FROM) / (FULLY - FROM)))


class MachineLoad:
    """Looked at by `run`, its owner's task; without it the machine counts as idle."""

    def __init__(self, busy_percent: Callable[[], float] = psutil.cpu_percent) -> None:
        """`busy_percent`: of all processors together, since it was asked last; what is said first is not used."""
        self._busy_percent = busy_percent
        self._busy = 0.0

    def gathering(self) -> float:
        """Seconds, now."""
        return gathering(self._busy)

    async def run(self) -> None:
        """Until cancelled."""
        with suppress(OSError):
            self._busy_percent()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                self._busy = self._busy_percent() / 100
            except OSError:  # no file is left to open: nobody knows then, and calls go on
                self._busy = 0.0
