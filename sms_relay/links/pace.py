"""The pace at which a link may send: the agreed rate, and pauses while a carrier has too much to do."""

import asyncio

_LONGEST_PAUSE = 8.0  # seconds


class Pace:
    """The agreed rate, evenly spread, and the pauses a throttling carrier asks for. Times are the loop's."""

    def __init__(self, rate: float, first_pause: float) -> None:
        self._step = 1 / rate if rate else 0.0
        self._first_pause = first_pause
        self._pause = first_pause
        self._next = 0.0
        self._closed_until = 0.0

    async def turn(self) -> None:
        """Returns when the next submit may leave."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            if self._closed_until > now:
                await asyncio.sleep(self._closed_until - now)
                continue
            if not self._step:
                return
            mine = max(self._next, now)
            self._next = mine + self._step
            if mine > now:
                await asyncio.sleep(mine - now)
            return

    def throttled(self) -> None:
        """The carrier said too fast: nothing leaves for a while, longer each time in a row."""
        now = asyncio.get_running_loop().time()
        if self._closed_until > now:
            return  # an answer to something sent before the pause
        self._closed_until = now + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def accepted(self) -> None:
        self._pause = self._first_pause

    def pause_of(self, attempt: int) -> float:
        """Seconds before one message is offered again that met a full queue."""
        return min(self._first_pause * 2.0**attempt, _LONGEST_PAUSE)
