"""A text's whole way through real processes and databases, seen from the carrier, the tables and the mall."""

from collections import Counter

import asyncpg
import pytest
from sqlalchemy import insert

from local.postgres import PostgresServer
from sms_relay.npro.database import exists
from sms_relay.npro.kst import KoreanClock
from tests.core_world import COURIER, CUSTOMER, STRANGER
from tests.relay.conftest import Stage
from tests.relay.keeping_smsc import KeepingSmsc
from vns.errors import Unavailable
from vns.numbering.rules import digits_of


async def start(stage: Stage, smsc: KeepingSmsc, **settings: str) -> None:
    await stage.relay.start(VNS_SMPP_URL=f"smpp://vns:secret@127.0.0.1:{smsc.port}", **settings)


async def test_texts_cross_a_pair_both_ways_and_neither_sees_the_other(stage: Stage, keeping_smsc: KeepingSmsc) -> None:
    vn = digits_of((await stage.world.pair()).vn)
    await start(stage, keeping_smsc)
    keeping_smsc.deliver(COURIER, vn, "문 앞에 두고 갑니다")
    keeping_smsc.deliver(CUSTOMER, vn, "고맙습니다")
    await stage.until("two delivered texts", lambda: stage.all_final(2))
    assert {(one.source, one.destination, one.text) for one in keeping_smsc.submits} == {
        (vn, CUSTOMER, "문 앞에 두고 갑니다"),
        (vn, COURIER, "고맙습니다"),
    }
    listed = await stage.listed()
    assert [(one.status, one.code, one.kind) for one in listed] == [("delivered", "0", "sms")] * 2
    assert all(one.sent_at and one.finished_at for one in listed)

    async def moved() -> bool:
        return len(await stage.log_rows()) == 2

    await stage.until("both rows in the log of the month", moved)
    assert await stage.rows("MSG_DATA") == []
    for row in await stage.log_rows():
        assert (row["CUR_STATE"], row["RSLT_CODE2"], row["RSLT_CODE"], row["RSLT_NET"]) == (3, "0", 0, "SKT")
        assert row["CALL_FROM"] == vn
    async with stage.world.db.connection() as connection:
        left = await connection.fetchval("select count(*) from messages where envelope is not null")
        leaks = await connection.fetchval(
            "select count(*) from journal where data::text like any ($1::text[])", [f"%{COURIER}%", f"%{CUSTOMER}%"]
        )
    assert (left, leaks) == (0, 0)
    assert not any(number in stage.relay.log.read_text() for number in (COURIER, CUSTOMER, vn))
    assert await stage.relay.stop() == 0


async def test_every_text_that_may_not_pass_is_recorded_with_its_reason(
    stage: Stage, keeping_smsc: KeepingSmsc
) -> None:
    pair, one_way = await stage.world.pair(), await stage.world.allocate()
    ended = await stage.world.pair(STRANGER, "01077778888")
    await stage.world.bindings.release(stage.world.mall, ended.id)
    await start(stage, keeping_smsc)
    vn = digits_of(pair.vn)
    for source, destination, content in (
        (STRANGER, digits_of(one_way.vn), "등록되지 않은 발신번호"),
        (STRANGER, "0504999900", "없는 번호"),
        (STRANGER, digits_of(ended.vn), "끝난 연결"),
        (COURIER, vn, ""),
        (COURIER, vn, "가" * 1001),
    ):
        await keeping_smsc.taken(keeping_smsc.deliver(source, destination, content))
    await stage.until("five records", lambda: stage.all_final(5))
    assert await stage.all_statuses() == [
        ("failed", "sender_not_registered", "i"),
        ("refused", "unallocated", None),
        ("refused", "ended", None),
        ("refused", "empty", "q"),
        ("failed", "too_long", "o"),
    ]
    assert keeping_smsc.submits == []
    assert await stage.rows("MSG_DATA") == []


