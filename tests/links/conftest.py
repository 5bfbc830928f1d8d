"""An SMSC under the test's own hand, on a real socket: every PDU in and out is the test's decision."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.config import SmppLinkConfig
from sms_relay.links.smpp.link import SmppLink
from sms_relay.links.smpp.pdu import Command
from tests.links.smpp_inbox import Inbox

PATIENCE = 20.0  # seconds before a test gives up; nothing is expected to take long


class Wire:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._framer = pdu.Framer()
        self._frames: list[bytes] = []
        self._sequence = 1000

    async def next(self) -> pdu.Pdu:
        """The next PDU of the ESME. Raises EOFError when it closed."""
        async with asyncio.timeout(PATIENCE):
            while not self._frames:
                data = await self._reader.read(65_536)
                if not data:
                    raise EOFError
                self._frames += self._framer.feed(data)
        return pdu.decode(self._frames.pop(0))

    async def expect(self, command: Command) -> Any:
        unit = await self.next()
        assert unit.command is command, f"{unit.command!r} came, {command!r} was expected"
        return unit

    def send(self, *units: pdu.Pdu | bytes) -> None:
        self.writer.write(b"".join(unit if isinstance(unit, bytes) else pdu.encode(unit) for unit in units))

    def number(self) -> int:
        self._sequence += 1
        return self._sequence

    async def fence(self) -> list[Any]:
        """Everything the ESME has said by the time it answers an enquire_link sent now."""
        mark = self.number()
        self.send(pdu.Plain(Command.ENQUIRE_LINK, mark))
        before: list[Any] = []
        while True:
            unit = await self.next()
            if unit.command is Command.ENQUIRE_LINK_RESP and unit.sequence == mark:
                return before
            before.append(unit)

    async def bind(self) -> pdu.Bind:
        bind: pdu.Bind = await self.expect(Command.BIND_TRANSCEIVER)
        self.send(pdu.BindResp(Command.BIND_TRANSCEIVER_RESP, bind.sequence, 0, "smsc"))
        return bind

    def accept(self, submit: pdu.Message, message_id: str) -> None:
        self.send(pdu.MessageResp(Command.SUBMIT_SM_RESP, submit.sequence, 0, message_id))

    def deliver(self, text: bytes, **fields: Any) -> int:
        sequence = self.number()
        values: dict[str, Any] = {"source": "01012345678", "destination": "07081234567", **fields}
        self.send(pdu.Message(Command.DELIVER_SM, sequence, short_message=text, **values))
        return sequence

    def receipt(self, message_id: str, stat: str = "DELIVRD") -> int:
        return self.deliver(f"id:{message_id} stat:{stat} err:000".encode(), esm_class=4)

    def cut(self) -> None:
        self.writer.transport.abort()


class ScriptedSmsc:
    def __init__(self) -> None:
        self.port = 0
        self._came: asyncio.Queue[Wire] = asyncio.Queue()
        self._wires: list[Wire] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        self._wires.append(wire)
        self._came.put_nowait(wire)

    async def connection(self) -> Wire:
        async with asyncio.timeout(PATIENCE):
            return await self._came.get()

    def close(self) -> None:
        for wire in self._wires:
            wire.cut()


@pytest.fixture
async def smsc() -> AsyncIterator[ScriptedSmsc]:
    scripted = ScriptedSmsc()
    server = await asyncio.start_server(scripted.take, "127.0.0.1", 0)
    scripted.port = server.sockets[0].getsockname()[1]
    yield scripted
    scripted.close()
    server.close()


LinkMaker = Callable[..., Awaitable[SmppLink]]


@pytest.fixture
async def make_link(smsc: ScriptedSmsc) -> AsyncIterator[LinkMaker]:
    """Makes running links towards the scripted SMSC; keyword arguments are settings of the link."""
    tasks: list[asyncio.Task[None]] = []

    async def make(**settings: Any) -> SmppLink:
        settings.setdefault("url", f"smpp://vns:secret@127.0.0.1:{smsc.port}")
        settings.setdefault("backoff_first", 0.01)
        link = SmppLink(SmppLinkConfig(**settings))
        tasks.append(asyncio.create_task(link.run()))
        return link

    yield make
    smsc.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()
