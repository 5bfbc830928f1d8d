"""Log lines that cannot become a flood: a peer that misbehaves a thousand times a second is worth a line a
minute.
"""

import logging
import time
from collections.abc import Callable


class Quiet:
    """Writes each kind of line at most once per `interval` seconds, with the number left out since."""

    def __init__(
        self, logger: logging.Logger, interval: float = 60, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._interval = interval
        self._clock = clock
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, kind: str, message: str, *args: object) -> None:
        """`kind` names the line; `message` and `args` as in logging, without anybody's number or text."""
        now = self._clock()
        last = self._last.get(kind)
        if last is not None and now - last < self._interval:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._last[kind] = now
        left_out = self._left_out.pop(kind, 0)
        suffix = f" ({left_out} more since the last such line)" if left_out else ""
        self._logger.warning(message + suffix, *args)
