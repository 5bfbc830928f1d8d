"""The agent as a process of its own, and rows that people type in with MariaDB's own client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from sms_relay.npro.database import NproDatabase, exists
from sms_relay.npro.kst import KoreanClock
from tests.npro.databases import MariaDb
from tests.npro.programs import PATIENCE, Program, smsc, write_conf
from tests.waiting import until

RECEIPTS = {
    "0": ("DELIVRD", "000"),
    "1": ("EXPIRED", "000"),
    "d": ("UNDELIV", "000"),
    "k": ("REJECTD", "000"),
    "i": ("DELETED", "000"),
    **{code: ("UNDELIV", f"1{at:02}") for at, code in enumerate("ABCDabcghlm", 10)},
}
"""RSLT_CODE2 → what the simulator's receipt says. Those by error code are what vns_error_codes makes of them."""

STATUSES = {"2": 0x0B, "j": 0x14, "e": 0x45}
NUMBERS = {code: f"0105555{at:04}" for at, code in enumerate([*RECEIPTS, *STATUSES])}

WORD = "(알림)"
TYPED = {
    **{code: f"(0, '{number}', '0215771234', '{WORD} 문 앞에 두었습니다', 4)" for code, number in NUMBERS.items()},
    "f": f"(0, '01055560001', '0215771234', '{WORD} 😀', 4)",
    "o": f"(0, '01055560002', '0215771234', '{WORD}{'가' * 45}', 4)",
    "p": f"(0, '0215771234', '0215771234', '{WORD}', 4)",
    "q": "(0, '01055560003', '0215771234', '', 4)",
    "s": f"(0, '01055560004', '0215771234', '{WORD} 경마 소식', 4)",
    "n": f"(0, '01055560005', '0215771234', '{WORD}', 4)",
    "r": f"(0, '01055560006', '0215770000', '{WORD}', 4)",
    "t": f"(0, '01055560005', '0215770000', '{WORD}', 4)",
    "w": "(0, '01055560007', '0215771234', '안녕하세요', 4)",
    "y": f"(0, '{NUMBERS['0']}', '0215771234', '{WORD} 두 번째', 4)",
}
DETAILS = {"f": 112, "o": 105, "p": 102, "q": 104, "s": 201, "n": 202, "r": 203, "t": 204, "w": 205, "y": 206}
"""RSLT_CODE of what the agent itself says."""


def rules() -> list[dict[str, object]]:
    by_receipt: list[dict[str, object]] = [
        {"destination": NUMBERS[code], "stat": stat, "err": err} for code, (stat, err) in RECEIPTS.items()
    ]
    by_status = [{"destination": NUMBERS[code], "status": status} for code, status in STATUSES.items()]
    return [{"destination": "01055569999", "receipt": "missing"}, *by_receipt, *by_status]


@pytest.fixture(scope="module")
async def typed(mariadb: MariaDb, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, str]]:
    """All rows of TYPED through one agent; by code: `CUR_STATE RSLT_CODE2 RSLT_CODE RSLT_NET`."""
    name, folder = "typed", tmp_path_factory.mktemp("typed")
    mariadb.query(f"create database {name} character set utf8mb4; grant all on {name}.* to npro@'127.0.0.1'")
    tables = NproDatabase.open(mariadb.url(name), size=1)
    await tables.prepare(KoreanClock())
    await tables.close()
    mariadb.query(
        "INSERT INTO MSG_SPAM (SPAM_FLAG, SPAM_SMS_TXT, SPAM_CALL_TO, SPAM_CALL_FROM) VALUES"
        " ('u', '복권\\\\&경마', NULL, NULL), ('u', NULL, '01055560005', NULL), ('u', NULL, NULL, '02-1577-0000'),"
        " ('u', NULL, NULL, '0215770000')",
        name,
    )
    errors = ", ".join(f"{error}:{code}" for code, (_, error) in RECEIPTS.items() if error != "000")
    limits = {
        "spam_switch": "ON",
        "include_word": WORD,
        "duplicate_phone_count": 1,
        "db_nomove": "ON",
        "vns_ucs2": "OFF",
    }
    async with smsc(folder, rules=rules()) as port:
        conf = write_conf(
            folder / "npro.conf", mariadb.url(name), port, **limits, vns_error_codes=errors, vns_carrier="KTF"
        )
        async with Program(conf) as program:
            for statement in TYPED.values():  # the second text to one recipient must come after the first
                columns = "CUR_STATE, CALL_TO, CALL_FROM, SMS_TXT, MSG_TYPE"
                mariadb.query(f"INSERT INTO MSG_DATA ({columns}) VALUES {statement}", name)  # noqa: S608 - this test's rows
            late = "DATE_SUB(NOW(), INTERVAL 4 HOUR)"
            mariadb.query(
                f"INSERT INTO MSG_DATA (CUR_STATE, CALL_TO, SMS_TXT, MSG_TYPE, REQ_DATE)"  # noqa: S608 - this test's rows
                f" VALUES (0, '01055560008', '{WORD}', 4, {late});"
                f"INSERT INTO MSG_DATA (CUR_STATE, CALL_TO, SMS_TXT, MSG_TYPE) VALUES (0, '01055569999', '{WORD}', 4)",
                name,
            )
            mariadb.query(
                "INSERT INTO MMS_CONTENTS_INFO (CONT_SEQ, FILE_CNT, MMS_SUBJECT, FILE_TYPE1, FILE_NAME1)"  # noqa: S608 - this test's rows
                " VALUES (1, 1, '제목', 'IMG', '/var/mms/none.jpg');"
                "INSERT INTO MSG_DATA (CUR_STATE, CALL_TO, SMS_TXT, MSG_TYPE, CONT_SEQ) VALUES"
                f" (0, '01055560010', '{WORD}', 6, 1), (0, '01055560011', '{WORD}', 7, 1),"
                f" (0, '01055560012', 'http://a.example {WORD} 조회', 5, NULL)",
                name,
            )
            await _ask(mariadb, program, "SELECT count(*) FROM MSG_DATA WHERE CUR_STATE NOT IN (2, 3)", "0")
            mariadb.query("UPDATE MSG_DATA SET CUR_STATE = 0 WHERE CALL_TO = '01055569999'", name)
            await _ask(mariadb, program, "SELECT count(*) FROM MSG_DATA WHERE CUR_STATE <> 3", "0")
            shown = "SELECT CUR_STATE, RSLT_CODE2, RSLT_CODE, RSLT_NET FROM MSG_DATA ORDER BY MSG_SEQ"
            rows = mariadb.query(shown, name).splitlines()
            assert await program.stop() == 0
    yield dict(zip([*TYPED, "z", "duplicate", "x", "u", "url"], (row.replace("\t", " ") for row in rows), strict=True))
    mariadb.query(f"drop database {name}")


