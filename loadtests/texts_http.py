"""What stands behind Kannel and Jasmin in `bin/bench texts`: a trivial HTTP handler, and a sender with 32 connections.

python -m loadtests.texts_http: prints `{"event": "listening", "port": …}`, then obeys one JSON order a line:

- `GET /mo?text=…` is answered at once with that text: Kannel sends it back to whoever wrote.
- `GET /jasmin?…content=…` is answered as Jasmin wants it, and that text given to its own HTTP interface, which sends it
  back: an answer in the same breath is not for Jasmin.
- `GET /ack…` and `POST /ack…` count as one receipt each and are answered `ACK/Jasmin`, which both are content with.
- `{"order": "send", "port": p, "connections": c, "first": n, "count": m, "path": "/…#{number}…"}`: m requests;
  `{number}` stands for the running number. Answered by `sent`.
- `{"order": "jasmin", "port": p, "connections": c, "path": "/…{to}…{content}"}`: where such texts are given.
- `{"order": "state"}`: `{"event": "state", "accepted": …, "failed": …, "receipts": …, "seconds": …}`, seconds from the
  first request to the last receipt.
- `{"order": "reset"}` and `{"order": "quit"}`.
"""

import asyncio
import json
import re
import sys
import time
from itertools import count
from typing import Any, cast
from urllib.parse import unquote_plus, urlsplit

import uvloop

from loadtests.wire_client import WireClient, request_bytes

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class State:
    def __init__(self) -> None:
        self.accepted = self.failed = self.receipts = 0
        self.first = self.last = 0.0

    def told(self) -> dict[str, Any]:
        return {
            "accepted": self.accepted,
            "failed": self.failed,
            "receipts": self.receipts,
            "seconds": self.last - self.first,
        }


class Handler(asyncio.Protocol):
    """One connection; it is kept as long as the peer keeps it."""

    def __init__(self, owner: "Application") -> None:
        self._owner = owner
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(_HEAD_END)) >= 0:
            length = _LENGTH.search(self._buffer, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            head, self._buffer = self._buffer[:end], self._buffer[whole:]
            answer = self._answer(head.split(b" ", 2)[1])
            if self._transport is not None:
                self._transport.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b"
                    % (len(answer), answer)
                )

    def _answer(self, path: bytes) -> bytes:
        if path.startswith(b"/jasmin"):
            self._owner.handed.put_nowait(path.decode())
            return b"ACK/Jasmin"
        if path.startswith(b"/ack"):
            state = self._owner.state
            state.receipts += 1
            state.last = time.perf_counter()
            return b"ACK/Jasmin"
        return unquote_plus(path.partition(b"text=")[2].decode()).encode()


class Application:
    def __init__(self) -> None:
        self.state = State()
        self.handed: asyncio.Queue[str] = asyncio.Queue()
        self._handing: asyncio.Task[None] | None = None

    def hand_to(self, order: dict[str, Any]) -> None:
        """From now on to this one: the one before is gone."""
        if self._handing is not None:
            self._handing.cancel()
        self._handing = asyncio.create_task(self._hand_over(order))

    async def _hand_over(self, order: dict[str, Any]) -> None:
        """Gives Jasmin what it has handed in, on `connections` at a time."""

        async def work() -> None:
            while True:
                asked = urlsplit(await self.handed.get()).query
                given = dict(field.split("=", 1) for field in asked.split("&"))  # still encoded, as they go back
                path = order["path"].replace("{to}", given["from"]).replace("{content}", given["content"])
                # HTTP/1.0: its answers come in chunks otherwise.
                reader, writer = await asyncio.open_connection("127.0.0.1", order["port"])
                writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                answer = await reader.read()
                writer.close()
                if b" 200 " in answer.partition(b"\r\n")[0]:
                    self.state.accepted += 1
                else:
                    self.state.failed += 1

        await asyncio.gather(*(work() for _ in range(order["connections"])))

    async def send(self, order: dict[str, Any]) -> None:
        numbers = count(order["first"])
        end = order["first"] + order["count"]
        self.state.first = time.perf_counter()

        async def work() -> None:
            client = await WireClient.connect(order["port"])
            while (number := next(numbers)) < end:
                path = order["path"].replace("{number}", str(number))
                status, _ = await client.ask(request_bytes("GET", path))
                if status in {200, 202}:
                    self.state.accepted += 1
                else:
                    self.state.failed += 1
            client.close()

        await asyncio.gather(*(work() for _ in range(order["connections"])))
        say("sent")


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


async def _serve() -> None:
    application = Application()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Handler(application), "127.0.0.1", 0)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    say("listening", port=server.sockets[0].getsockname()[1])
    sending: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        order = json.loads(line)
        match order["order"]:
            case "send":
                task = asyncio.create_task(application.send(order))
                sending.add(task)
                task.add_done_callback(sending.discard)
            case "jasmin":
                application.hand_to(order)
            case "state":
                say("state", **application.state.told())
            case "reset":
                application.state = State()
                say("reset")
            case "quit":
                break
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve())
