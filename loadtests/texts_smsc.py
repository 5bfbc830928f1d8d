"""The SMSC of `bin/bench texts`, as a program of its own: it weighs next to nothing, and the same on every side.

python -m loadtests.texts_smsc: prints `{"event": "listening", "port": …}`, then obeys one JSON order a line:

- `{"order": "flood", "first": n, "count": m, "window": w, "pairs": [[sender, dialled, other side], …]}`: numbered texts
  to the platform, `w` of them without an answer at a time. One that is not taken (another status, a cut connection) is
  offered again. Answered by `flooded` when all are taken.
- `{"order": "state"}`: answered by `state`, what has been seen since the last `reset`.
- `{"order": "reset"}`: forget that, and everything else that is owed.
- `{"order": "numbers"}`: answered by `numbers`, how often each text was submitted: [[number, times], …].
- `{"order": "cut", "after": n, "keep": b}`: once `n` more submits have come, cut the connection instead of answering
  the last one. `keep`: the text of that one is counted as delivered all the same.
- `{"order": "quit"}`.

With `--state FILE --port PORT` it can be killed: what it took and what it is still owed stand in the file before
anybody is answered, and the next process on that file goes on from there.

Every text holds a number in digits behind a `#`. A submit with that number counts once as `distinct`; to somebody else
than the other side of its pair as `misdelivered`. A receipt that was asked for follows the answer, and is offered
again until it is taken.
"""

import argparse
import asyncio
import json
import re
import socket
import struct
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import uvloop

HEAD = struct.Struct(">IIII")
BIND_TRANSCEIVER, SUBMIT, DELIVER, UNBIND, ENQUIRE = 0x9, 0x4, 0x5, 0x6, 0x15
RESPONSE = 0x80000000
_NUMBER = re.compile(rb"#(\d+)")
RETRY_SECONDS = 0.05  # before a text that was not taken is offered again


@dataclass
class Seen:
    """Since the last reset. `refused`: texts and receipts that the platform did not take at first."""

    submits: Counter[int] = field(default_factory=Counter)
    misdelivered: int = 0
    unnumbered: int = 0
    receipts: int = 0  # taken by the platform
    refused: int = 0
    unanswered: list[int] = field(default_factory=list)  # numbers whose answer was withheld by a cut
    first_offer: float = 0.0
    last_submit: float = 0.0
    last_receipt: float = 0.0

    def told(self) -> dict[str, Any]:
        return {
            "submits": self.submits.total(),
            "distinct": len(self.submits),
            "twice": sorted(number for number, count in self.submits.items() if count > 1),
            "misdelivered": self.misdelivered,
            "unnumbered": self.unnumbered,
            "receipts": self.receipts,
            "refused": self.refused,
            "unanswered": self.unanswered,
            "mt_seconds": self.last_submit - self.first_offer,
            "receipt_seconds": self.last_receipt - self.first_offer,
        }


@dataclass(slots=True)
class Offer:
    """A deliver_sm that is owed. `number` None: a receipt."""

    number: int | None
    body: bytes
    about: bytes = b""  # of a receipt: the message id it is for


class Record:
    """What has to survive a kill, a line each: the flood's order, texts taken by the platform, submits, receipts taken.

    Lines are written together, before the answers of the same turn of the loop leave.
    """

    def __init__(self, file: Path | None) -> None:
        self._lines: list[bytes] = []
        self._file: BinaryIO | None = None
        self.read: list[bytes] = []
        if file is not None:
            whole = file.read_bytes() if file.exists() else b""
            self.read = whole[: whole.rfind(b"\n") + 1].splitlines()
            if len(whole) != whole.rfind(b"\n") + 1:
                file.write_bytes(whole[: whole.rfind(b"\n") + 1])  # killed in the middle of a line: nobody was answered
            self._file = file.open("ab", buffering=0)

    def add(self, kind: bytes, *fields: bytes) -> None:
        if self._file is not None:
            self._lines.append(b" ".join((kind, *fields)) + b"\n")

    def write(self) -> None:
        if self._file is not None and self._lines:
            self._file.write(b"".join(self._lines))
            self._lines.clear()


