"""Which address a host is called at. A tenant names the host: it must not lead into the operator's own network."""

import asyncio
import ipaddress
import socket
from typing import Final

KEPT: Final = 30.0  # seconds that an answer of the resolver is used for
MOST_KEPT: Final = 1_000  # hosts


class Addresses:
    """Resolves names, and keeps what it found for a while. `private`: whether addresses of no public use are taken."""

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._known: dict[tuple[str, int], tuple[str, float]] = {}

    async def of(self, host: str, port: int) -> str:
        """An address to call. Raises OSError where there is none that may be called."""
        loop = asyncio.get_running_loop()
        known = self._known.get((host, port))
        if known is not None and known[1] > loop.time():
            return known[0]
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for *_, address in found:
            if self._private or ipaddress.ip_address(address[0]).is_global:
                if len(self._known) >= MOST_KEPT:
                    self._known.clear()
                self._known[host, port] = (str(address[0]), loop.time() + KEPT)
                return str(address[0])
        raise OSError("no public address")
