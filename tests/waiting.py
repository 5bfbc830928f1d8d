"""Waiting for what sends no signal: a file, a port, a row. The one place where tests look again after a moment."""

import asyncio
from collections.abc import Awaitable, Callable

LOOK_EVERY = 0.05  # seconds
PATIENCE = 60.0  # seconds


async def until(condition: Callable[[], Awaitable[bool]], *, patience: float = PATIENCE) -> None:
    """Returns once `condition()` holds. Raises TimeoutError after `patience` seconds."""
    async with asyncio.timeout(patience):
        while not await condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(LOOK_EVERY)
