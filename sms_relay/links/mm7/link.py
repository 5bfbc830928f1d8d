"""One MM7 link: an HTTP request for each message, and the reports that come back through the listener.

MM7 has no session. The link counts as up while the MMSC takes connections and lets this account in: it looks every
`check_interval` seconds, and again after each pause when it was down.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from sms_relay.links.early import EarlyReceipts
from sms_relay.links.interface import (
    Carrier,
    Incoming,
    IncomingHandler,
    Outgoing,
    Reason,
    Receipt,
    ReceiptHandler,
    SubmitOutcome,
    SubmitStatus,
    TryLater,
)
from sms_relay.links.mm7.config import Mm7LinkConfig
from sms_relay.links.mm7.deliver import Delivered
from sms_relay.links.mm7.reports import Report
from sms_relay.links.mm7.shut import ShutOut
from sms_relay.links.mm7.soap import BadMessage
from sms_relay.links.mm7.submit import Answer, BadNumber, Request, compose, read_answer
from sms_relay.links.pace import Pace
from sms_relay.links.quiet import Quiet

log = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log a line for each message

MOST_ANSWER = 65_536  # bytes
SERVICE_UNAVAILABLE = 4006  # StatusCode of an MMSC that has too much to do
_BUSY_HTTP = frozenset({429, 503})
_SHUT = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405, 407, 410})
"""HTTP statuses of a door that does not open: the request went no further, and neither will the next one."""
_SHUT_TO_ONE = _SHUT - {401, 407}
"""Those of them that a filter gives to one message as well, for what it holds."""


@dataclass(slots=True)
class Counters:
    """Since the start of the process."""

    accepted: int = 0
    refused: int = 0
    busy: int = 0
    unknown: int = 0


class _NotTaken(Exception):
    """The request certainly went no further than the MMSC's door."""


