"""What surrounds every request: the limit on its body, the net under unexpected errors, the clock for the metrics."""

import asyncio
import logging
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import HttpMetrics
from api.problems import response_of, unexpected
from vns.errors import Unavailable

log = logging.getLogger(__name__)

NO_ROUTE = "(none)"
READ_AWAY_BYTES = 67_108_864  # of a body that is refused
READ_AWAY_SECONDS = 2.0
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """ASGI middleware, plain because each request passes it."""

    def __init__(
        self, app: ASGIApp, *, max_body_bytes: int, metrics: HttpMetrics, larger: Mapping[str, int] | None = None
    ) -> None:
        """`larger`: limits of paths, as routes write them, that take more than `max_body_bytes`."""
        self._app = app
        self._limit = max_body_bytes
        self._larger = [(compile_path(path)[0], longest) for path, longest in (larger or {}).items()]
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, self._limited(scope, receive), sending)
        except asyncio.CancelledError:  # the server is ending and cuts what is still under way: the task ends here
            if not status:
                await response_of(Unavailable("the server is ending"))(scope, receive, sending)
        except ClientDisconnect:
            status = status or 499  # nobody is left to answer; the number is nginx's
        except Exception as error:  # noqa: BLE001 - the net under everything: logged without values, answered 500
            name = uuid.uuid4().urn
            log.error("%s %s", name, without_values(error))  # noqa: TRY400 - the traceback would show values
            if not status:
                await unexpected(name)(scope, receive, sending)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self._metrics.answered(method, route, status, time.perf_counter() - begun)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        length = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        left = self._limit
        if length is not None and length.isdigit() and int(length) <= left:
            return receive  # the server reads no more than was announced
        left = next((longest for path, longest in self._larger if path.match(scope["path"])), left)
        if length is not None and length.isdigit() and int(length) <= left:
            return receive

        async def counted() -> Message:
            nonlocal left
            if length is not None:
                if (b"expect", b"100-continue") not in scope["headers"]:
                    await _read_away(receive)
                raise _too_large()
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    await _read_away(receive)
                    raise _too_large()
            return message

        return counted


def _too_large() -> HTTPException:
    """The rest of the body may not have been read: the connection cannot be used again."""
    return HTTPException(413, headers={"connection": "close"})


async def _read_away(receive: Receive) -> None:
    """Most clients send all before they look at the answer, and would lose it with the connection."""
    left = READ_AWAY_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(READ_AWAY_SECONDS):
            while left > 0:
                message = await receive()
                if not message.get("more_body"):
                    return
                left -= len(message["body"])


def without_values(error: BaseException) -> str:
    """Kind and place of an error and its causes. Messages are left out: a driver's may repeat what it was given."""
    return "\n".join(_told(error))


def _told(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield type(error).__qualname__
        for frame, line in traceback.walk_tb(error.__traceback__):
            yield f"  {frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
        error = error.__cause__ or error.__context__