class Smsc:
    """The state behind all connections. `owed` is what waits for a place among those without an answer."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.seen = Seen()
        self.sessions: list[Session] = []
        self.owed: deque[Offer] = deque()
        self.receipts: deque[Offer] = deque()
        self.window = 100
        self.open_texts = 0
        self.taken = 0
        self.wanted = 0
        self.next_id = time.time_ns() // 1_000
        self.other_side: dict[int, bytes] = {}
        self.pairs: list[tuple[bytes, bytes, bytes]] = []
        self.cut_after: int | None = None
        self.cut_keeps = False

    def flood(self, order: dict[str, Any], taken: frozenset[int] = frozenset()) -> None:
        """`taken`: texts that the platform has taken before this process began."""
        self.record.add(b"flood", json.dumps(order).encode())
        pairs = [tuple(one.encode() for one in pair) for pair in order["pairs"]]
        self.window, self.wanted, self.open_texts = order["window"], order["count"], 0
        self.taken = len(taken)
        for number in range(order["first"], order["first"] + order["count"]):
            sender, dialled, other = pairs[number % len(pairs)]
            self.other_side[number] = other
            if number in taken:
                continue
            text = b"Your parcel #%d is at the door, 1F" % number
            self.owed.append(Offer(number, _message(sender, dialled, text)))
        self.seen.first_offer = time.perf_counter()
        self.pump()

    def pump(self) -> None:
        """Offers what there is a place for, to the oldest connection."""
        if not self.sessions:
            return
        session = self.sessions[0]
        while self.receipts and session.room:
            session.offer(self.receipts.popleft())
        while self.owed and self.open_texts < self.window:
            self.open_texts += 1
            session.offer(self.owed.popleft())

    def answered(self, offer: Offer, status: int | None) -> None:
        """`status` None: the connection went away first."""
        if offer.number is not None:
            self.open_texts -= 1
        if status:
            self.seen.refused += 1
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._again, offer)
        elif status is None:
            self._again(offer)
        elif offer.number is None:
            self.record.add(b"receipt", offer.about)
            self.seen.receipts += 1
            self.seen.last_receipt = time.perf_counter()
        else:
            self.record.add(b"taken", b"%d" % offer.number)
            self.taken += 1
            if self.taken == self.wanted:
                say("flooded")

    def _again(self, offer: Offer) -> None:
        (self.receipts if offer.number is None else self.owed).appendleft(offer)
        self.pump()

    def count(self, destination: bytes, text: bytes) -> int:
        """The number of the text, -1 without one."""
        found = _NUMBER.search(text)
        if found is None:
            self.seen.unnumbered += 1
            return -1
        number = int(found[1])
        self.seen.submits[number] += 1
        self.seen.last_submit = time.perf_counter()
        if number in self.other_side and self.other_side[number] != destination:
            self.seen.misdelivered += 1
        return number

    def resume(self) -> None:
        """Goes on where the process before was killed."""
        flood: dict[str, Any] | None = None
        taken: set[int] = set()
        owed: dict[bytes, bytes] = {}
        for line in self.record.read:
            kind, _, rest = line.partition(b" ")
            if kind == b"flood":
                flood = json.loads(rest)
            elif kind == b"taken":
                taken.add(int(rest))
            elif kind == b"receipt":
                owed.pop(rest, None)
                self.seen.receipts += 1
            elif kind == b"submit":
                number, message_id, source, destination, registered = rest.split(b" ")
                self.seen.submits[int(number)] += 1
                if registered == b"1":
                    owed[message_id] = _receipt(source, destination, message_id)
        if flood is not None:
            self.flood(flood, frozenset(taken))
        self.receipts.extend(Offer(None, body, message_id) for message_id, body in owed.items())

    def cuts_now(self) -> bool:
        """Whether the connection is to go instead of answering the submit that has just come."""
        if self.cut_after is None:
            return False
        self.cut_after -= 1
        if self.cut_after > 0:
            return False
        self.cut_after = None
        return True


class Session(asyncio.Protocol):
    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._sequence = 0
        self._offered: dict[int, Offer] = {}
        self._open = True

    @property
    def room(self) -> bool:
        """Receipts in the air have a limit of their own, as a carrier's have."""
        return len(self._offered) < 2 * self._smsc.window

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open = False
        if self in self._smsc.sessions:
            self._smsc.sessions.remove(self)
        for offer in list(self._offered.values()):
            self._smsc.answered(offer, None)
        self._offered.clear()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start = 0
        while self._open and len(buffer) - start >= 16:
            length, command, status, sequence = HEAD.unpack_from(buffer, start)
            if len(buffer) - start < length:
                break
            self._take(command, status, sequence, bytes(buffer[start + 16 : start + length]))
            start += length
        del buffer[:start]
        self._smsc.pump()
        self._smsc.record.write()

    def _take(self, command: int, status: int, sequence: int, body: bytes) -> None:
        if command == SUBMIT:
            self._submit(sequence, body)
        elif command == DELIVER | RESPONSE:
            offer = self._offered.pop(sequence, None)
            if offer is not None:
                self._smsc.answered(offer, status)
        elif command == BIND_TRANSCEIVER:
            self._write(command | RESPONSE, sequence, b"bench\0")
            self._smsc.sessions.append(self)
            say("bound")
        elif command in {ENQUIRE, UNBIND}:
            self._write(command | RESPONSE, sequence, b"")

    def _submit(self, sequence: int, body: bytes) -> None:
        smsc = self._smsc
        source, destination, registered, text = _fields(body)
        if smsc.cuts_now():
            if smsc.cut_keeps:
                number = smsc.count(destination, text)
                smsc.record.add(b"submit", b"%d - %b %b 0" % (number, source, destination))
            found = _NUMBER.search(text)
            smsc.seen.unanswered.append(int(found[1]) if found else -1)
            self.cut()
            return
        number = smsc.count(destination, text)
        smsc.next_id += 1
        message_id = b"%x" % smsc.next_id
        asked = b"1" if registered & 3 else b"0"
        smsc.record.add(b"submit", b"%d %b %b %b %b" % (number, message_id, source, destination, asked))
        self._write(SUBMIT | RESPONSE, sequence, message_id + b"\0")
        if registered & 3:
            smsc.receipts.append(Offer(None, _receipt(source, destination, message_id), message_id))

    def cut(self) -> None:
        self._open = False
        if self._transport is not None:
            self._transport.abort()

    def offer(self, offer: Offer) -> None:
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        self._offered[self._sequence] = offer
        self._write(DELIVER, self._sequence, offer.body)

    def _write(self, command: int, sequence: int, body: bytes) -> None:
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(HEAD.pack(16 + len(body), command, 0, sequence) + body)

    def _flush(self) -> None:
        self._smsc.record.write()
        if self._transport is not None and self._open:
            self._transport.write(b"".join(self._out))
        self._out.clear()


