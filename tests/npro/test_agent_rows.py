"""Rows that nobody foresaw: each ends alone, with a result that says so; neither process nor place is lost."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from sms_relay.agent import sender
from sms_relay.agent.admission import Admission
from sms_relay.agent.checks import Row, judge
from sms_relay.agent.contents import Contents
from sms_relay.agent.mover import TableMover
from sms_relay.agent.service import AgentConfig
from sms_relay.agent.store import Outcome, Store
from sms_relay.links.interface import Outgoing, SubmitOutcome, SubmitStatus
from sms_relay.npro.codes import Detail
from sms_relay.npro.database import NproDatabase, Rejected, create_missing
from sms_relay.npro.kst import KoreanClock
from tests.npro.agents import FAST, SENT, ScriptedLink, add, becomes, row, running
from tests.npro.test_agent_contents import content

BAD = "01099999999"
"""The recipient of the row on which something fails."""

MOVING = AgentConfig(window=8, poll_seconds=0.02, mover_seconds=0.02)


@pytest.fixture
async def on_mariadb(npro_mariadb_url: str) -> Any:
    opened = NproDatabase.open(npro_mariadb_url, size=4)
    await opened.prepare(KoreanClock())
    yield opened
    await opened.close()


async def with_date(database: NproDatabase, date: str, state: int = 0) -> int:
    """A row as a customer's own client writes it whose sessions are not strict about dates."""
    async with database.transaction() as connection:
        await connection.execute(text("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'"))
        done = await connection.execute(
            text(
                "INSERT INTO MSG_DATA (CUR_STATE, REQ_DATE, CALL_TO, SMS_TXT, MSG_TYPE)"
                " VALUES (:state, :date, '01012345678', 'x', 4)"
            ),
            {"state": state, "date": date},
        )
        return int(done.lastrowid)


@pytest.mark.mariadb
@pytest.mark.parametrize("date", ["0000-00-00 00:00:00", "2026-02-31 10:00:00"])
async def test_a_date_that_there_is_not_ends_its_row_alone(on_mariadb: NproDatabase, date: str) -> None:
    link = ScriptedLink()
    bad = await with_date(on_mariadb, date)
    good = await add(on_mariadb)
    async with running(on_mariadb, link):
        await becomes(on_mariadb, bad, (3, "q", 121, "ETC"))
        await becomes(on_mariadb, good, SENT)
    assert [one.id for one in link.sent] == [str(good)]


@pytest.mark.mariadb
async def test_a_column_that_takes_no_null_gives_such_a_row_once(on_mariadb: NproDatabase) -> None:
    """MariaDB finds 0000-00-00 there as a date that has come, and as one that is NULL."""
    async with on_mariadb.transaction() as connection:
        await connection.execute(text("ALTER TABLE MSG_DATA MODIFY REQ_DATE DATETIME NOT NULL"))
    bad = await with_date(on_mariadb, "0000-00-00 00:00:00")
    async with running(on_mariadb, ScriptedLink()):
        await becomes(on_mariadb, bad, (3, "q", 121, "ETC"))


@pytest.mark.mariadb
async def test_a_row_whose_only_date_is_none_moves_to_the_log_of_this_month(on_mariadb: NproDatabase) -> None:
    ended = await with_date(on_mariadb, "0000-00-00 00:00:00", state=3)
    async with running(on_mariadb, ScriptedLink(), MOVING):
        await becomes(on_mariadb, ended, None)


