"""From a text to the PDUs that carry it."""

import secrets
from dataclasses import dataclass

from sms_relay.links.interface import Outgoing
from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.config import LongText, SmppLinkConfig
from sms_relay.links.smpp.pdu import Command, Message, Tag
from sms_relay.links.smpp.text import UCS2_CODING, Alphabet, NotEncodable, divide, header

_RECEIPT_WANTED = 0x01
_UDH_INDICATOR = 0x40


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
