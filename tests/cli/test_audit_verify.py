"""`vns audit verify`: a journal that somebody has touched is found out."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from vns.maintenance.seals import seal_next
from vns.storage.clock import Clock
from vns.storage.database import Database

if TYPE_CHECKING:
    from tests.cli.conftest import Command


async def seal(db: Database) -> bool:
    """False while another transaction of the server, autovacuum's perhaps, holds the horizon back."""
    async with db.transaction() as connection:
        return await seal_next(connection, Clock().now()) is not None


@pytest.fixture
async def sealed(vns: "Command", db: Database) -> Database:
    """Two seals of one row each, and a row that no seal covers yet."""
    for code in ("one", "two"):
        vns("tenant", "create", code, "--name", code, "--kind", "mall")
        async with asyncio.timeout(30):
            while not await seal(db):
                pass
    vns("tenant", "create", "three", "--name", "three", "--kind", "mall")
    return db


def test_a_whole_chain(vns: "Command", sealed: Database) -> None:
    assert sealed.url
    verified = vns("audit", "verify")
    assert [verified.field(name) for name in ("seals", "rows sealed", "rows not sealed yet", "chain")] == [
        "2",
        "2",
        "1",
        "whole",
    ]
    assert len(verified.field("head")) == 64


@pytest.mark.parametrize(
    ("tampering", "seal"),
    [
        ("update journal set actor = 'cli:somebody' where data->>'tenant' = 'one'", 1),
        ("delete from journal where data->>'tenant' = 'two'", 2),
        ("delete from journal_seals where seq = 1", 2),
        ("update journal_seals set hash = sha256('x') where seq = 1", 1),
    ],
)
async def test_a_chain_that_somebody_touched(vns: "Command", sealed: Database, tampering: str, seal: int) -> None:
    async with sealed.connection() as connection:
        await connection.execute(tampering)
    verified = vns("audit", "verify", code=1)
    assert verified.field("chain") == "broken"
    assert f"error audit_chain_broken: seal {seal}: " in verified.err
