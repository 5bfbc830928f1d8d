"""Where MMSCs deliver messages from handsets and what became of others: one HTTP server for all MM7 links, a path for
each (`/mm7/NAME`).

Either is answered with success only after it is stored. An MMSC proves itself with the account that it is asked with.
"""

import asyncio
import base64
import binascii
import contextlib
import hmac
import logging
import socket
from collections.abc import Generator, Sequence
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sms_relay.links.interface import TryLater
from sms_relay.links.mm7 import mime
from sms_relay.links.mm7.deliver import read_deliver
from sms_relay.links.mm7.link import Mm7Link
from sms_relay.links.mm7.reports import read_report
from sms_relay.links.mm7.soap import BadMessage, Message, answer, fault, read
from sms_relay.links.quiet import Quiet

log = logging.getLogger(__name__)

MOST_REPORT = 65_536  # bytes
MOST_MESSAGE = 4 * 1024 * 1024  # bytes of a message with its files, which may be in base64
MOST_TOGETHER = 8  # messages that are read and stored at once; others wait
BODY_SECONDS = 20.0  # for a request to arrive
RETRY_SECONDS = 5.0
XML = 'text/xml; charset="utf-8"'

SUCCESS = 1000
FORMAT_CORRUPT = 2007
UNSUPPORTED_OPERATION = 4003
SERVICE_UNAVAILABLE = 4006

ANSWERS: Final = {"DeliveryReportReq": "DeliveryReportRsp", "DeliverReq": "DeliverRsp"}
"""What is taken, and what the answer to it is called."""


class _TooLong(Exception):
    """A request of more bytes than any report or message has."""


class _Server(uvicorn.Server):
    """Signals belong to the process it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class Mm7Listener:
    """`run()` is a task of the owner. `port` is known once it listens."""

    def __init__(self, links: Sequence[Mm7Link], host: str, port: int) -> None:
        """`port` 0: one the system chooses."""
        self._links = {link.name: link for link in links}
        self._host = host
        self._wanted = port
        self._quiet = Quiet(log)
        self._places = asyncio.Semaphore(MOST_TOGETHER)
        self.port = 0
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Listens until cancelled. A port that somebody else holds is asked for again and again."""
        while True:
            try:
                listener = _bound(self._host, self._wanted)
            except OSError as error:
                self._quiet.warning("port", "reports of MMSCs cannot be taken: port %d (%s)", self._wanted, error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            with listener:
                await self._serve(listener)

    async def _serve(self, listener: socket.socket) -> None:
        listener.listen()
        self.port = int(listener.getsockname()[1])
        server = _Server(
            uvicorn.Config(
                self.application(),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        self.listening.set()
        try:
            await asyncio.shield(serving)
        finally:
            self.listening.clear()
            server.should_exit = True
            await serving

    def application(self) -> Starlette:
        return Starlette(routes=[Route("/mm7/{name}", self._post, methods=["POST"])])

    async def _post(self, request: Request) -> Response:
        link = self._links.get(request.path_params["name"])
        if link is None:
            return Response(status_code=404)
        if not _is_of(request.headers.get("Authorization", ""), link.config.user, link.config.password):
            self._quiet.warning("account", "%s: a request with a wrong account is refused", link.name)
            return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="mm7"'})
        content_type = request.headers.get("Content-Type", "text/xml")
        if not content_type.lower().startswith("multipart/"):
            return await self._request(link, request, content_type, MOST_REPORT)
        async with self._places:
            return await self._request(link, request, content_type, MOST_MESSAGE)

    async def _request(self, link: Mm7Link, request: Request, content_type: str, most: int) -> Response:
        """`most`: bytes of the body."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(request, most)
        except _TooLong:
            return Response(status_code=413)
        except (TimeoutError, ClientDisconnect):
            return Response(status_code=408)
        try:
            envelope, pieces = await asyncio.to_thread(mime.opened, content_type, body)
            message = read(envelope)
        except BadMessage as bad:
            return self._fault(link, None, FORMAT_CORRUPT, str(bad))
        return await self._take(link, message, pieces)

    async def _take(self, link: Mm7Link, message: Message, pieces: Sequence[mime.Piece]) -> Response:
        if message.kind not in ANSWERS:
            return self._fault(link, message, UNSUPPORTED_OPERATION, "only messages and delivery reports are taken")
        if message.kind == "DeliverReq" and link.on_incoming is None:
            return self._fault(link, message, UNSUPPORTED_OPERATION, "messages from handsets are not taken here")
        try:
            if message.kind == "DeliverReq":
                await link.take_message(read_deliver(message, pieces))
            else:
                await link.take_report(read_report(message))
        except BadMessage as bad:
            return self._fault(link, message, FORMAT_CORRUPT, str(bad))
        except TryLater:
            return self._fault(link, message, SERVICE_UNAVAILABLE, "try again later")
        except Exception as error:  # noqa: BLE001 whatever failed, the MMSC must keep what was not stored
            self._quiet.warning(
                "failed", "%s: a handler failed (%s); not acknowledged", link.name, type(error).__name__
            )
            return self._fault(link, message, SERVICE_UNAVAILABLE, "try again later")
        done = answer(message, ANSWERS[message.kind], link.config.version, SUCCESS, "Success")
        return Response(done, media_type=XML)

    def _fault(self, link: Mm7Link, message: Message | None, status: int, text: str) -> Response:
        """SOAP 1.1 over HTTP answers every fault with 500."""
        self._quiet.warning(f"fault {status}", "%s: answered %d: %s", link.name, status, text)
        transaction, namespace = (message.transaction_id, message.namespace) if message else ("", "")
        body = fault(transaction, namespace or link.config.namespace, link.config.version, status, text)
        return Response(body, status_code=500, media_type=XML)


def _bound(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


async def _read(request: Request, most: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise _TooLong
    return bytes(body)


def _is_of(authorization: str, user: str, password: str) -> bool:
    scheme, _, token = authorization.partition(" ")
    try:
        given = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(given, f"{user}:{password}".encode())
