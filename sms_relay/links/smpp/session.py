"""One SMPP connection as transceiver: bind, window, timers, enquire_link. It ends once and is thrown away.

The owner (`link.SmppLink`) makes the connection, binds, and awaits `watch()`, which returns when the
connection is over. Every submit gets its answer, or `NoAnswer` when the connection or the time is over:
then nobody knows whether the carrier took it.
"""

import asyncio
import itertools
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from sms_relay.links.quiet import Quiet
from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.config import SmppLinkConfig
from sms_relay.links.smpp.pdu import Command, Status

log = logging.getLogger(__name__)

LAST_SEQUENCE = 0x7FFFFFFF
TakeMessage = Callable[[pdu.Message], Awaitable[int]]


class SessionError(Exception):
    """
    SessionError
    ├── SessionClosedError   the connection is over; nothing was written
    ├── NoAnswerError        written, and no answer came
    └── BindRefusedError     the SMSC does not want us (status)
    """


class SessionClosedError(SessionError):
    pass


class NoAnswerError(SessionError):
    """`lost`: the connection went away; otherwise the response timer ran out."""

    def __init__(self, detail: str, *, lost: bool) -> None:
        super().__init__(detail)
        self.lost = lost


class BindRefusedError(SessionError):
    def __init__(self, status: int) -> None:
        super().__init__(f"bind refused with status {status:#x}")
        self.status = status


@dataclass(slots=True)
class _Waiting:
    answer: asyncio.Future[pdu.Pdu]
    deadline: float
    holds_place: bool


def _retrieve(answer: asyncio.Future[pdu.Pdu]) -> None:
    """Nobody awaits this answer for its content; its failure is known from elsewhere."""
    if not answer.cancelled():
        answer.exception()


