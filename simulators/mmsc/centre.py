"""The MMSC itself: who may submit, what becomes of each message, reports on their way back, messages of handsets."""

import asyncio
import base64
import hmac
import json
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from defusedxml.ElementTree import fromstring

from simulators.mmsc import delivers, http
from simulators.mmsc.delivers import HandsetMessage, Posting
from simulators.mmsc.outbox import Outbox
from simulators.mmsc.settings import Fault, FaultKind, ReportTiming, Rule, Settings
from simulators.mmsc.submits import NAMESPACE, Refused, Submit, read_submit

log = logging.getLogger("simulators.mmsc")

REPORT_TRIES = 20
VERSION = "6.8.0"
SUCCESS = 1000
CONTENT_TYPE = 'text/xml; charset="utf-8"'


class MmscCentre:
    """`account`: id and password, asked for and given. `report_url`: where reports go."""

    def __init__(self, settings: Settings, outbox: Outbox, account: tuple[str, str], report_url: str) -> None:
        self._settings = settings
        self._outbox = outbox
        self._user = account[0]
        self._credentials = base64.b64encode(":".join(account).encode()).decode()
        self._report_url = urlsplit(report_url)
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = time.time_ns() // 1000
        self._submits = 0
        self._server: asyncio.Server | None = None

    def configure(self, settings: Settings) -> None:
        """Other rules and faults from now on; submits are counted anew."""
        self._settings = settings
        self._submits = 0

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port, which is chosen by the system for 0."""
        self._server = await asyncio.start_server(self._connected, host, port, limit=http.MOST_HEAD)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._outbox.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._spawn(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await http.read(reader)
            answer = await self._answer(request, writer)
        except http.BadHttp as bad:
            answer = http.response(bad.status, b"")
        except (EOFError, OSError):  # somebody only looked whether the port is open
            answer = None
        try:
            if answer is not None:
                writer.write(answer)
                await writer.drain()
            writer.close()
            await writer.wait_closed()
        except OSError:
            log.info("the answer to a request could not be written")

    # -- submits ------------------------------------------------------------------------------------------

    async def _answer(self, request: http.HttpMessage, writer: asyncio.StreamWriter) -> bytes | None:
        if request.first[0] != "POST":
            raise http.BadHttp(405)
        if not hmac.compare_digest(request.headers.get("authorization", ""), f"Basic {self._credentials}"):
            return http.response(401, b"", WWW_Authenticate='Basic realm="mmsc"')
        if request.first[1] == delivers.PATH:
            return self._from_handset(request)
        return await self._submitted(request, writer)

    async def _submitted(self, request: http.HttpMessage, writer: asyncio.StreamWriter) -> bytes | None:
        fault = self._settings.fault_of(self._submits)
        self._submits += 1
        try:
            submit = read_submit(request.headers, request.body)
        except Refused as refused:
            log.warning("refused %d: %s", refused.status, refused.text)
            return _fault(refused.transaction_id, refused.status, refused.text)
        rule = self._settings.rule_for(submit.destination)
        if fault is not None:
            return await self._go_wrong(fault, submit, rule, writer)
        await asyncio.sleep(rule.response_delay)
        if rule.http_status != 200:
            return http.response(rule.http_status, b"")
        if rule.status != SUCCESS:
            return _fault(submit.transaction_id, rule.status, "as the rule says")
        return await self._accepted(submit, rule)

    async def _accepted(self, submit: Submit, rule: Rule) -> bytes:
        message_id = self._deliver(submit)
        answer = _rsp("SubmitRsp", submit.transaction_id, f"<MessageID>{message_id}</MessageID>")
        if not submit.report_wanted or rule.report is ReportTiming.MISSING:
            return answer
        written = asyncio.Event()
        copies = 2 if rule.report is ReportTiming.DUPLICATE else 1
        for _ in range(copies):
            self._spawn(self._report(submit, message_id, rule, written.set))
        if rule.report is ReportTiming.EARLY:
            await written.wait()
        return answer

    async def _go_wrong(self, fault: Fault, submit: Submit, rule: Rule, writer: asyncio.StreamWriter) -> bytes | None:
        if fault.taken:
            await self._accepted(submit, rule)
        if fault.kind is FaultKind.GARBLED:
            return http.response(200, b"<html>Welcome</html>", Content_Type="text/html")
        if fault.kind is FaultKind.SILENT:
            await asyncio.Event().wait()
        writer.transport.abort()
        return None

    def _deliver(self, submit: Submit) -> str:
        self._number += 1
        message_id = f"{self._number}"
        self._outbox.add(submit, message_id, self._user)
        return message_id

    # -- from handsets ------------------------------------------------------------------------------------

    def _from_handset(self, request: http.HttpMessage) -> bytes:
        self._number += 1
        linked_id = f"{self._number}"
        try:
            message = HandsetMessage.read(request.body)
            posting = delivers.deliver_req(message, linked_id, VERSION, in_base64=self._settings.deliver_in_base64)
        except ValueError as error:
            raise http.BadHttp(400) from error
        self._spawn(self._bring(posting))
        return http.response(200, json.dumps({"message_id": linked_id}).encode(), Content_Type="application/json")

    async def _bring(self, posting: Posting) -> None:
        """To the platform, until it is taken and as many times more as there are copies."""
        for _ in range(self._settings.deliver_copies):
            await self._offer("DeliverRsp", posting, _nobody)

    # -- reports ------------------------------------------------------------------------------------------

    async def _report(self, submit: Submit, message_id: str, rule: Rule, written: Callable[[], None]) -> None:
        """Offered again until it is taken. `written` is called when the first try is on the wire."""
        await asyncio.sleep(rule.report_delay)
        body = _report_req(submit, message_id, rule.mm_status)
        await self._offer("DeliveryReportRsp", Posting(content_type=CONTENT_TYPE, body=body), written)

    async def _offer(self, answer: str, posting: Posting, written: Callable[[], None]) -> None:
        """Again and again until it is answered with an `answer` of success."""
        for _ in range(REPORT_TRIES):
            try:
                async with asyncio.timeout(self._settings.report_timeout):
                    if await self._post(answer, posting, written):
                        return
            except (OSError, EOFError, TimeoutError, http.BadHttp, ValueError) as error:
                log.info("a report or message was not taken (%s)", type(error).__name__)
            written()
            await asyncio.sleep(self._settings.retry_seconds)
        log.warning("a report or message is not taken; given up")

    async def _post(self, wanted: str, posting: Posting, written: Callable[[], None]) -> bool:
        """Whether it was answered with a `wanted` of success."""
        where = self._report_url
        reader, writer = await asyncio.open_connection(where.hostname, where.port or 80)
        try:
            host = where.netloc
            head = {"Authorization": f"Basic {self._credentials}", "Content_Type": posting.content_type}
            writer.write(http.post(where.path or "/", posting.body, Host=host, SOAPAction='""', **head))
            await writer.drain()
            written()
            answer = await http.read(reader)
        finally:
            writer.close()
        if answer.first[1] != "200":
            return False
        statuses = fromstring(answer.body, forbid_dtd=True).iterfind(f".//{{{NAMESPACE}}}{wanted}//*")
        return any(one.tag == f"{{{NAMESPACE}}}StatusCode" and one.text == str(SUCCESS) for one in statuses)


def _nobody() -> None:
    """Nobody waits for a message to be on the wire."""


def _envelope(transaction_id: str, body: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/"><soap-env:Header>'
        f'<TransactionID xmlns="{NAMESPACE}" soap-env:mustUnderstand="1">{escape(transaction_id)}</TransactionID>'
        f"</soap-env:Header><soap-env:Body>{body}</soap-env:Body></soap-env:Envelope>"
    ).encode()


def _status(status: int, text: str) -> str:
    return f"<Status><StatusCode>{status}</StatusCode><StatusText>{escape(text)}</StatusText></Status>"


def _rsp(kind: str, transaction_id: str, more: str) -> bytes:
    inside = f"<MM7Version>{VERSION}</MM7Version>{_status(SUCCESS, 'Success')}{more}"
    body = _envelope(transaction_id, f'<{kind} xmlns="{NAMESPACE}">{inside}</{kind}>')
    return http.response(200, body, Content_Type=CONTENT_TYPE)


def _fault(transaction_id: str, status: int, text: str) -> bytes:
    error = f'<RSErrorRsp xmlns="{NAMESPACE}"><MM7Version>{VERSION}</MM7Version>{_status(status, text)}</RSErrorRsp>'
    fault = (
        "<soap-env:Fault><faultcode>soap-env:Server</faultcode>"
        f"<faultstring>{escape(text)}</faultstring><detail>{error}</detail></soap-env:Fault>"
    )
    return http.response(500, _envelope(transaction_id, fault), Content_Type=CONTENT_TYPE)


def _report_req(submit: Submit, message_id: str, mm_status: str) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    inside = (
        f"<MM7Version>{VERSION}</MM7Version><MMSRelayServerID>simulator</MMSRelayServerID>"
        f"<MessageID>{message_id}</MessageID><Recipient><Number>{submit.destination}</Number></Recipient>"
        f"<Sender><Number>{submit.source}</Number></Sender><Date>{now}</Date>"
        f"<MMStatus>{escape(mm_status)}</MMStatus><StatusText>{escape(mm_status)}</StatusText>"
    )
    return _envelope(f"report-{message_id}", f'<DeliveryReportReq xmlns="{NAMESPACE}">{inside}</DeliveryReportReq>')
