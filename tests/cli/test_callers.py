"""`vns caller`: the operator's list of callers."""

import shlex
from typing import TYPE_CHECKING

import pytest

from tests.local.conftest import ROOT
from vns.crypto.rules import KeyRing
from vns.storage.database import Database

if TYPE_CHECKING:
    from tests.cli.conftest import Command


@pytest.mark.usefixtures("keyring")
async def test_a_caller_is_stopped_trusted_and_cleared(vns: "Command", db: Database) -> None:
    vns("caller", "stop", "010-5555-6666", "--hours", "2")
    [stopped] = vns("caller", "list").rows()
    assert (stopped["CALLER"], stopped["STATUS"], stopped["REASON"]) == ("010-****-6666", "stopped", "operator")
    vns("caller", "trust", "+82 10 5555 6666")
    [trusted] = vns("caller", "list").rows()
    assert (trusted["STATUS"], trusted["UNTIL"]) == ("trusted", "9999-01-01T00:00:00Z")
    vns("caller", "clear", "01055556666")
    assert vns("caller", "list").rows() == []
    assert "not_found" in vns("caller", "clear", "01055556666", code=1).err
    async with db.connection() as connection:
        rows = await connection.fetch("select event, data::text from journal where event like 'caller.%' order by id")
    assert [row["event"] for row in rows] == ["caller.stopped", "caller.trusted", "caller.cleared"]
    assert not any("01055556666" in row["data"] for row in rows)


@pytest.mark.usefixtures("keyring")
def test_what_the_page_on_abuse_tells_to_type(vns: "Command") -> None:
    lines = (ROOT / "docs/abuse.md").read_text().splitlines()
    typed = [shlex.split(line)[2:] for line in lines if line.startswith("$ vns ")]
    assert len(typed) == 4
    for arguments in typed:
        vns(*arguments)
    assert [row["STATUS"] for row in vns("caller", "list").rows()] == ["trusted"]


def test_a_number_that_is_none(vns: "Command", keyring: KeyRing) -> None:
    assert keyring.newest == 1
    assert "invalid_number" in vns("caller", "stop", "hello", code=1).err
