"""Waiting for a hint or for a time, whichever comes first."""

import asyncio


class Wakeup:
    """A hint that is not lost when it comes while nobody waits; many hints are one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Returns after a hint (True) or after `seconds` (False)."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
