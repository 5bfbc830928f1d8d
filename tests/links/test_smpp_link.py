"""The link against an SMSC that does what the test says, over a real socket."""

import asyncio
import logging
from typing import Any

import pytest

from sms_relay.links.interface import (
    Carrier,
    Incoming,
    Outgoing,
    OutgoingKind,
    Reason,
    Receipt,
    ReceiptState,
    SubmitStatus,
    TryLater,
)
from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.link import SmppLink
from sms_relay.links.smpp.pdu import Command, Status, Tag
from sms_relay.links.smpp.text import header
from tests.links.smpp_inbox import PATIENCE, Inbox, done, outgoing, start


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


async def bound(make_link: Any, smsc: Any, **settings: Any) -> tuple[SmppLink, Any]:
    link = await make_link(**settings)
    wire = await smsc.connection()
    await wire.bind()
    async with asyncio.timeout(PATIENCE):
        await link.wait_connected()
    return link, wire


# -- binding ----------------------------------------------------------------------------------------------


async def test_binds_with_its_account(make_link: Any, smsc: Any) -> None:
    await make_link(url=f"smpp://vn%40s:p%3Aw@127.0.0.1:{smsc.port}", system_type="VMA")
    bind = await (await smsc.connection()).bind()
    assert (bind.system_id, bind.password, bind.system_type, bind.interface_version) == (
        "vn@s", "p:w", "VMA", 0x34,
    )  # fmt: skip


async def test_nothing_is_sent_without_a_connection(make_link: Any, smsc: Any) -> None:
    link = await make_link()
    outcome = await link.submit(outgoing())
    assert (outcome.status, outcome.reason) == (SubmitStatus.NOT_SENT, Reason.NOT_CONNECTED)
    assert not link.connected


async def test_who_tries_again_at_once_does_not_keep_the_link_from_connecting(make_link: Any, smsc: Any) -> None:
    link = await make_link()

    async def serve() -> None:
        wire = await smsc.connection()
        await wire.bind()
        wire.accept(await wire.expect(Command.SUBMIT_SM), "1")

    serving = asyncio.create_task(serve())
    for _ in range(1_000_000):
        outcome = await link.submit(outgoing())
        if outcome.status is not SubmitStatus.NOT_SENT:
            break
    assert outcome.status is SubmitStatus.ACCEPTED
    await serving


async def test_a_link_is_down_in_the_moment_it_is_cut(make_link: Any, smsc: Any) -> None:
    """What runs right behind a lost submit must not find the link up."""
    link, wire = await bound(make_link, smsc)

    async def send() -> tuple[SubmitStatus, bool]:
        outcome = await link.submit(outgoing())
        return outcome.status, link.connected

    task = asyncio.create_task(send())
    await wire.expect(Command.SUBMIT_SM)
    wire.cut()
    async with asyncio.timeout(PATIENCE):
        assert await task == (SubmitStatus.UNKNOWN, False)


async def test_a_refused_bind_is_tried_again_and_logged_once(
    make_link: Any, smsc: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="sms_relay"):
        link = await make_link(backoff_most=0.02)
        for _ in range(5):
            wire = await smsc.connection()
            bind = await wire.expect(Command.BIND_TRANSCEIVER)
            wire.send(pdu.BindResp(Command.BIND_TRANSCEIVER_RESP, bind.sequence, Status.INVALID_PASSWORD))
        wire = await smsc.connection()
        await wire.bind()
        await link.wait_connected()
    lines = [record.getMessage() for record in caplog.records if "down" in record.getMessage()]
    assert lines == ["smpp: link down: bind refused with status 0xe"]


async def test_an_orderly_end_unbinds(make_link: Any, smsc: Any) -> None:
    link = await make_link()
    run = next(task for task in asyncio.all_tasks() if task.get_coro().__qualname__ == "SmppLink.run")  # type: ignore[union-attr] # run is a coroutine function
    wire = await smsc.connection()
    await wire.bind()
    await link.wait_connected()
    run.cancel()
    unbind = await wire.expect(Command.UNBIND)
    wire.send(pdu.Plain(Command.UNBIND_RESP, unbind.sequence))
    with pytest.raises(EOFError):
        await wire.next()
    with pytest.raises(asyncio.CancelledError):
        await run


# -- sending ----------------------------------------------------------------------------------------------