async def test_a_long_text_arrives_in_parts_that_join_to_the_same(stage: Stage, keeping_smsc: KeepingSmsc) -> None:
    vn = digits_of((await stage.world.pair()).vn)
    await start(stage, keeping_smsc)
    body = "배송 안내: 똠방각하 님의 물건을 경비실에 맡겼습니다. " * 8
    await keeping_smsc.taken(*keeping_smsc.deliver_parts(COURIER, vn, body))
    await stage.until("its end", lambda: stage.all_final(1))
    assert [(one.kind, one.status) for one in await stage.listed()] == [("lms", "delivered")]

    parts = sorted(keeping_smsc.submits, key=lambda one: one.content[5])
    assert [one.esm_class & 0x40 for one in parts] == [0x40] * parts[0].content[4]
    assert b"".join(one.content[6:] for one in parts).decode("cp949") == body
    assert {(one.source, one.destination) for one in parts} == {(vn, CUSTOMER)}

    async def logged() -> bool:
        return [row["MSG_TYPE"] for row in await stage.log_rows()] == [6]

    await stage.until("a row of type 6 in the log", logged)


async def test_a_row_that_any_program_inserts_is_sent_too(stage: Stage, keeping_smsc: KeepingSmsc) -> None:
    await start(stage, keeping_smsc)

    async def tables() -> bool:
        async with stage.npro.transaction() as connection:
            return await exists(connection, "NPRO_PART")

    await stage.until("the tables", tables)
    async with stage.npro.transaction() as connection:
        values = {"CUR_STATE": 0, "CALL_TO": CUSTOMER, "CALL_FROM": "0212345678", "SMS_TXT": "직접", "MSG_TYPE": 4}
        await connection.execute(insert(stage.npro.tables.data), values)

    async def logged() -> bool:
        return [(row["CUR_STATE"], row["RSLT_CODE2"]) for row in await stage.log_rows()] == [(3, "0")]

    await stage.until("its result in the log", logged)
    assert [(one.source, one.destination, one.text) for one in keeping_smsc.submits] == [
        ("0212345678", CUSTOMER, "직접")
    ]


async def test_with_the_agent_off_rows_wait_for_another_agent_and_its_results_are_read(
    stage: Stage, keeping_smsc: KeepingSmsc
) -> None:
    """The vendor's agent serves the tables: here the test's own hand does, with its own timing and its own log."""
    vn = digits_of((await stage.world.pair()).vn)
    await start(stage, keeping_smsc, VNS_NPRO_AGENT="false")
    await keeping_smsc.taken(keeping_smsc.deliver(COURIER, vn, "남의 에이전트"))
    await stage.npro.prepare(KoreanClock())  # the tables come later than the first text

    async def inserted() -> bool:
        return len(await stage.rows("MSG_DATA")) == 1

    await stage.until("the row", inserted)
    data = stage.npro.tables.data
    now = KoreanClock().now()
    async with stage.npro.transaction() as connection:
        await connection.execute(data.update().values(CUR_STATE=2, SENT_DATE=now))

    async def sent() -> bool:
        return [one.status for one in await stage.listed()] == ["sent"]

    await stage.until("status sent", sent)
    async with stage.npro.transaction() as connection:
        await connection.execute(data.update().values(CUR_STATE=3, RSLT_CODE=7, RSLT_CODE2="C", RSLT_DATE=now))
    await stage.until("its end", lambda: stage.all_final(1))
    assert [(one.status, one.reason, one.code) for one in await stage.listed()] == [("failed", "powered_off", "C")]
    assert keeping_smsc.submits == []


async def test_the_platforms_database_away_leaves_the_text_with_the_carrier(
    stage: Stage, keeping_smsc: KeepingSmsc
) -> None:
    vn = digits_of((await stage.world.pair()).vn)
    await start(stage, keeping_smsc)
    await keeping_smsc.taken(keeping_smsc.deliver(COURIER, vn, "하나"))
    await stage.until("the first text", lambda: stage.all_final(1))
    async with stage.world.db.connection() as connection:
        await connection.execute("alter table messages rename to messages_away")
    offered = keeping_smsc.deliver(COURIER, vn, "둘")

    async def refused() -> bool:
        await stage.rows("MSG_DATA")  # something to wait for
        return keeping_smsc.refusals > 0

    await stage.until("a refusal of the text for now", refused)
    assert not offered.acknowledged.is_set()
    async with stage.world.db.connection() as connection:
        await connection.execute("alter table messages_away rename to messages")
    await keeping_smsc.taken(offered)
    await stage.until("both texts", lambda: stage.all_final(2))
    assert sorted(one.text for one in keeping_smsc.submits) == sorted(["하나", "둘"])