class _Lost(Exception):
    """It may have been taken: no answer came, or one that says nothing."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class _Refused(Exception):
    """HTTP itself refused this request; another one may be taken."""

    def __init__(self, reason: Reason | None = None, status: int | None = None) -> None:
        """`status`: the StatusCode that says the same."""
        super().__init__(f"refused, {status}")
        self.reason = reason
        self.status = status


class Mm7Link:
    """Implements `interface.Link` over MM7. `take_report` is the listener's."""

    def __init__(self, config: Mm7LinkConfig) -> None:
        self.config = config
        self.on_incoming: IncomingHandler | None = None
        self.on_receipt: ReceiptHandler | None = None
        self.counters = Counters()
        self._early = EarlyReceipts(config.report_hold)
        self._quiet = Quiet(log)
        self._pace = Pace(config.rate, config.busy_pause)
        self._places = asyncio.Semaphore(config.window)
        self._client: httpx.AsyncClient | None = None
        self._shut_out = ShutOut()
        self._up = asyncio.Event()
        self._fell = asyncio.Event()
        self._answered = False
        self._closing = False

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def carrier(self) -> Carrier:
        return self.config.carrier

    @property
    def window(self) -> int:
        return self.config.window

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    async def wait_connected(self) -> None:
        """Returns when the link is up, at once if it is. No deadline of its own."""
        await self._up.wait()

    # -- keeping it up ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """See `interface.Link.run`. Submits under way keep their connection until it ends."""
        context = ssl.create_default_context(cafile=self.config.tls_ca) if self.config.tls else None
        async with self._opened(context) as client:
            self._client = client
            try:
                await self._keep_looking(context)
            finally:
                self._closing = True
                self._up.clear()
                self._client = None

    def _opened(self, context: ssl.SSLContext | None) -> httpx.AsyncClient:
        """No connection is used twice: on an old one nobody can tell an answer that was lost from a request that was
        never read.
        """
        config = self.config
        return httpx.AsyncClient(
            auth=httpx.BasicAuth(config.user, config.password),
            verify=context if context is not None else True,
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            timeout=httpx.Timeout(config.response_timeout, connect=config.connect_timeout),
        )

    async def _keep_looking(self, context: ssl.SSLContext | None) -> None:
        config = self.config
        delay = config.backoff_first
        while True:
            self._fell.clear()
            self._answered = False
            why = await self._look(context)
            if why is None:
                self._up.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(config.check_interval):
                        await self._fell.wait()
                if not self._fell.is_set():
                    delay = config.backoff_first
                    continue
                if self._answered:
                    delay = config.backoff_first
            else:
                self._down(why)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 jitter is no secret
            delay = min(delay * 2, config.backoff_most)

    async def _look(self, context: ssl.SSLContext | None) -> str | None:
        """Why the MMSC takes no connection; None: it does."""
        config = self.config
        try:
            async with asyncio.timeout(config.connect_timeout):
                _, writer = await asyncio.open_connection(config.host, config.port, ssl=context)
        except (OSError, TimeoutError) as error:
            return type(error).__name__
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return None

    def _down(self, why: str) -> None:
        """Whoever looks from now on, in this same turn of the loop even, finds the link down."""
        self._up.clear()
        self._fell.set()
        self._quiet.warning("down", "%s: link down: %s", self.config.name, why)

    # -- sending ------------------------------------------------------------------------------------------

    async def submit(self, outgoing: Outgoing) -> SubmitOutcome:
        """See `interface.Link.submit`."""
        if not self.connected:
            await asyncio.sleep(0)  # a caller that tries again at once must not stop the loop
            reason = Reason.CLOSING if self._closing else Reason.NOT_CONNECTED
            return SubmitOutcome(status=SubmitStatus.NOT_SENT, reason=reason)
        try:
            request = compose(self.config, outgoing, datetime.now(UTC))
        except BadNumber:
            return SubmitOutcome(status=SubmitStatus.REFUSED, reason=Reason.BAD_NUMBER)
        ticket = self._early.begin()
        ids: tuple[str, ...] = ()
        try:
            async with self._places:
                outcome = await self._offer(request, outgoing.id)
            ids = outcome.message_ids
        finally:
            self._early.end(ticket, ids)
        self._count(outcome)
        return outcome

    def _count(self, outcome: SubmitOutcome) -> None:
        if outcome.status is SubmitStatus.ACCEPTED:
            self.counters.accepted += 1
        elif outcome.status is SubmitStatus.REFUSED:
            self.counters.refused += 1
        elif outcome.status is SubmitStatus.UNKNOWN:
            self.counters.unknown += 1

    async def _offer(self, request: Request, name: str) -> SubmitOutcome:
        """Offers it again while the MMSC says that it has too much to do. `name`: of the message."""
        attempt = 0
        while True:
            await self._pace.turn()
            outcome = await self._once(request, name)
            if not outcome.retryable:
                self._pace.accepted()
                return outcome
            self.counters.busy += 1
            if attempt >= self.config.busy_retries:
                return outcome
            await asyncio.sleep(self._pace.pause_of(attempt))
            attempt += 1

    async def _once(self, request: Request, name: str) -> SubmitOutcome:
        try:
            answer = await self._post(request, name)
        except _NotTaken:
            return SubmitOutcome(status=SubmitStatus.NOT_SENT, reason=Reason.NOT_CONNECTED)
        except _Refused as refused:
            return _refusal(refused.status, refused.reason)
        except _Lost as lost:
            return SubmitOutcome(status=SubmitStatus.UNKNOWN, reason=lost.reason)
        self._answered = True
        self._shut_out.let_in(name)
        if answer.accepted:
            ids = (answer.message_id,) if answer.message_id else ()
            return SubmitOutcome(status=SubmitStatus.ACCEPTED, message_ids=ids)
        return _refusal(answer.status)

    async def _post(self, request: Request, name: str) -> Answer:
        """Raises `_NotTaken`, `_Refused`, `_Lost`."""
        client = self._client
        if client is None:
            raise _NotTaken
        headers = {
            "Content-Type": request.content_type,
            "SOAPAction": '""',
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        deadline = self.config.connect_timeout + self.config.response_timeout
        try:
            async with (
                asyncio.timeout(deadline),
                client.stream("POST", self.config.target, content=request.body, headers=headers) as response,
            ):
                self._look_at(response.status_code, name)
                return await _answer(response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self._down(type(error).__name__)
            raise _NotTaken from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise _Lost(Reason.NO_ANSWER) from error
        except (httpx.HTTPError, httpx.StreamError, BadMessage) as error:
            self._quiet.warning("lost", "%s: no usable answer (%s)", self.config.name, type(error).__name__)
            raise _Lost(Reason.LINK_LOST) from error

    def _look_at(self, status: int, name: str) -> None:
        """What HTTP alone says. A 500 may hold a SOAP fault, and other 5xx do not tell how far the request came."""
        if status in _SHUT_TO_ONE and self._shut_out.at_fault(name):
            self._quiet.warning("one", "%s: the door stays shut to one message: HTTP %d", self.config.name, status)
            raise _Refused
        if status in _SHUT:
            self._down(f"HTTP {status}")
            raise _NotTaken
        if status in _BUSY_HTTP:
            raise _Refused(status=SERVICE_UNAVAILABLE)
        if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            raise _Refused(Reason.TOO_LONG)
        if httpx.codes.is_client_error(status):
            raise _Refused

    # -- reports ------------------------------------------------------------------------------------------

    async def take_report(self, report: Report) -> None:
        """Returns when the report is stored. Raises TryLater: the MMSC has to keep it."""
        try:
            async with asyncio.timeout(self.config.handler_timeout):
                await self._early.passes(report.message_id)
                if self.on_receipt is None:
                    raise TryLater("nobody takes reports")
                await self.on_receipt(
                    Receipt(
                        message_id=report.message_id,
                        state=report.state,
                        error_code="",
                        carrier=self.config.carrier,
                        done_at=report.done_at,
                        link=self.config.name,
                    )
                )
        except TimeoutError as error:
            raise TryLater("storing a report took too long") from error

    # -- messages from handsets ---------------------------------------------------------------------------

    async def take_message(self, delivered: Delivered) -> None:
        """Returns when the message is stored. Raises TryLater: the MMSC has to keep it.

        MM7 has no sessions. Each offer counts as one of its own; `delivery` tells which of them are the same message.
        """
        if self.on_incoming is None:
            raise TryLater("nobody takes messages")
        incoming = Incoming(
            source=delivered.sender,
            destination=delivered.recipient,
            text=delivered.text,
            raw=delivered.digest,
            data_coding=0,
            link=self.config.name,
            session_id=secrets.token_hex(8),
            media=delivered.media,
            subject=delivered.subject,
            delivery=delivered.delivery,
        )
        try:
            async with asyncio.timeout(self.config.handler_timeout):
                await self.on_incoming(incoming)
        except TimeoutError as error:
            raise TryLater("storing a message took too long") from error


def _refusal(status: int | None, reason: Reason | None = None) -> SubmitOutcome:
    busy = status == SERVICE_UNAVAILABLE
    return SubmitOutcome(status=SubmitStatus.REFUSED, reason=reason, mm7_status=status, retryable=busy)


async def _answer(response: httpx.Response) -> Answer:
    """Raises `BadMessage` for what is no answer, or too long for one."""
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MOST_ANSWER:
            raise BadMessage("an answer that does not end")
    return read_answer(response.headers.get("Content-Type", "text/xml"), bytes(body))
