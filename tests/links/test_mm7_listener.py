"""Where MMSCs deliver their reports: who may, what is taken, and that success is said only after it is stored."""

import asyncio
import base64
import socket

import pytest

from sms_relay.links.interface import Receipt, ReceiptState, TryLater
from sms_relay.links.mm7.config import Mm7LinkConfig
from sms_relay.links.mm7.link import Mm7Link
from sms_relay.links.mm7.listener import Mm7Listener
from sms_relay.links.mm7.soap import read
from tests.links.mmsc import ACCOUNT, PATIENCE, Receipts, listening, post, report_req, soap, submit_rsp
from tests.waiting import until


def a_link(name: str = "mm7", **settings: object) -> Mm7Link:
    return Mm7Link(Mm7LinkConfig(url="http://vns:secret@127.0.0.1/", name=name, **settings))


async def test_a_report_is_taken_and_answered() -> None:
    link, receipts = a_link(), Receipts()
    link.on_receipt = receipts
    async with listening(link) as url:
        answer = await post(url, report_req("m-1", "Expired"))
    said = read(answer.content)
    assert (answer.status_code, said.kind, said.transaction_id, said.text("StatusCode")) == (
        200,
        "DeliveryReportRsp",
        "t-1",
        "1000",
    )
    (receipt,) = receipts.taken
    assert (receipt.message_id, receipt.state, receipt.link) == ("m-1", ReceiptState.EXPIRED, "mm7")


async def test_success_is_said_only_after_it_is_stored() -> None:
    stored = asyncio.Event()
    begun = asyncio.Event()

    async def store(_: Receipt) -> None:
        begun.set()
        await stored.wait()

    link = a_link()
    link.on_receipt = store
    async with listening(link) as url:
        reporting = asyncio.create_task(post(url, report_req()))
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        assert not reporting.done()
        stored.set()
        assert (await reporting).status_code == 200


async def later(_: Receipt) -> None:
    raise TryLater("the database is away")


async def broken(_: Receipt) -> None:
    raise RuntimeError


async def never(_: Receipt) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("handler", [later, broken, never, None])
async def test_what_is_not_stored_stays_with_the_mmsc(handler: object) -> None:
    link = a_link(handler_timeout=0.05)
    link.on_receipt = handler  # type: ignore[assignment]
    async with listening(link) as url:
        answer = await post(url, report_req())
    said = read(answer.content)
    assert (answer.status_code, said.kind, said.text("StatusCode")) == (500, "Fault", "4006")


ACCOUNTS = ["", "Basic", "Basic ***", "Bearer dm5zOnNlY3JldA==", "Basic " + base64.b64encode(b"vns:wrong").decode()]


@pytest.mark.parametrize("account", ACCOUNTS)
async def test_nobody_else_may_report(account: str) -> None:
    link, receipts = a_link(), Receipts()
    link.on_receipt = receipts
    async with listening(link) as url:
        assert (await post(url, report_req(), account)).status_code == 401
        assert (await post(url.replace("/mm7/mm7", "/mm7/other"), report_req())).status_code == 404
    assert receipts.taken == []


async def test_each_link_has_a_path_and_an_account_of_its_own() -> None:
    first, second, receipts = a_link("skt"), a_link("ktf"), Receipts()
    second.on_receipt = receipts
    async with listening(first, second) as url:
        assert (await post(url.replace("/skt", "/ktf"), report_req())).status_code == 200
    assert [one.link for one in receipts.taken] == ["ktf"]


NO_REPORTS = [
    ("<no xml", "2007"),
    ('<!DOCTYPE a SYSTEM "file:///etc/passwd">' + report_req(), "2007"),
    (report_req(""), "2007"),
    (submit_rsp(), "4003"),
    (soap("<DeliverReq/>"), "4003"),
]


@pytest.mark.parametrize(("body", "status"), NO_REPORTS, ids=lambda value: str(value)[:30])
async def test_what_is_no_report_is_refused_with_a_fault(body: str, status: str) -> None:
    async with listening(a_link()) as url:
        answer = await post(url, body)
    assert (answer.status_code, read(answer.content).text("StatusCode")) == (500, status)


async def test_a_report_without_end_is_not_read_to_it() -> None:
    async with listening(a_link()) as url:
        assert (await post(url, b" " * 100_000)).status_code == 413


async def test_a_report_in_a_multipart() -> None:
    link, receipts = a_link(), Receipts()
    link.on_receipt = receipts
    body = f"--b\r\nContent-Type: text/xml\r\nContent-ID: <s>\r\n\r\n{report_req('m-9')}\r\n--b--\r\n"
    async with listening(link) as url:
        answer = await post(url, body.encode(), ACCOUNT, 'multipart/related; boundary="b"; start="<s>"')
    assert (answer.status_code, [one.message_id for one in receipts.taken]) == (200, ["m-9"])


async def test_a_port_that_somebody_holds_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def told() -> bool:
        return "reports of MMSCs cannot be taken" in caplog.text

    monkeypatch.setattr("sms_relay.links.mm7.listener.RETRY_SECONDS", 0.01)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        listener = Mm7Listener([a_link()], "127.0.0.1", holder.getsockname()[1])
        task = asyncio.create_task(listener.run())
        await until(told)
        assert not listener.listening.is_set()
    async with asyncio.timeout(PATIENCE):
        await listener.listening.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
