"""What the tests of links use on both sides of a link: a place for what comes in, and texts to be sent."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from sms_relay.links.interface import Incoming, Outgoing, Receipt, SubmitOutcome
from sms_relay.links.smpp.link import SmppLink

PATIENCE = 20.0


@dataclass
class Inbox:
    """Takes what a link hands over; a test awaits the next piece."""

    texts: asyncio.Queue[Incoming] = field(default_factory=asyncio.Queue)
    receipts: asyncio.Queue[Receipt] = field(default_factory=asyncio.Queue)

    def attach(self, link: SmppLink) -> None:
        async def text(incoming: Incoming) -> None:
            self.texts.put_nowait(incoming)

        async def receipt(receipt: Receipt) -> None:
            self.receipts.put_nowait(receipt)

        link.on_incoming, link.on_receipt = text, receipt

    async def text(self) -> Incoming:
        async with asyncio.timeout(PATIENCE):
            return await self.texts.get()

    async def receipt(self) -> Receipt:
        async with asyncio.timeout(PATIENCE):
            return await self.receipts.get()


def outgoing(text: str = "안녕하세요", number: int = 1, **fields: Any) -> Outgoing:
    values = {"source": "07081234567", "destination": f"010{number:08d}", **fields}
    return Outgoing(id=str(number), text=text, **values)


def start(link: SmppLink, message: Outgoing) -> asyncio.Task[SubmitOutcome]:
    return asyncio.create_task(link.submit(message))


async def done(task: asyncio.Task[SubmitOutcome]) -> SubmitOutcome:
    async with asyncio.timeout(PATIENCE):
        return await task


async def bound(make_link: Any, smsc: Any, **settings: Any) -> tuple[SmppLink, Any]:
    """A link that is connected, and the SMSC's end of it."""
    link = await make_link(**settings)
    wire = await smsc.connection()
    await wire.bind()
    async with asyncio.timeout(PATIENCE):
        await link.wait_connected()
    return link, wire
