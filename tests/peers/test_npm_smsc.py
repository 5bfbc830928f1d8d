"""The link against the SMSC of the npm package `smpp`."""

import asyncio
from typing import Any

import pytest

from sms_relay.links.interface import Incoming, ReceiptState, SubmitStatus, TryLater
from tests.links.smpp_inbox import PATIENCE, Inbox, done, outgoing, start
from tests.peers.conftest import NpmSmsc

IDS = {"response_ids": "hex", "receipt_ids": "decimal"}


async def bound(make_link: Any, smsc: NpmSmsc, **settings: Any) -> Any:
    link = await make_link(url=f"smpp://vns:secret@127.0.0.1:{smsc.port}", **IDS, **settings)
    event = await smsc.event("bound")
    assert event["interface_version"] == 0x34
    async with asyncio.timeout(PATIENCE):
        await link.wait_connected()
    return link


@pytest.mark.parametrize("number", [1, 99], ids=["receipt after the answer", "receipt before the answer"])
async def test_a_text_and_its_receipt(make_link: Any, npm_smsc: NpmSmsc, inbox: Inbox, number: int) -> None:
    link = await bound(make_link, npm_smsc)
    inbox.attach(link)
    outcome = await done(start(link, outgoing("똠방각하 펲", number)))
    seen = await npm_smsc.event("submit")
    assert bytes.fromhex(seen["content"]) == "똠방각하 펲".encode("cp949")
    assert (seen["from"], seen["to"], seen["data_coding"]) == ("07081234567", f"010{number:08d}", 14)
    assert (outcome.status, outcome.message_id) == (SubmitStatus.ACCEPTED, str(int(seen["id"], 16)))
    receipt = await inbox.receipt()
    assert (receipt.message_id, receipt.state) == (outcome.message_id, ReceiptState.DELIVERED)


async def test_ucs2(make_link: Any, npm_smsc: NpmSmsc) -> None:
    link = await bound(make_link, npm_smsc)
    await done(start(link, outgoing("택배 😀")))
    seen = await npm_smsc.event("submit")
    assert (seen["content"], seen["data_coding"]) == ("택배 😀", 8)


@pytest.mark.parametrize("way", ["udh", "payload"])
async def test_a_long_text(make_link: Any, npm_smsc: NpmSmsc, way: str) -> None:
    link = await bound(make_link, npm_smsc, long_text=way)
    text = "문 앞에 놓아 주세요. " * 20
    outcome = await done(start(link, outgoing(text)))
    seen = [await npm_smsc.event("submit") for _ in range(outcome.parts)]
    if way == "udh":
        assert len({part["udh"][:6] for part in seen}) == 1
        assert [int(part["udh"][8:], 16) for part in seen] == list(range(1, len(seen) + 1))
        whole = bytes.fromhex("".join(part["content"] for part in seen))
    else:
        whole = bytes.fromhex(seen[0]["payload"])
    assert whole.decode("cp949") == text


async def test_many_at_once(make_link: Any, npm_smsc: NpmSmsc, inbox: Inbox) -> None:
    link = await bound(make_link, npm_smsc, window=20)
    inbox.attach(link)
    outcomes = await asyncio.gather(*(done(start(link, outgoing(number=number))) for number in range(300)))
    assert {outcome.status for outcome in outcomes} == {SubmitStatus.ACCEPTED}
    receipts = {(await inbox.receipt()).message_id for _ in range(300)}
    assert receipts == {outcome.message_id for outcome in outcomes}


async def test_texts_come_in_whole_and_in_parts(make_link: Any, npm_smsc: NpmSmsc, inbox: Inbox) -> None:
    link = await bound(make_link, npm_smsc)
    inbox.attach(link)
    ends = {"from": "01012345678", "to": "07081234567", "data_coding": 14}
    npm_smsc.order("deliver", content="네".encode("cp949").hex(), **ends)
    assert (await npm_smsc.event("answered"))["status"] == 0
    assert (await inbox.text()).text == "네"
    for number, piece in ((2, "둘째"), (1, "첫째 ")):
        udh = bytes((5, 0, 3, 7, 2, number)).hex()
        npm_smsc.order("deliver", content=piece.encode("cp949").hex(), udh=udh, **ends)
        assert (await npm_smsc.event("answered"))["status"] == 0
    assert (await inbox.text()).text == "첫째 둘째"


async def test_what_was_not_stored_is_not_acknowledged(make_link: Any, npm_smsc: NpmSmsc) -> None:
    link = await bound(make_link, npm_smsc)

    async def handler(_: Incoming) -> None:
        raise TryLater("database away")

    link.on_incoming = handler
    npm_smsc.order("deliver", content="6869", data_coding=0, **{"from": "01012345678", "to": "07081234567"})
    assert (await npm_smsc.event("answered"))["status"] == 8


@pytest.mark.parametrize("order", ["cut", "unbind"])
async def test_it_comes_back(make_link: Any, npm_smsc: NpmSmsc, order: str) -> None:
    link = await bound(make_link, npm_smsc)
    npm_smsc.order(order)
    await npm_smsc.event("closed")
    await npm_smsc.event("bound")
    async with asyncio.timeout(PATIENCE):
        await link.wait_connected()
    assert (await done(start(link, outgoing()))).status is SubmitStatus.ACCEPTED


async def test_a_wrong_password_is_refused(make_link: Any, npm_smsc: NpmSmsc) -> None:
    link = await make_link(url=f"smpp://vns:wrong@127.0.0.1:{npm_smsc.port}")
    await npm_smsc.event("refused")
    assert not link.connected
