"""The link against an SMSC that does what the test says, over a real socket: connecting and sending."""

import asyncio
import logging
from typing import Any

import pytest

from sms_relay.links.interface import (
    Outgoing,
    OutgoingKind,
    Reason,
    SubmitStatus,
)
from sms_relay.links.smpp import pdu
from sms_relay.links.smpp.pdu import Command, Status, Tag
from tests.links.smpp_inbox import PATIENCE, Inbox, bound, done, outgoing, start

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
