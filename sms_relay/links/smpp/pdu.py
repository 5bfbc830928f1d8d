"""The PDUs of an SMPP 3.4 session: bytes to values and back. Pure: no sockets, no clock.

`Framer` cuts a byte stream into whole PDUs; `decode` reads one; `encode` writes one. What cannot be read
raises `PduError`, which says the command_status the peer is owed and whether the stream can go on.
References: SMPP 3.4 issue 1.2, sections 4 and 5.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

HEADER = struct.Struct(">IIII")
TLV_HEAD = struct.Struct(">HH")
RESPONSE_BIT: Final = 0x80000000
MAX_PDU: Final = 70_000  # a message_payload of 65,535 bytes and what stands around it


class Command(IntEnum):
    BIND_RECEIVER = 0x1
    BIND_TRANSMITTER = 0x2
    SUBMIT_SM = 0x4
    DELIVER_SM = 0x5
    UNBIND = 0x6
    BIND_TRANSCEIVER = 0x9
    ENQUIRE_LINK = 0x15
    GENERIC_NACK = 0x80000000
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER_RESP = 0x80000002
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM_RESP = 0x80000005
    UNBIND_RESP = 0x80000006
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK_RESP = 0x80000015


class Status(IntEnum):
    """The command_status values this code writes or tells apart; others stay plain integers."""

    OK = 0x0
    INVALID_MESSAGE_LENGTH = 0x1
    INVALID_COMMAND_LENGTH = 0x2
    INVALID_COMMAND_ID = 0x3
    INVALID_BIND_STATUS = 0x4
    ALREADY_BOUND = 0x5
    SYSTEM_ERROR = 0x8
    INVALID_SOURCE = 0xA
    INVALID_DESTINATION = 0xB
    BIND_FAILED = 0xD
    INVALID_PASSWORD = 0xE
    INVALID_SYSTEM_ID = 0xF
    QUEUE_FULL = 0x14
    SUBMIT_FAILED = 0x45
    THROTTLED = 0x58
    RECEIVER_TEMPORARY_ERROR = 0x64
    INVALID_OPTIONAL_STREAM = 0xC0
    INVALID_PARAMETER_LENGTH = 0xC2
    DELIVERY_FAILURE = 0xFE
    UNKNOWN_ERROR = 0xFF


class Tag(IntEnum):
    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    SAR_REFERENCE = 0x020C
    SAR_TOTAL = 0x020E
    SAR_SEQUENCE = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


class PduError(Exception):
    """A PDU that cannot be read. `status` is what its sender is told; `fatal`: the stream is out of step
    and must be closed.
    """

    def __init__(self, detail: str, *, status: Status, command: int = 0, sequence: int = 0, fatal: bool = False):
        super().__init__(detail)
        self.status = status
        self.command = command
        self.sequence = sequence
        self.fatal = fatal


class FramingError(PduError):
    """The length of a PDU is impossible; where the next begins is unknown."""


class UnknownCommand(PduError):
    """A command this session does not speak; the next PDU is fine."""


class MalformedBody(PduError):
    """The body does not hold what its command promises; the next PDU is fine."""


class Unencodable(ValueError):
    """A value of our own that no PDU can carry (too long, or a NUL within)."""


Tlvs = dict[int, bytes]


@dataclass(frozen=True, slots=True)
class Bind:
    """bind_receiver, bind_transmitter or bind_transceiver."""

    command: Command
    sequence: int
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""


@dataclass(frozen=True, slots=True)
class BindResp:
    command: Command
    sequence: int
    status: int
    system_id: str = ""
    tlvs: Tlvs = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """submit_sm or deliver_sm: they have the same fields. `short_message` is at most 254 bytes, else use
    MESSAGE_PAYLOAD.
    """

    command: Command
    sequence: int
    source: str
    destination: str
    short_message: bytes
    data_coding: int = 0
    esm_class: int = 0
    registered_delivery: int = 0
    service_type: str = ""
    source_ton: int = 0
    source_npi: int = 0
    dest_ton: int = 0
    dest_npi: int = 0
    protocol_id: int = 0
    priority: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    replace_if_present: int = 0
    default_message_id: int = 0
    tlvs: Tlvs = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The user data, whichever field carries it."""
        return self.short_message or self.tlvs.get(Tag.MESSAGE_PAYLOAD, b"")

    def __repr__(self) -> str:
        return f"Message({self.command.name}, sequence={self.sequence}, {len(self.content)} bytes)"


@dataclass(frozen=True, slots=True)
class MessageResp:
    """submit_sm_resp or deliver_sm_resp."""

    command: Command
    sequence: int
    status: int
    message_id: str = ""
    tlvs: Tlvs = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plain:
    """A PDU that is all header: enquire_link, unbind, their responses, generic_nack."""

    command: Command
    sequence: int
    status: int = 0


