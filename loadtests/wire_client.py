"""A lean HTTP/1.1 client: one kept connection, one request at a time, no more parsing than a benchmark needs.

The same client drives everything that is compared, so that it weighs the same on each side; it shares the machine.
"""

import asyncio
import re
from typing import Self, cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
CONNECT_TIMEOUT = 10.0  # seconds


class WireClient(asyncio.Protocol):
    """`ask` sends bytes and gives back status and body. Raises ConnectionError when the server goes away."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._received = b""
        self._expected = 0

    @classmethod
    async def connect(cls, port: int) -> Self:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT):
            _, client = await loop.create_connection(cls, "127.0.0.1", port)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    async def ask(self, request: bytes, *, deadline: float = 60.0) -> tuple[int, bytes]:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._transport.write(request)
        timer = loop.call_later(deadline, self.close)
        try:
            return await self._answer
        finally:
            timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        if not self._expected:
            end = self._received.find(_HEAD_END)
            if end < 0:
                return
            found = _LENGTH.search(self._received, 0, end + 2)
            self._expected = end + len(_HEAD_END) + (int(found[1]) if found else 0)
        if len(self._received) >= self._expected:
            whole, self._received = self._received[: self._expected], self._received[self._expected :]
            self._expected = 0
            head = whole.find(_HEAD_END)
            self._give(int(whole[9:12]), whole[head + len(_HEAD_END) :])

    def _give(self, status: int, body: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the server closed the connection"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def request_bytes(method: str, path: str, *, key: str = "", body: bytes = b"", headers: str = "") -> bytes:
    """A request as it goes over the wire. `headers`: further lines, each ended by CRLF."""
    lines = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}"
    if key:
        lines += f"authorization: Bearer {key}\r\n"
    if body:
        lines += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return lines.encode() + b"\r\n" + body
