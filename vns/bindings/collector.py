"""Answers requests that wait at the same time with one transaction: a commit costs the same for one row and for fifty.

Nothing is held back on purpose: a request that finds a free place starts at once, and what arrives while the places
are taken goes together into the next batch. Why: docs/decisions/0005-collected-allocations.md.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Waiting(Generic[Item, Answer]):
    item: Item
    distinct: Hashable | None
    answer: "asyncio.Future[Answer]"


class Collector(Generic[Item, Answer]):
    """`answer_all` gets up to `batch` items and returns one answer, or the error to raise, for each of them.

    `places`: batches under way at a time. Items with the same `distinct` value never share a batch.
    """

    def __init__(
        self,
        answer_all: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        batch: int = 64,
        places: int = 2,
    ) -> None:
        self._answer_all = answer_all
        self._batch = batch
        self._places = places
        self._waiting: deque[_Waiting[Item, Answer]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    async def ask(self, item: Item, *, distinct: Hashable | None = None) -> Answer:
        """Wait for the item's answer. Raises the item's own error."""
        waiting = _Waiting[Item, Answer](item, distinct, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._start()
        return await waiting.answer

    async def close(self) -> None:
        """Let what is under way finish."""
        while self._under_way:
            await asyncio.gather(*self._under_way)

    def _start(self) -> None:
        if self._waiting and len(self._under_way) < self._places:
            task = asyncio.create_task(self._run())
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._start()

    async def _run(self) -> None:
        while batch := self._next():
            try:
                answers = await self._answer_all([waiting.item for waiting in batch])
            except Exception as error:  # noqa: BLE001 - whatever went wrong belongs to those who wait
                answers = [error] * len(batch)
            for waiting, answer in zip(batch, answers, strict=True):
                _give(waiting, answer)

    def _next(self) -> list[_Waiting[Item, Answer]]:
        batch: list[_Waiting[Item, Answer]] = []
        left: list[_Waiting[Item, Answer]] = []
        seen: set[Hashable] = set()
        while self._waiting and len(batch) < self._batch:
            waiting = self._waiting.popleft()
            if waiting.answer.done():  # whoever asked is gone
                continue
            if waiting.distinct is not None and waiting.distinct in seen:
                left.append(waiting)
                continue
            seen.add(waiting.distinct)
            batch.append(waiting)
        self._waiting.extendleft(reversed(left))
        return batch


def _give(waiting: _Waiting[Item, Answer], answer: Answer | Exception) -> None:
    if waiting.answer.done():
        return
    if isinstance(answer, Exception):
        waiting.answer.set_exception(answer)
    else:
        waiting.answer.set_result(answer)
