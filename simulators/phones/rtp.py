"""The voice of one phone: packets that carry its mark, and a count of the marks it hears."""

import asyncio
import os
import struct
from collections import Counter
from typing import Self, cast

PACKET_SECONDS = 0.02
SAMPLES = 160  # of 8 kHz in one packet
PCMA = 8  # payload type
LONGEST_HEARD = 120 * 50  # packets whose sound is kept: two minutes
HEADER = 12  # bytes
MARK = 16  # bytes
EVENT = 101  # payload type of telephone events (RFC 4733)
KEYS = "0123456789*#"
KEY_PACKETS, END_PACKETS = 5, 3  # 100 ms each key; its end is told three times
PAUSE_PACKETS = 5  # of voice between two keys


class Voice(asyncio.DatagramProtocol):
    """Sends its mark every 20 ms from `aim()` on, as G.711 payload that passes an untranscoded bridge unchanged."""

    def __init__(self) -> None:
        self.mark = os.urandom(MARK)
        self.sent = 0
        self.mute = False
        self.heard: Counter[bytes] = Counter()
        self._keys: asyncio.Queue[str] = asyncio.Queue()
        self._sound: dict[int, bytes] = {}
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

    def sound(self) -> bytes:
        """What was heard, as A-law at 8 kHz, in the order of the sender's clock; pauses of the sender are left out."""
        return b"".join(self._sound[at] for at in sorted(self._sound))

    def aim(self, host: str, port: int) -> None:
        """Talk to this address, from the first call of this method on; a mute one only listens."""
        if self.mute:
            return
        self._target = (host, port)
        if self._sending is None:
            self._sending = asyncio.create_task(self._talk())

    async def press(self, keys: str) -> None:
        """Press keys and wait until the last one was released. The voice must have been aimed, and not be mute."""
        for key in keys:
            self._keys.put_nowait(key)
        await self._keys.join()

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
            if len(self._sound) < LONGEST_HEARD:
                self._sound[int.from_bytes(data[4:8], "big")] = data[HEADER:]

    def error_received(self, exc: Exception) -> None:
        """The other side has closed its port at the end of the call."""

    async def _talk(self) -> None:
        payload = self.mark * (SAMPLES // MARK)
        source = int.from_bytes(os.urandom(4), "big")
        voice_packets = 0
        while self._transport is not None and not self._transport.is_closing():
            if voice_packets >= PAUSE_PACKETS and not self._keys.empty():
                await self._press(KEYS.index(self._keys.get_nowait()), source)
                self._keys.task_done()
                voice_packets = 0
            self._send(PCMA, self.sent * SAMPLES, source, payload)
            voice_packets += 1
            await asyncio.sleep(PACKET_SECONDS)

    async def _press(self, key: int, source: int) -> None:
        """One key: packets of one time stamp that grow, and the end."""
        begun = self.sent * SAMPLES
        for number in range(1, KEY_PACKETS + END_PACKETS + 1):
            end = 0x80 if number > KEY_PACKETS else 0
            event = struct.pack("!BBH", key, end | 10, min(number, KEY_PACKETS) * SAMPLES)  # 10: dB below full volume
            self._send(EVENT, begun, source, event, marker=number == 1)
            await asyncio.sleep(PACKET_SECONDS)

    def _send(self, kind: int, stamp: int, source: int, payload: bytes, *, marker: bool = False) -> None:
        header = struct.pack("!BBHII", 0x80, kind | (0x80 if marker else 0), self.sent & 0xFFFF, stamp, source)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(header + payload, self._target)
        self.sent += 1