async def test_a_database_on_another_clock_is_refused_with_the_remedy(
    stage: Stage, keeping_smsc: KeepingSmsc, empty_database_url: str
) -> None:
    await start(stage, keeping_smsc, VNS_NPRO_DATABASE_URL=empty_database_url)
    assert await stage.relay.exit_status() == 1
    last = stage.relay.log.read_text().strip().splitlines()[-1]
    assert "540 minutes behind Korean time" in last
    assert "set its time zone to Asia/Seoul" in last


async def test_an_orderly_end_in_mid_flow_leaves_no_text_in_doubt(stage: Stage, keeping_smsc: KeepingSmsc) -> None:
    vn = digits_of((await stage.world.pair()).vn)
    await start(stage, keeping_smsc)
    offered = [keeping_smsc.deliver(COURIER, vn, f"글 {number}") for number in range(60)]

    async def some() -> bool:
        await stage.rows("MSG_DATA")  # something to wait for
        return len(keeping_smsc.submits) > 0

    await stage.until("a submit", some)
    assert await stage.relay.stop() == 0
    await start(stage, keeping_smsc)
    await keeping_smsc.taken(*offered)
    await stage.until("an end for every text", lambda: stage.all_final(60))
    assert {status for status, _, _ in await stage.all_statuses()} == {"delivered"}
    assert sorted(one.text for one in keeping_smsc.submits) == sorted(f"글 {number}" for number in range(60))


async def test_sessions_ended_by_the_databases_administrator_only_delay_texts(
    stage: Stage, keeping_smsc: KeepingSmsc, postgres: PostgresServer
) -> None:
    """As a restart of PostgreSQL ends them; the process lives on (`until` fails when it ends)."""
    vn = digits_of((await stage.world.pair()).vn)
    await start(stage, keeping_smsc)
    await keeping_smsc.taken(keeping_smsc.deliver(COURIER, vn, "전"))
    await stage.until("the first text", lambda: stage.all_final(1))
    postgres.query("select pg_terminate_backend(pid) from pg_stat_activity where datname like any ('{npro%,test%}')")
    offered = keeping_smsc.deliver(COURIER, vn, "후")
    await keeping_smsc.taken(offered)

    async def both() -> bool:
        try:
            return await stage.all_final(2)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, Unavailable, OSError):
            return False  # the test's own sessions were ended too

    await stage.until("both texts", both)
    assert sorted(one.text for one in keeping_smsc.submits) == ["전", "후"]


@pytest.mark.slow
async def test_killed_again_and_again_every_text_has_exactly_one_end(stage: Stage, keeping_smsc: KeepingSmsc) -> None:
    """kill -9 in mid-flow: what was submitted, and how often, is compared with what was recorded."""
    vn = digits_of((await stage.world.pair()).vn)
    count = 120
    offered = []
    for round_number in range(4):
        await start(stage, keeping_smsc)
        offered += [keeping_smsc.deliver(COURIER, vn, f"글 {round_number}-{number}") for number in range(count // 4)]
        enough = len(keeping_smsc.submits) + 5

        async def some(enough: int = enough) -> bool:
            await stage.rows("MSG_DATA")  # something to wait for
            return len(keeping_smsc.submits) >= enough

        await stage.until("some submits", some)
        await stage.relay.kill()
    await start(stage, keeping_smsc)
    await keeping_smsc.taken(*offered)
    await stage.until("an end for every text", lambda: stage.all_final(count))

    statuses = await stage.all_statuses()
    submits = Counter(one.text for one in keeping_smsc.submits)
    delivered = sum(status == "delivered" for status, _, _ in statuses)
    unknown = sum((status, reason) == ("unknown", "outcome_lost") for status, reason, _ in statuses)
    again = sum((status, reason) == ("delivered", "sent_again") for status, reason, _ in statuses)
    assert delivered + unknown == count, statuses
    assert delivered <= len(submits)
    assert max(submits.values()) <= 2
    assert sum(times > 1 for times in submits.values()) <= again + unknown, "submitted twice, and nobody says so"
