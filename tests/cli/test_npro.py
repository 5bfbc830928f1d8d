"""`vns npro`: the gateway's tables in a real PostgreSQL."""

from typing import TYPE_CHECKING

import asyncpg
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Command


@pytest.fixture
async def npro_url(empty_database_url: str) -> str:
    """An empty database whose local time is Korea's."""
    connection = await asyncpg.connect(empty_database_url)
    name = await connection.fetchval("select current_database()")
    await connection.execute(f"alter database {name} set timezone = 'Asia/Seoul'")
    await connection.close()
    return empty_database_url


async def test_tables_are_created_once_and_rows_counted(vns: "Command", npro_url: str) -> None:
    assert "error invalid_request: " in vns("npro", "status", "--database-url", npro_url, code=1).err
    for _ in range(2):
        created = vns("npro", "init", "--database-url", npro_url)
        assert "MSG_DATA is there" in created.out.splitlines()
        assert "MMS_CONTENTS_INFO is there" in created.out.splitlines()
    assert vns("npro", "status", "--database-url", npro_url).rows() == []
    connection = await asyncpg.connect(npro_url)
    for state, count in ((0, 3), (3, 2)):
        await connection.executemany(
            "insert into MSG_DATA (CUR_STATE, CALL_TO, SMS_TXT, MSG_TYPE) values ($1, '01000000000', 'x', 4)",
            [(state,)] * count,
        )
    await connection.execute("create table MSG_LOG_202601 as select * from MSG_DATA where CUR_STATE = 3")
    await connection.close()
    elsewhere = type(vns)({"VNS_NPRO_DATABASE_URL": npro_url})
    assert [tuple(row.values()) for row in elsewhere("npro", "status").rows()] == [
        ("MSG_DATA", "0", "requested", "3"),
        ("MSG_DATA", "3", "done", "2"),
        ("MSG_LOG_202601", "3", "done", "2"),
    ]


def test_a_database_that_cannot_serve(vns: "Command", empty_database_url: str, new_port: object) -> None:
    assert callable(new_port)
    table = [
        ((), "invalid_request"),
        (("--database-url", "oracle://127.0.0.1/x"), "invalid_request"),
        (("--database-url", empty_database_url), "invalid_request"),  # its clock shows another local time than Korea's
        (("--database-url", f"postgresql://vns@127.0.0.1:{new_port()}/x"), "unavailable"),
    ]
    for arguments, code in table:
        assert f"error {code}: " in vns("npro", "init", *arguments, code=1).err, arguments
