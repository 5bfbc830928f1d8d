"""What the owner of the tables forbids, on real tables; and columns and names of the owner's own."""

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Column, Integer, String, select, text

from sms_relay.agent.admission import Limits
from sms_relay.agent.limits import QuietHours
from sms_relay.agent.notice import Notices
from sms_relay.agent.service import AgentConfig
from sms_relay.agent.store import OrderBy, due_statements
from sms_relay.links.interface import Outgoing, ReceiptState, SubmitOutcome, SubmitStatus
from sms_relay.npro.client import NproClient, Wanted
from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock
from sms_relay.npro.tables import OwnColumns, TableNames
from tests.npro.agents import FAST, SENT, ScriptedLink, add, becomes, receipt, row, running

MOVING = AgentConfig(window=8, poll_seconds=0.02, mover_seconds=0.02)
BRANCH = OwnColumns(columns=[Column("BRANCH", String(20)), Column("SHOP", Integer())], indexes=[["BRANCH", "SHOP"]])


class Moved(KoreanClock):
    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


async def run_sql(database: NproDatabase, *statements: str) -> None:
    async with database.transaction() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def test_blocked_rows_say_by_what_and_new_rules_are_read_while_running(database: NproDatabase) -> None:
    await run_sql(
        database,
        "INSERT INTO MSG_SPAM (SPAM_FLAG, SPAM_SMS_TXT) VALUES ('u', '경마\\\\&복권')"
        if database.engine.dialect.name == "mysql"
        else "INSERT INTO MSG_SPAM (SPAM_FLAG, SPAM_SMS_TXT) VALUES ('u', '경마\\&복권')",
        "INSERT INTO MSG_SPAM (SPAM_FLAG, SPAM_CALL_TO) VALUES ('u', '01011112222')",
    )
    link = ScriptedLink()
    config = replace(FAST, limits=Limits(spam_seconds=0.02, word="알림"))
    async with running(database, link, config):
        good = await add(database, SMS_TXT="알림: 안녕")
        await becomes(database, good, SENT)
        for columns, code, detail in (
            ({"SMS_TXT": "알림 복권"}, "s", 201),
            ({"CALL_TO": "01011112222"}, "n", 202),
            ({"CALL_TO": "01011112222", "SMS_TXT": "복권"}, "t", 204),
            ({"SMS_TXT": "안녕"}, "w", 205),
            ({"SMS_TXT": ""}, "q", 104),
        ):
            await becomes(database, await add(database, **columns), (3, code, detail, "ETC"))
        await run_sql(database, "INSERT INTO MSG_SPAM (SPAM_FLAG, SPAM_CALL_FROM) VALUES ('s', '07012345678')")
        blocked = (3, "r", 203, "ETC")
        while True:  # until the rule has been read
            seq = await add(database, SMS_TXT="알림")
            await becomes(database, seq, SENT, blocked)
            if await row(database, seq) == blocked:
                break
    assert "복권" not in "".join(one.text for one in link.sent)


async def test_a_recipient_gets_so_many_a_day_across_restarts_and_returned_texts(database: NproDatabase) -> None:
    first = True

    async def once_not(outgoing: Outgoing) -> SubmitOutcome:
        nonlocal first
        if first:
            first = False
            return SubmitOutcome(status=SubmitStatus.NOT_SENT)
        return await link.take(outgoing)

    link = ScriptedLink(once_not)
    clock = Moved(KoreanClock().now())
    config = replace(FAST, limits=Limits(daily=2))
    too_often = (3, "y", 206, "ETC")
    async with running(database, link, config, clock):
        await becomes(database, await add(database, SMS_TXT="가" * 46), (3, "o", 105, "ETC"))
        await becomes(database, await add(database), SENT)
    async with running(database, link, config, clock):
        await becomes(database, await add(database), SENT)
        await becomes(database, await add(database), too_often)
        await becomes(database, await add(database, CALL_TO="01099998888"), SENT)
        tomorrow = timedelta(hours=24)
        clock.at += tomorrow
        await becomes(database, await add(database), SENT)
    async with database.transaction() as connection:
        days = (await connection.execute(select(database.tables.daily.c.DAY))).scalars().all()
    assert days == [f"{clock.at:%Y%m%d}"]


async def test_a_message_that_is_under_way_is_not_sent_a_second_time(database: NproDatabase) -> None:
    link = ScriptedLink()
    async with running(database, link) as agent:
        seq = await add(database)
        await becomes(database, seq, SENT)
        await run_sql(database, "UPDATE MSG_DATA SET CUR_STATE = 0 WHERE CUR_STATE = 2")
        await becomes(database, seq, (3, "q", 207, "ETC"))
        await agent.handle_receipt(receipt(f"id-{seq}"))
        assert await row(database, seq) == (3, "q", 207, "ETC")
    assert len(link.sent) == 1


