"""Takes receipts from the links and writes results into MSG_DATA. The carrier is answered only once that is durable."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from sms_relay.agent.batches import Batches
from sms_relay.agent.sender import PartKey
from sms_relay.agent.store import PartResult, Store
from sms_relay.links.interface import Carrier, Receipt, TryLater
from sms_relay.npro.codes import NO_NET, Result, ResultCode, receipt_detail, receipt_result
from sms_relay.npro.database import NproError, Rejected
from sms_relay.npro.kst import KoreanClock, to_korean

_log = logging.getLogger(__name__)

HOLD_SECONDS = 15.0  # for how long a receipt waits for the id of its own message to be written

ErrorCodes = Mapping[Carrier, dict[str, ResultCode]]


class Receiver:
    """`handle` is the links' handler. `written(key)` waits for an id that is just being stored."""

    def __init__(
        self,
        store: Store,
        clock: KoreanClock,
        *,
        written: Callable[[PartKey], Awaitable[None]],
        finished: Callable[[Sequence[int]], None],
        error_codes: ErrorCodes,
        told: Callable[[Mapping[int, ResultCode]], None] | None = None,
    ) -> None:
        """`told` is given the codes of messages that a receipt has made final, by MSG_SEQ."""
        self.unknown = 0
        self._store = store
        self._clock = clock
        self._written = written
        self._finished = finished
        self._error_codes = error_codes
        self._told = told
        self._results: Batches[PartResult] = Batches(self._apply, alone_on=Rejected)

    async def run(self) -> None:
        """Writes batches of results until cancelled."""
        await self._results.run()

    async def handle(self, receipt: Receipt) -> None:
        """Raises TryLater while the database is away: the carrier keeps the receipt.

        What the tables reject by itself they will reject each time: it is not asked for again.
        """
        if not receipt.state.final:
            return
        try:
            async with asyncio.timeout(HOLD_SECONDS):
                await self._written((receipt.link, receipt.message_id))
            await self._results.add(self._part_result(receipt))
        except Rejected as error:
            _log.warning("%s: a receipt is dropped: %s", receipt.link, error)
        except (NproError, TimeoutError) as error:
            raise TryLater("the NPro database does not answer") from error

    def _part_result(self, receipt: Receipt) -> PartResult:
        by_error = self._error_codes.get(receipt.carrier)
        code = receipt_result(receipt.state.value, receipt.error_code, by_error)
        result = Result(
            code=code,
            detail=receipt_detail(code, receipt.error_code),
            at=self._done_at(receipt),
            net=receipt.carrier.value if code is ResultCode.SUCCESS else NO_NET,
        )
        return PartResult(link=receipt.link, message_id=receipt.message_id, result=result)

    def _done_at(self, receipt: Receipt) -> datetime:
        if receipt.done_at is not None:
            with suppress(OverflowError):  # a date on the edge of the calendar: the carrier knows none
                return to_korean(receipt.done_at)
        return self._clock.now()

    async def _apply(self, results: Sequence[PartResult]) -> None:
        applied = await self._store.apply(results)
        if applied.unknown:
            self.unknown += applied.unknown
            _log.info("%d receipts for messages that no longer wait for one", applied.unknown)
        if self._told is not None and applied.codes:
            self._told(applied.codes)
        if applied.finished:
            self._finished(applied.finished)
