"""The MM7 link against an MMSC under the test's own hand: what was not sent, what may have been, what was refused."""

import asyncio
from dataclasses import replace

import pytest

from sms_relay.links.interface import Outgoing, Reason, SubmitOutcome, SubmitStatus
from sms_relay.links.mm7.config import Mm7LinkConfig
from sms_relay.links.mm7.link import Mm7Link
from sms_relay.links.mm7.shut import MOST_TIMES, REMEMBERED, ShutOut
from tests.links.mmsc import (
    ACCOUNT,
    PATIENCE,
    Mmsc,
    Receipts,
    linked,
    listening,
    message,
    post,
    report_req,
    rs_error,
    submit_rsp,
    up,
)


def start(link: Mm7Link, outgoing: Outgoing | None = None) -> "asyncio.Task[SubmitOutcome]":
    return asyncio.create_task(link.submit(outgoing or message()))


async def done(task: "asyncio.Task[SubmitOutcome]") -> SubmitOutcome:
    async with asyncio.timeout(PATIENCE):
        return await task


async def test_a_message_is_accepted_under_the_id_of_the_mmsc() -> None:
    mmsc = Mmsc()
    await mmsc.start()
    async with linked(mmsc.port) as link:
        await up(link)
        task = start(link)
        posted = await mmsc.next()
        assert posted.request.first[:2] == ("POST", "/mm7")
        assert posted.request.headers["authorization"] == ACCOUNT
        assert posted.request.headers["connection"] == "close"
        posted.answer(submit_rsp("m-7"))
        outcome = await done(task)
    assert (outcome.status, outcome.message_ids) == (SubmitStatus.ACCEPTED, ("m-7",))
    await mmsc.stop()


async def test_without_an_mmsc_nothing_is_sent_and_the_link_comes_up_with_it() -> None:
    mmsc = Mmsc()
    await mmsc.start()
    port = mmsc.port
    await mmsc.stop()
    async with linked(port) as link:
        outcome = await done(start(link))
        assert (outcome.status, outcome.reason) == (SubmitStatus.NOT_SENT, Reason.NOT_CONNECTED)
        await mmsc.start(port)
        await up(link)
        await mmsc.stop()
        outcome = await done(start(link))  # the link thinks that it is up, and finds nobody
        assert (outcome.status, link.connected) == (SubmitStatus.NOT_SENT, False)
        await mmsc.start(port)
        await up(link)
    await mmsc.stop()


@pytest.mark.parametrize("status", [401, 403, 404, 302])
async def test_a_door_that_does_not_open_takes_the_link_down_and_costs_no_message(status: int) -> None:
    mmsc = Mmsc()
    await mmsc.start()
    async with linked(mmsc.port, backoff_first=60) as link:
        await up(link)
        task = start(link)
        (await mmsc.next()).answer("", status)
        outcome = await done(task)
        assert (outcome.status, link.connected) == (SubmitStatus.NOT_SENT, False)
    await mmsc.stop()


async def answered(link: Mm7Link, mmsc: Mmsc, name: str, body: str, status: int) -> SubmitOutcome:
    """What becomes of message `name`, offered once the link is up, with this answer."""
    await up(link)
    task = start(link, replace(message(), id=name))
    (await mmsc.next()).answer(body, status)
    return await done(task)


@pytest.mark.parametrize("status", [302, 403, 404, 405, 410])
async def test_a_message_that_alone_is_shut_out_is_refused_in_the_end(status: int) -> None:
    mmsc = Mmsc()
    await mmsc.start()
    async with linked(mmsc.port) as link:
        for at in range(2):
            assert (await answered(link, mmsc, "bad", "", status)).status is SubmitStatus.NOT_SENT
            assert (await answered(link, mmsc, f"good {at}", submit_rsp(), 200)).status is SubmitStatus.ACCEPTED
        outcome = await answered(link, mmsc, "bad", "", status)
        assert (outcome.status, outcome.retryable, link.connected) == (SubmitStatus.REFUSED, False, True)
    await mmsc.stop()


@pytest.mark.parametrize(("status", "others"), [(404, 0), (401, 1), (404, 2)])
async def test_a_door_that_is_shut_to_all_costs_no_message_however_often(status: int, others: int) -> None:
    """`others`: how many are let in between, 2: only before the first time, as when an MMSC is moved."""
    mmsc = Mmsc()
    await mmsc.start()
    async with linked(mmsc.port) as link:
        if others == 2:
            await answered(link, mmsc, "good", submit_rsp(), 200)
        for _ in range(5):
            assert (await answered(link, mmsc, "one", "", status)).status is SubmitStatus.NOT_SENT
            if others == 1:
                await answered(link, mmsc, "good", submit_rsp(), 200)
    await mmsc.stop()


def test_who_was_let_in_meanwhile_begins_anew_and_not_all_are_remembered() -> None:
    shut = ShutOut()
    for _ in range(MOST_TIMES):
        assert not shut.at_fault("a")
        shut.let_in("a")
    assert not shut.at_fault("a")
    for number in range(REMEMBERED):
        shut.let_in("other")
        assert not shut.at_fault(str(number))
    for _ in range(MOST_TIMES - 1):
        shut.let_in("other")
        assert not shut.at_fault("a")
    shut.let_in("other")
    assert shut.at_fault("a")


LOST = [
    lambda posted: posted.cut(),
    lambda posted: posted.raw(b""),
    lambda posted: posted.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<"),
    lambda posted: posted.raw(b"SSH-2.0-OpenSSH\r\n"),
    lambda posted: posted.answer("<html>Welcome</html>"),
    lambda posted: posted.answer("", 502),
    lambda posted: posted.answer("no envelope", 500),
    lambda posted: posted.answer(submit_rsp() + " " * 70_000),
]