async def test_a_text_on_the_wire(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc)
    task = start(link, outgoing("똠방각하 펲"))
    submit = await wire.expect(Command.SUBMIT_SM)
    wire.accept(submit, "00AF")
    outcome = await done(task)
    assert submit.short_message == "똠방각하 펲".encode("cp949")
    assert (submit.source, submit.destination, submit.data_coding) == ("07081234567", "01000000001", 0x0E)
    assert submit.registered_delivery == 1
    assert (outcome.status, outcome.message_ids, outcome.parts) == (SubmitStatus.ACCEPTED, ("af",), 1)


async def test_what_the_alphabet_lacks_goes_as_ucs2_or_not_at_all(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc)
    task = start(link, outgoing("택배 😀"))
    submit = await wire.expect(Command.SUBMIT_SM)
    assert (submit.data_coding, submit.short_message) == (8, "택배 😀".encode("utf-16-be"))
    wire.accept(submit, "1")
    await done(task)
    strict, _ = await bound(make_link, smsc, ucs2=False)
    refused = await strict.submit(outgoing("택배 😀"))
    assert (refused.status, refused.reason) == (SubmitStatus.REFUSED, Reason.NOT_ENCODABLE)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        pytest.param(outgoing(destination="0" * 21), Reason.BAD_NUMBER, id="number too long for the field"),
        pytest.param(outgoing(source="010\0"), Reason.BAD_NUMBER, id="NUL in a number"),
        pytest.param(outgoing("가" * 20_000), Reason.TOO_LONG, id="more than 255 parts"),
    ],
)
async def test_what_no_pdu_can_carry_is_refused_here(
    make_link: Any, smsc: Any, message: Outgoing, reason: Reason
) -> None:
    link, _ = await bound(make_link, smsc)
    outcome = await link.submit(message)
    assert (outcome.status, outcome.reason) == (SubmitStatus.REFUSED, reason)


async def test_the_window_is_never_exceeded(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc, window=3)
    tasks = [start(link, outgoing(number=number)) for number in range(10)]
    unanswered = [await wire.expect(Command.SUBMIT_SM) for _ in range(3)]
    for answered in range(10):
        assert await wire.fence() == []
        wire.accept(unanswered.pop(0), str(answered))
        if answered < 7:
            unanswered.append(await wire.expect(Command.SUBMIT_SM))
    outcomes = [await done(task) for task in tasks]
    assert [outcome.message_id for outcome in outcomes] == [str(number) for number in range(10)]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda sequence: pdu.MessageResp(Command.SUBMIT_SM_RESP, sequence, Status.INVALID_DESTINATION), 0xB),
        (lambda sequence: pdu.Plain(Command.GENERIC_NACK, sequence, Status.INVALID_COMMAND_LENGTH), 0x2),
        (lambda sequence: pdu.HEADER.pack(16, Command.SUBMIT_SM_RESP, 0x413, sequence), 0x413),
    ],
)
async def test_a_refusal_is_told_with_its_status(make_link: Any, smsc: Any, answer: Any, status: int) -> None:
    link, wire = await bound(make_link, smsc)
    task = start(link, outgoing())
    submit = await wire.expect(Command.SUBMIT_SM)
    wire.send(answer(submit.sequence))
    outcome = await done(task)
    assert (outcome.status, outcome.command_status, outcome.retryable) == (SubmitStatus.REFUSED, status, False)


@pytest.mark.parametrize("status", [Status.THROTTLED, Status.QUEUE_FULL])
async def test_a_busy_smsc_is_asked_again_a_few_times(make_link: Any, smsc: Any, status: Status) -> None:
    link, wire = await bound(make_link, smsc, throttle_pause=0.001, throttle_retries=2)
    for tries, final in ((3, SubmitStatus.ACCEPTED), (3, SubmitStatus.REFUSED)):
        task = start(link, outgoing())
        for attempt in range(tries):
            submit = await wire.expect(Command.SUBMIT_SM)
            if attempt == tries - 1 and final is SubmitStatus.ACCEPTED:
                wire.accept(submit, "1")
            else:
                wire.send(pdu.MessageResp(Command.SUBMIT_SM_RESP, submit.sequence, status))
        outcome = await done(task)
        assert outcome.status is final
        assert outcome.retryable is (final is SubmitStatus.REFUSED)
        assert await wire.fence() == []


async def test_a_long_text_goes_in_parts_one_after_the_other(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc)
    text = "가나다라마바사아" * 20
    task = start(link, outgoing(text, kind=OutgoingKind.LMS))
    pieces = []
    for number in range(1, 4):
        submit = await wire.expect(Command.SUBMIT_SM)
        assert await wire.fence() == []
        assert submit.esm_class == 0x40
        assert submit.short_message[:3] == b"\x05\x00\x03"
        assert submit.short_message[4:6] == bytes((3, number))
        pieces.append(submit.short_message[6:].decode("cp949"))
        wire.accept(submit, f"id{number}")
    outcome = await done(task)
    assert "".join(pieces) == text
    assert (outcome.status, outcome.message_ids, outcome.parts) == (
        SubmitStatus.ACCEPTED, ("id1", "id2", "id3"), 3,
    )  # fmt: skip


