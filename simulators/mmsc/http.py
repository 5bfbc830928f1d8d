"""As much HTTP/1.1 as MM7 needs, read strictly: one request a connection, its length known beforehand."""

import asyncio
from dataclasses import dataclass
from typing import Final

MOST_HEAD: Final = 16_384
MOST_BODY: Final = 4 * 1024 * 1024
REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    500: "Internal Server Error",
}


class BadHttp(Exception):
    """A request that is answered with `status` alone."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS.get(status, str(status)))
        self.status = status


@dataclass(frozen=True, slots=True)
class HttpMessage:
    """`first`: the words of the first line. `headers`: names in lower case."""

    first: tuple[str, ...]
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"HttpMessage({len(self.body)} bytes)"


async def read(reader: asyncio.StreamReader) -> HttpMessage:
    """Raises BadHttp, EOFError for a connection that closed, OSError."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError as error:
        raise BadHttp(400) from error
    first, *lines = head[:-4].split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip() or name.lower() in headers:
            raise BadHttp(400)
        headers[name.lower()] = value.strip()
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        raise BadHttp(411)
    if int(length) > MOST_BODY:
        raise BadHttp(413)
    return HttpMessage(tuple(first.split(" ", 2)), headers, await reader.readexactly(int(length)))


def response(status: int, body: bytes, **headers: str) -> bytes:
    """`headers`: underscores stand for hyphens."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def post(target: str, body: bytes, **headers: str) -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