Pdu = Bind | BindResp | Message | MessageResp | Plain

_BINDS = frozenset({Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER})
_BIND_RESPS = frozenset({Command.BIND_RECEIVER_RESP, Command.BIND_TRANSMITTER_RESP, Command.BIND_TRANSCEIVER_RESP})
_MESSAGES = frozenset({Command.SUBMIT_SM, Command.DELIVER_SM})
_MESSAGE_RESPS = frozenset({Command.SUBMIT_SM_RESP, Command.DELIVER_SM_RESP})
_COMMANDS: Final = {int(command): command for command in Command}


class Framer:
    """Cuts a stream into PDUs, in pieces of any size."""

    def __init__(self, max_pdu: int = MAX_PDU) -> None:
        self._buffer = bytearray()
        self._max = max_pdu
        self.error: FramingError | None = None
        """Set once a PDU of impossible length begins; what follows cannot be found any more and is lost."""

    def feed(self, data: bytes) -> list[bytes]:
        """The PDUs completed by `data`; those before an impossible one are still returned. See `error`
        afterwards.
        """
        if self.error is not None:
            return []
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        start = 0
        while len(buffer) - start >= 4:
            length = int.from_bytes(buffer[start : start + 4], "big")
            if not HEADER.size <= length <= self._max:
                self.error = FramingError(f"a PDU of {length} bytes", status=Status.INVALID_COMMAND_LENGTH, fatal=True)
                start = len(buffer)
                break
            if len(buffer) - start < length:
                break
            frames.append(bytes(buffer[start : start + length]))
            start += length
        if start:
            del buffer[:start]
        return frames


def decode(frame: bytes) -> Pdu:
    """Reads one whole PDU. Raises `UnknownCommand` or `MalformedBody`; both carry the sequence number to
    answer.
    """
    if len(frame) < HEADER.size or int.from_bytes(frame[:4], "big") != len(frame):
        raise FramingError("length and bytes disagree", status=Status.INVALID_COMMAND_LENGTH, fatal=True)
    _, number, status, sequence = HEADER.unpack_from(frame)
    command = _COMMANDS.get(number)
    if command is None:
        raise UnknownCommand(
            f"command {number:#010x}", status=Status.INVALID_COMMAND_ID, command=number, sequence=sequence
        )
    try:
        if command in _MESSAGES:
            return _decode_message(command, sequence, frame)
        if command in _MESSAGE_RESPS:
            return _decode_message_resp(command, sequence, status, frame)
        if command in _BINDS:
            return _decode_bind(command, sequence, frame)
        if command in _BIND_RESPS:
            return _decode_bind_resp(command, sequence, status, frame)
    except _Malformed as error:
        raise MalformedBody(str(error), status=error.status, command=number, sequence=sequence) from error
    return Plain(command, sequence, status)


class _Malformed(Exception):
    def __init__(self, detail: str, status: Status) -> None:
        super().__init__(detail)
        self.status = status


def _cstring(frame: bytes, start: int, most: int) -> tuple[str, int]:
    """A C-octet string of at most `most` bytes, NUL included, and where it ends."""
    end = frame.find(0, start, start + most)
    if end < 0:
        raise _Malformed("a text field without end", Status.INVALID_PARAMETER_LENGTH)
    return frame[start:end].decode("latin-1"), end + 1


def _bytes(frame: bytes, start: int, count: int) -> tuple[bytes, int]:
    end = start + count
    if end > len(frame):
        raise _Malformed("the body ends too soon", Status.INVALID_COMMAND_LENGTH)
    return frame[start:end], end


def _tlvs(frame: bytes, start: int) -> Tlvs:
    tlvs: Tlvs = {}
    while start < len(frame):
        if start + 4 > len(frame):
            raise _Malformed("half an optional parameter", Status.INVALID_OPTIONAL_STREAM)
        tag, length = TLV_HEAD.unpack_from(frame, start)
        start += 4
        if start + length > len(frame):
            raise _Malformed("an optional parameter longer than its PDU", Status.INVALID_OPTIONAL_STREAM)
        tlvs.setdefault(tag, frame[start : start + length])
        start += length
    return tlvs


