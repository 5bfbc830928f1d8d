"""The link against the server of the PyPI package `smpp34` (Rust)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import smpp34

from sms_relay.links.interface import Incoming, ReceiptState, SubmitStatus, TryLater
from sms_relay.links.smpp.pdu import Status, Tag
from tests.links.smpp_inbox import PATIENCE, Inbox, done, outgoing, start


@pytest.fixture
async def server(port: int) -> AsyncIterator[Any]:
    made = smpp34.Server(host="127.0.0.1", port=port, system_id="rust")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def port(new_port: Callable[[], int]) -> int:
    return new_port()


async def event(server: Any, kind: type) -> Any:
    async with asyncio.timeout(PATIENCE):
        found = await server.next()
    assert isinstance(found, kind), found
    return found


async def bound(make_link: Any, server: Any, port: int, **settings: Any) -> tuple[Any, Any]:
    link = await make_link(url=f"smpp://vns:secret@127.0.0.1:{port}", **settings)
    esme = await event(server, smpp34.Esme)
    async with asyncio.timeout(PATIENCE):
        await link.wait_connected()
    assert (esme.system_id, esme.can_receive) == ("vns", True)
    return link, esme


async def test_a_text_and_its_receipt_in_parameters(make_link: Any, server: Any, port: int, inbox: Inbox) -> None:
    link, esme = await bound(make_link, server, port)
    inbox.attach(link)
    task = start(link, outgoing("안녕하세요"))
    submit = await event(server, smpp34.SubmitSmEvent)
    assert submit.short_message == "안녕하세요".encode("cp949")
    assert (submit.destination_addr, submit.data_coding, submit.registered_delivery) == ("01000000001", 14, 1)
    submit.accept("00000000-beef")
    outcome = await done(task)
    tlvs = [
        smpp34.Tlv(Tag.RECEIPTED_MESSAGE_ID, b"00000000-BEEF\0"),
        smpp34.Tlv(Tag.MESSAGE_STATE, b"\x05"),
    ]
    answer = await esme.deliver_sm("07081234567", b"", source_addr="01000000001", esm_class=4, tlvs=tlvs)
    assert answer.is_success
    receipt = await inbox.receipt()
    assert (receipt.message_id, receipt.state) == (outcome.message_id, ReceiptState.UNDELIVERABLE)


async def test_refusals_and_a_full_window(make_link: Any, server: Any, port: int) -> None:
    link, _ = await bound(make_link, server, port, window=5, throttle_retries=0)
    tasks = [start(link, outgoing(number=number)) for number in range(30)]
    for number in range(30):
        submit = await event(server, smpp34.SubmitSmEvent)
        if number % 3:
            submit.accept(f"id-{submit.destination_addr}")
        else:
            submit.reject(Status.INVALID_DESTINATION if number % 2 else Status.QUEUE_FULL)
    outcomes = [await done(task) for task in tasks]
    counts = {status: sum(outcome.status is status for outcome in outcomes) for status in SubmitStatus}
    assert counts[SubmitStatus.ACCEPTED] == 20
    assert counts[SubmitStatus.REFUSED] == 10
    assert sum(outcome.retryable for outcome in outcomes) == 5
    for number, outcome in enumerate(outcomes):
        assert outcome.message_id in (None, f"id-010{number:08d}")


async def test_a_text_comes_in(make_link: Any, server: Any, port: int, inbox: Inbox) -> None:
    link, esme = await bound(make_link, server, port)
    inbox.attach(link)
    raw = "네, 알겠습니다".encode("cp949")
    answer = await esme.deliver_sm("07081234567", raw, source_addr="01012345678", data_coding=14)
    assert answer.is_success
    assert (await inbox.text()).text == "네, 알겠습니다"

    async def handler(_: Incoming) -> None:
        raise TryLater("full", queue_full=True)

    link.on_incoming = handler
    refused = await esme.deliver_sm("07081234567", raw, source_addr="01012345678", data_coding=14)
    assert not refused.is_success
