"""The FastAGI server: Asterisk opens a connection for each question, and the commands of one answer go back.

It is a plain asyncio protocol rather than panoramisk's server, whose handler spins for ever on a client that connects
and closes, waits for ever on one that says nothing, and costs a stream, a parser of results and a further round trip
for each call. Every wait here has an end.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import unquote_to_bytes

from ivr.agi.commands import commands

log = logging.getLogger(__name__)

LONGEST_REQUEST = 64 * 1024  # bytes of headers
SHORTEST_REQUEST = 400  # bytes: the names alone of what Asterisk 22 always sends, and a unique id, are more
LONGEST_REPLY = 4096  # bytes: what Asterisk says to the commands of an answer is less
REQUEST_TIMEOUT = 5.0  # seconds for the headers to arrive
COMMAND_TIMEOUT = 5.0  # seconds for Asterisk to take the answer
BACKLOG = 512  # connections that wait to be accepted
DRAIN = 3.0  # seconds for the questions under way when the port closes: longer than any decision may take

_END = b"\n\n"
_TAKEN = b"200 result=1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgiRequest:
    """What Asterisk said when it asked: the channel's names, the user part of From, and the arguments, decoded.

    The last of these is the token.
    """

    unique_id: str
    channel: str
    caller: str
    arguments: tuple[str, ...]
    token: str

    @classmethod
    def of(cls, headers: dict[str, str]) -> Self:
        arguments: list[str] = []
        while (encoded := headers.get(f"agi_arg_{len(arguments) + 1}")) is not None:
            arguments.append(unquote_to_bytes(encoded).decode("utf-8", "replace") if "%" in encoded else encoded)
        return cls(
            unique_id=headers.get("agi_uniqueid", ""),
            channel=headers.get("agi_channel", ""),
            caller=headers.get("agi_callerid", ""),
            arguments=tuple(arguments[:-1]),
            token=arguments[-1] if arguments else "",
        )


Answer = dict[str, str]
"""See ivr.agi.instructions."""

Handler = Callable[[AgiRequest], Awaitable[Answer]]


class AgiServer:
    """Listens for questions. `ask` gives the answer. `tokens`: the last argument is one of them, or it is no question.

    An answer that nobody takes needs no deed here: Asterisk's own record tells that the caller hung up.
    """

    def __init__(self, route: str, ask: Handler, *, tokens: Collection[str]) -> None:
        self.route = route
        self.ask = ask
        self.tokens = frozenset(tokens)
        self.lines: set[_Line] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Returns the port, for those who gave 0. Raises OSError when it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Line(self), host, port, backlog=BACKLOG)
        for listening in self._server.sockets:
            # Asterisk writes each header by itself: whoever woke up for each would read a question in five pieces.
            # What is shorter is no question of Asterisk's, and is read when its sender closes; what follows is read as
            # it comes. Much more than this it must not be: Asterisk's kernel keeps the rest back until what was sent is
            # acknowledged, and that may take 40 ms while nobody reads.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, SHORTEST_REQUEST)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """The port closes first, so that Asterisk asks the next bridge at once; then what was asked is answered."""
        if self._server is not None:
            self._server.close()
            if self.lines:
                await asyncio.wait([line.gone for line in self.lines], timeout=DRAIN)
            for line in list(self.lines):
                line.give_up()
            await self._server.wait_closed()


class _Line(asyncio.Protocol):
    """One connection of Asterisk's: headers come, the commands go back, then our side of the connection is closed.

    With that Asterisk reads the end of the script right behind the commands, and goes on with the call without waiting
    for us to have read its replies.
    """

    def __init__(self, server: AgiServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._received = b""
        self._question: AgiRequest | None = None
        self._answering: asyncio.Future[Answer] | None = None
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        # The same connection without a layer above it: what a transport is given it sends a round of the loop later,
        # and the end a further one, while the caller waits. Named in full: Python asks the kernel for what is not.
        number = transport.get_extra_info("socket").fileno()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=number)
        self._server.lines.add(self)
        self._deadline = self._loop.call_later(REQUEST_TIMEOUT, self.give_up)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > LONGEST_REQUEST:
            self.give_up()
        elif self._answering is None and _END in self._received:
            self._deadline.cancel()
            self._wake_at(LONGEST_REPLY)  # and so at its end
            head, _, self._received = self._received.partition(_END)
            self._ask(head)
        elif self._answering is None:
            self._wake_at(1)

    def _wake_at(self, size: int) -> None:
        """Sleep until that many bytes have come, or the end."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def _ask(self, head: bytes) -> None:
        # Some of the lines hold what a caller chose, line ends included: such a question says a thing twice, or ends
        # before the token, which no caller knows.
        lines = [line.split(": ", 1) for line in head.decode("utf-8", "replace").split("\n") if ": " in line]
        headers = dict(lines)
        question = AgiRequest.of(headers)
        if headers.get("agi_network_script") != self._server.route:
            log.error("a question that is not known here")
            self._transport.close()
            return
        if len(headers) < len(lines) or question.token not in self._server.tokens:
            log.error("a question that nobody here asked")
            self._transport.close()
            return
        self._question = question
        self._answering = asyncio.ensure_future(self._server.ask(question))
        self._answering.add_done_callback(self._answer)

    def _answer(self, answering: "asyncio.Future[Answer]") -> None:
        if answering.cancelled() or self._question is None:
            return
        call = self._question.unique_id
        try:
            command = commands(answering.result())
        except Exception as error:  # noqa: BLE001 - Asterisk asks the next bridge
            log.error("call %s: no answer: %s", call, type(error).__name__)  # noqa: TRY400 - may hold a number
            self._transport.close()
            return
        if self._transport.is_closing():
            log.info("call %s: nobody is there to take the answer", call)
            return
        self._answered = True
        self._deadline = self._loop.call_later(COMMAND_TIMEOUT, self.give_up)
        try:
            self._socket.sendall(command)
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:  # it is gone, and the transport hears of it
            log.info("call %s: nobody is there to take the answer", call)

    def give_up(self) -> None:
        """Ends the connection, whatever is still to come on it."""
        if self._answering is not None:
            self._answering.cancel()
        self._transport.abort()
        self._socket.detach()

    def connection_lost(self, exc: Exception | None) -> None:
        self._socket.detach()  # the transport closes it
        self._deadline.cancel()
        self._server.lines.discard(self)
        if not self.gone.done():
            self.gone.set_result(None)
        if self._question is None:
            log.warning("a connection to the question port ended without a question")
        elif self._answered and not self._received.startswith(_TAKEN):
            log.info("call %s: nobody took the answer", self._question.unique_id)