def _decode_message(command: Command, sequence: int, frame: bytes) -> Message:
    service_type, at = _cstring(frame, HEADER.size, 6)
    (source_ton, source_npi), at = _bytes(frame, at, 2)
    source, at = _cstring(frame, at, 21)
    (dest_ton, dest_npi), at = _bytes(frame, at, 2)
    destination, at = _cstring(frame, at, 21)
    (esm_class, protocol_id, priority), at = _bytes(frame, at, 3)
    schedule, at = _cstring(frame, at, 17)
    validity, at = _cstring(frame, at, 17)
    (registered, replace, data_coding, default_id, length), at = _bytes(frame, at, 5)
    if at + length > len(frame):
        raise _Malformed("sm_length reaches beyond the PDU", Status.INVALID_MESSAGE_LENGTH)
    text = frame[at : at + length]
    tlvs = _tlvs(frame, at + length) if at + length < len(frame) else {}
    return Message(
        command, sequence, source, destination, text, data_coding, esm_class, registered, service_type,
        source_ton, source_npi, dest_ton, dest_npi, protocol_id, priority, schedule, validity, replace,
        default_id, tlvs,
    )  # fmt: skip


def _decode_message_resp(command: Command, sequence: int, status: int, frame: bytes) -> MessageResp:
    """The body may be left out when the status is an error, and some SMSCs leave it out always."""
    if len(frame) == HEADER.size:
        return MessageResp(command, sequence, status)
    message_id, at = _cstring(frame, HEADER.size, 65)
    return MessageResp(command, sequence, status, message_id, _tlvs(frame, at))


def _decode_bind(command: Command, sequence: int, frame: bytes) -> Bind:
    system_id, at = _cstring(frame, HEADER.size, 16)
    password, at = _cstring(frame, at, 9)
    system_type, at = _cstring(frame, at, 13)
    (version, ton, npi), at = _bytes(frame, at, 3)
    address_range, at = _cstring(frame, at, 41)
    return Bind(command, sequence, system_id, password, system_type, version, ton, npi, address_range)


def _decode_bind_resp(command: Command, sequence: int, status: int, frame: bytes) -> BindResp:
    if len(frame) == HEADER.size:
        return BindResp(command, sequence, status)
    system_id, at = _cstring(frame, HEADER.size, 16)
    return BindResp(command, sequence, status, system_id, _tlvs(frame, at))


def encode(pdu: Pdu) -> bytes:
    """Writes one PDU. Raises `Unencodable` for values of ours that do not fit their field."""
    status = 0
    if isinstance(pdu, Message):
        body = _message_body(pdu)
    elif isinstance(pdu, MessageResp):
        status = pdu.status
        body = _text(pdu.message_id, 65) + _encode_tlvs(pdu.tlvs)
    elif isinstance(pdu, Plain):
        status = pdu.status
        body = b""
    elif isinstance(pdu, Bind):
        body = b"".join(
            (
                _text(pdu.system_id, 16),
                _text(pdu.password, 9),
                _text(pdu.system_type, 13),
                bytes((pdu.interface_version, pdu.addr_ton, pdu.addr_npi)),
                _text(pdu.address_range, 41),
            )
        )
    else:
        status = pdu.status
        body = _text(pdu.system_id, 16) + _encode_tlvs(pdu.tlvs)
    return HEADER.pack(HEADER.size + len(body), pdu.command, status, pdu.sequence) + body


def with_sequence(frame: bytes, sequence: int) -> bytes:
    """The same PDU under another sequence number, known only when it is written."""
    return b"".join((frame[:12], sequence.to_bytes(4, "big"), frame[16:]))


def _message_body(pdu: Message) -> bytes:
    if len(pdu.short_message) > 254:
        raise Unencodable("short_message takes 254 bytes")
    return b"".join(
        (
            _text(pdu.service_type, 6),
            bytes((pdu.source_ton, pdu.source_npi)),
            _text(pdu.source, 21),
            bytes((pdu.dest_ton, pdu.dest_npi)),
            _text(pdu.destination, 21),
            bytes((pdu.esm_class, pdu.protocol_id, pdu.priority)),
            _text(pdu.schedule_delivery_time, 17),
            _text(pdu.validity_period, 17),
            bytes(
                (
                    pdu.registered_delivery,
                    pdu.replace_if_present,
                    pdu.data_coding,
                    pdu.default_message_id,
                    len(pdu.short_message),
                )
            ),
            pdu.short_message,
            _encode_tlvs(pdu.tlvs) if pdu.tlvs else b"",
        )
    )


def _text(value: str, most: int) -> bytes:
    try:
        raw = value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise Unencodable("a field takes plain characters only") from error
    if len(raw) >= most or 0 in raw:
        raise Unencodable(f"a field takes {most - 1} bytes without NUL")
    return raw + b"\0"


def _encode_tlvs(tlvs: Tlvs) -> bytes:
    out = bytearray()
    for tag, value in tlvs.items():
        if len(value) > 0xFFFF:
            raise Unencodable("an optional parameter takes 65,535 bytes")
        out += TLV_HEAD.pack(tag, len(value)) + value
    return bytes(out)
