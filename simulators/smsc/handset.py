"""A handset: binds to an SMSC and sends a text, as library and as `python -m simulators.smsc.handset`.

It binds as transmitter, so that the SMSC never takes it for the platform, whichever account it uses.
"""

import argparse
import asyncio
import secrets
import socket
import sys
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.pdu import Command, Status
from sms_relay.links.smpp.text import UCS2_CODING, Alphabet, NotEncodable, divide, header

KSC5601 = 0x0E
UDH_INDICATOR = 0x40
SINGLE_MAX = 140
PATIENCE = 15.0  # seconds for connecting, and for each answer


class HandsetError(Exception):
    """The SMSC refused, or did not answer."""


class Handset:
    """`async with Handset(url) as handset: await handset.send(…)`. `url` is smpp://id:password@host:port."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._framer = pdu.Framer()
        self._frames: list[bytes] = []
        self._sequence = 0
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(PATIENCE):
            self._reader, self._writer = await asyncio.open_connection(
                self._url.hostname or "127.0.0.1", self._url.port or 2775
            )
        self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bind = pdu.Bind(
            Command.BIND_TRANSMITTER,
            self._next(),
            unquote(self._url.username or ""),
            unquote(self._url.password or ""),
        )
        try:
            answer = await self._ask(bind)
        except BaseException:
            self._writer.close()
            raise
        if not isinstance(answer, pdu.BindResp) or answer.status != Status.OK:
            self._writer.close()
            raise HandsetError(f"bind refused: {getattr(answer, 'status', 0):#x}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def send(self, source: str, destination: str, text: str) -> tuple[str, ...]:
        """Sends one text in KS C 5601, else in UCS-2, in as many parts as it needs; returns the message
        ids.
        """
        try:
            coding, parts = KSC5601, divide(text, Alphabet.CP949, SINGLE_MAX)
        except NotEncodable:
            coding, parts = UCS2_CODING, divide(text, Alphabet.UCS2, SINGLE_MAX)
        reference = secrets.randbelow(256)
        ids: list[str] = []
        for number, part in enumerate(parts, 1):
            divided = len(parts) > 1
            message = pdu.Message(
                Command.SUBMIT_SM,
                self._next(),
                source,
                destination,
                header(reference, len(parts), number) + part if divided else part,
                data_coding=coding,
                esm_class=UDH_INDICATOR if divided else 0,
            )
            answer = await self._ask(message)
            if not isinstance(answer, pdu.MessageResp) or answer.status != Status.OK:
                raise HandsetError(f"text refused: {getattr(answer, 'status', 0):#x}")
            ids.append(answer.message_id)
        return tuple(ids)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    async def _ask(self, request: pdu.Bind | pdu.Message) -> pdu.Pdu:
        self._writer.write(pdu.encode(request))
        async with asyncio.timeout(PATIENCE):
            while True:
                unit = pdu.decode(await self._frame())
                if unit.command is Command.ENQUIRE_LINK:
                    self._writer.write(pdu.encode(pdu.Plain(Command.ENQUIRE_LINK_RESP, unit.sequence)))
                elif unit.sequence == request.sequence and unit.command & pdu.RESPONSE_BIT:
                    return unit

    async def _frame(self) -> bytes:
        while not self._frames:
            data = await self._reader.read(65_536)
            if not data:
                raise HandsetError("the SMSC closed the connection")
            self._frames += self._framer.feed(data)
        return self._frames.pop(0)


async def _send(arguments: argparse.Namespace) -> tuple[str, ...]:
    async with Handset(arguments.smsc) as handset:
        return await handset.send(arguments.source, arguments.destination, arguments.text)


def main() -> int:
    parser = argparse.ArgumentParser(description="Sends a text as a handset.")
    parser.add_argument("--smsc", required=True, help="smpp://id:password@host:port")
    parser.add_argument("--from", dest="source", required=True)
    parser.add_argument("--to", dest="destination", required=True)
    parser.add_argument("text")
    try:
        ids = asyncio.run(_send(parser.parse_args()))
    except (HandsetError, OSError, TimeoutError, pdu.PduError) as error:
        print(error or type(error).__name__, file=sys.stderr)
        return 1
    print(" ".join(ids))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
