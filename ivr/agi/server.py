"""The FastAGI server: Asterisk opens a connection for each question, and the commands of one answer go back.

It reads its sockets itself. panoramisk's server spins for ever on a client that connects and closes, waits for ever on
one that says nothing, and costs a stream, a parser of results and a further round trip for each call; a transport of
asyncio's wakes the process up five times for a call, where two are enough. Every wait here has an end.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote_to_bytes

from ivr.agi.commands import commands

log = logging.getLogger(__name__)

LONGEST_REQUEST = 64 * 1024  # bytes of headers
LONGEST_REPLY = 4096  # bytes: what Asterisk says to the commands of an answer is less
REQUEST_TIMEOUT = 5.0  # seconds for the headers to arrive
COMMAND_TIMEOUT = 5.0  # seconds for Asterisk to take the answer
BACKLOG = 512  # connections that wait to be accepted
PIECES_AT_ONCE = 2  # acknowledged as soon as they are read, of one question
BETWEEN_PIECES = 0.001  # seconds until the further ones are
SILENT = 1  # seconds after which a connection is accepted on which nothing was said
AT_ONCE = 32  # connections accepted before anything else gets its turn
READS = 4  # of what is said to an answer, at a time
PAUSE = 0.5  # seconds without accepting, where no file is left to open
SEE_OFF_EVERY = 0.25  # seconds between looks at whether answers were taken
DRAIN = 3.0  # seconds for the questions under way when the port closes: longer than any decision may take

_END = b"\n\n"
_TAKEN = b"200 result=1"
# Acknowledge what has come, and what comes next not by itself: 1 would go on, with every line that arrives.
_ONCE = 2


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

    def __init__(
        self, route: str, ask: Handler, *, tokens: Collection[str], gathering: Callable[[], float] = lambda: 0.0
    ) -> None:
        """`gathering`: seconds that questions now wait for others, to be read together (ivr.load)."""
        self._gathering = gathering
        self.route = route
        self.ask = ask
        self.tokens = frozenset(tokens)
        self._lines: set[_Line] = set()
        self._answered: deque[_Line] = deque()  # in the order of their deadlines
        self._nobody_left: asyncio.Future[None] | None = None  # awaited by close
        self._listening: socket.socket | None = None
        self._family = socket.AF_INET

    async def start(self, host: str, port: int) -> int:
        """Returns the port, for those who gave 0. Raises OSError when it is taken."""
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, port), family=self._family, backlog=BACKLOG)
        self._listening.setblocking(False)
        # Asterisk writes each header by itself. Its kernel sends the first one and keeps the others back until that is
        # acknowledged, which ours is not to do by itself but when we read it (_Line.read): by then the others are
        # written, and travel together. To be set on a socket that listens already, whose connections take it over.
        self._listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        self._listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, SILENT)
        asyncio.get_running_loop().add_reader(self._listening, self._accept)
        return int(self._listening.getsockname()[1])

    async def close(self) -> None:
        """The port closes first, so that Asterisk asks the next bridge at once; then what was asked is answered."""
        if self._listening is None:
            return
        loop = asyncio.get_running_loop()
        self._accept_waiting(self._listening, AT_ONCE)
        loop.remove_reader(self._listening)
        self._listening.close()
        self._listening = None
        if self._lines:
            self._nobody_left = loop.create_future()
            await asyncio.wait([self._nobody_left], timeout=DRAIN)
        self._answered.clear()
        for line in list(self._lines):
            line.give_up()

    def _accept(self) -> None:
        listening = self._listening
        if listening is None:
            return
        gathering = self._gathering()
        # On a machine with room one mostly comes alone: to find that out would hold it up.
        pause = PAUSE if self._accept_waiting(listening, AT_ONCE if gathering else 1) else gathering
        if not pause:
            return
        # What waits would be seen again at once by a loop that waits for it.
        loop = asyncio.get_running_loop()

        def go_on() -> None:
            if listening is self._listening:
                loop.add_reader(listening, self._accept)

        loop.remove_reader(listening)
        loop.call_later(pause, go_on)

    def _accept_waiting(self, listening: socket.socket, most: int) -> bool:
        """Whether none can be accepted now."""
        for _ in range(most):
            try:
                # `accept`, which looks up family and kind as enumerations besides, takes half as long again
                descriptor, _peer = listening._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, ConnectionAbortedError):
                return False
            except OSError as error:
                log.error("no connection can be accepted: %s", error.strerror)  # noqa: TRY400 - says it all
                return True
            line = _Line(self, socket.socket(self._family, socket.SOCK_STREAM, 0, descriptor))
            self._lines.add(line)
            line.read()
        return False

    def see_off(self, line: "_Line") -> None:
        """It was answered. That Asterisk took it is looked at with others': nobody waits for it."""
        if not self._answered:  # else a look is on its way
            asyncio.get_running_loop().call_later(SEE_OFF_EVERY, self._see_off)
        self._answered.append(line)

    def _see_off(self) -> None:
        now = asyncio.get_running_loop().time()
        self._answered = deque(line for line in self._answered if not line.has_ended(now))
        if self._answered:
            asyncio.get_running_loop().call_later(SEE_OFF_EVERY, self._see_off)

    def forget(self, line: "_Line") -> None:
        """It has ended."""
        self._lines.discard(line)
        if self._nobody_left is not None and not self._lines and not self._nobody_left.done():
            self._nobody_left.set_result(None)


