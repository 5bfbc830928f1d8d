"""An SMSC that behaves as carriers do over crashes of its customer: it keeps what was not acknowledged, and remembers.

Texts given to `deliver` are offered until they are acknowledged with status 0, again in every new session. Every
submit_sm is written down when it arrives, answered, and followed by a receipt that is offered until acknowledged.
"""

import asyncio
import itertools
from dataclasses import dataclass, field

from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.pdu import Command, Tag

PATIENCE = 60.0


@dataclass
class Offered:
    """Something for the customer. `acknowledged` is set by a positive answer."""

    source: str
    destination: str
    content: bytes
    esm_class: int = 0
    data_coding: int = 0x0E
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def long(self) -> bool:
        return len(self.content) > 254


@dataclass(frozen=True)
class Submitted:
    source: str
    destination: str
    content: bytes
    esm_class: int
    data_coding: int

    @property
    def text(self) -> str:
        """Of a single message."""
        return self.content.decode("utf-16-be" if self.data_coding == 8 else "cp949")


class KeepingSmsc:
    """Listens on a free port; `submits` is the history."""

    def __init__(self) -> None:
        self.port = 0
        self.submits: list[Submitted] = []
        self.refusals = 0
        self.sessions = 0
        self.silent = False  # takes submits without ever answering them
        self._kept: list[Offered] = []
        self._writer: asyncio.StreamWriter | None = None
        self._offered: dict[int, Offered] = {}
        self._numbers = itertools.count(1)
        self._ids = itertools.count(0x51A0)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """The line breaks."""
        if self._writer is not None:
            self._writer.transport.abort()

    def deliver(self, source: str, destination: str, text: str) -> Offered:
        return self._keep(Offered(source, destination, text.encode("cp949")))

    def deliver_parts(self, source: str, destination: str, text: str, *, characters: int = 60) -> list[Offered]:
        """The text as a handset sends a long one: parts with a user data header."""
        pieces = [text[at : at + characters].encode("cp949") for at in range(0, len(text), characters)]
        headers = (bytes([5, 0, 3, 77, len(pieces), number]) for number in range(1, len(pieces) + 1))
        return [
            self._keep(Offered(source, destination, header + piece, esm_class=0x40))
            for header, piece in zip(headers, pieces, strict=True)
        ]

    async def taken(self, *offered: Offered) -> None:
        """Until all of them are acknowledged."""
        async with asyncio.timeout(PATIENCE):
            for one in offered:
                await one.acknowledged.wait()

    def _keep(self, offered: Offered) -> Offered:
        self._kept.append(offered)
        self._offer(offered)
        return offered

    def _offer(self, offered: Offered) -> None:
        if self._writer is None:
            return
        number = next(self._numbers)
        self._offered[number] = offered
        message = pdu.Message(
            Command.DELIVER_SM,
            number,
            offered.source,
            offered.destination,
            b"" if offered.long else offered.content,
            data_coding=offered.data_coding,
            esm_class=offered.esm_class,
            tlvs={Tag.MESSAGE_PAYLOAD: offered.content} if offered.long else {},
        )
        self._writer.write(pdu.encode(message))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = pdu.Framer()
        self._offered = {}
        try:
            while data := await reader.read(65_536):
                for frame in framer.feed(data):
                    self._answer(pdu.decode(frame), writer)
        except ConnectionError:
            pass
        finally:
            if self._writer is writer:
                self._writer = None
            writer.close()

    def _answer(self, unit: object, writer: asyncio.StreamWriter) -> None:
        match unit:
            case pdu.Bind():
                writer.write(pdu.encode(pdu.BindResp(Command.BIND_TRANSCEIVER_RESP, unit.sequence, 0, "keeper")))
                self._writer = writer
                self.sessions += 1
                for offered in list(self._kept):
                    self._offer(offered)
            case pdu.Message(command=Command.SUBMIT_SM):
                self._take(unit, writer)
            case pdu.MessageResp(command=Command.DELIVER_SM_RESP):
                self._acknowledged(unit)
            case pdu.Plain(command=Command.ENQUIRE_LINK):
                writer.write(pdu.encode(pdu.Plain(Command.ENQUIRE_LINK_RESP, unit.sequence)))
            case pdu.Plain(command=Command.UNBIND):
                writer.write(pdu.encode(pdu.Plain(Command.UNBIND_RESP, unit.sequence)))

    def _take(self, unit: pdu.Message, writer: asyncio.StreamWriter) -> None:
        self.submits.append(
            Submitted(unit.source, unit.destination, unit.short_message, unit.esm_class, unit.data_coding)
        )
        if self.silent:
            return
        message_id = f"{next(self._ids):X}"
        writer.write(pdu.encode(pdu.MessageResp(Command.SUBMIT_SM_RESP, unit.sequence, 0, message_id)))
        content = f"id:{message_id} sub:001 dlvrd:001 stat:DELIVRD err:000".encode()
        self._keep(Offered(unit.destination, unit.source, content, esm_class=4, data_coding=0))

    def _acknowledged(self, unit: pdu.MessageResp) -> None:
        offered = self._offered.pop(unit.sequence, None)
        if offered is None:
            return
        if unit.status == 0:
            offered.acknowledged.set()
            if offered in self._kept:
                self._kept.remove(offered)
        else:
            self.refusals += 1
            self._offer(offered)
