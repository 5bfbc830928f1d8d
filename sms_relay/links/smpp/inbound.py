"""What an SMSC hands over: texts from handsets, whole or in parts, and receipts. Gives the status it is
answered.

Nothing is answered with success before it is safe: a text or a receipt when its handler returned, a part of a
long text when it is in the part store.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta, timezone

from sms_relay.links.early import EarlyReceipts
from sms_relay.links.interface import Incoming, IncomingHandler, Receipt, ReceiptHandler, TryLater
from sms_relay.links.quiet import Quiet
from sms_relay.links.smpp.config import SmppLinkConfig
from sms_relay.links.smpp.parts import Gathered, Part, PartKey, PartStore
from sms_relay.links.smpp.pdu import Message, Status, Tag
from sms_relay.links.smpp.receipts import ReceiptHabits, is_receipt, parse_receipt
from sms_relay.links.smpp.text import Concatenation, decode_text, sar, strip_header

log = logging.getLogger(__name__)

_UDH_INDICATOR = 0x40

_Mark = tuple[PartKey, int]
"""Of a text in parts: its key and epoch."""


@dataclass(slots=True)
class Handlers:
    """Who takes what comes in; set by the owner of the link, None until then."""

    incoming: IncomingHandler | None = None
    receipt: ReceiptHandler | None = None


class Inbound:
    """One per link; outlives its sessions."""

    def __init__(
        self, config: SmppLinkConfig, handlers: Handlers, early: EarlyReceipts, store: PartStore, quiet: Quiet
    ) -> None:
        self._config = config
        self._handlers = handlers
        self._early = early
        self._store = store
        self._quiet = quiet
        self._habits = ReceiptHabits(
            in_text=config.receipt_ids,
            in_parameter=config.parameter_ids or config.response_ids,
            zone=timezone(timedelta(minutes=config.utc_offset_minutes)),
        )
        self._handing_over: set[_Mark] = set()
        self._recorded: dict[_Mark, tuple[Part, ...]] = {}  # whose parts are still to be erased
        self._finishing: set[asyncio.Task[None]] = set()

    async def take(self, message: Message, session_id: str) -> int:
        """The command_status for one deliver_sm. Never raises but for cancellation."""
        try:
            async with asyncio.timeout(self._config.handler_timeout):
                if is_receipt(message):
                    return await self._take_receipt(message)
                return await self._take_text(message, session_id)
        except TryLater as later:
            return Status.QUEUE_FULL if later.queue_full else Status.SYSTEM_ERROR
        except TimeoutError:
            self._quiet.warning("slow", "%s: a handler took too long; not acknowledged", self._config.name)
            return Status.SYSTEM_ERROR
        except Exception as error:  # noqa: BLE001 whatever failed, the carrier must keep what was not stored
            self._quiet.warning(
                "failed",
                "%s: a handler failed (%s); not acknowledged",
                self._config.name,
                type(error).__name__,
            )
            return Status.SYSTEM_ERROR

    async def _take_receipt(self, message: Message) -> int:
        parsed = parse_receipt(message, self._habits)
        if parsed.message_id is None:
            self._quiet.warning("nameless", "%s: a receipt that names no message is dropped", self._config.name)
            return Status.OK
        await self._early.passes(parsed.message_id)
        if self._handlers.receipt is None:
            raise TryLater("nobody takes receipts yet")
        await self._handlers.receipt(
            Receipt(
                message_id=parsed.message_id,
                state=parsed.state,
                error_code=parsed.error_code,
                carrier=self._config.carrier,
                done_at=parsed.done_at,
                link=self._config.name,
            )
        )
        return Status.OK

    async def _take_text(self, message: Message, session_id: str) -> int:
        place, raw = _place(message)
        if place is None:
            await self._hand_over(
                Incoming(
                    source=message.source,
                    destination=message.destination,
                    text=self._decode(raw, message.data_coding),
                    raw=raw,
                    data_coding=message.data_coding,
                    link=self._config.name,
                    session_id=session_id,
                )
            )
            return Status.OK
        key = PartKey(self._config.name, message.source, message.destination, place.bits, place.reference, place.total)
        part = Part(place.sequence, message.data_coding, raw)
        gathered = await self._store.add(key, part, time.time())
        if gathered is not None:
            await self._hand_over_parts(gathered, session_id)
        return Status.OK

    async def _hand_over_parts(self, gathered: Gathered, session_id: str) -> None:
        """One at a time per text: the sweep and a repeated last part may meet here.

        A text that is recorded is acknowledged, whatever becomes of its parts: refused, its last part would come again
        and make a second text of them.
        """
        mark = (gathered.key, gathered.epoch)
        if mark in self._handing_over:
            raise TryLater("the same text is being handed over")
        self._handing_over.add(mark)
        try:
            if self._recorded.get(mark) != gathered.parts:
                await self._hand_over(self._joined(gathered, session_id))
                self._recorded[mark] = gathered.parts
            # Not ended by the deadline of a part: nobody could tell whether the file still has it.
            finishing = asyncio.create_task(self._finish(mark, gathered))
            self._finishing.add(finishing)
            finishing.add_done_callback(self._finishing.discard)
            await asyncio.shield(finishing)
        finally:
            self._handing_over.discard(mark)

    async def _finish(self, mark: _Mark, gathered: Gathered) -> None:
        """Parts that cannot be erased now are erased by a later sweep, and not handed over by it."""
        try:
            await self._store.finish(gathered, time.time())
        except Exception as error:  # noqa: BLE001 - the text is recorded: whatever failed, nobody is to repeat it
            self._quiet.warning(
                "finish", "%s: parts of a recorded text stay for now (%s)", self._config.name, type(error).__name__
            )
        else:
            self._recorded.pop(mark, None)

    def _joined(self, gathered: Gathered, session_id: str) -> Incoming:
        """Bytes are joined before they are read: some handsets divide in the middle of a character."""
        codings = {part.data_coding for part in gathered.parts}
        raw = b"".join(part.raw for part in gathered.parts)
        coding = gathered.parts[0].data_coding
        if len(codings) == 1:
            text = self._decode(raw, coding)
        else:
            texts = [self._decode(part.raw, part.data_coding) for part in gathered.parts]
            text = None if None in texts else "".join(piece or "" for piece in texts)
        return Incoming(
            source=gathered.key.source,
            destination=gathered.key.destination,
            text=text,
            raw=raw,
            data_coding=coding,
            link=self._config.name,
            session_id=session_id,
            parts=len(gathered.parts),
            missing=gathered.missing,
            reference=gathered.key.reference,
        )

    def _decode(self, raw: bytes, data_coding: int) -> str | None:
        return decode_text(raw, data_coding, self._config.default_alphabet)

    def _hand_over(self, incoming: Incoming) -> Awaitable[None]:
        if self._handlers.incoming is None:
            raise TryLater("nobody takes texts yet")
        return self._handlers.incoming(incoming)

    async def sweep_forever(self) -> None:
        """Hands over what stays incomplete; the owner cancels it."""
        while True:
            await asyncio.sleep(min(self._config.parts_timeout / 4, 30))
            await self.sweep(time.time())

    async def sweep(self, now: float) -> None:
        """One round. A text whose handler cannot take it stays for the next, and all do while they cannot be read."""
        try:
            due = await self._store.due(self._config.name, now - self._config.parts_timeout, self._config.parts_limit)
        except Exception as error:  # noqa: BLE001 - locked, damaged, no descriptor left: the link goes on
            self._quiet.warning("due", "%s: parts cannot be read (%s)", self._config.name, type(error).__name__)
            return
        for gathered in due:
            try:
                async with asyncio.timeout(self._config.handler_timeout):
                    await self._hand_over_parts(gathered, f"{self._config.name}:parts")
            except Exception as error:  # noqa: BLE001 whatever failed, the parts stay and the sweep goes on
                self._quiet.warning(
                    "sweep", "%s: an incomplete text waits (%s)", self._config.name, type(error).__name__
                )


def _place(message: Message) -> tuple[Concatenation | None, bytes]:
    """Which part this is, from its header or its sar parameters; None for a whole text. And its bytes."""
    content = message.content
    place: Concatenation | None = None
    if message.esm_class & _UDH_INDICATOR:
        place, content = strip_header(content)
    if place is None and Tag.SAR_REFERENCE in message.tlvs:
        place = sar(
            message.tlvs[Tag.SAR_REFERENCE],
            message.tlvs.get(Tag.SAR_TOTAL, b""),
            message.tlvs.get(Tag.SAR_SEQUENCE, b""),
        )
    return place, content