class _Line:
    """One connection of Asterisk's: headers come, the commands go back, then our side of the connection is closed.

    With that Asterisk reads the end of the script right behind the commands, and goes on with the call without waiting
    for us to have read its replies.
    """

    def __init__(self, server: AgiServer, connection: socket.socket) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._received = b""
        self._question: AgiRequest | None = None
        self._answering: asyncio.Future[Answer] | None = None
        self._pieces = 0
        self._waiting: asyncio.TimerHandle | None = None  # for more to read
        self._acknowledging: asyncio.TimerHandle | None = None
        self._answer_by = 0.0  # by the loop's clock

    def read(self) -> None:
        """Read the question, or what is there of it: as a rule its first line and then, at once, the rest."""
        while self._read_piece():
            pass

    def _read_piece(self) -> bool:
        """Whether more may be there already."""
        try:
            data = self._socket.recv(LONGEST_REQUEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._wait()
            return False
        except OSError:
            data = b""
        if not data:
            log.warning("a connection to the question port ended without a question")
            self._close()
            return False
        self._received += data
        if len(self._received) > LONGEST_REQUEST:
            self.give_up()
            return False
        head, end, rest = self._received.partition(_END)
        if end:
            self._wait_no_more()
            self._received = rest
            self._ask(head)
            return False
        self._pieces += 1
        if self._pieces <= PIECES_AT_ONCE:
            self._acknowledge()
            return True
        # Each line wakes us up before Asterisk has written the next one. It shall come to do so.
        if self._acknowledging is None:
            self._acknowledging = self._loop.call_later(BETWEEN_PIECES, self._acknowledge)
        self._wait()
        return False

    def _acknowledge(self) -> None:
        """What was held back until now comes, in one piece."""
        self._acknowledging = None
        with suppress(OSError):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, _ONCE)

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self._loop.call_later(REQUEST_TIMEOUT, self.give_up)
            self._loop.add_reader(self._socket, self.read)

    def _wait_no_more(self) -> None:
        if self._acknowledging is not None:
            self._acknowledging.cancel()
            self._acknowledging = None
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
            self._loop.remove_reader(self._socket)

    def _ask(self, head: bytes) -> None:
        # Some of the lines hold what a caller chose, line ends included: such a question says a thing twice, or ends
        # before the token, which no caller knows.
        lines = [line.split(": ", 1) for line in head.decode("utf-8", "replace").split("\n") if ": " in line]
        headers = dict(lines)
        question = AgiRequest.of(headers)
        if headers.get("agi_network_script") != self._server.route:
            log.error("a question that is not known here")
            self._close()
            return
        if len(headers) < len(lines) or question.token not in self._server.tokens:
            log.error("a question that nobody here asked")
            self._close()
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
            self._close()
            return
        try:
            # kept back for the end that follows: both travel together
            if self._socket.send(command, socket.MSG_DONTWAIT | socket.MSG_MORE) < len(command):
                raise BlockingIOError
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            log.info("call %s: nobody is there to take the answer", call)
            self._close()
            return
        self._answer_by = self._loop.time() + COMMAND_TIMEOUT
        self._server.see_off(self)

    def has_ended(self, now: float) -> bool:
        """Of an answered one: whether Asterisk has closed its side, or will not in time."""
        if self._is_open() and now < self._answer_by:
            return False
        if self._question is not None and not self._received.startswith(_TAKEN):
            log.info("call %s: nobody took the answer", self._question.unique_id)
        self._close()
        return True

    def _is_open(self) -> bool:
        """Reads what was said."""
        try:
            for _ in range(READS):
                data = self._socket.recv(LONGEST_REPLY, socket.MSG_DONTWAIT)
                if not data:
                    return False
                self._received = (self._received + data)[:LONGEST_REPLY]
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def give_up(self) -> None:
        """Ends the connection, whatever is still to come on it."""
        if self._answering is not None:
            self._answering.cancel()
        self._close()

    def _close(self) -> None:
        self._wait_no_more()
        self._socket.close()
        self._server.forget(self)
