"""The agent on real tables, PostgreSQL and MariaDB; the link is scripted: every outcome can be had on demand."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from sms_relay.agent.lock import sole_agent
from sms_relay.agent.service import Agent, AgentConfig
from sms_relay.links.interface import (
    Outgoing,
    ReceiptState,
    SubmitOutcome,
    SubmitStatus,
    TryLater,
)
from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock
from tests.npro.agents import FAST, SENT, ScriptedLink, add, becomes, receipt, row, running


async def test_a_row_is_sent_and_its_receipt_makes_it_final(database: NproDatabase) -> None:
    link = ScriptedLink()
    async with running(database, link) as agent:
        seq = await add(database)
        await becomes(database, seq, SENT)
        assert [(one.source, one.destination, one.text) for one in link.sent] == [
            ("07012345678", "01012345678", "안녕")
        ]
        await agent.handle_receipt(receipt(f"id-{seq}"))
        assert await row(database, seq) == (3, "0", 0, "LGT")


URLS = [
    ("http://a.example/길?a=1 봄 세일", "봄 세일\nhttp://a.example/길?a=1"),
    ("HTTPS://a.example:8443 제목", "제목\nHTTPS://a.example:8443"),
    ("www.a.example 제목", "제목\nwww.a.example"),
]


@pytest.mark.parametrize(("typed", "sent"), URLS)
async def test_an_address_goes_out_under_its_title(database: NproDatabase, typed: str, sent: str) -> None:
    link = ScriptedLink()
    async with running(database, link):
        await becomes(database, await add(database, MSG_TYPE=5, SMS_TXT=typed), SENT)
    assert [one.text for one in link.sent] == [sent]


RECEIPTS = [
    (ReceiptState.EXPIRED, "", "1", 30000),
    (ReceiptState.REJECTED, "12", "k", 30012),
    (ReceiptState.DELETED, "", "i", 30000),
    (ReceiptState.UNDELIVERABLE, "999", "d", 30999),
    (ReceiptState.UNKNOWN, "x1", "z", 30000),
]


@pytest.mark.parametrize(("state", "error", "code", "detail"), RECEIPTS, ids=str)
async def test_what_a_failing_receipt_becomes(
    database: NproDatabase, state: ReceiptState, error: str, code: str, detail: int
) -> None:
    async with running(database, ScriptedLink()) as agent:
        seq = await add(database)
        await becomes(database, seq, SENT)
        await agent.handle_receipt(receipt(f"id-{seq}", ReceiptState.ENROUTE))
        assert await row(database, seq) == SENT
        await agent.handle_receipt(receipt(f"id-{seq}", state, error))
        assert await row(database, seq) == (3, code, detail, "ETC")


REFUSED = [
    ({"CALL_TO": None}, "q", 101),
    ({"CALL_TO": ""}, "q", 101),
    ({"CALL_TO": "021234567"}, "p", 102),
    ({"CALL_TO": "010-1234-567"}, "p", 102),
    ({"CALL_FROM": "070A"}, "p", 103),
    ({"SMS_TXT": None}, "q", 104),
    ({"SMS_TXT": "가" * 46}, "o", 105),
    ({"MSG_TYPE": 9}, "q", 107),
    ({"MSG_TYPE": 5, "SMS_TXT": ""}, "q", 104),
    ({"MSG_TYPE": 5, "SMS_TXT": "http://a.example"}, "q", 116),
    ({"MSG_TYPE": 5, "SMS_TXT": "http://a.example "}, "q", 116),
    ({"MSG_TYPE": 5, "SMS_TXT": "제목 http://a.example"}, "q", 116),
    ({"MSG_TYPE": 5, "SMS_TXT": "ftp://a.example 제목"}, "q", 116),
    ({"MSG_TYPE": 5, "SMS_TXT": "http://a.example " + "가" * 37}, "o", 105),
    ({"MSG_TYPE": 6, "CONT_SEQ": 4711}, "x", 110),
    ({"MSG_TYPE": 7, "CONT_SEQ": 4711}, "x", 110),
]


@pytest.mark.parametrize(("columns", "code", "detail"), REFUSED, ids=str)
async def test_a_row_that_cannot_be_sent_says_why(
    database: NproDatabase, columns: dict[str, object], code: str, detail: int
) -> None:
    link = ScriptedLink()
    async with running(database, link):
        seq = await add(database, **columns)
        await becomes(database, seq, (3, code, detail, "ETC"))
    assert link.sent == []


SUBMITS = [
    (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x0B), "2", 20011),
    (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x0A), "i", 20010),
    (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x01), "o", 20001),
    (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x14, retryable=True), "j", 20020),
    (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x58, retryable=True), "j", 20088),
    (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x45), "e", 20069),
    (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x7FFFB1DF), "e", 2**31 - 1),
    (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x7FFFB1E0), "e", 20255),
    (SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0xFFFFFFFF), "e", 20255),
]
DOUBTFUL = [
    SubmitOutcome(status=SubmitStatus.UNKNOWN),
    SubmitOutcome(status=SubmitStatus.UNKNOWN, message_ids=("a",), parts=2),
]


@pytest.mark.parametrize(("answer", "code", "detail"), SUBMITS, ids=lambda value: str(value)[:60])
async def test_what_an_unsuccessful_submit_becomes(
    database: NproDatabase, answer: SubmitOutcome, code: str, detail: int
) -> None:
    async def refuse(_: Outgoing) -> SubmitOutcome:
        return answer

    link = ScriptedLink(refuse)
    async with running(database, link):
        seq = await add(database)
        await becomes(database, seq, (3, code, detail, "ETC"))
    assert len(link.sent) == 1


@pytest.mark.parametrize("lost", DOUBTFUL, ids=("all of it", "a part"))
async def test_a_submit_of_unknown_outcome_is_made_once_more(database: NproDatabase, lost: SubmitOutcome) -> None:
    async def first_lost(outgoing: Outgoing) -> SubmitOutcome:
        return lost if len(link.sent) == 1 else await link.take(outgoing)

    link = ScriptedLink(first_lost)
    async with running(database, link) as agent:
        seq = await add(database)
        await becomes(database, seq, (2, None, 904, None))
        await agent.handle_receipt(receipt(f"id-{seq}"))
        assert await row(database, seq) == (3, "0", 904, "LGT"), (
            "whoever reads the result knows that it may be there twice"
        )
    assert len(link.sent) == 2


async def test_what_fails_the_second_time_says_so(database: NproDatabase) -> None:
    async def lost_then_refused(_: Outgoing) -> SubmitOutcome:
        if len(link.sent) == 1:
            return DOUBTFUL[0]
        return SubmitOutcome(status=SubmitStatus.REFUSED, command_status=0x0B)

    link = ScriptedLink(lost_then_refused)
    async with running(database, link):
        await becomes(database, await add(database), (3, "2", 20011, "ETC"))


@pytest.mark.parametrize("lost", DOUBTFUL, ids=("all of it", "a part"))
@pytest.mark.parametrize(("again", "submits"), [(True, 2), (False, 1)])
async def test_no_text_is_submitted_a_third_time(
    database: NproDatabase, lost: SubmitOutcome, again: bool, submits: int
) -> None:
    async def lose(_: Outgoing) -> SubmitOutcome:
        return lost

    link = ScriptedLink(lose)
    async with running(database, link, replace(FAST, send_again=again)):
        await becomes(database, await add(database), (3, "z", 902, "ETC"))
    assert len(link.sent) == submits


async def test_what_was_certainly_not_sent_is_tried_again(database: NproDatabase) -> None:
    async def first_not(outgoing: Outgoing) -> SubmitOutcome:
        if len(link.sent) == 1:
            return SubmitOutcome(status=SubmitStatus.NOT_SENT)
        return await link.take(outgoing)

    link = ScriptedLink(first_not)
    async with running(database, link):
        seq = await add(database)
        await becomes(database, seq, SENT)
    assert len(link.sent) == 2


async def a_turn_of_the_loop() -> None:
    loop = asyncio.get_running_loop()
    turn = loop.create_future()
    loop.call_soon(turn.set_result, None)
    await turn


async def test_many_more_rows_than_the_window_holds_are_sent_once_each(database: NproDatabase) -> None:
    at_once: list[int] = []
    open_now = 0

    async def slowly(outgoing: Outgoing) -> SubmitOutcome:
        nonlocal open_now
        open_now += 1
        at_once.append(open_now)
        await a_turn_of_the_loop()
        open_now -= 1
        return await link.take(outgoing)

    link = ScriptedLink(slowly)
    seqs = [await add(database) for _ in range(50)]
    async with running(database, link):
        for seq in seqs:
            await becomes(database, seq, SENT)
    assert sorted(int(one.id) for one in link.sent) == seqs
    assert max(at_once) <= FAST.window


async def test_nothing_is_taken_while_no_link_is_up(database: NproDatabase) -> None:
    link = ScriptedLink()
    link.connected = False
    async with running(database, link) as agent:
        early = await add(database)
        other = await add(database, CUR_STATE=3)  # the mover would be free to act; the sender is asked twice
        agent.hint()
        await becomes(database, other, (3, None, None, None))
        assert await row(database, early) == (0, None, None, None)
        link.connected = True
        await becomes(database, early, SENT)


async def test_reserved_rows_wait_and_rows_reserved_long_ago_are_not_sent(database: NproDatabase) -> None:
    class Moved(KoreanClock):
        ahead = timedelta()

        def now(self) -> datetime:
            return super().now() + self.ahead

    clock = Moved()
    now = clock.now()
    link = ScriptedLink()
    config = AgentConfig(window=8, poll_seconds=0.02, mover_seconds=0.02, move=False)
    async with running(database, link, config, clock):
        due = await add(database, REQ_DATE=now - timedelta(hours=2))
        late = await add(database, REQ_DATE=now - timedelta(hours=3, seconds=1))
        later = await add(database, REQ_DATE=now + timedelta(minutes=5))
        await becomes(database, due, SENT)
        await becomes(database, late, (3, "z", 111, "ETC"))
        assert await row(database, later) == (0, None, None, None)
        clock.ahead = timedelta(minutes=5, seconds=1)
        await becomes(database, later, SENT)


async def in_parts(outgoing: Outgoing) -> SubmitOutcome:
    ids = tuple(f"id-{outgoing.id}-{part}" for part in (1, 2, 3))
    return SubmitOutcome(status=SubmitStatus.ACCEPTED, message_ids=ids, parts=3)


async def test_parts_make_a_message_final_only_together(database: NproDatabase) -> None:
    async with running(database, ScriptedLink(in_parts)) as agent:
        seq = await add(database)
        await becomes(database, seq, SENT)
        for part in (3, 1):
            await agent.handle_receipt(receipt(f"id-{seq}-{part}"))
            assert await row(database, seq) == SENT
        await agent.handle_receipt(receipt(f"id-{seq}-2"))
        assert await row(database, seq) == (3, "0", 0, "LGT")


async def test_one_failed_part_fails_the_message(database: NproDatabase) -> None:
    async with running(database, ScriptedLink(in_parts)) as agent:
        seq = await add(database)
        await becomes(database, seq, SENT)
        receipts = [receipt(f"id-{seq}-1"), receipt(f"id-{seq}-2", ReceiptState.EXPIRED), receipt(f"id-{seq}-3")]
        await asyncio.gather(*(agent.handle_receipt(one) for one in receipts))
        assert await row(database, seq) == (3, "1", 30000, "ETC")


async def test_a_receipt_directly_behind_the_answer_finds_its_message(database: NproDatabase) -> None:
    """The handler runs while the id is still on its way into the table."""
    handled: list[asyncio.Task[None]] = []

    async def take_and_tell(outgoing: Outgoing) -> SubmitOutcome:
        handled.append(asyncio.create_task(agent.handle_receipt(receipt(f"id-{outgoing.id}"))))
        return await link.take(outgoing)

    link = ScriptedLink(take_and_tell)
    async with running(database, link) as agent:
        seq = await add(database)
        await becomes(database, seq, (3, "0", 0, "LGT"))
        await asyncio.gather(*handled)
        assert agent.receiver.unknown == 0


async def test_a_receipt_after_a_restart_finds_its_message(database: NproDatabase) -> None:
    async with running(database, ScriptedLink()):
        seq = await add(database)
        await becomes(database, seq, SENT)
    async with running(database, ScriptedLink()) as agent:
        await agent.handle_receipt(receipt(f"id-{seq}"))
        assert await row(database, seq) == (3, "0", 0, "LGT")


async def test_an_id_that_the_carrier_uses_again_means_the_newer_message(database: NproDatabase) -> None:
    async def always_one(_: Outgoing) -> SubmitOutcome:
        return SubmitOutcome(status=SubmitStatus.ACCEPTED, message_ids=("1",))

    async with running(database, ScriptedLink(always_one)) as agent:
        older = await add(database)
        await becomes(database, older, SENT)
        newer = await add(database)
        await becomes(database, newer, SENT)
        await agent.handle_receipt(receipt("1"))
        assert (await row(database, older), await row(database, newer)) == (SENT, (3, "0", 0, "LGT"))


async def test_a_strange_receipt_is_counted_and_does_not_come_again(database: NproDatabase) -> None:
    async with running(database, ScriptedLink()) as agent:
        await agent.handle_receipt(receipt("nobody's"))
        assert agent.receiver.unknown == 1


EDGES = [datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=12))), datetime(9999, 12, 31, 23, tzinfo=UTC)]


@pytest.mark.parametrize("done_at", EDGES, ids=("first", "last"))
async def test_a_receipt_of_the_end_of_days_is_of_now(database: NproDatabase, done_at: datetime) -> None:
    async with running(database, ScriptedLink()) as agent:
        seq = await add(database)
        await becomes(database, seq, SENT)
        await agent.handle_receipt(replace(receipt(f"id-{seq}"), done_at=done_at))
        assert await row(database, seq) == (3, "0", 0, "LGT")


async def test_a_receipt_that_the_tables_reject_does_not_come_again(database: NproDatabase) -> None:
    async with running(database, ScriptedLink()) as agent:
        seq = await add(database)
        await becomes(database, seq, SENT)
        await asyncio.gather(*map(agent.handle_receipt, (receipt("a\0b"), receipt(f"id-{seq}"))))
        assert await row(database, seq) == (3, "0", 0, "LGT")


@pytest.mark.parametrize("again", [True, False])
async def test_rows_being_submitted_when_the_agent_died_go_once_more_or_are_reported(
    database: NproDatabase, again: bool
) -> None:
    asked = asyncio.Event()
    config = replace(FAST, send_again=again)

    async def never(_: Outgoing) -> SubmitOutcome:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with running(database, ScriptedLink(never), config):
        seq = await add(database)
        await asyncio.wait_for(asked.wait(), 20)
    assert await row(database, seq) == (1, None, None, None)
    stranded = await add(database, CUR_STATE=1)  # of another agent, which could not reach its gateway
    link = ScriptedLink()
    async with running(database, link, config):
        await becomes(database, seq, (2, None, 904, None) if again else (3, "z", 901, "ETC"))
        await becomes(database, stranded, SENT)
    assert {one.id for one in link.sent} == ({str(seq), str(stranded)} if again else {str(stranded)})


async def test_a_second_agent_waits_for_the_first_to_end(database: NproDatabase, npro_url: str) -> None:
    other = NproDatabase.open(npro_url, size=4)
    idle = ScriptedLink()
    try:
        async with running(database, ScriptedLink()):
            first = await add(database)
            await becomes(database, first, SENT)
            async with running(other, idle):
                second = await add(database)
                await becomes(database, second, SENT)
                assert idle.sent == []
        async with running(other, idle):
            third = await add(database)
            await becomes(database, third, SENT)
            assert [one.id for one in idle.sent] == [str(third)]
    finally:
        await other.close()


async def test_a_lock_whose_connection_uvloop_has_closed_is_taken_again(
    database: NproDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = ["unable to perform operation on <TCPTransport closed=True reading=False>; the handler is closed"]

    @asynccontextmanager
    async def closed_once(of: NproDatabase) -> AsyncIterator[AsyncConnection]:
        if closed:
            raise RuntimeError(closed.pop())
        async with sole_agent(of) as connection:
            yield connection

    monkeypatch.setattr("sms_relay.agent.service.sole_agent", closed_once)
    async with running(database, ScriptedLink()):
        await becomes(database, await add(database), SENT)
    assert closed == []


async def logged(database: NproDatabase, table: str) -> list[tuple[int, int]]:
    async with database.transaction() as connection:
        found = await connection.execute(text(f"SELECT MSG_SEQ, CUR_STATE FROM {table} ORDER BY MSG_SEQ"))  # noqa: S608 - names of this test
        return [(seq, state) for seq, state in found]


async def test_finished_and_overdue_rows_move_by_their_own_month(database: NproDatabase) -> None:
    now = KoreanClock().now()
    january, february = datetime(2026, 1, 31, 23, 59, 59), datetime(2026, 2, 1, 0, 0, 0)  # noqa: DTZ001 - Korean local time
    old = await add(database, CUR_STATE=3, SENT_DATE=january, RSLT_DATE=february)
    new = await add(database, CUR_STATE=3, SENT_DATE=february)
    overdue = await add(database, CUR_STATE=2, SENT_DATE=february)
    waiting = await add(database, CUR_STATE=2, SENT_DATE=now)
    never_sent = await add(database, CUR_STATE=3, RSLT_DATE=january)
    config = AgentConfig(window=8, poll_seconds=0.02, mover_seconds=0.02)
    async with running(database, ScriptedLink(), config):
        for seq in (old, new, overdue, never_sent):
            await becomes(database, seq, None)
        assert await row(database, waiting) == SENT
    assert await logged(database, "MSG_LOG_202601") == [(old, 3), (never_sent, 3)]
    assert await logged(database, "MSG_LOG_202602") == [(new, 3), (overdue, 2)]


async def test_a_log_table_dropped_meanwhile_is_made_again(database: NproDatabase) -> None:
    sent = datetime(2026, 1, 5, 9, 0, 0)  # noqa: DTZ001 - Korean local time
    config = AgentConfig(window=8, poll_seconds=0.02, mover_seconds=0.02)
    async with running(database, ScriptedLink(), config):
        await becomes(database, await add(database, CUR_STATE=3, SENT_DATE=sent), None)
        async with database.transaction() as connection:
            await connection.execute(text("DROP TABLE MSG_LOG_202601"))
        second = await add(database, CUR_STATE=3, SENT_DATE=sent)
        await becomes(database, second, None)
    assert await logged(database, "MSG_LOG_202601") == [(second, 3)]


async def test_a_receipt_is_left_with_the_carrier_while_the_database_is_away(npro_url: str) -> None:
    database = NproDatabase.open(npro_url.rsplit("/", 1)[0] + "/no_such_database", size=2)
    agent = Agent(database, [ScriptedLink()], FAST, KoreanClock())
    writing = asyncio.create_task(agent.receiver.run())
    try:
        with pytest.raises(TryLater):
            await agent.handle_receipt(receipt("1"))
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await database.close()


async def test_results_are_told_by_userdata(database: NproDatabase) -> None:
    told: list[int] = []
    link = ScriptedLink()

    def tell(users: Sequence[int]) -> None:
        told.extend(users)

    agent = Agent(database, [link], FAST, KoreanClock(), finished=tell)
    task = asyncio.create_task(agent.run())
    try:
        bad = await add(database, USERDATA=7, SMS_TXT="")
        await becomes(database, bad, (3, "q", 104, "ETC"))
        good = await add(database, USERDATA=8)
        await becomes(database, good, SENT)
        await agent.handle_receipt(receipt(f"id-{good}"))
        assert told == [7, 8]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
