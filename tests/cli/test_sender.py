"""`vns sender call` without anybody who makes the calls."""

import shlex
from typing import TYPE_CHECKING

import pytest

from tests.local.conftest import ROOT
from vns.storage.database import Database

if TYPE_CHECKING:
    from tests.cli.conftest import Command

POOL = ("pool", "create", "voip", "--service", "070", "--first", "070-9000-0000", "--last", "070-9000-0999")


@pytest.fixture
def proven(vns: "Command") -> "Command":
    """With a number to present that has a proof on file."""
    vns(*POOL, "--sms-sender-proof", "contract 7")
    return type(vns)({**vns._settings, "VNS_VERIFICATION_CALLER_ID": "070-9000-0000"})


@pytest.mark.usefixtures("keyring")
async def test_a_call_is_asked_for(proven: "Command", db: Database) -> None:
    asked = proven("sender", "call", "02-1234-5678")
    assert (asked.field("number"), asked.field("shows"), asked.field("status")) == (
        "02-****-5678",
        "07090000000",
        "queued",
    )
    assert len(asked.field("code")) == 6
    assert "call_under_way" in proven("sender", "call", "+82 2 1234 5678", "--code", "1234", code=1).err
    async with db.connection() as connection:
        assert await connection.fetchval("select count(*) from verification_calls where status = 'queued'") == 1


@pytest.mark.usefixtures("keyring")
def test_what_is_refused(vns: "Command", proven: "Command") -> None:
    assert "caller_id_not_proven" in vns("sender", "call", "02-1234-5678", code=1).err
    assert "number_not_mappable" in proven("sender", "call", "112", code=1).err
    assert "invalid_number" in proven("sender", "call", "+1 212 555 0100", code=1).err
    assert "invalid_request" in proven("sender", "call", "02-1234-5678", "--code", "12", code=1).err


@pytest.mark.usefixtures("keyring")
def test_what_the_page_on_verification_calls_tells_to_type(proven: "Command") -> None:
    lines = (ROOT / "docs/verification-calls.md").read_text().splitlines()
    typed = [shlex.split(line)[2:] for line in lines if line.startswith("$ vns ")]
    assert len(typed) == 1
    for arguments in typed:
        proven(*(argument for argument in arguments if argument != "--wait"))
