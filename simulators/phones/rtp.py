"""The voice of one phone: packets that carry its mark, and a count of the marks it hears."""

import asyncio
import os
import struct
from collections import Counter
from typing import Self, cast

PACKET_SECONDS = 0.02
SAMPLES = 160  # of 8 kHz in one packet
PCMA = 8  # payload type
HEADER = 12  # bytes
MARK = 16  # bytes


class Voice(asyncio.DatagramProtocol):
    """Sends its mark every 20 ms from `aim()` on, as G.711 payload that passes an untranscoded bridge unchanged."""

    def __init__(self) -> None:
        self.mark = os.urandom(MARK)
        self.sent = 0
        self.heard: Counter[bytes] = Counter()
        self._transport: asyncio.DatagramTransport | None = None
        self._sending: asyncio.Task[None] | None = None
        self._target: tuple[str, int] | None = None

    @classmethod
    async def open(cls, address: str) -> Self:
        """On a free port of `address`."""
        _, voice = await asyncio.get_running_loop().create_datagram_endpoint(cls, local_addr=(address, 0))
        return voice

    @property
    def port(self) -> int:
        if self._transport is None:
            raise RuntimeError("the socket is not open")
        return int(self._transport.get_extra_info("sockname")[1])

    @property
    def packets(self) -> int:
        """All that was received, marked or not (a prompt is not)."""
        return self.heard.total()

    def aim(self, host: str, port: int) -> None:
        """Talk to this address, from the first call of this method on."""
        self._target = (host, port)
        if self._sending is None:
            self._sending = asyncio.create_task(self._talk())

    async def close(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # CPython 3.11's class does not say so

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) > HEADER and data[0] >> 6 == 2:  # version 2; RTCP comes on another port
            self.heard[data[HEADER : HEADER + MARK]] += 1

    def error_received(self, exc: Exception) -> None:
        """The other side has closed its port at the end of the call."""

    async def _talk(self) -> None:
        payload = self.mark * (SAMPLES // MARK)
        source = int.from_bytes(os.urandom(4), "big")
        while self._transport is not None and not self._transport.is_closing():
            header = struct.pack("!BBHII", 0x80, PCMA, self.sent & 0xFFFF, self.sent * SAMPLES, source)
            self._transport.sendto(header + payload, self._target)
            self.sent += 1
            await asyncio.sleep(PACKET_SECONDS)