async def test_nothing_is_sent_in_quiet_hours_and_they_do_not_age_a_row(database: NproDatabase) -> None:
    real = KoreanClock().now()
    midnight = real.replace(hour=0, minute=0, second=0)
    clock = Moved(real)
    link = ScriptedLink()
    link.connected = False
    quiet = QuietHours(begin=21 * 60, end=8 * 60)
    async with running(database, link, replace(FAST, limits=Limits(quiet=quiet)), clock) as agent:
        while not agent.on_duty:
            await becomes(database, 0, None)  # its clock has been compared with the database's by then
        clock.at = midnight + timedelta(hours=3)
        waits = await add(database, REQ_DATE=midnight - timedelta(hours=5))  # 19:00, two hours before the quiet ones
        late = await add(database, REQ_DATE=midnight - timedelta(hours=6, minutes=30))
        link.connected = True
        for _ in range(20):  # in each round the sender has time for a look
            agent.hint()
            await becomes(database, waits, (0, None, None, None))
        clock.at = midnight + timedelta(hours=8, minutes=50)
        await becomes(database, waits, SENT)
        await becomes(database, late, (3, "z", 111, "ETC"))


async def test_rows_are_taken_in_the_order_asked_for(database: NproDatabase) -> None:
    seqs = [await add(database, USERDATA=user, REQ_DATE=None) for user in (2, 3, 1)]
    by = (OrderBy("userdata", descending=True),)
    async with database.transaction() as connection:
        (statement,) = due_statements(database.tables.data, connection.dialect.name, KoreanClock().now(), by)
        found = [one.MSG_SEQ for one in await connection.execute(statement)]
    assert found == [seqs[1], seqs[0], seqs[2]]


async def test_a_notice_goes_out_for_a_result_that_came_and_for_nothing_else(database: NproDatabase) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(60)
        with Notices(*heard.getsockname()) as notices:
            link = ScriptedLink()
            async with running(database, link, told=notices.send) as agent:
                await becomes(database, await add(database, SMS_TXT=""), (3, "q", 104, "ETC"))
                for state in (ReceiptState.DELIVERED, ReceiptState.UNDELIVERABLE):
                    seq = await add(database)
                    await becomes(database, seq, SENT)
                    await agent.handle_receipt(receipt(f"id-{seq}", state))
                    expected = f"{seq} {'0' if state is ReceiptState.DELIVERED else 'd'}".encode()
                    assert heard.recv(100) == expected


@pytest.fixture
async def named(npro_url: str) -> AsyncIterator[NproDatabase]:
    """Tables and columns of the customer's own, in lower case: MariaDB on Linux tells cases apart."""
    names = TableNames(data="my_data", log="my_log", contents="my_contents", spam="my_spam", data_sequence="my_counter")
    opened = NproDatabase.open(npro_url, size=4, names=names, own=BRANCH)
    await opened.prepare(KoreanClock())
    yield opened
    await opened.close()


async def test_renamed_tables_with_columns_of_the_customers_own(named: NproDatabase) -> None:
    sent = datetime(2026, 1, 5, 9, 0, 0)  # noqa: DTZ001 - Korean local time
    seq = await add(named, CUR_STATE=3, SENT_DATE=sent, USERDATA=11, CALL_TO="1", CALL_FROM="2")
    await run_sql(named, "UPDATE my_data SET BRANCH = '강남', SHOP = 3")
    if named.engine.dialect.name == "postgresql":
        async with named.transaction() as connection:
            assert (await connection.execute(text("select nextval('my_counter')"))).scalar_one() == seq + 1
    await named.prepare(KoreanClock())  # a second start finds everything there
    async with running(named, ScriptedLink(), MOVING):
        await becomes(named, seq, None)
    async with named.transaction() as connection:
        assert await named.existing_logs(connection) == ["my_log_202601"]
        found = (await connection.execute(text("SELECT BRANCH, SHOP FROM my_log_202601"))).one()
    assert tuple(found) == ("강남", 3)
    found_row = (await NproClient(named).find([Wanted(userdata=11, to="1", sender="2")], sent))[11]
    assert found_row.logged


async def test_a_column_added_when_this_months_log_is_there_moves_too(database: NproDatabase) -> None:
    """Neither are its values lost while the agent runs, nor does a move fail for ever after a restart."""
    sent = datetime(2026, 1, 5, 9, 0, 0)  # noqa: DTZ001 - Korean local time
    async with running(database, ScriptedLink(), MOVING):
        await becomes(database, await add(database, CUR_STATE=3, SENT_DATE=sent), None)
        await run_sql(database, "ALTER TABLE MSG_DATA ADD COLUMN BRANCH VARCHAR(20)")
        await run_sql(
            database,
            "INSERT INTO MSG_DATA (CUR_STATE, MSG_TYPE, SENT_DATE, BRANCH) VALUES (3, 4, '2026-01-05', '강남')",
        )
        await becomes(database, 2, None)
    await run_sql(database, "ALTER TABLE MSG_DATA ADD COLUMN SHOP INT")
    await run_sql(
        database, "INSERT INTO MSG_DATA (CUR_STATE, MSG_TYPE, SENT_DATE, SHOP) VALUES (3, 4, '2026-01-05', 5)"
    )
    async with running(database, ScriptedLink(), MOVING):
        await becomes(database, 3, None)
    async with database.transaction() as connection:
        found = await connection.execute(text("SELECT BRANCH, SHOP FROM MSG_LOG_202601 ORDER BY MSG_SEQ"))
        assert [tuple(one) for one in found] == [(None, None), ("강남", None), (None, 5)]
