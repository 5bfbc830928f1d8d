"""The tables as customers see them, on real servers; for Oracle and SQL Server the compiled text only."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, insert, inspect, select, text
from sqlalchemy.dialects import registry
from sqlalchemy.schema import CreateIndex, CreateSequence, CreateTable

from sms_relay.agent.store import due_statements
from sms_relay.npro.database import NotReachable, NotUsable, NproDatabase, Rejected, create_missing
from sms_relay.npro.kst import KoreanClock
from sms_relay.npro.tables import TableNames, Tables
from tests.npro.databases import MariaDb

MSG_DATA = {
    "USERDATA": True,
    "MSG_SEQ": False,
    "CUR_STATE": False,
    "SENT_DATE": True,
    "RSLT_DATE": True,
    "REQ_DATE": True,
    "RSLT_CODE": True,
    "RSLT_CODE2": True,
    "RSLT_NET": True,
    "CALL_TO": True,
    "CALL_FROM": True,
    "SMS_TXT": True,
    "MSG_TYPE": False,
    "CONT_SEQ": True,
}


async def columns(database: NproDatabase, table: str) -> dict[str, bool]:
    def read(sync: Connection) -> dict[str, bool]:
        name = table.lower() if sync.dialect.name == "postgresql" else table
        return {str(found["name"]).upper(): bool(found["nullable"]) for found in inspect(sync).get_columns(name)}

    async with database.transaction() as connection:
        return await connection.run_sync(read)


async def test_msg_data_has_the_columns_of_the_manual(database: NproDatabase) -> None:
    assert await columns(database, "MSG_DATA") == MSG_DATA


async def test_a_customer_inserts_with_unquoted_names(database: NproDatabase) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            text(
                "INSERT INTO MSG_DATA (CUR_STATE, CALL_TO, CALL_FROM, SMS_TXT, MSG_TYPE)"
                " VALUES (0, '01012345678', '07012345678', '똠방각하 펲시콜라', 4)"
            )
        )
        row = (await connection.execute(select(database.tables.data))).one()
    assert (row.MSG_SEQ, row.SMS_TXT, row.REQ_DATE) == (1, "똠방각하 펲시콜라", None)


async def test_preparing_again_keeps_what_is_there(database: NproDatabase) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("INSERT INTO MSG_DATA (CUR_STATE, MSG_TYPE) VALUES (3, 4)"))
    await database.prepare(KoreanClock())
    async with database.transaction() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM MSG_DATA"))).scalar_one() == 1


async def test_result_codes_that_differ_by_case_stay_different(database: NproDatabase) -> None:
    async with database.transaction() as connection:
        for code in ("a", "A"):
            await connection.execute(
                text("INSERT INTO MSG_DATA (CUR_STATE, MSG_TYPE, RSLT_CODE2) VALUES (3, 4, :code)"),
                {"code": code},
            )
        found = await connection.execute(text("SELECT RSLT_CODE2 FROM MSG_DATA WHERE RSLT_CODE2 = 'a'"))
        assert found.scalars().all() == ["a"]


async def test_a_customers_own_columns_are_carried_into_the_log(database: NproDatabase) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("ALTER TABLE MSG_DATA ADD COLUMN BRANCH VARCHAR(20)"))
    await database.prepare(KoreanClock())
    async with database.transaction() as connection:
        await create_missing(connection, database.tables.log("MSG_LOG_202601"))
    assert await columns(database, "MSG_LOG_202601") == {**MSG_DATA, "BRANCH": True}


async def test_log_tables_are_found_newest_first(database: NproDatabase) -> None:
    async with database.transaction() as connection:
        for name in ("MSG_LOG_202512", "MSG_LOG_202601", "MSG_LOG"):
            await create_missing(connection, database.tables.log(name))
        assert await database.existing_logs(connection) == ["MSG_LOG_202601", "MSG_LOG_202512", "MSG_LOG"]


async def test_a_clock_in_another_zone_is_refused(database: NproDatabase) -> None:
    class Elsewhere(KoreanClock):
        def now(self) -> datetime:
            return super().now() + timedelta(hours=9)

    with pytest.raises(NotUsable, match="540 minutes behind Korean time"):
        await database.prepare(Elsewhere())


async def test_a_value_the_database_cannot_hold_is_rejected_not_mangled(database: NproDatabase) -> None:
    with pytest.raises(Rejected):
        async with database.transaction() as connection:
            await connection.execute(
                database.tables.data.insert(), {"CUR_STATE": 0, "MSG_TYPE": 4, "SMS_TXT": "가" * 91}
            )


@pytest.mark.mariadb
async def test_a_date_that_mariadb_does_not_take_is_rejected(npro_mariadb_url: str) -> None:
    database = NproDatabase.open(npro_mariadb_url, size=2)
    try:
        await database.prepare(KoreanClock())
        with pytest.raises(Rejected):
            async with database.transaction() as connection:
                await connection.execute(text("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE'"))
                await connection.execute(
                    text("INSERT INTO MSG_DATA (CUR_STATE, MSG_TYPE, REQ_DATE) VALUES (0, 4, '0000-00-00 00:00:00')")
                )
    finally:
        await database.close()


@pytest.mark.mariadb
async def test_a_euc_kr_database_takes_ms949_and_rejects_emoji(npro_mariadb_url: str) -> None:
    database = NproDatabase.open(npro_mariadb_url, size=2)
    try:
        async with database.transaction() as connection:
            await connection.execute(text("ALTER DATABASE CHARACTER SET euckr"))
        await database.prepare(KoreanClock())
        async with database.transaction() as connection:
            await connection.execute(
                database.tables.data.insert(), {"CUR_STATE": 0, "MSG_TYPE": 4, "SMS_TXT": "똠방각하"}
            )
            assert (await connection.execute(select(database.tables.data.c.SMS_TXT))).scalar_one() == "똠방각하"
        with pytest.raises(Rejected):
            async with database.transaction() as connection:
                await connection.execute(
                    database.tables.data.insert(), {"CUR_STATE": 0, "MSG_TYPE": 4, "SMS_TXT": "안녕 😀"}
                )
    finally:
        await database.close()


@pytest.mark.mariadb
async def test_a_table_without_transactions_is_refused(npro_mariadb_url: str) -> None:
    database = NproDatabase.open(npro_mariadb_url, size=2)
    try:
        await database.prepare(KoreanClock())
        async with database.transaction() as connection:
            await connection.execute(text("ALTER TABLE MSG_DATA ENGINE = MyISAM"))
        with pytest.raises(NotUsable, match="ENGINE = InnoDB"):
            await database.prepare(KoreanClock())
    finally:
        await database.close()


async def test_a_database_that_is_away_is_named_so(new_port: Callable[[], int]) -> None:
    for scheme in ("postgresql", "mysql"):
        database = NproDatabase.open(f"{scheme}://npro:secret@127.0.0.1:{new_port()}/npro")
        with pytest.raises(NotReachable):
            await database.prepare(KoreanClock())
        await database.close()


async def test_a_read_only_postgresql_is_waited_for(npro_postgres_url: str) -> None:
    database = NproDatabase.open(npro_postgres_url, size=2)
    try:
        await database.prepare(KoreanClock())
        with pytest.raises(NotReachable, match="can only be read"):
            async with database.transaction() as connection:
                await connection.execute(text("SET TRANSACTION READ ONLY"))
                await connection.execute(database.tables.data.insert(), {"CUR_STATE": 0, "MSG_TYPE": 4})
    finally:
        await database.close()


@pytest.mark.mariadb
async def test_a_read_only_mariadb_is_waited_for(npro_mariadb_url: str, mariadb: MariaDb) -> None:
    database = NproDatabase.open(npro_mariadb_url, size=2)
    try:
        await database.prepare(KoreanClock())
        mariadb.query("set global read_only = 1")
        with pytest.raises(NotReachable, match="can only be read"):
            async with database.transaction() as connection:
                await connection.execute(database.tables.data.insert(), {"CUR_STATE": 0, "MSG_TYPE": 4})
    finally:
        mariadb.query("set global read_only = 0")
        await database.close()


CLOSED = "unable to perform operation on <TCPTransport closed=True reading=False>; the handler is closed"


async def test_a_connection_that_uvloop_has_closed_is_gone(database: NproDatabase) -> None:
    for error, expected in ((RuntimeError(CLOSED), NotReachable), (RuntimeError("a fault of ours"), RuntimeError)):
        with pytest.raises(expected):
            async with database.transaction():
                raise error


def test_another_kind_of_database_is_named_with_what_is_served() -> None:
    with pytest.raises(NotUsable, match="PostgreSQL, MariaDB and MySQL are served"):
        NproDatabase.open("db2://npro@127.0.0.1/npro")


EXPECTED = {
    "oracle": (
        "MSG_SEQ NUMBER(11, 0) NOT NULL",
        "SENT_DATE DATE",
        "CALL_TO VARCHAR2(12 CHAR)",
        "CUR_STATE NUMBER(1, 0) NOT NULL",
    ),
    "mssql": (
        "MSG_SEQ INTEGER NOT NULL IDENTITY",
        "SENT_DATE DATETIME",
        "CALL_TO VARCHAR(12)",
        "CUR_STATE INTEGER NOT NULL",
    ),
    "postgresql": (
        "MSG_SEQ SERIAL NOT NULL",
        "SENT_DATE TIMESTAMP WITHOUT TIME ZONE",
        "CALL_TO VARCHAR(12)",
        "CUR_STATE INTEGER NOT NULL",
    ),
}


@pytest.mark.parametrize("name", ["oracle", "mssql", "postgresql"])
def test_ddl_compiles_with_unquoted_names(name: str) -> None:
    dialect = registry.load(name)()
    tables = Tables(TableNames())
    ddl = str(CreateTable(tables.data).compile(dialect=dialect))
    for line in EXPECTED[name]:
        assert line in ddl
    for table in (tables.data, tables.contents, tables.spam, tables.log("MSG_LOG_202601")):
        whole = str(CreateTable(table).compile(dialect=dialect))
        whole += "".join(str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes)
        assert not re.search(r'["\[\]]', whole)


def test_oracle_has_the_sequences_that_customers_write() -> None:
    oracle = registry.load("oracle")()
    ddl = [str(CreateSequence(one).compile(dialect=oracle)) for one in Tables(TableNames()).sequences()]
    assert "CREATE SEQUENCE MSG_DATA_SEQ" in ddl
    assert "CREATE SEQUENCE MMS_CONTENTS_INFO_SEQ" in ddl


async def test_the_poll_reads_along_the_index_whatever_waits(database: NproDatabase) -> None:
    """Neither a backlog, nor rows reserved for later, nor rows waiting for receipts are gone through."""
    now = KoreanClock().now()
    kinds: list[dict[str, object]] = [
        {"CUR_STATE": 2, "MSG_TYPE": 4, "REQ_DATE": None},
        {"CUR_STATE": 0, "MSG_TYPE": 4, "REQ_DATE": now + timedelta(days=1)},
        {"CUR_STATE": 0, "MSG_TYPE": 4, "REQ_DATE": None},
    ]
    async with database.transaction() as connection:
        await connection.execute(insert(database.tables.data), kinds * 2_000)
        for statement in due_statements(database.tables.data, connection.dialect.name, now):
            limited = statement.limit(50).compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
            plan = "\n".join(str(row) for row in await connection.execute(text(f"EXPLAIN {limited}")))
            assert "msg_data_due" in plan.lower(), plan
            assert "sort" not in plan.lower(), plan
