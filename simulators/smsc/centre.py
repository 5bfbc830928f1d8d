"""The SMSC itself: who may bind, what becomes of each text, and receipts on their way back."""

import asyncio
import hmac
import logging
import time
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime

from simulators.smsc.outbox import UDH_INDICATOR, Outbox
from simulators.smsc.receipts import receipt_for
from simulators.smsc.session import EsmeSession
from simulators.smsc.settings import Fault, ReceiptTiming, Rule, Settings
from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.pdu import Command, Status

log = logging.getLogger("simulators.smsc")

RECEIPT_TRIES = 20


class SmscCentre:
    """`platform`: the account whose first receiving session gets the texts to virtual numbers."""

    def __init__(self, settings: Settings, outbox: Outbox, platform: tuple[str, str]) -> None:
        self._settings = settings
        self._outbox = outbox
        self._platform, password = platform
        self._passwords = {**settings.accounts, self._platform: password}
        self._sessions: list[EsmeSession] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(settings.deliver_window)
        self._session_came = asyncio.Event()
        self._number = time.time_ns() // 1000
        self._faults: list[tuple[Fault, int]] = []
        self._second = (0, 0)
        self._server: asyncio.Server | None = None
        self.submits = 0
        self.port = 0
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Other rules, faults and ranges from now on; accounts and the outbox stay."""
        self._settings = settings
        self._faults = [(fault, fault.times) for fault in settings.faults]

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port, which is chosen by the system for 0."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: EsmeSession(self), host, port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for session in tuple(self._sessions):
            session.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._outbox.close()

    def cut_all(self) -> None:
        """Tears every connection, as a failing network does."""
        for session in tuple(self._sessions):
            session.abort()

    @property
    def sessions(self) -> tuple[EsmeSession, ...]:
        """Bound sessions, oldest first."""
        return tuple(self._sessions)

    # -- binding ------------------------------------------------------------------------------------------

    def admit(self, session: EsmeSession, bind: pdu.Bind) -> Status:
        password = self._passwords.get(bind.system_id)
        if password is None:
            return Status.INVALID_SYSTEM_ID
        if not hmac.compare_digest(password.encode(), bind.password.encode()):
            return Status.INVALID_PASSWORD
        session.system_id = bind.system_id
        session.bound_as = bind.command
        if bind.system_id == self._platform:
            session.fault = self._next_fault()
        self._sessions.append(session)
        self._session_came.set()
        log.info("%s bound, %s", bind.system_id, bind.command.name.lower())
        return Status.OK

    def _next_fault(self) -> Fault | None:
        if not self._faults:
            return None
        fault, left = self._faults[0]
        self._faults[0:1] = [(fault, left - 1)] if left > 1 else []
        return fault

    def left(self, session: EsmeSession) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
            log.info("%s gone", session.system_id)

    def settle(self) -> None:
        self._outbox.flush()

    # -- texts --------------------------------------------------------------------------------------------

    def take_submit(self, session: EsmeSession, message: pdu.Message) -> None:
        self.submits += 1
        if session.swallows():
            if session.fault is not None and session.fault.taken:
                self._accept(session, message, self._settings.rule_for(message.destination))
            session.swallowed()
            return
        if self._too_fast():
            self._respond(session, message, Status.THROTTLED)
            return
        rule = self._settings.rule_for(message.destination)
        if rule.status:
            self._respond(session, message, rule.status)
        elif rule.response_delay:
            self._spawn(self._accept_later(session, message, rule))
        else:
            self._accept(session, message, rule)

    def _too_fast(self) -> bool:
        most = self._settings.throttle_per_second
        second = int(time.monotonic())
        count = self._second[1] + 1 if self._second[0] == second else 1
        self._second = (second, count)
        return bool(most) and count > most

    async def _accept_later(self, session: EsmeSession, message: pdu.Message, rule: Rule) -> None:
        await asyncio.sleep(rule.response_delay)
        self._accept(session, message, rule)

    def _accept(self, session: EsmeSession, message: pdu.Message, rule: Rule) -> None:
        self._number += 1
        response_id = self._settings.response_ids.write(self._number)
        to_platform = self._settings.is_platform_number(message.destination)
        if to_platform:
            self._spawn(self._to_platform(session, message, rule, self._number))
        else:
            self._outbox.add(message, response_id, session.system_id)
            self._report(session, message, rule, self._number)
        if session.swallows():
            return
        if rule.receipt is ReceiptTiming.EARLY and not to_platform:
            self._spawn(self._respond_after_receipt(session, message, response_id))
        else:
            self._respond(session, message, Status.OK, response_id)

    async def _respond_after_receipt(self, session: EsmeSession, message: pdu.Message, response_id: str) -> None:
        """The receipt's task was made first, so its PDU is written first."""
        self._respond(session, message, Status.OK, response_id)

    def _respond(self, session: EsmeSession, message: pdu.Message, status: int, message_id: str = "") -> None:
        session.write(pdu.MessageResp(Command.SUBMIT_SM_RESP, message.sequence, status, message_id))

    async def _to_platform(self, session: EsmeSession, message: pdu.Message, rule: Rule, number: int) -> None:
        """Kept and offered again until the platform has taken it, however long that takes."""
        deliver = replace(
            message,
            command=Command.DELIVER_SM,
            sequence=0,
            esm_class=message.esm_class & UDH_INDICATOR,
            registered_delivery=0,
            validity_period="",
            schedule_delivery_time="",
        )
        while True:
            if await self._offer(self._platform, None, deliver):
                break
            await asyncio.sleep(self._settings.retry_seconds)
        self._report(session, message, rule, number)

    # -- receipts -----------------------------------------------------------------------------------------

    def _report(self, session: EsmeSession, message: pdu.Message, rule: Rule, number: int) -> None:
        if message.registered_delivery & 0x03 and rule.receipt is not ReceiptTiming.MISSING:
            copies = 2 if rule.receipt is ReceiptTiming.DUPLICATE else 1
            for _ in range(copies):
                self._spawn(self._send_receipt(session, message, rule, number))

    async def _send_receipt(self, session: EsmeSession, message: pdu.Message, rule: Rule, number: int) -> None:
        sent_at = datetime.now(UTC)
        if rule.receipt_delay:
            await asyncio.sleep(rule.receipt_delay)
        formats = self._settings
        receipt = receipt_for(
            message,
            rule,
            formats.response_ids.write(number),
            (formats.receipt_ids or formats.response_ids).write(number),
            sent_at,
            datetime.now(UTC),
        )
        for _ in range(RECEIPT_TRIES):
            if await self._offer(session.system_id, session, receipt):
                return
            await asyncio.sleep(self._settings.retry_seconds)
        log.warning("%s does not take a receipt; given up", session.system_id)

    async def _offer(self, system_id: str, preferred: EsmeSession | None, deliver: pdu.Message) -> bool:
        """Waits for a session of the account that receives, and offers the message once."""
        target = await self._receiver(system_id, preferred)
        async with self._places:
            try:
                status = await target.deliver(deliver, self._settings.deliver_timeout)
            except (ConnectionResetError, TimeoutError):
                return False
        return status == Status.OK

    async def _receiver(self, system_id: str, preferred: EsmeSession | None) -> EsmeSession:
        if preferred is not None and preferred.receives:
            return preferred
        while True:
            for session in self._sessions:
                if session.system_id == system_id and session.receives:
                    return session
            self._session_came.clear()
            await self._session_came.wait()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
