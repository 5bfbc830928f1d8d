"""The FastAGI server. The only module that knows panoramisk's.

panoramisk's own connection handler spins for ever on a client that connects and closes, waits for ever on one that says
nothing, and its `add_route` breaks on plain functions. So the handler is replaced, routes are coroutines, and every
wait has an end.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote_to_bytes

from panoramisk.fast_agi import Application, Request

log = logging.getLogger(__name__)

LONGEST_REQUEST = 64 * 1024  # bytes of headers
REQUEST_TIMEOUT = 5.0  # seconds for the headers to arrive
COMMAND_TIMEOUT = 5.0  # seconds for Asterisk to answer a command
BACKLOG = 512  # connections that wait to be accepted


class AgiFailed(Exception):
    """Asterisk did not take the answer: the caller is gone, or the connection is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgiRequest:
    """What Asterisk said when it asked: the channel's names and the arguments, decoded."""

    unique_id: str
    channel: str
    arguments: tuple[str, ...]

    @classmethod
    def of(cls, headers: dict[str, str]) -> Self:
        arguments: list[str] = []
        while (encoded := headers.get(f"agi_arg_{len(arguments) + 1}")) is not None:
            arguments.append(unquote_to_bytes(encoded).decode("utf-8", "replace"))
        return cls(
            unique_id=headers.get("agi_uniqueid", ""),
            channel=headers.get("agi_channel", ""),
            arguments=tuple(arguments),
        )


Answer = dict[str, str]
"""Channel variables to set, all with one command."""

Handler = Callable[[AgiRequest], Awaitable[Answer]]


class _Application(Application):  # type: ignore[misc]  # panoramisk has no type hints
    """panoramisk's application with a connection handler that ends."""

    async def handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                head = await reader.readuntil(b"\n\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            log.warning("a connection to the question port ended without a question")
        else:
            await self._dispatch(head, reader, writer)
        finally:
            writer.close()

    async def _dispatch(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = head.decode("utf-8", "replace").split("\n")
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        route = self._route.get(headers.get("agi_network_script"))
        if route is None:
            log.error("a question that is not known here")
            return
        await route(Request(app=self, headers=headers, reader=reader, writer=writer))


class AgiServer:
    """Listens for questions. `ask` gives the variables to set.

    An answer that nobody takes needs no deed here: Asterisk's own record tells that the caller hung up.
    """

    def __init__(self, route: str, ask: Handler) -> None:
        self._ask = ask
        self._application = _Application(loop=asyncio.get_running_loop())
        self._application.add_route(route, self._answer)
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Returns the port, for those who gave 0. Raises OSError when it is taken."""
        self._server = await asyncio.start_server(
            self._application.handler, host, port, limit=LONGEST_REQUEST, backlog=BACKLOG
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, request: Any) -> None:
        question = AgiRequest.of(request.headers)
        answer = await self._ask(question)
        try:
            await _set_variables(request, answer)
        except (AgiFailed, TimeoutError, OSError):
            log.info("call %s: nobody took the answer", question.unique_id)


async def _set_variables(request: Any, variables: Answer) -> None:
    """One round trip for all of them. Raises AgiFailed, TimeoutError or OSError."""
    names = ",".join(variables)
    values = ",".join(variables.values())
    if any(character in names + values for character in '"\\\r\n'):
        raise ValueError("a channel variable holds a character that is not its own")
    async with asyncio.timeout(COMMAND_TIMEOUT):
        result = await request.send_command(f'SET VARIABLE ARRAY({names}) "{values}"')
    if result.get("status_code") != 200 or "error" in result:
        raise AgiFailed(str(result.get("error", "no answer")))
