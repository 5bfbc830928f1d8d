"""Texts that reached a handset, one JSON object a line, parts of long ones joined."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sms_relay.links.smpp.pdu import Message, Tag
from sms_relay.links.smpp.text import Alphabet, Concatenation, decode_text, sar, strip_header

UDH_INDICATOR = 0x40


@dataclass(slots=True)
class _Pending:
    message_id: str
    pieces: dict[int, bytes] = field(default_factory=dict)


class Outbox:
    """Lines of one turn of the event loop are written together. Not synced to disk: this is no carrier."""

    def __init__(self, file: Path, alphabet: Alphabet, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file.open("ab", buffering=0)  # each write is one append: others may write into it too
        file.chmod(0o600)  # numbers and texts of people, in development too
        self._alphabet = alphabet
        self._now = now
        self._lines: list[str] = []
        self._pending: dict[tuple[str, str, str, int, int, int], _Pending] = {}

    def add(self, message: Message, message_id: str, system_id: str) -> None:
        """One submit_sm that was taken."""
        place, content = place_of(message)
        if place is None:
            self._line(message, message_id, system_id, content, 1)
            return
        key = (system_id, message.source, message.destination, place.bits, place.reference, place.total)
        pending = self._pending.setdefault(key, _Pending(message_id))
        pending.pieces[place.sequence] = content
        if len(pending.pieces) == place.total:
            del self._pending[key]
            whole = b"".join(pending.pieces[number] for number in range(1, place.total + 1))
            self._line(message, pending.message_id, system_id, whole, place.total)

    def _line(self, message: Message, message_id: str, system_id: str, content: bytes, parts: int) -> None:
        text = decode_text(content, message.data_coding, self._alphabet)
        record: dict[str, str | int | None] = {
            "at": self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "from": message.source,
            "to": message.destination,
            "text": text,
            "data_coding": message.data_coding,
            "parts": parts,
            "message_id": message_id,
            "system_id": system_id,
        }
        if text is None:
            record["raw"] = content.hex()
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        self._lines.append(json.dumps(record, ensure_ascii=False))

    def flush(self) -> None:
        if self._lines:
            self._file.write(("\n".join(self._lines) + "\n").encode())
            self._lines.clear()

    def close(self) -> None:
        self.flush()
        self._file.close()


def place_of(message: Message) -> tuple[Concatenation | None, bytes]:
    """Which part of a long text a message is, and its bytes without header."""
    if message.esm_class & UDH_INDICATOR:
        return strip_header(message.content)
    tlvs = message.tlvs
    if Tag.SAR_REFERENCE in tlvs:
        place = sar(tlvs[Tag.SAR_REFERENCE], tlvs.get(Tag.SAR_TOTAL, b""), tlvs.get(Tag.SAR_SEQUENCE, b""))
        return place, message.content
    return None, message.content
