"""Reads sipp's message trace: every SIP message of one leg, with its direction. Pure."""

import re
from dataclasses import dataclass

_HEAD = re.compile(rb"^-{20,}[^\n]*\nUDP message (sent|received) [^\n]*\n\n", re.MULTILINE)
_START = re.compile(r"SIP/2\.0 (\d{3})|([A-Z]+) ")
_AUDIO = re.compile(r"^m=audio (\d+) ", re.MULTILINE)
_CONNECTION = re.compile(r"^c=IN IP4 (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Message:
    """One SIP message as it was on the wire. `received`: by this phone."""

    received: bool
    text: str

    @property
    def status(self) -> int | None:
        """Of a response; None for a request."""
        found = _START.match(self.text)
        return int(found[1]) if found and found[1] else None

    @property
    def method(self) -> str:
        """Of a request, or of the request that a response answers."""
        found = _START.match(self.text)
        if found and found[2]:
            return found[2]
        words = self.header("CSeq").split()
        return words[1] if len(words) == 2 else ""

    @property
    def uri(self) -> str:
        """The request URI; '' of a response."""
        words = self.text.split(maxsplit=2)
        return words[1] if self.status is None and len(words) > 1 else ""

    def header(self, name: str) -> str:
        """The first header of that name; '' when there is none."""
        found = re.search(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*?)\r?$", self.text, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else ""

    @property
    def media(self) -> tuple[str, int] | None:
        """Where the sender of this message wants to hear voice."""
        port, address = _AUDIO.search(self.text), _CONNECTION.search(self.text)
        return (address[1], int(port[1])) if port and address else None


def read_trace(data: bytes) -> tuple[Message, ...]:
    """The messages of a trace file, also of one that is still being written."""
    heads = list(_HEAD.finditer(data))
    ends = [*(head.start() for head in heads), len(data)][1:]
    return tuple(
        Message(head[1] == b"received", data[head.end() : end].decode("utf-8", "replace").strip("\r\n") + "\r\n")
        for head, end in zip(heads, ends, strict=True)
    )
