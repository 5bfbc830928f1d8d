"""The link against an SMSC that does what the test says, over a real socket: texts and receipts that come in."""

import asyncio
import sqlite3
from typing import Any

import pytest

from sms_relay.links.interface import (
    Carrier,
    Incoming,
    Receipt,
    ReceiptState,
    TryLater,
)
from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.parts import Gathered, PartStore
from sms_relay.links.smpp.pdu import Command, Status, Tag
from sms_relay.links.smpp.text import header
from tests.links.smpp_inbox import PATIENCE, Inbox, bound, done, outgoing, start

# -- receiving --------------------------------------------------------------------------------------------


async def test_a_text_is_acknowledged_only_after_its_handler_returned(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc)
    stored, came = asyncio.Event(), asyncio.Event()

    async def handler(incoming: Incoming) -> None:
        came.set()
        await stored.wait()

    link.on_incoming = handler
    sequence = wire.deliver("잘 받았습니다".encode("cp949"), data_coding=0x0E)
    async with asyncio.timeout(PATIENCE):
        await came.wait()
    assert await wire.fence() == []
    stored.set()
    answer = await wire.expect(Command.DELIVER_SM_RESP)
    assert (answer.sequence, answer.status) == (sequence, 0)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TryLater("database away"), Status.SYSTEM_ERROR),
        (TryLater("too many", queue_full=True), Status.QUEUE_FULL),
        (RuntimeError("a fault of ours"), Status.SYSTEM_ERROR),
        (None, Status.SYSTEM_ERROR),
    ],
)
@pytest.mark.parametrize("esm_class", [0, 4])
async def test_what_cannot_be_stored_stays_with_the_carrier(
    make_link: Any, smsc: Any, error: Exception | None, status: Status, esm_class: int
) -> None:
    link, wire = await bound(make_link, smsc)
    if error is not None:

        async def handler(_: object) -> None:
            raise error

        link.on_incoming = link.on_receipt = handler
    wire.deliver(b"id:1 stat:DELIVRD", esm_class=esm_class)
    assert (await wire.expect(Command.DELIVER_SM_RESP)).status == status


async def test_a_handler_that_hangs_is_not_waited_for_forever(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc, handler_timeout=0.02)

    async def handler(_: Incoming) -> None:
        await asyncio.Event().wait()

    link.on_incoming = handler
    wire.deliver(b"hello")
    assert (await wire.expect(Command.DELIVER_SM_RESP)).status == Status.SYSTEM_ERROR


async def test_more_texts_than_can_be_handled_stay_with_the_carrier(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc, incoming_limit=2)
    release = asyncio.Event()

    async def handler(_: Incoming) -> None:
        await release.wait()

    link.on_incoming = handler
    sequences = [wire.deliver(b"hello") for _ in range(3)]
    refused = await wire.expect(Command.DELIVER_SM_RESP)
    assert (refused.sequence, refused.status) == (sequences[2], Status.QUEUE_FULL)
    release.set()
    answers = [await wire.expect(Command.DELIVER_SM_RESP) for _ in range(2)]
    assert {(answer.sequence, answer.status) for answer in answers} == {(sequences[0], 0), (sequences[1], 0)}


async def test_a_text_right_behind_the_bind_response_byte_by_byte(make_link: Any, smsc: Any, inbox: Inbox) -> None:
    link = await make_link()
    inbox.attach(link)
    wire = await smsc.connection()
    bind = await wire.expect(Command.BIND_TRANSCEIVER)
    stream = pdu.encode(pdu.BindResp(Command.BIND_TRANSCEIVER_RESP, bind.sequence, 0, "smsc")) + pdu.encode(
        pdu.Message(Command.DELIVER_SM, 5, "01012345678", "07081234567", b"early bird")
    )
    for byte in stream:
        wire.send(bytes((byte,)))
        await wire.writer.drain()
    assert (await inbox.text()).text == "early bird"
    assert (await wire.expect(Command.DELIVER_SM_RESP)).status == 0