async def test_after_a_refused_part_no_more_is_sent(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc)
    task = start(link, outgoing("가" * 200))
    wire.accept(await wire.expect(Command.SUBMIT_SM), "first")
    second = await wire.expect(Command.SUBMIT_SM)
    wire.send(pdu.MessageResp(Command.SUBMIT_SM_RESP, second.sequence, Status.INVALID_DESTINATION))
    outcome = await done(task)
    assert (outcome.status, outcome.message_ids) == (SubmitStatus.REFUSED, ("first",))
    assert await wire.fence() == []


async def test_a_throttled_link_pauses_and_a_full_queue_concerns_one_text(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc, throttle_pause=600, throttle_retries=0)
    for status, goes_on in ((Status.QUEUE_FULL, True), (Status.THROTTLED, False)):
        task = start(link, outgoing())
        refused = await wire.expect(Command.SUBMIT_SM)
        wire.send(pdu.MessageResp(Command.SUBMIT_SM_RESP, refused.sequence, status))
        assert (await done(task)).retryable
        following = start(link, outgoing())
        if goes_on:
            wire.accept(await wire.expect(Command.SUBMIT_SM), "1")
            await done(following)
        else:
            assert await wire.fence() == []
            following.cancel()


async def test_the_agreed_rate_is_kept(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc, rate=0.001)
    tasks = [start(link, outgoing(number=number)) for number in range(3)]
    wire.accept(await wire.expect(Command.SUBMIT_SM), "1")
    assert await wire.fence() == []
    for task in tasks:
        task.cancel()


async def test_half_of_a_long_text_is_unknown_not_unsent(make_link: Any, smsc: Any) -> None:
    """The other text takes the only place while the first waits to send its second part."""
    link, wire = await bound(make_link, smsc, window=1)
    long, short = start(link, outgoing("가" * 100)), start(link, outgoing("짧다"))
    wire.accept(await wire.expect(Command.SUBMIT_SM), "half")
    assert (await wire.expect(Command.SUBMIT_SM)).short_message == "짧다".encode("cp949")
    wire.cut()
    outcome = await done(long)
    assert (outcome.status, outcome.message_ids) == (SubmitStatus.UNKNOWN, ("half",))
    assert (await done(short)).status is SubmitStatus.UNKNOWN


@pytest.mark.parametrize("way", ["payload", "sar"])
async def test_other_ways_of_a_long_text(make_link: Any, smsc: Any, way: str) -> None:
    link, wire = await bound(make_link, smsc, long_text=way)
    text = "가" * 200
    task = start(link, outgoing(text))
    taken: list[pdu.Message] = []
    while not taken or (way == "sar" and len(taken) < taken[0].tlvs[Tag.SAR_TOTAL][0]):
        taken.append(await wire.expect(Command.SUBMIT_SM))
        wire.accept(taken[-1], str(len(taken)))
    outcome = await done(task)
    assert b"".join(part.content for part in taken).decode("cp949") == text
    assert outcome.parts == (1 if way == "payload" else 3)
    if way == "sar":
        assert [part.tlvs[Tag.SAR_SEQUENCE][0] for part in taken] == [1, 2, 3]


# -- when the link goes -----------------------------------------------------------------------------------


async def test_a_cut_in_mid_window_leaves_nobody_waiting(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc, window=3)
    tasks = [start(link, outgoing(number=number)) for number in range(5)]
    submits = [await wire.expect(Command.SUBMIT_SM) for _ in range(3)]
    wire.accept(submits[0], "1")
    submits.append(await wire.expect(Command.SUBMIT_SM))
    wire.cut()
    outcomes = [await done(task) for task in tasks]
    assert [outcome.status for outcome in outcomes] == [
        SubmitStatus.ACCEPTED,
        SubmitStatus.UNKNOWN,
        SubmitStatus.UNKNOWN,
        SubmitStatus.UNKNOWN,
        SubmitStatus.NOT_SENT,
    ]
    assert {outcome.reason for outcome in outcomes[1:]} == {Reason.LINK_LOST}
    again = await smsc.connection()
    await again.bind()
    await link.wait_connected()
    task = start(link, outgoing())
    again.accept(await again.expect(Command.SUBMIT_SM), "2")
    assert (await done(task)).status is SubmitStatus.ACCEPTED


