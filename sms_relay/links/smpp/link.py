"""One SMPP link that keeps itself up: connects, binds, sends within window and rate, and comes back."""

import asyncio
import contextlib
import logging
import random
import ssl
from dataclasses import dataclass

from sms_relay.links.early import EarlyReceipts
from sms_relay.links.interface import (
    Carrier,
    IncomingHandler,
    Outgoing,
    Reason,
    ReceiptHandler,
    SubmitOutcome,
    SubmitStatus,
)
from sms_relay.links.pace import Pace
from sms_relay.links.quiet import Quiet
from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.config import SmppLinkConfig
from sms_relay.links.smpp.inbound import Handlers, Inbound
from sms_relay.links.smpp.outbound import Composer
from sms_relay.links.smpp.parts import PartStore
from sms_relay.links.smpp.pdu import Status
from sms_relay.links.smpp.receipts import canonical_id
from sms_relay.links.smpp.session import NoAnswerError, Session, SessionClosedError, SessionError
from sms_relay.links.smpp.text import NotEncodable, TooLong

log = logging.getLogger(__name__)

LOAD = frozenset({int(Status.THROTTLED), int(Status.QUEUE_FULL)})
FAREWELL = 0.5  # seconds for each of the three steps of an orderly end: a process has 5 in all


@dataclass(slots=True)
class Counters:
    """Since the start of the process."""

    connections: int = 0
    accepted: int = 0
    refused: int = 0
    throttled: int = 0
    unknown: int = 0