async def test_a_row_that_cannot_be_judged_ends_alone(database: NproDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_once(asked: Row, now: datetime, before: timedelta, *, multimedia: bool = False) -> Any:
        if asked.to == BAD:
            raise TypeError
        return judge(asked, now, before, multimedia=multimedia)

    monkeypatch.setattr(sender, "judge", fails_once)
    bad, good = await add(database, CALL_TO=BAD), await add(database)
    async with running(database, ScriptedLink()):
        await becomes(database, bad, (3, "z", 905, "ETC"))
        await becomes(database, good, SENT)


async def test_a_row_on_which_the_limits_fail_ends_alone(
    database: NproDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails_on_one(_: Admission, rows: Sequence[Row], now: datetime) -> dict[int, Detail]:
        if any(one.to == BAD for one in rows):
            raise KeyError(now)
        return {}

    monkeypatch.setattr(Admission, "objections", fails_on_one)
    bad, good = await add(database, CALL_TO=BAD), await add(database)
    async with running(database, ScriptedLink()):
        await becomes(database, bad, (3, "z", 905, "ETC"))
        await becomes(database, good, SENT)


async def test_a_row_whose_files_nobody_foresaw_ends_alone(
    database: NproDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: Contents, failing: Row) -> None:
        raise ZeroDivisionError(failing.seq)

    monkeypatch.setattr(Contents, "fault", fails)
    async with running(database, ScriptedLink()):
        cont = await content(database, FILE_NAME1="/var/mms/1.jpg", FILE_TYPE1="IMG")
        await becomes(database, await add(database, MSG_TYPE=6, CONT_SEQ=cont), (3, "z", 905, "ETC"))
        await becomes(database, await add(database), SENT)


async def test_a_link_that_fails_leaves_its_row_in_doubt(database: NproDatabase) -> None:
    """Nobody can tell whether the message went out: it goes once more, and then ends as unknown."""

    async def fails_on_one(outgoing: Outgoing) -> SubmitOutcome:
        if outgoing.destination == BAD:
            raise RuntimeError
        return await link.take(outgoing)

    link = ScriptedLink(fails_on_one)
    async with running(database, link):
        await becomes(database, await add(database, CALL_TO=BAD), (3, "z", 902, "ETC"))
        await becomes(database, await add(database), SENT)
    assert [one.destination for one in link.sent].count(BAD) == 2


async def test_answers_that_the_tables_do_not_hold_cost_no_place(database: NproDatabase) -> None:
    async def too_long(outgoing: Outgoing) -> SubmitOutcome:
        if outgoing.destination == BAD:
            return SubmitOutcome(status=SubmitStatus.ACCEPTED, message_ids=("x" * 81,))
        return await link.take(outgoing)

    link = ScriptedLink(too_long)
    rows = [await add(database, CALL_TO=BAD) for _ in range(FAST.window)]
    async with running(database, link) as agent:
        for seq in rows:
            await becomes(database, seq, (3, "z", 906, "ETC"))
        await becomes(database, await add(database), SENT)
        assert agent.sender.in_flight == set()
    assert len(link.sent) == FAST.window + 1


async def test_a_code_that_a_customers_column_does_not_hold_leaves_its_letter(database: NproDatabase) -> None:
    async with database.transaction() as connection:
        kind = "TYPE" if connection.dialect.name == "postgresql" else ""
        verb = "ALTER COLUMN" if kind else "MODIFY"
        await connection.execute(text(f"ALTER TABLE MSG_DATA {verb} RSLT_CODE {kind} SMALLINT"))

    async def refuse(_: Outgoing) -> SubmitOutcome:
        return SubmitOutcome(status=SubmitStatus.REFUSED, mm7_status=2002)

    async with running(database, ScriptedLink(refuse)):
        await becomes(database, await add(database), (3, "2", 903, "ETC"))


async def test_a_row_of_which_nothing_can_be_written_keeps_no_place(
    database: NproDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays as it is, and is not taken for a leftover while this process lives."""
    record = Store.record
    rejected: set[int] = set()

    async def reject(store: Store, outcomes: Sequence[Outcome]) -> tuple[int, ...]:
        if bad := rejected.intersection(one.seq for one in outcomes):
            raise Rejected(str(bad))
        return await record(store, outcomes)

    monkeypatch.setattr(Store, "record", reject)
    rejected.update([await add(database) for _ in range(FAST.window)])
    async with running(database, ScriptedLink()) as agent:
        await becomes(database, await add(database), SENT)
        assert agent.sender.in_flight == rejected
        assert {await row(database, seq) for seq in rejected} == {(1, None, None, None)}
        await agent.stop()


JANUARY = datetime(2026, 1, 5, 9, 0, 0)  # noqa: DTZ001 - Korean local time


async def with_short_log(database: NproDatabase) -> None:
    """The log of January holds texts of five characters."""
    async with database.transaction() as connection:
        await create_missing(connection, database.tables.log("MSG_LOG_202601"))
        kind = "TYPE" if connection.dialect.name == "postgresql" else ""
        verb = "ALTER COLUMN" if kind else "MODIFY"
        await connection.execute(text(f"ALTER TABLE MSG_LOG_202601 {verb} SMS_TXT {kind} VARCHAR(5)"))


async def test_a_row_that_the_log_does_not_hold_stays_and_the_others_move(
    database: NproDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    await with_short_log(database)
    rows = [await add(database, CUR_STATE=3, SENT_DATE=JANUARY) for _ in range(8)]
    bad = await add(database, CUR_STATE=3, SENT_DATE=JANUARY, SMS_TXT="123456")
    rows += [await add(database, CUR_STATE=3, SENT_DATE=JANUARY) for _ in range(4)]
    async with running(database, ScriptedLink(), MOVING):
        for seq in rows:
            await becomes(database, seq, None)
        await becomes(database, await add(database, CUR_STATE=3, SENT_DATE=JANUARY), None)
        assert await row(database, bad) == (3, None, None, None)
    assert caplog.text.count(f"row {bad} stays") == 1


async def test_a_log_that_holds_hardly_any_row_is_no_matter_of_rows(
    database: NproDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sms_relay.agent.mover.MOST_LEFT", 1)
    await with_short_log(database)
    for _ in range(3):
        await add(database, CUR_STATE=3, SENT_DATE=JANUARY, SMS_TXT="123456")
    mover = TableMover(database, KoreanClock(), poll_seconds=1, record_life=timedelta(1), on_duty=lambda: True)
    for _ in range(2):
        with pytest.raises(Rejected):
            await mover.move_once()
    assert caplog.text.count("stays in the table") == 1
