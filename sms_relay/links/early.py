"""Receipts that overtake the answer to their submit.

What passes wakes up in a later turn of the event loop than the one that calls `end`: the sender, who gets the
outcome in that turn, is always ahead of it.

An SMSC may deliver so fast that the receipt is there before the submit response that names the message.
Such a receipt waits until its id is known to whoever sent the message, until every submit that was on its
way when it came has its outcome (then it belongs to none of them), or until its patience is over.
"""

import asyncio
from collections import OrderedDict, deque

REMEMBERED = 20_000  # ids whose receipts need no look at what is on its way


class EarlyReceipts:
    """Owned by one link. `begin` before the first byte of a submit, `end` right before its outcome is returned."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._last = 0
        self._on_their_way: dict[int, None] = {}
        self._known: OrderedDict[str, None] = OrderedDict()
        self._by_id: dict[str, list[asyncio.Future[None]]] = {}
        self._in_order: deque[tuple[int, asyncio.Future[None]]] = deque()

    def begin(self) -> int:
        self._last += 1
        self._on_their_way[self._last] = None
        return self._last

    def end(self, ticket: int, message_ids: tuple[str, ...]) -> None:
        """The sender has the outcome of `ticket`: receipts for its ids may pass, and those that belong
        nowhere.
        """
        self._on_their_way.pop(ticket, None)
        for message_id in message_ids:
            self._known[message_id] = None
            for held in self._by_id.get(message_id, ()):
                _release(held)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        oldest = next(iter(self._on_their_way), None)
        while self._in_order and (oldest is None or oldest > self._in_order[0][0]):
            _release(self._in_order.popleft()[1])

    async def passes(self, message_id: str) -> None:
        """Returns when the receipt may be handed on."""
        if not self._on_their_way or message_id in self._known:
            return
        held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._by_id.setdefault(message_id, []).append(held)
        self._in_order.append((self._last, held))
        try:
            await asyncio.wait((held,), timeout=self._patience)
        finally:
            _release(held)
            waiting = self._by_id[message_id]
            waiting.remove(held)
            if not waiting:
                del self._by_id[message_id]

    @property
    def held(self) -> int:
        """Receipts waiting now."""
        return sum(len(waiting) for waiting in self._by_id.values())


def _release(held: asyncio.Future[None]) -> None:
    if not held.done():
        held.set_result(None)
