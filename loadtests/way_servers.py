"""`python -m loadtests.way_servers WAY …`: the least that answers a question of Asterisk's, for `bin/bench ways`.

Each says at once that the number dialled behind the prefix is to be called. What a bridge does besides is left out.
"""

import argparse
import asyncio
import base64
import json
import os
from collections.abc import Coroutine
from typing import Final

import uvloop

PREFIX: Final = 4  # characters before the number
SECRET: Final = "ways"  # noqa: S105 - of an Asterisk on loopback that lives for minutes
APPLICATION: Final = "ways"
CONTEXT: Final = "way-dial"


class FastAgi(asyncio.Protocol):
    """One connection a question; the answer and the end of it go together, as a bridge does it."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        asked, self._received = b"\n\n" in self._received, self._received + data
        if not asked and b"\n\n" in self._received:
            number = _between(self._received, b"agi_extension: ", b"\n")[PREFIX:]
            self._transport.write(b'SET VARIABLE NUM "' + number + b'"\n')  # type: ignore[attr-defined]  # uvloop's
            self._transport.write_eof()  # type: ignore[attr-defined]


class Http(asyncio.Protocol):
    """What CURL asks, with the number as the query. The connection is kept open: Asterisk ends it with the call."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        number = _between(data, b"?", b" ")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(number)
        self._transport.write(head + number)  # type: ignore[attr-defined]  # uvloop's is none by inheritance


async def answer_connections(protocol: type[asyncio.Protocol], port: int) -> None:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, backlog=512)
    await server.serve_forever()


async def async_agi(port: int) -> None:
    """Over one connection to the manager interface: two actions for each call."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_action(Action="Login", Username=APPLICATION, Secret=SECRET))
    while True:
        message = (await reader.readuntil(b"\r\n\r\n")).decode()
        if "Event: AsyncAGIStart\r\n" in message:
            channel = message.split("Channel: ")[1].split("\r\n")[0]
            number = message.split("\r\nExten: ")[1].split("\r\n")[0][PREFIX:]
            writer.write(_action(Action="AGI", Channel=channel, Command=f"SET VARIABLE NUM {number}", CommandID="1"))
            writer.write(_action(Action="AGI", Channel=channel, Command="ASYNCAGI BREAK", CommandID="2"))


async def ari(port: int) -> None:
    """Events over a web socket, and one request for each call over a second connection that is kept open."""
    login = base64.b64encode(f"{APPLICATION}:{SECRET}".encode()).decode()
    events, socket = await asyncio.open_connection("127.0.0.1", port, limit=1024 * 1024)
    socket.write(
        f"GET /ari/events?app={APPLICATION} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: ari\r\nAuthorization: Basic {login}\r\n\r\n".encode()
    )
    if b" 101 " not in (head := await events.readuntil(b"\r\n\r\n")):
        raise RuntimeError(head.decode())
    answers, requests = await asyncio.open_connection("127.0.0.1", port)

    async def drop_answers() -> None:
        while await answers.read(65536):
            continue

    dropping = asyncio.create_task(drop_answers())
    try:
        while True:
            event = json.loads(await _frame(events))
            if event["type"] == "StasisStart" and event["args"]:
                where = f"context={CONTEXT}&extension={event['args'][0]}&priority=1"
                requests.write(
                    f"POST /ari/channels/{event['channel']['id']}/continue?{where} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    f"Authorization: Basic {login}\r\nContent-Length: 0\r\n\r\n".encode()
                )
    finally:
        dropping.cancel()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """The next text of a server's: not masked, and in one frame."""
    while True:
        first, length = await reader.readexactly(2)
        if length >= 126:
            length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
        content = await reader.readexactly(length)
        if first & 0x0F == 1:
            return content


def _action(**headers: str) -> bytes:
    return ("".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode()


def _between(data: bytes, before: bytes, after: bytes) -> bytes:
    return data.partition(before)[2].partition(after)[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.way_servers", description=__doc__)
    parser.add_argument("way", choices=("fastagi", "curl", "asyncagi", "ari"))
    parser.add_argument("--port", type=int, required=True, help="its own, or Asterisk's")
    options = parser.parse_args()
    serve: dict[str, Coroutine[object, object, None]] = {
        "fastagi": answer_connections(FastAgi, options.port),
        "curl": answer_connections(Http, options.port),
        "asyncagi": async_agi(options.port),
        "ari": ari(options.port),
    }
    chosen = serve.pop(options.way)
    for other in serve.values():
        other.close()
    uvloop.run(chosen)


if __name__ == "__main__":
    main()