def _message(source: bytes, destination: bytes, text: bytes, *, esm_class: int = 0) -> bytes:
    return (
        b"\0\x01\x01%b\0\x01\x01%b\0" % (source, destination)
        + bytes((esm_class, 0, 0))
        + b"\0\0"
        + (bytes((0, 0, 0, 0, len(text))) + text)
    )


def _receipt(source: bytes, destination: bytes, message_id: bytes) -> bytes:
    text = b"id:%s sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:"
    return _message(destination, source, text % message_id, esm_class=4)


def _fields(body: bytes) -> tuple[bytes, bytes, int, bytes]:
    """Source, destination, registered_delivery and text of a submit_sm."""
    at = body.index(0) + 3
    end = body.index(0, at)
    source = body[at:end]
    at = end + 3
    end = body.index(0, at)
    destination = body[at:end]
    at = body.index(0, end + 4) + 1
    at = body.index(0, at) + 1
    return source, destination, body[at], body[at + 5 :]


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def _obey(smsc: Smsc, order: dict[str, Any], over: asyncio.Event) -> None:
    match order["order"]:
        case "flood":
            smsc.flood(order)
            smsc.record.write()
        case "state":
            say("state", **smsc.seen.told())
        case "numbers":
            say("numbers", submits=sorted(smsc.seen.submits.items()))
        case "reset":
            smsc.seen = Seen()
            smsc.owed.clear()
            smsc.receipts.clear()
            say("reset")
        case "cut":
            smsc.cut_after, smsc.cut_keeps = order["after"], order["keep"]
        case "quit":
            over.set()


async def _serve(arguments: argparse.Namespace) -> None:
    smsc, over = Smsc(Record(arguments.state)), asyncio.Event()
    smsc.resume()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(smsc), "127.0.0.1", arguments.port)
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    say("listening", port=server.sockets[0].getsockname()[1])

    async def obey() -> None:
        while line := await reader.readline():
            _obey(smsc, json.loads(line), over)
        over.set()

    obeying = asyncio.create_task(obey())
    await over.wait()
    obeying.cancel()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path)
    parser.add_argument("--port", type=int, default=0)
    uvloop.run(_serve(parser.parse_args()))
