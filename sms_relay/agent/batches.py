"""Group commit: what many tasks want written is written by one transaction at a time, and each learns when its part
is durable.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Batches(Generic[Item]):
    """While one batch is being written the next one gathers. `run()` is a task of the owner."""

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[None]],
        *,
        alone_on: type[Exception],
        most: int = 500,
    ) -> None:
        """`alone_on`: after this error each item of the batch is written alone, so that one cannot spoil others."""
        self._write = write
        self._alone_on = alone_on
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[None]]] = []
        self._some = asyncio.Event()

    async def add(self, item: Item) -> None:
        """Returns once `item` is written. Raises what writing its batch raised: then nothing of the batch is."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        self._some.set()
        await done

    async def run(self) -> None:
        """Writes until cancelled; whoever waits then is cancelled too."""
        try:
            while True:
                await self._some.wait()
                await self._write_some()
        finally:
            for _, done in self._waiting:
                done.cancel()

    async def _write_some(self) -> None:
        batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        if not self._waiting:
            self._some.clear()
        try:
            await self._settle(batch)
        finally:
            for _, done in batch:
                done.cancel()  # no effect on those that are settled

    async def _settle(self, batch: "Sequence[tuple[Item, asyncio.Future[None]]]") -> None:
        try:
            await self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - it is raised again in every task that waits for this batch
            if isinstance(error, self._alone_on) and len(batch) > 1:
                for single in batch:
                    await self._settle([single])
                return
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
        else:
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