async def _ask(mariadb: MariaDb, program: Program, question: str, answer: str) -> None:
    async def answered() -> bool:
        assert not program.ended, program.log.read_text()
        return (await asyncio.to_thread(mariadb.query, question, "typed")).strip() == answer

    await until(answered, patience=PATIENCE)


EXPECTED = {
    "0": "3 0 0 KTF",
    **{code: f"3 {code} {30_000 + int(error)} ETC" for code, (_, error) in RECEIPTS.items() if code != "0"},
    **{code: f"3 {code} {20_000 + status} ETC" for code, status in STATUSES.items()},
    **{code: f"3 {code} {detail} ETC" for code, detail in DETAILS.items()},
    "z": "3 z 111 ETC",
    "duplicate": "3 q 207 ETC",
    "x": "3 x 117 ETC",
    "u": "3 u 115 ETC",
    "url": "3 0 0 KTF",
}


@pytest.mark.mariadb
@pytest.mark.parametrize("code", list(EXPECTED))
async def test_a_row_typed_in_gets_its_code(typed: dict[str, str], code: str) -> None:
    assert typed[code] == EXPECTED[code]


async def test_kill_9_in_the_middle_of_a_move_loses_and_doubles_nothing(npro_url: str, tmp_path: Path) -> None:
    """The mover stands still between locking its rows and copying them when the process is killed."""
    database = NproDatabase.open(npro_url, size=4)
    conf = write_conf(tmp_path / "npro.conf", npro_url, 1, npro_logmakemode="SINGLE")
    count = 3_000
    try:
        await database.prepare(KoreanClock())
        await database.prepare_log("MSG_LOG")
        async with database.transaction() as connection:
            await connection.execute(
                database.tables.data.insert(),
                [{"CUR_STATE": 3, "MSG_TYPE": 4, "RSLT_CODE2": "0", "USERDATA": one} for one in range(count)],
            )
        async with Program(conf) as program:
            postgres = urlsplit(npro_url).scheme == "postgresql"
            async with database.engine.connect() as holder:
                hold = "LOCK TABLE MSG_LOG IN EXCLUSIVE MODE" if postgres else "LOCK TABLES MSG_LOG WRITE"
                await holder.execute(text(hold))
                await until(lambda: _waits(database, postgres=postgres, program=program), patience=PATIENCE)
                await program.kill()
                await holder.execute(text("ROLLBACK" if postgres else "UNLOCK TABLES"))
            await program.start()

            async def moved() -> bool:
                assert not program.ended, program.log.read_text()
                async with database.transaction() as connection:
                    left = (await connection.execute(text("SELECT count(*) FROM MSG_DATA"))).scalar_one()
                    return bool(left == 0)

            await until(moved, patience=PATIENCE)
        async with database.transaction() as connection:
            logged = await connection.execute(text("SELECT count(*), count(DISTINCT USERDATA) FROM MSG_LOG"))
            assert tuple(logged.one()) == (count, count)
            assert await exists(connection, "NPRO_QUEUE")
    finally:
        await database.close()


async def _waits(database: NproDatabase, *, postgres: bool, program: Program) -> bool:
    """Whether the agent's INSERT into the log waits for the lock."""
    assert not program.ended, program.log.read_text()
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE 'INSERT INTO MSG_LOG%'"
        if postgres
        else "SELECT count(*) FROM information_schema.processlist"
        " WHERE state LIKE 'Waiting for table%' AND info LIKE 'INSERT INTO MSG_LOG%'"
    )
    async with database.transaction() as connection:
        return bool((await connection.execute(text(waiting))).scalar_one())


async def test_a_file_that_cannot_be_used_ends_the_program_with_the_reason(tmp_path: Path) -> None:
    conf = write_conf(tmp_path / "npro.conf", "mysql://npro:top-secret@127.0.0.1:1/x", 1, limit_bgin=2100)
    async with Program(conf) as program:
        assert await program.status() == 1
    assert program.log.read_text() == "error conf_key_unknown: limit_bgin is no key of npro.conf\n"


async def test_a_gateway_away_for_too_long_ends_the_program(
    npro_postgres_url: str, tmp_path: Path, new_port: Callable[[], int]
) -> None:
    keys = {"npro_life_time": 0.001, "log_path": tmp_path / "logs", "que_path": "/var/npro/que"}
    conf = write_conf(tmp_path / "npro.conf", npro_postgres_url, new_port(), **keys)
    async with Program(conf) as program:
        assert await program.status() == 3
    assert "error gave_up: the " in program.log.read_text()
    assert "que_path has no effect here" in (tmp_path / "logs" / "npro.log").read_text()
