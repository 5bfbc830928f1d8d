"""A line over UDP for each result that has come: whoever wants to know at once need not look at the table."""

import logging
import socket
from collections.abc import Mapping
from typing import Self

from sms_relay.links.quiet import Quiet
from sms_relay.npro.codes import ResultCode

_quiet = Quiet(logging.getLogger(__name__))


class Notices:
    """`MSG_SEQ`, a space, RSLT_CODE2: one datagram each, sent once, after the result is durable."""

    def __init__(self, host: str, port: int) -> None:
        """`host` is an IP address: no name is looked up while results wait."""
        self._address = (host, port)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, results: Mapping[int, ResultCode]) -> None:
        """Nobody may be listening: what cannot be sent is left, the table has it."""
        for seq, code in results.items():
            try:
                self._socket.sendto(f"{seq} {code.value}".encode("ascii"), self._address)
            except OSError as error:
                _quiet.warning("udp", "a notice could not be sent (%s)", type(error).__name__)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