async def test_what_a_text_brings(make_link: Any, smsc: Any, inbox: Inbox) -> None:
    link, wire = await bound(make_link, smsc, name="skt-1")
    inbox.attach(link)
    wire.deliver("문 앞에 놓아 주세요 😀".encode("utf-16-be"), data_coding=8)
    text = await inbox.text()
    assert (text.source, text.destination, text.link) == ("01012345678", "07081234567", "skt-1")
    assert (text.text, text.parts, text.missing) == ("문 앞에 놓아 주세요 😀", 1, ())
    wire.deliver(b"\xff\xfe\xfd", data_coding=4)
    binary = await inbox.text()
    assert (binary.text, binary.raw) == (None, b"\xff\xfe\xfd")
    assert "01012345678" not in repr(text)


_LONG = "긴 글이 여러 조각으로 옵니다. " * 12


def _pieces(way: str) -> list[dict[str, Any]]:
    raw = _LONG.encode("cp949")
    size = 101  # in the middle of a character
    parts = [raw[at : at + size] for at in range(0, len(raw), size)]
    total = len(parts)
    if way == "udh8":
        return [{"text": header(9, total, n) + p, "esm_class": 0x40} for n, p in enumerate(parts, 1)]
    if way == "udh16":
        return [{"text": bytes((6, 8, 4, 1, 9, total, n)) + p, "esm_class": 0x40} for n, p in enumerate(parts, 1)]
    if way == "ports":
        return [
            {"text": bytes((11, 5, 4, 0, 80, 0, 80, 0, 3, 9, total, n)) + p, "esm_class": 0x40}
            for n, p in enumerate(parts, 1)
        ]
    if way == "sar":
        return [
            {
                "text": p,
                "tlvs": {
                    Tag.SAR_REFERENCE: b"\0\x09",
                    Tag.SAR_TOTAL: bytes((total,)),
                    Tag.SAR_SEQUENCE: bytes((n,)),
                },
            }
            for n, p in enumerate(parts, 1)
        ]
    return [{"text": b"", "tlvs": {Tag.MESSAGE_PAYLOAD: raw}}]


@pytest.mark.parametrize("way", ["udh8", "udh16", "ports", "sar", "payload"])
async def test_long_texts_are_joined(make_link: Any, smsc: Any, inbox: Inbox, way: str) -> None:
    link, wire = await bound(make_link, smsc)
    inbox.attach(link)
    pieces = _pieces(way)
    for piece in reversed(pieces):
        wire.deliver(data_coding=0x0E, **piece)
        assert (await wire.expect(Command.DELIVER_SM_RESP)).status == 0
    text = await inbox.text()
    assert text.text == _LONG
    assert text.parts == len(pieces)
    wire.deliver(data_coding=0x0E, source="01099998888", **pieces[0])
    await wire.expect(Command.DELIVER_SM_RESP)
    assert inbox.texts.empty() is (way != "payload")


async def test_the_last_part_is_refused_until_the_whole_is_stored(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc)
    taken: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        taken.append(incoming)
        if len(taken) == 1:
            raise TryLater("database away")

    link.on_incoming = handler
    statuses = []
    pieces = _pieces("udh8")
    for piece in [*pieces, pieces[-1], pieces[-1]]:
        wire.deliver(data_coding=0x0E, **piece)
        statuses.append((await wire.expect(Command.DELIVER_SM_RESP)).status)
    assert statuses == [0] * (len(pieces) - 1) + [Status.SYSTEM_ERROR, 0, 0]
    assert [incoming.text for incoming in taken] == [_LONG, _LONG]


async def test_an_incomplete_text_is_handed_over_as_it_is(make_link: Any, smsc: Any, inbox: Inbox) -> None:
    link, wire = await bound(make_link, smsc, parts_timeout=0.05)
    inbox.attach(link)
    for number in (1, 3):
        wire.deliver(header(9, 3, number) + b"part", esm_class=0x40)
    text = await inbox.text()
    assert (text.text, text.parts, text.missing) == ("partpart", 2, (2,))


async def test_parts_survive_the_process(make_link: Any, smsc: Any, inbox: Inbox, tmp_path: Any) -> None:
    file = tmp_path / "parts.sqlite"
    first, wire = await bound(make_link, smsc, parts_file=file)
    inbox.attach(first)
    pieces = _pieces("udh8")
    wire.deliver(data_coding=0x0E, **pieces[0])
    assert (await wire.expect(Command.DELIVER_SM_RESP)).status == 0
    second, other = await bound(make_link, smsc, parts_file=file)
    inbox.attach(second)
    for piece in pieces[1:]:
        other.deliver(data_coding=0x0E, **piece)
    assert (await inbox.text()).text == _LONG