class Session(asyncio.Protocol):
    """`take` is awaited for each deliver_sm and gives the command_status it is answered with.

    `ended` is called once, in the very moment the connection is over.
    """

    def __init__(self, config: SmppLinkConfig, take: TakeMessage, ended: Callable[[], None], quiet: Quiet) -> None:
        self._config = config
        self._take = take
        self._ended = ended
        self._quiet = quiet
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._framer = pdu.Framer()
        self._sequence = 0
        self._waiting: dict[int, _Waiting] = {}
        self._submits = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._out: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._bound = False
        self._over: asyncio.Future[str] = self._loop.create_future()
        self._last_received = self._loop.time()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._enquiry: int | None = None
        self._enquire_now = False
        self.late_answers = 0
        self.session_id = ""

    # -- asyncio.Protocol ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # create_connection makes no other kind
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = transport.get_extra_info("sockname")
        self.session_id = f"{self._config.name}:{peer[1] if peer else 0}"

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"connection lost ({type(exc).__name__})" if exc else "closed by the peer")
        self._gone.set_result(None)

    def pause_writing(self) -> None:
        """A peer that does not read is not read from either: what it is owed stays bounded."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._over.done():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._last_received = self._loop.time()
        for frame in self._framer.feed(data):
            if self._over.done():
                return
            self._take_frame(frame)
        if self._framer.error is not None and not self._over.done():
            self._write(pdu.Plain(Command.GENERIC_NACK, 0, self._framer.error.status))
            self.close(f"unreadable stream: {self._framer.error}")

    # -- what comes in ------------------------------------------------------------------------------------

    def _take_frame(self, frame: bytes) -> None:
        try:
            unit = pdu.decode(frame)
        except pdu.PduError as error:
            self._refuse(error)
            return
        if unit.command & pdu.RESPONSE_BIT:
            self._take_answer(unit)
        elif isinstance(unit, pdu.Message) and unit.command is Command.DELIVER_SM:
            self._take_message(unit)
        elif unit.command is Command.ENQUIRE_LINK:
            self._write(pdu.Plain(Command.ENQUIRE_LINK_RESP, unit.sequence))
        elif unit.command is Command.UNBIND:
            self._write(pdu.Plain(Command.UNBIND_RESP, unit.sequence))
            self.close("unbound by the SMSC")
        else:
            self._write(pdu.Plain(Command.GENERIC_NACK, unit.sequence, Status.INVALID_BIND_STATUS))

    def _refuse(self, error: pdu.PduError) -> None:
        self._quiet.warning("malformed", "%s: malformed PDU: %s", self._config.name, error)
        if error.command & pdu.RESPONSE_BIT:
            waiting = self._forget(error.sequence)
            if waiting is not None and not waiting.answer.done():
                waiting.answer.set_exception(NoAnswerError("the answer cannot be read", lost=False))
        elif error.command == Command.DELIVER_SM:
            self._write(pdu.MessageResp(Command.DELIVER_SM_RESP, error.sequence, error.status))
        else:
            self._write(pdu.Plain(Command.GENERIC_NACK, error.sequence, error.status))

    def _take_answer(self, unit: pdu.Pdu) -> None:
        waiting = self._forget(unit.sequence)
        if waiting is None:
            self.late_answers += 1
            return
        if isinstance(unit, pdu.BindResp) and unit.status == Status.OK:
            self._bound = True
        if not waiting.answer.done():
            waiting.answer.set_result(unit)

    def _forget(self, sequence: int) -> _Waiting | None:
        """Takes a request off the list of those waiting; a submit's place in the window is free again."""
        waiting = self._waiting.pop(sequence, None)
        if sequence == self._enquiry:
            self._enquiry = None
        if waiting is not None and waiting.holds_place:
            self._free_place()
        return waiting

    def _take_message(self, message: pdu.Message) -> None:
        if not self._bound:
            self._answer_message(message, Status.INVALID_BIND_STATUS)
        elif len(self._tasks) >= self._config.incoming_limit:
            self._answer_message(message, Status.QUEUE_FULL)
        else:
            task = self._loop.create_task(self._handle(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _handle(self, message: pdu.Message) -> None:
        self._answer_message(message, await self._take(message))

    def _answer_message(self, message: pdu.Message, status: int) -> None:
        self._write(pdu.MessageResp(Command.DELIVER_SM_RESP, message.sequence, status))

    # -- what goes out ------------------------------------------------------------------------------------

    def _write(self, unit: pdu.Pdu) -> None:
        self._write_frame(pdu.encode(unit))

    def _write_frame(self, frame: bytes) -> None:
        """What one turn of the loop wants to say leaves in one system call."""
        if self._over.done():
            return
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(frame)

    def _flush(self) -> None:
        if self._transport is not None and self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def _request(
        self, frame: bytes, seconds: float, *, holds_place: bool = False
    ) -> tuple[int, asyncio.Future[pdu.Pdu]]:
        """Writes a request under the next free sequence number, to be answered within `seconds`."""
        if self._over.done():
            raise SessionClosedError(self._over.result())
        sequence = self._sequence % LAST_SEQUENCE + 1
        while sequence in self._waiting:
            sequence = sequence % LAST_SEQUENCE + 1
        self._sequence = sequence
        answer: asyncio.Future[pdu.Pdu] = self._loop.create_future()
        self._waiting[sequence] = _Waiting(answer, self._loop.time() + seconds, holds_place)
        self._write_frame(pdu.with_sequence(frame, sequence))
        return sequence, answer

    async def bind(self) -> None:
        """Raises `BindRefusedError`, `SessionClosedError`, `NoAnswerError` or TimeoutError."""
        config = self._config
        frame = pdu.encode(pdu.Bind(Command.BIND_TRANSCEIVER, 0, config.system_id, config.password, config.system_type))
        sequence, answer = self._request(frame, config.connect_timeout)
        answer.add_done_callback(_retrieve)
        try:
            async with asyncio.timeout(config.connect_timeout):
                unit = await answer
        finally:
            self._waiting.pop(sequence, None)
        if not isinstance(unit, pdu.BindResp):
            raise BindRefusedError(unit.status if isinstance(unit, pdu.Plain) else Status.BIND_FAILED)
        if unit.status != Status.OK:
            raise BindRefusedError(unit.status)

    async def submit(self, frame: bytes) -> pdu.Pdu:
        """Sends one submit_sm (sequence number filled in here) and returns its answer, whatever it says.

        The caller holds a place (`place`), given back when the answer is there. Raises `SessionClosedError`
        (nothing was written) or `NoAnswerError`.
        """
        try:
            _, answer = self._request(frame, self._config.response_timeout, holds_place=True)
        except SessionClosedError:
            self._free_place()
            raise
        return await answer

    async def place(self) -> None:
        """Waits for a place in the window: as many submits as it is wide are unanswered at most."""
        if self._over.done():
            raise SessionClosedError(self._over.result())
        if self._submits < self._config.window and not self._queue:
            self._submits += 1
            return
        turn: asyncio.Future[None] = self._loop.create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._free_place()
            raise

    def give_back(self) -> None:
        """Returns a place that was taken and not used."""
        self._free_place()

    def _free_place(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._submits -= 1

    # -- life ---------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        return self._over.done()

    @property
    def outstanding(self) -> int:
        """Requests without an answer."""
        return len(self._waiting)

    async def watch(self) -> str:
        """Runs the timers until the connection is over; returns why it ended."""
        config = self._config
        tick = max(min(config.response_timeout, config.enquire_interval) / 4, 0.005)
        while not self._over.done():
            await asyncio.wait((self._over,), timeout=tick)
            if not self._over.done():
                self._look(self._loop.time())
        return self._over.result()

    def _look(self, now: float) -> None:
        """One look at the clock: answers overdue, and silence."""
        for sequence, waiting in list(itertools.takewhile(lambda i: i[1].deadline <= now, self._waiting.items())):
            if sequence == self._enquiry:
                self.close("no answer to enquire_link")
                return
            self._forget(sequence)
            if not waiting.answer.done():
                waiting.answer.set_exception(NoAnswerError("no answer in time", lost=False))
            self._enquire_now = True
        silent = now - self._last_received >= self._config.enquire_interval
        if self._enquiry is None and (silent or self._enquire_now):
            self._enquire_now = False
            frame = pdu.encode(pdu.Plain(Command.ENQUIRE_LINK, 0))
            self._enquiry, answer = self._request(frame, self._config.response_timeout)
            answer.add_done_callback(_retrieve)

    async def leave(self, patience: float) -> None:
        """Unbinds politely: what is on its way may still be answered for `patience` seconds."""
        if not self._over.done() and self._bound:
            answers = [waiting.answer for waiting in self._waiting.values()]
            pending: list[asyncio.Future[pdu.Pdu] | asyncio.Task[None]] = [*answers, *self._tasks]
            if pending:
                await asyncio.wait(pending, timeout=patience)
        if not self._over.done() and self._bound:
            _, answer = self._request(pdu.encode(pdu.Plain(Command.UNBIND, 0)), patience)
            answer.add_done_callback(_retrieve)
            await asyncio.wait((answer, self._over), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        self.close("closed by us")
        await asyncio.wait((self._gone,), timeout=patience)
        if self._transport is not None:
            self._transport.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self, why: str) -> None:
        """Ends the connection now; what was written before still leaves."""
        self._flush()
        self._end(why)
        if self._transport is not None:
            self._transport.close()

    def _end(self, why: str) -> None:
        if self._over.done():
            return
        self._over.set_result(why)
        self._ended()
        self._out.clear()
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(NoAnswerError(why, lost=True))
        self._waiting.clear()
        for turn in self._queue:
            if not turn.done():
                turn.set_exception(SessionClosedError(why))
        self._queue.clear()
