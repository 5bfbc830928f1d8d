"""Watches who calls: limits that each bridge keeps at once, and scanners whom it puts on the list."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from vns.abuse.flags import CallerFlags
from vns.abuse.rules import MISSES, WINDOW, FlagReason, FlagStatus, Policy, window_of
from vns.abuse.tally import Noted, Tally
from vns.errors import VnsError
from vns.routing.rules import Reason
from vns.storage.database import AWAY

log = logging.getLogger(__name__)

FLUSH_EVERY = 0.1  # seconds
TRUSTED_KEPT = 5.0  # seconds that the list of trusted callers is kept
LONGEST_EXTENSION = 8  # digits; who types a whole telephone number is not to leave it in Redis
MINUTE = int(WINDOW.total_seconds())


class Watch:
    """One bridge's. `exceeded` is asked before a call is decided, `note` told afterwards; neither waits for anybody.

    Limits are therefore kept with a delay of FLUSH_EVERY: a burst may go a few calls over.
    """

    def __init__(self, flags: CallerFlags, tally: Tally, policy: Policy) -> None:
        self._flags = flags
        self._tally = tally
        self._policy = policy
        self._noted = Noted()
        self._masked: dict[str, tuple[bytes, str]] = {}  # of the scan keys in self._noted
        self._full: dict[str, int] = {}  # keys that reached their limit: their window
        self._trusted: frozenset[bytes] = frozenset()

    def exceeded(self, caller: bytes | None, vn: int | None, at: datetime) -> str | None:
        """Which limit this call would go over, in words; None for none.

        `caller`: blind index, None where withheld. `vn`: key, None where what was dialled is no virtual number.
        """
        if caller in self._trusted:
            return None
        window = window_of(at)
        if vn is not None and self._full.get(_number_key(vn, window)) == window:
            return f"more than {self._policy.calls_per_number} calls a minute to this number"
        if caller is not None and self._full.get(_caller_key(caller, window)) == window:
            return f"more than {self._policy.calls_per_caller} calls a minute from this caller"
        return None

    def note(
        self,
        caller: bytes | None,
        masked: str | None,
        vn: int | None,
        at: datetime,
        refused: Reason | None,
        digits: str | None = None,
    ) -> None:
        """One call that was decided; `refused` None: it was connected.

        `digits`: an extension that was tried. It is the same call still, and another guess.
        """
        if caller in self._trusted:
            return
        if digits is None:
            self._count(caller, vn, window_of(at))
        if caller is not None and self._policy.scan_numbers and refused in MISSES and vn is not None:
            key = f"vns:scan:{caller.hex()}"
            guess = str(vn) if digits is None else f"{vn}*{digits[:LONGEST_EXTENSION]}"
            self._noted.join(key, guess, int(self._policy.scan_window.total_seconds()))
            self._masked[key] = (caller, masked or "")

    def _count(self, caller: bytes | None, vn: int | None, window: int) -> None:
        if self._policy.calls_per_number and vn is not None:
            self._noted.count(_number_key(vn, window), 2 * MINUTE)
        if self._policy.calls_per_caller and caller is not None:
            self._noted.count(_caller_key(caller, window), 2 * MINUTE)

    async def run(self) -> None:
        """Until cancelled. Without PostgreSQL calls are counted on, and a scanner is noticed at its next call."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_trusted())
            tasks.create_task(self._flush_on())

    async def _read_trusted(self) -> None:
        while True:
            with _noted_in_the_log():
                self._trusted = await self._flags.trusted()
            await asyncio.sleep(TRUSTED_KEPT)

    async def _flush_on(self) -> None:
        while True:
            with _noted_in_the_log():
                await self.flush()
            await asyncio.sleep(FLUSH_EVERY)

    async def flush(self) -> None:
        """Count what was noted since the last time, and act on what is too much. Raises Unavailable."""
        if not self._noted:
            return
        noted, masked = self._noted, self._masked
        self._noted, self._masked = Noted(), {}
        totals = await self._tally.add(noted)
        newest = max((_window(key) for key in noted.counts), default=0)
        self._full = {key: window for key, window in self._full.items() if window >= newest - 1}
        for key, total in totals.items():
            if key in masked:
                if total >= self._policy.scan_numbers:
                    await self._stop_scanner(*masked[key], total)
            elif total >= self._limit(key):
                self._full[key] = _window(key)

    async def _stop_scanner(self, caller: bytes, masked: str, counted: int) -> None:
        until = self._flags.now() + self._policy.scan_stop
        if await self._flags.flag(caller, masked, FlagReason.SCANNING, FlagStatus.STOPPED, counted, until):
            log.warning("caller %s tried %d numbers that are not for it: stopped", masked, counted)

    def _limit(self, key: str) -> int:
        return self._policy.calls_per_number if key.startswith("vns:to:") else self._policy.calls_per_caller


@contextmanager
def _noted_in_the_log() -> Iterator[None]:
    """What does not answer now is asked again in the next round."""
    try:
        yield
    except (VnsError, *AWAY) as error:
        log.warning("watching callers: %s", type(error).__name__)


def _caller_key(caller: bytes, window: int) -> str:
    return f"vns:from:{caller.hex()}:{window}"


def _number_key(vn: int, window: int) -> str:
    return f"vns:to:{vn}:{window}"


def _window(key: str) -> int:
    return int(key.rpartition(":")[2])