async def test_the_smsc_may_unbind(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc)
    task = start(link, outgoing())
    await wire.expect(Command.SUBMIT_SM)
    wire.send(pdu.Plain(Command.UNBIND, 7))
    assert (await wire.expect(Command.UNBIND_RESP)).sequence == 7
    assert (await done(task)).status is SubmitStatus.UNKNOWN
    await (await smsc.connection()).bind()


async def test_a_half_open_link_is_found_and_replaced(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc, enquire_interval=0.02, response_timeout=0.05)
    await wire.expect(Command.ENQUIRE_LINK)  # and never a word again
    again = await smsc.connection()
    await again.bind()
    await link.wait_connected()
    assert link.counters.connections == 2


async def test_a_submit_without_answer_is_unknown_and_the_link_is_questioned(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc, response_timeout=0.05, window=1)
    task = start(link, outgoing(number=1))
    late = await wire.expect(Command.SUBMIT_SM)
    outcome = await done(task)
    assert (outcome.status, outcome.reason) == (SubmitStatus.UNKNOWN, Reason.NO_ANSWER)
    enquiry = await wire.expect(Command.ENQUIRE_LINK)
    wire.send(pdu.Plain(Command.ENQUIRE_LINK_RESP, enquiry.sequence))
    wire.accept(late, "too-late")
    following = start(link, outgoing(number=2))
    submit = await wire.expect(Command.SUBMIT_SM)
    wire.accept(submit, "2")
    assert (await done(following)).message_ids == ("2",)


# -- malformed --------------------------------------------------------------------------------------------

_GOOD = pdu.encode(pdu.Message(Command.DELIVER_SM, 77, "1", "2", b"text"))


def _broken(body: bytes, command: int = Command.DELIVER_SM) -> bytes:
    return pdu.HEADER.pack(16 + len(body), command, 0, 77) + body


@pytest.mark.parametrize(
    ("frame", "command", "status"),
    [
        pytest.param(_broken(b""), Command.DELIVER_SM_RESP, 0xC2, id="empty deliver_sm"),
        pytest.param(_broken(_GOOD[16:-6]), Command.DELIVER_SM_RESP, 0x2, id="body ends too soon"),
        pytest.param(_broken(_GOOD[16:-2]), Command.DELIVER_SM_RESP, 0x1, id="sm_length beyond the PDU"),
        pytest.param(_broken(_GOOD[16:] + b"\x04"), Command.DELIVER_SM_RESP, 0xC0, id="half a parameter"),
        pytest.param(_broken(b"x" * 200), Command.DELIVER_SM_RESP, 0xC2, id="a field without end"),
        pytest.param(_broken(b"", 0x103), Command.GENERIC_NACK, 0x3, id="a command not spoken"),
    ],
)
async def test_malformed_pdus_are_answered_and_the_session_goes_on(
    make_link: Any, smsc: Any, inbox: Inbox, frame: bytes, command: Command, status: int
) -> None:
    link, wire = await bound(make_link, smsc)
    inbox.attach(link)
    wire.send(frame)
    answer = await wire.expect(command)
    assert (answer.sequence, answer.status) == (77, status)
    wire.deliver(b"still here")
    assert (await inbox.text()).text == "still here"
    assert link.counters.connections == 1


@pytest.mark.parametrize("length", [0, 15, 1_000_000, 0xFFFFFFFF])
async def test_an_impossible_length_ends_the_connection(make_link: Any, smsc: Any, inbox: Inbox, length: int) -> None:
    link, wire = await bound(make_link, smsc)
    inbox.attach(link)
    wire.deliver(b"before")
    wire.send(length.to_bytes(4, "big") + b"\0" * 12)
    assert (await inbox.text()).text == "before"
    with pytest.raises(EOFError):
        while True:
            unit = await wire.next()
            assert unit.command in (Command.GENERIC_NACK, Command.DELIVER_SM_RESP)
    await (await smsc.connection()).bind()


async def test_an_unreadable_answer_leaves_the_text_unknown(make_link: Any, smsc: Any) -> None:
    link, wire = await bound(make_link, smsc)
    task = start(link, outgoing())
    submit = await wire.expect(Command.SUBMIT_SM)
    wire.send(pdu.HEADER.pack(19, Command.SUBMIT_SM_RESP, 0, submit.sequence) + b"abc")
    assert (await done(task)).status is SubmitStatus.UNKNOWN
    assert await wire.fence() == []


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