@pytest.mark.parametrize("how", LOST)
async def test_what_may_have_been_taken_is_unknown_and_asked_once(how: object) -> None:
    mmsc = Mmsc()
    await mmsc.start()
    async with linked(mmsc.port) as link:
        await up(link)
        task = start(link)
        how(await mmsc.next())  # type: ignore[operator]
        outcome = await done(task)
        assert (outcome.status, outcome.message_ids) == (SubmitStatus.UNKNOWN, ())
        assert mmsc.posted.empty()
        assert link.counters.unknown == 1
    await mmsc.stop()


async def test_silence_is_unknown_too() -> None:
    mmsc = Mmsc()
    await mmsc.start()
    async with linked(mmsc.port, response_timeout=0.05) as link:
        await up(link)
        task = start(link)
        posted = await mmsc.next()
        outcome = await done(task)
        assert (outcome.status, outcome.reason) == (SubmitStatus.UNKNOWN, Reason.NO_ANSWER)
        posted.cut()
    await mmsc.stop()


@pytest.mark.parametrize("status", [2003, 2007, 3002, 4004])
async def test_a_refusal_keeps_its_status(status: int) -> None:
    mmsc = Mmsc()
    await mmsc.start()
    async with linked(mmsc.port) as link:
        await up(link)
        task = start(link)
        (await mmsc.next()).answer(rs_error(status), 500)
        outcome = await done(task)
    assert (outcome.status, outcome.mm7_status, outcome.retryable) == (SubmitStatus.REFUSED, status, False)
    await mmsc.stop()


@pytest.mark.parametrize(("status", "reason"), [(413, Reason.TOO_LONG), (400, None)])
async def test_a_refusal_by_http_alone(status: int, reason: Reason | None) -> None:
    mmsc = Mmsc()
    await mmsc.start()
    async with linked(mmsc.port) as link:
        await up(link)
        task = start(link)
        (await mmsc.next()).answer("", status)
        outcome = await done(task)
    assert (outcome.status, outcome.reason) == (SubmitStatus.REFUSED, reason)
    await mmsc.stop()


async def test_a_busy_mmsc_is_asked_again_as_often_as_agreed() -> None:
    mmsc = Mmsc()
    await mmsc.start()
    async with linked(mmsc.port, busy_retries=2) as link:
        await up(link)
        task = start(link)
        (await mmsc.next()).answer(rs_error(4006), 500)
        (await mmsc.next()).answer("", 503)
        (await mmsc.next()).answer(submit_rsp())
        assert (await done(task)).status is SubmitStatus.ACCEPTED
        task = start(link)
        for _ in range(3):
            (await mmsc.next()).answer("", 503)
        outcome = await done(task)
    assert (outcome.status, outcome.mm7_status, outcome.retryable) == (SubmitStatus.REFUSED, 4006, True)
    await mmsc.stop()


async def test_a_malformed_number_never_leaves() -> None:
    mmsc = Mmsc()
    await mmsc.start()
    async with linked(mmsc.port) as link:
        await up(link)
        outcome = await done(start(link, message(to="010x")))
        assert (outcome.status, outcome.reason) == (SubmitStatus.REFUSED, Reason.BAD_NUMBER)
        assert mmsc.posted.empty()
    await mmsc.stop()


async def test_no_more_requests_at_a_time_than_the_window_has_places() -> None:
    mmsc = Mmsc()
    await mmsc.start()
    async with linked(mmsc.port, window=2) as link:
        await up(link)
        tasks = [start(link) for _ in range(5)]
        for at in range(5):
            posted = await mmsc.next()
            if at == 0:
                second = await mmsc.next()
                assert mmsc.posted.empty()
                second.answer(submit_rsp("second"))
                tasks.append(start(link))
            posted.answer(submit_rsp(f"m-{at}"))
        assert {(await done(task)).status for task in tasks} == {SubmitStatus.ACCEPTED}
    await mmsc.stop()


async def test_a_report_that_overtakes_the_answer_is_held_until_its_message_is_known() -> None:
    mmsc = Mmsc()
    await mmsc.start()
    receipts = Receipts()
    async with linked(mmsc.port, on_receipt=receipts, report_hold=PATIENCE) as link, listening(link) as url:
        await up(link)
        task = start(link)
        posted = await mmsc.next()
        reporting = asyncio.create_task(post(url, report_req("early")))
        second = asyncio.create_task(post(url, "<no report"))  # answered after the first one has been read
        assert (await second).status_code == 500
        assert (receipts.taken, task.done(), reporting.done()) == ([], False, False)
        posted.answer(submit_rsp("early"))
        assert (await done(task)).message_ids == ("early",)
        assert (await reporting).status_code == 200
    assert [one.message_id for one in receipts.taken] == ["early"]
    await mmsc.stop()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "ftp://a:b@c/", "http://a:b@/", "a:b@c", "http://a%3Ab:c@d/", "http://a:b@c/#d"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match=r"an MM7 address|an id of HTTP"):
        Mm7LinkConfig(url=url)


def test_an_address_and_its_account() -> None:
    config = Mm7LinkConfig(url="https://v%40sp:p%2Fw@mmsc.example/soap?a=1")
    assert (config.user, config.password, config.target) == ("v@sp", "p/w", "https://mmsc.example/soap?a=1")
    assert (config.host, config.port, config.tls) == ("mmsc.example", 443, True)
    assert "p%2Fw" not in repr(config)
