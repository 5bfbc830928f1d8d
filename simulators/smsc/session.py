"""One connection at the SMSC's side: framing, bind state, requests and their answers, and its fault."""

import asyncio
import socket
from typing import Protocol, cast

from simulators.smsc.settings import Fault, FaultKind
from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.pdu import Command, Status

RECEIVING = frozenset({Command.BIND_RECEIVER, Command.BIND_TRANSCEIVER})
SENDING = frozenset({Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER})


class Centre(Protocol):
    """What a session asks of the SMSC it belongs to."""

    def admit(self, session: "EsmeSession", bind: pdu.Bind) -> Status: ...

    def take_submit(self, session: "EsmeSession", message: pdu.Message) -> None: ...

    def left(self, session: "EsmeSession") -> None: ...

    def settle(self) -> None:
        """Writes down what is about to be answered."""
        ...


class EsmeSession(asyncio.Protocol):
    """`bound_as` is None until the bind succeeded. `fault` is given by the centre at that moment."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._transport: asyncio.Transport | None = None
        self._framer = pdu.Framer()
        self._out: list[bytes] = []
        self._sequence = 0
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._silent = False
        self._units = 0
        self.submits = 0
        self.open = False
        self.system_id = ""
        self.bound_as: Command | None = None
        self.fault: Fault | None = None

    @property
    def receives(self) -> bool:
        return self.open and self.bound_as in RECEIVING

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.open = True
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError("the ESME is gone"))
        self._waiting.clear()
        self._centre.left(self)

    def data_received(self, data: bytes) -> None:
        for frame in self._framer.feed(data):
            if self.open and not self._silent:
                self._take(frame)
        if self._framer.error is not None:
            self.write(pdu.Plain(Command.GENERIC_NACK, 0, self._framer.error.status))
            self.close()

    def _take(self, frame: bytes) -> None:
        if self._fault_strikes():
            return
        try:
            unit = pdu.decode(frame)
        except pdu.PduError as error:
            if error.command == Command.SUBMIT_SM:
                self.write(pdu.MessageResp(Command.SUBMIT_SM_RESP, error.sequence, error.status))
            elif not error.command & pdu.RESPONSE_BIT:
                self.write(pdu.Plain(Command.GENERIC_NACK, error.sequence, error.status))
            return
        self._dispatch(unit)

    def _fault_strikes(self) -> bool:
        """CUT and SILENT count PDUs after the bind."""
        fault = self.fault
        if self.bound_as is None or fault is None or fault.kind is FaultKind.SWALLOW:
            return False
        self._units += 1
        if self._units <= fault.start:
            return False
        if fault.kind is FaultKind.CUT:
            self.abort()
        self._silent = True
        return True

    def _dispatch(self, unit: pdu.Pdu) -> None:
        if isinstance(unit, pdu.Bind):
            self._bind(unit)
        elif unit.command & pdu.RESPONSE_BIT:
            answer = self._waiting.pop(unit.sequence, None)
            if answer is not None and not answer.done():
                answer.set_result(unit.status if isinstance(unit, pdu.MessageResp | pdu.Plain) else 0)
        elif unit.command is Command.ENQUIRE_LINK:
            self.write(pdu.Plain(Command.ENQUIRE_LINK_RESP, unit.sequence))
        elif unit.command is Command.UNBIND:
            self.write(pdu.Plain(Command.UNBIND_RESP, unit.sequence))
            self.close()
        elif isinstance(unit, pdu.Message) and unit.command is Command.SUBMIT_SM:
            self._submit(unit)
        else:
            self.write(pdu.Plain(Command.GENERIC_NACK, unit.sequence, Status.INVALID_COMMAND_ID))

    def _bind(self, bind: pdu.Bind) -> None:
        answer = Command(bind.command | pdu.RESPONSE_BIT)
        status = Status.ALREADY_BOUND if self.bound_as else self._centre.admit(self, bind)
        self.write(pdu.BindResp(answer, bind.sequence, status, "smsc" if status is Status.OK else ""))
        if status not in (Status.OK, Status.ALREADY_BOUND):
            self.close()

    def _submit(self, message: pdu.Message) -> None:
        if self.bound_as not in SENDING:
            status = Status.INVALID_BIND_STATUS
            self.write(pdu.MessageResp(Command.SUBMIT_SM_RESP, message.sequence, status))
            return
        self.submits += 1
        self._centre.take_submit(self, message)

    def swallows(self) -> bool:
        """Whether the submit just counted is to stay unanswered."""
        fault = self.fault
        return fault is not None and fault.kind is FaultKind.SWALLOW and fault.start < self.submits

    def swallowed(self) -> None:
        """After the last of them the connection closes."""
        fault = self.fault
        if fault is not None and self.submits >= fault.start + fault.count:
            self.close()

    async def deliver(self, message: pdu.Message, seconds: float) -> int:
        """Sends a deliver_sm; returns the status of its answer.

        Raises ConnectionResetError or TimeoutError (after `seconds`).
        """
        if not self.open:
            raise ConnectionResetError("the ESME is gone")
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[self._sequence] = answer
        self._write_frame(pdu.with_sequence(pdu.encode(message), self._sequence))
        sequence = self._sequence
        try:
            async with asyncio.timeout(seconds):
                return await answer
        finally:
            self._waiting.pop(sequence, None)

    def write(self, unit: pdu.Pdu) -> None:
        self._write_frame(pdu.encode(unit))

    def _write_frame(self, frame: bytes) -> None:
        if not self.open or self._silent:
            return
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(frame)

    def _flush(self) -> None:
        if self._transport is not None and self._out:
            self._centre.settle()
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def close(self) -> None:
        """Ends the connection after what was written."""
        self._flush()
        self.open = False
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Tears the connection."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()
