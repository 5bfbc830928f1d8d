"""An MMSC under the test's own hand, on a real socket: every answer is the test's decision."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from simulators.mmsc import http
from sms_relay.links.interface import Media, Outgoing, OutgoingKind, Receipt
from sms_relay.links.mm7.config import NAMESPACE, Mm7LinkConfig
from sms_relay.links.mm7.link import Mm7Link
from sms_relay.links.mm7.listener import Mm7Listener

PATIENCE = 20.0  # seconds before a test gives up; nothing is expected to take long
ACCOUNT = "Basic " + base64.b64encode(b"vns:secret").decode()
JPG = b"\xff\xd8\xff\xe0 no real picture \r\n--\r\n\x00\xff"


class Posted:
    """One request, waiting for its answer."""

    def __init__(self, request: http.HttpMessage, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self._writer = writer
        self.done = asyncio.Event()

    def answer(self, body: str, status: int = 200, **headers: str) -> None:
        self._writer.write(http.response(status, body.encode(), Content_Type="text/xml", **headers))
        self.done.set()

    def raw(self, data: bytes) -> None:
        """These bytes, and then the end of the connection."""
        self._writer.write(data)
        self.done.set()

    def cut(self) -> None:
        self._writer.transport.abort()
        self.done.set()


class Mmsc:
    """`posted` holds what the link has sent. Connections that ask nothing are counted as looks."""

    def __init__(self) -> None:
        self.posted: asyncio.Queue[Posted] = asyncio.Queue()
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=http.MOST_HEAD)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def next(self) -> Posted:
        async with asyncio.timeout(PATIENCE):
            return await self.posted.get()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            posted = Posted(await http.read(reader), writer)
        except (EOFError, OSError):
            writer.close()
            return
        self.posted.put_nowait(posted)
        await posted.done.wait()
        writer.close()


def submit_rsp(message_id: str = "m-1", status: int = 1000) -> str:
    return soap(
        f'<SubmitRsp xmlns="{NAMESPACE}"><MM7Version>6.8.0</MM7Version><Status><StatusCode>{status}</StatusCode>'
        f"</Status><MessageID>{message_id}</MessageID></SubmitRsp>"
    )


def rs_error(status: int) -> str:
    return soap(
        "<e:Fault><faultcode>e:Client</faultcode><faultstring>no</faultstring><detail>"
        f'<m:RSErrorRsp xmlns:m="{NAMESPACE}"><m:Status><m:StatusCode>{status}</m:StatusCode></m:Status>'
        "</m:RSErrorRsp></detail></e:Fault>"
    )


def report_req(message_id: str = "m-1", status: str = "Retrieved", date: str = "2026-03-02T09:00:00Z") -> str:
    return soap(
        f'<DeliveryReportReq xmlns="{NAMESPACE}"><MM7Version>6.8.0</MM7Version><MessageID>{message_id}</MessageID>'
        f"<Recipient><Number>01012345678</Number></Recipient><Date>{date}</Date><MMStatus>{status}</MMStatus>"
        "</DeliveryReportReq>"
    )


def soap(body: str) -> str:
    return (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header>'
        f'<TransactionID xmlns="{NAMESPACE}" e:mustUnderstand="1">t-1</TransactionID></e:Header>'
        f"<e:Body>{body}</e:Body></e:Envelope>"
    )


def message(text: str = "안녕하세요 😀", *media: Media, subject: str = "제목", to: str = "01012345678") -> Outgoing:
    return Outgoing(
        id="1",
        source="0215771234",
        destination=to,
        text=text,
        kind=OutgoingKind.MMS,
        subject=subject,
        media=media or (Media(content_type="image/jpeg", data=JPG),),
    )


@asynccontextmanager
async def linked(port: int, **settings: Any) -> AsyncIterator[Mm7Link]:
    """A running link towards `port`; keyword arguments are its settings, `account` and `on_receipt`."""
    on_receipt = settings.pop("on_receipt", None)
    account = settings.pop("account", "vns:secret")
    config = {"backoff_first": 0.01, "backoff_most": 0.05, "busy_pause": 0.01, **settings}
    link = Mm7Link(Mm7LinkConfig(url=f"http://{account}@127.0.0.1:{port}/mm7", **config))
    link.on_receipt = on_receipt
    task = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def up(link: Mm7Link) -> None:
    async with asyncio.timeout(PATIENCE):
        await link.wait_connected()


@asynccontextmanager
async def listening(*links: Mm7Link) -> AsyncIterator[str]:
    """The address under which the first link's reports are taken."""
    listener = Mm7Listener(links, "127.0.0.1", 0)
    task = asyncio.create_task(listener.run())
    try:
        async with asyncio.timeout(PATIENCE):
            await listener.listening.wait()
        yield f"http://127.0.0.1:{listener.port}/mm7/{links[0].name}"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def post(url: str, body: bytes | str, account: str = ACCOUNT, content_type: str = "text/xml") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        return await client.post(url, content=body, headers={"Authorization": account, "Content-Type": content_type})


class Receipts:
    """A handler that keeps what it is given."""

    def __init__(self) -> None:
        self.taken: list[Receipt] = []

    async def __call__(self, receipt: Receipt) -> None:
        self.taken.append(receipt)