async def test_a_text_whose_parts_cannot_be_erased_is_acknowledged_and_no_second_one(
    make_link: Any, smsc: Any, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = PartStore.finish
    erased = asyncio.Event()
    failing = True

    async def locked(store: PartStore, gathered: Gathered, now: float) -> None:
        if failing:
            raise sqlite3.OperationalError("database is locked")
        await finish(store, gathered, now)
        erased.set()

    monkeypatch.setattr(PartStore, "finish", locked)
    link, wire = await bound(make_link, smsc, parts_timeout=0.05)
    inbox.attach(link)
    pieces = _pieces("udh8")
    for piece in [*pieces, pieces[-1]]:
        wire.deliver(data_coding=0x0E, **piece)
        assert (await wire.expect(Command.DELIVER_SM_RESP)).status == 0
    assert (await inbox.text()).text == _LONG
    failing = False
    async with asyncio.timeout(PATIENCE):
        await erased.wait()
    assert inbox.texts.empty()


async def test_the_same_text_once_more_after_its_parts_are_erased_is_another_one(
    make_link: Any, smsc: Any, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sms_relay.links.smpp.parts.REPEATED_WITHIN", 0)
    link, wire = await bound(make_link, smsc)
    inbox.attach(link)
    for _ in range(2):
        for piece in _pieces("udh8"):
            wire.deliver(data_coding=0x0E, **piece)
            assert (await wire.expect(Command.DELIVER_SM_RESP)).status == 0
        assert (await inbox.text()).text == _LONG


async def test_a_deadline_while_parts_are_erased_makes_no_second_text(
    make_link: Any, smsc: Any, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = PartStore.finish
    release, erased = asyncio.Event(), asyncio.Event()

    async def slow(store: PartStore, gathered: Gathered, now: float) -> None:
        await release.wait()
        await finish(store, gathered, now)
        erased.set()

    monkeypatch.setattr(PartStore, "finish", slow)
    link, wire = await bound(make_link, smsc, handler_timeout=1)
    inbox.attach(link)
    pieces = _pieces("udh8")
    statuses = []
    for piece in pieces:
        wire.deliver(data_coding=0x0E, **piece)
        statuses.append((await wire.expect(Command.DELIVER_SM_RESP)).status)
    assert statuses == [0] * (len(pieces) - 1) + [Status.SYSTEM_ERROR]
    release.set()
    async with asyncio.timeout(PATIENCE):
        await erased.wait()
    wire.deliver(data_coding=0x0E, **pieces[-1])
    assert (await wire.expect(Command.DELIVER_SM_RESP)).status == 0
    assert (await inbox.text()).text == _LONG
    assert inbox.texts.empty()


async def test_parts_that_cannot_be_read_wait_and_the_link_stays(
    make_link: Any, smsc: Any, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = PartStore.due
    failed = 0

    async def damaged(store: PartStore, link: str, before: float, most: int) -> list[Gathered]:
        nonlocal failed
        failed += 1
        if failed < 3:
            raise sqlite3.DatabaseError("database disk image is malformed")
        return await due(store, link, before, most)

    monkeypatch.setattr(PartStore, "due", damaged)
    link, wire = await bound(make_link, smsc, parts_timeout=0.05)
    inbox.attach(link)
    wire.deliver(header(9, 3, 1) + b"part", esm_class=0x40)
    assert (await inbox.text()).missing == (2, 3)
    assert failed >= 3
    assert link.connected


# -- receipts ---------------------------------------------------------------------------------------------


async def test_a_receipt_that_overtakes_its_answer_waits_for_it(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc)
    known: set[str] = set()
    seen: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()

    async def receipt(receipt: Receipt) -> None:
        seen.put_nowait((receipt.message_id, receipt.message_id in known))

    async def send() -> None:
        outcome = await link.submit(outgoing())
        known.update(outcome.message_ids)

    link.on_receipt = receipt
    task = asyncio.create_task(send())
    submit = await wire.expect(Command.SUBMIT_SM)
    sequence = wire.receipt("abc")
    assert await wire.fence() == []  # neither handled nor acknowledged
    assert seen.empty()
    wire.accept(submit, "ABC")
    async with asyncio.timeout(PATIENCE):
        assert await seen.get() == ("abc", True)
        await task
    assert (await wire.expect(Command.DELIVER_SM_RESP)).sequence == sequence


async def test_a_receipt_and_its_answer_in_one_piece(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc)
    order: asyncio.Queue[str] = asyncio.Queue()

    async def receipt(_: Receipt) -> None:
        order.put_nowait("receipt")

    async def send() -> None:
        await link.submit(outgoing())
        order.put_nowait("outcome")

    link.on_receipt = receipt
    task = asyncio.create_task(send())
    submit = await wire.expect(Command.SUBMIT_SM)
    wire.send(
        pdu.Message(Command.DELIVER_SM, 5, "1", "2", b"id:7 stat:DELIVRD", esm_class=4),
        pdu.MessageResp(Command.SUBMIT_SM_RESP, submit.sequence, 0, "7"),
    )
    async with asyncio.timeout(PATIENCE):
        await task
        assert [await order.get(), await order.get()] == ["outcome", "receipt"]


async def test_a_foreign_receipt_is_not_held_longer_than_what_was_on_its_way(
    make_link: Any, smsc: Any, inbox: Inbox
) -> None:
    link, wire = await bound(make_link, smsc, receipt_hold=PATIENCE * 10, handler_timeout=PATIENCE * 10)
    inbox.attach(link)
    wire.receipt("of-yesterday")
    assert (await inbox.receipt()).message_id == "of-yesterday"
    await wire.expect(Command.DELIVER_SM_RESP)
    task = start(link, outgoing())
    submit = await wire.expect(Command.SUBMIT_SM)
    wire.receipt("of-this-morning")
    assert await wire.fence() == []
    wire.accept(submit, "another")
    assert (await inbox.receipt()).message_id == "of-this-morning"
    await done(task)


async def test_an_smsc_that_waits_for_the_receipts_answer_first_is_not_deadlocked(
    make_link: Any, smsc: Any, inbox: Inbox
) -> None:
    link, wire = await bound(make_link, smsc, receipt_hold=0.02)
    inbox.attach(link)
    task = start(link, outgoing())
    submit = await wire.expect(Command.SUBMIT_SM)
    wire.receipt("abc")
    assert (await wire.expect(Command.DELIVER_SM_RESP)).status == 0
    wire.accept(submit, "abc")
    assert (await done(task)).message_ids == ("abc",)


async def test_ids_in_different_notations_meet(make_link: Any, smsc: Any, inbox: Inbox) -> None:
    link, wire = await bound(make_link, smsc, response_ids="hex", receipt_ids="decimal", carrier="KTF")
    inbox.attach(link)
    task = start(link, outgoing())
    wire.accept(await wire.expect(Command.SUBMIT_SM), "00FF")
    outcome = await done(task)
    wire.deliver(b"id:0000000255 stat:UNDELIV err:012 text:id:9 stat:DELIVRD", esm_class=4)
    receipt = await inbox.receipt()
    assert receipt.message_id == outcome.message_id == "255"
    assert (receipt.state, receipt.error_code, receipt.carrier) == (
        ReceiptState.UNDELIVERABLE, "12", Carrier.KTF,
    )  # fmt: skip


async def test_a_receipt_that_names_no_message_is_acknowledged_and_dropped(
    make_link: Any, smsc: Any, inbox: Inbox
) -> None:
    link, wire = await bound(make_link, smsc)
    inbox.attach(link)
    wire.deliver(b"your message has gone", esm_class=4)
    assert (await wire.expect(Command.DELIVER_SM_RESP)).status == 0
    assert inbox.receipts.empty()


async def test_a_handset_cannot_write_a_receipt(make_link: Any, smsc: Any, inbox: Inbox) -> None:
    link, wire = await bound(make_link, smsc)
    inbox.attach(link)
    wire.deliver(b"id:1 stat:DELIVRD err:000")
    assert (await inbox.text()).text == "id:1 stat:DELIVRD err:000"
    assert inbox.receipts.empty()