class SmppLink:
    """Implements `interface.Link` over SMPP 3.4."""

    def __init__(self, config: SmppLinkConfig) -> None:
        self._config = config
        self._handlers = Handlers()
        self._early = EarlyReceipts(config.receipt_hold)
        self._quiet = Quiet(log)
        self._composer = Composer(config)
        self._pace = Pace(config.rate, config.throttle_pause)
        self._session: Session | None = None
        self._closing = False
        self._up = asyncio.Event()
        self.counters = Counters()

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def carrier(self) -> Carrier:
        return self._config.carrier

    @property
    def window(self) -> int:
        return self._config.window

    @property
    def connected(self) -> bool:
        return self._session is not None

    @property
    def on_incoming(self) -> IncomingHandler | None:
        return self._handlers.incoming

    @on_incoming.setter
    def on_incoming(self, handler: IncomingHandler | None) -> None:
        self._handlers.incoming = handler

    @property
    def on_receipt(self) -> ReceiptHandler | None:
        return self._handlers.receipt

    @on_receipt.setter
    def on_receipt(self, handler: ReceiptHandler | None) -> None:
        self._handlers.receipt = handler

    async def wait_connected(self) -> None:
        """Returns when the link is bound, at once if it is. No deadline of its own."""
        await self._up.wait()

    # -- keeping it up ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """See `interface.Link.run`."""
        store = PartStore(self._config.parts_file)
        inbound = Inbound(self._config, self._handlers, self._early, store, self._quiet)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(inbound.sweep_forever())
                group.create_task(self._keep_connected(inbound))
        finally:
            self._closing = True
            await store.close()

    async def _keep_connected(self, inbound: Inbound) -> None:
        config = self._config
        loop = asyncio.get_running_loop()
        delay = config.backoff_first
        while True:
            started = loop.time()
            try:
                why = await self._one_session(inbound)
            except (OSError, SessionError, TimeoutError) as error:
                why = str(error) or type(error).__name__
            self._quiet.warning("down", "%s: link down: %s", config.name, why)
            if loop.time() - started >= config.stable_after:
                delay = config.backoff_first
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 jitter is no secret
            delay = min(delay * 2, config.backoff_most)

    async def _one_session(self, inbound: Inbound) -> str:
        """From connect to the end of the connection; returns why it ended."""
        session = await self._connect(inbound)
        try:
            await session.bind()
            if not session.over:
                self._session = session
                self._up.set()
                self.counters.connections += 1
                log.info("%s: bound as transceiver", self._config.name)
            return await session.watch()
        except asyncio.CancelledError:
            self._closing = True
            raise
        finally:
            self._disconnected()
            await session.leave(FAREWELL)

    def _disconnected(self) -> None:
        """Whoever looks from now on, in this same turn of the loop even, finds the link down."""
        self._up.clear()
        self._session = None

    async def _connect(self, inbound: Inbound) -> Session:
        config = self._config

        async def take(message: pdu.Message) -> int:
            return await inbound.take(message, session.session_id)

        session = Session(config, take, self._disconnected, self._quiet)
        context = ssl.create_default_context(cafile=config.tls_ca) if config.tls else None
        async with asyncio.timeout(config.connect_timeout):
            await asyncio.get_running_loop().create_connection(lambda: session, config.host, config.port, ssl=context)
        return session

    # -- sending ------------------------------------------------------------------------------------------

    async def submit(self, outgoing: Outgoing) -> SubmitOutcome:
        """See `interface.Link.submit`."""
        session = self._session
        if session is None:
            await asyncio.sleep(0)  # a caller that tries again at once must not stop the loop
            reason = Reason.CLOSING if self._closing else Reason.NOT_CONNECTED
            return SubmitOutcome(status=SubmitStatus.NOT_SENT, reason=reason)
        try:
            frames = self._composer.frames(outgoing)
        except NotEncodable:
            return SubmitOutcome(status=SubmitStatus.REFUSED, reason=Reason.NOT_ENCODABLE)
        except TooLong:
            return SubmitOutcome(status=SubmitStatus.REFUSED, reason=Reason.TOO_LONG)
        except pdu.Unencodable:
            return SubmitOutcome(status=SubmitStatus.REFUSED, reason=Reason.BAD_NUMBER)
        ticket = self._early.begin()
        ids: list[str] = []
        try:
            outcome = await self._send_parts(session, frames, ids)
        finally:
            self._early.end(ticket, tuple(ids))
        self._count(outcome)
        return outcome

    def _count(self, outcome: SubmitOutcome) -> None:
        if outcome.status is SubmitStatus.ACCEPTED:
            self.counters.accepted += 1
        elif outcome.status is SubmitStatus.REFUSED:
            self.counters.refused += 1
        elif outcome.status is SubmitStatus.UNKNOWN:
            self.counters.unknown += 1

    async def _send_parts(self, session: Session, frames: list[bytes], ids: list[str]) -> SubmitOutcome:
        """One part after the other: after a refusal no more of the text is sent. Fills `ids`."""
        for frame in frames:
            try:
                answer = await self._send(session, frame)
            except SessionClosedError:
                status = SubmitStatus.UNKNOWN if ids else SubmitStatus.NOT_SENT
                return SubmitOutcome(status=status, message_ids=tuple(ids), parts=len(frames), reason=Reason.LINK_LOST)
            except NoAnswerError as error:
                return SubmitOutcome(
                    status=SubmitStatus.UNKNOWN,
                    message_ids=tuple(ids),
                    parts=len(frames),
                    reason=Reason.LINK_LOST if error.lost else Reason.NO_ANSWER,
                )
            if not isinstance(answer, pdu.MessageResp) or answer.status != Status.OK:
                return SubmitOutcome(
                    status=SubmitStatus.REFUSED,
                    message_ids=tuple(ids),
                    parts=len(frames),
                    command_status=getattr(answer, "status", int(Status.UNKNOWN_ERROR)),
                    retryable=getattr(answer, "status", 0) in LOAD,
                )
            ids.append(canonical_id(answer.message_id, self._config.response_ids))
        return SubmitOutcome(status=SubmitStatus.ACCEPTED, message_ids=tuple(ids), parts=len(frames))

    async def _send(self, session: Session, frame: bytes) -> pdu.Pdu:
        """One submit_sm and its answer, offered again while the SMSC says it has too much to do."""
        attempt = 0
        while True:
            answer = await self._send_once(session, frame)
            status = answer.status if isinstance(answer, pdu.MessageResp | pdu.Plain) else None
            if status not in LOAD:
                self._pace.accepted()
                return answer
            self.counters.throttled += 1
            if status == Status.THROTTLED:
                self._pace.throttled()
            if attempt >= self._config.throttle_retries:
                return answer
            if status == Status.QUEUE_FULL:
                await asyncio.sleep(self._pace.pause_of(attempt))
            attempt += 1

    async def _send_once(self, session: Session, frame: bytes) -> pdu.Pdu:
        await session.place()
        with contextlib.ExitStack() as stack:
            stack.callback(session.give_back)
            await self._pace.turn()
            stack.pop_all()
        return await session.submit(frame)
