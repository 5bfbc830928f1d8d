"""From a text to the PDUs that carry it, and the pace at which they may leave."""

import asyncio
import secrets
from dataclasses import dataclass

from sms_relay.links.interface import Outgoing
from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.config import LongText, SmppLinkConfig
from sms_relay.links.smpp.pdu import Command, Message, Tag
from sms_relay.links.smpp.text import UCS2_CODING, Alphabet, NotEncodable, divide, header

_RECEIPT_WANTED = 0x01
_UDH_INDICATOR = 0x40
_LONGEST_PAUSE = 8.0  # seconds


@dataclass(frozen=True, slots=True)
class _Piece:
    short_message: bytes
    esm_class: int
    tlvs: pdu.Tlvs


class Composer:
    """Makes submit_sm frames, sequence number still open. References count up from a random start."""

    def __init__(self, config: SmppLinkConfig) -> None:
        self._config = config
        self._reference = secrets.randbelow(0x10000)

    def frames(self, outgoing: Outgoing) -> list[bytes]:
        """One frame per part. Raises `NotEncodable`, `TooLong`, or `Unencodable` for an impossible number."""
        alphabet, coding, parts = self._divide(outgoing.text)
        return [pdu.encode(self._message(outgoing, coding, piece)) for piece in self._pieces(parts, alphabet)]

    def _divide(self, text: str) -> tuple[Alphabet, int, list[bytes]]:
        config = self._config
        try:
            return config.alphabet, config.data_coding, divide(text, config.alphabet, config.single_max)
        except NotEncodable:
            if not config.ucs2 or config.alphabet is Alphabet.UCS2:
                raise
            return Alphabet.UCS2, UCS2_CODING, divide(text, Alphabet.UCS2, config.single_max)

    def _pieces(self, parts: list[bytes], alphabet: Alphabet) -> list[_Piece]:
        if len(parts) == 1:
            return [_Piece(parts[0], 0, {})]
        if self._config.long_text is LongText.PAYLOAD:
            return [_Piece(b"", 0, {Tag.MESSAGE_PAYLOAD: b"".join(parts)})]
        self._reference = (self._reference + 1) & 0xFFFF
        reference, total = self._reference, len(parts)
        if self._config.long_text is LongText.SAR:
            return [
                _Piece(
                    part,
                    0,
                    {
                        Tag.SAR_REFERENCE: reference.to_bytes(2, "big"),
                        Tag.SAR_TOTAL: bytes((total,)),
                        Tag.SAR_SEQUENCE: bytes((number,)),
                    },
                )
                for number, part in enumerate(parts, 1)
            ]
        return [
            _Piece(header(reference, total, number) + part, _UDH_INDICATOR, {}) for number, part in enumerate(parts, 1)
        ]

    def _message(self, outgoing: Outgoing, coding: int, piece: _Piece) -> Message:
        config = self._config
        return Message(
            Command.SUBMIT_SM,
            0,
            outgoing.source,
            outgoing.destination,
            piece.short_message,
            data_coding=coding,
            esm_class=piece.esm_class,
            registered_delivery=_RECEIPT_WANTED,
            source_ton=config.source_ton,
            source_npi=config.source_npi,
            dest_ton=config.dest_ton,
            dest_npi=config.dest_npi,
            tlvs=piece.tlvs,
        )


class Pace:
    """The agreed rate, evenly spread, and the pauses a throttling SMSC asks for. Times are the loop's."""

    def __init__(self, rate: float, first_pause: float) -> None:
        self._step = 1 / rate if rate else 0.0
        self._first_pause = first_pause
        self._pause = first_pause
        self._next = 0.0
        self._closed_until = 0.0

    async def turn(self) -> None:
        """Returns when the next submit may leave."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            if self._closed_until > now:
                await asyncio.sleep(self._closed_until - now)
                continue
            if not self._step:
                return
            mine = max(self._next, now)
            self._next = mine + self._step
            if mine > now:
                await asyncio.sleep(mine - now)
            return

    def throttled(self) -> None:
        """The SMSC said too fast: nothing leaves for a while, longer each time in a row."""
        now = asyncio.get_running_loop().time()
        if self._closed_until > now:
            return  # an answer to something sent before the pause
        self._closed_until = now + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def accepted(self) -> None:
        self._pause = self._first_pause

    def pause_of(self, attempt: int) -> float:
        """Seconds before one message is offered again that met a full queue."""
        return min(self._first_pause * 2.0**attempt, _LONGEST_PAUSE)
