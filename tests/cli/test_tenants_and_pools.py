"""`vns tenant`, `vns pool`, `vns audit tail`: what an operator sets up by hand."""

import shlex
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import ROOT
from vns.access.service import Access
from vns.errors import Forbidden, Unauthorized
from vns.storage.clock import Clock
from vns.storage.database import Database

if TYPE_CHECKING:
    from tests.cli.conftest import Command

POOL = ("pool", "create", "voip", "--service", "070", "--first", "070-9000-0000", "--last", "070-9000-0999")


@pytest.fixture
def door(db: Database) -> Access:
    """As a serving process has it: what it remembers is over when a command has ended."""
    return Access(db, Clock())


async def test_a_tenant_from_creation_to_suspension(vns: "Command", door: Access) -> None:
    created = vns("tenant", "create", "mall", "--name", "큰 몰", "--kind", "mall", "--max-live-bindings", "5")
    assert (created.field("code"), created.field("max_live_bindings")) == ("mall", "5")
    issued = vns("tenant", "key-issue", "mall", "--scope", "bindings:read")
    principal = await door.authenticate(issued.field("secret"))
    assert (principal.tenant_code, set(principal.scopes)) == ("mall", {"bindings:read"})

    vns("tenant", "quota", "mall", "--requests-per-second", "9")
    vns("tenant", "suspend", "mall")
    listed = vns("tenant", "list").out
    assert "suspended" in listed
    assert "큰 몰" in listed
    with pytest.raises(Forbidden):
        await door.authenticate(issued.field("secret"))
    vns("tenant", "resume", "mall")
    principal = await door.authenticate(issued.field("secret"))
    assert (principal.requests_per_second, principal.max_live_bindings) == (9, None)


async def test_keys_are_rotated_and_revoked(vns: "Command", door: Access) -> None:
    vns("tenant", "create", "mall", "--name", "몰", "--kind", "mall")
    old = vns("tenant", "key-issue", "mall")
    await door.authenticate(old.field("secret"))
    new = vns("tenant", "key-rotate", old.field("key"), "--overlap-seconds", "0")
    with pytest.raises(Unauthorized):
        await door.authenticate(old.field("secret"))
    await door.authenticate(new.field("secret"))
    vns("tenant", "key-revoke", new.field("key"))
    with pytest.raises(Unauthorized):
        await door.authenticate(new.field("secret"))
    rows = vns("tenant", "keys", "mall").rows()
    assert [row["KEY"] for row in rows] == [old.field("key"), new.field("key")]
    assert rows[0]["EXPIRES"] != "-"
    assert rows[1]["REVOKED"] != "-"
    assert new.field("secret") not in vns("tenant", "keys", "mall").out


async def test_grants(vns: "Command", door: Access) -> None:
    vns("tenant", "create", "mall", "--name", "몰", "--kind", "mall")
    vns("tenant", "create", "courier", "--name", "택배", "--kind", "courier")
    secret = vns("tenant", "key-issue", "courier").field("secret")
    assert (await door.authenticate(secret)).mall_ids == ()
    vns("tenant", "grant", "courier", "mall")
    assert len((await door.authenticate(secret)).mall_ids) == 1
    vns("tenant", "grant", "courier", "mall", "--revoke")
    assert (await door.authenticate(secret)).mall_ids == ()


def test_errors_have_a_code_and_an_exit_status(vns: "Command") -> None:
    assert "error not_found: " in vns.apart("tenant", "suspend", "nobody", code=1).err
    assert "error invalid_request: " in vns("tenant", "create", "A", "--name", "x", "--kind", "mall", code=1).err
    vns("tenant", "create", "mall", "--name", "x", "--kind", "mall")
    refused = vns("tenant", "key-issue", "mall", "--scope", "pools:write", code=1)
    assert "error invalid_request: " in refused.err
    assert refused.out == ""
    assert "Usage" in vns("tenant", "create", "mall", "--name", "x", "--kind", "shop", code=2).err
    assert "Usage" in vns("nonsense", code=2).err


def test_a_database_that_does_not_answer(vns: "Command", new_port: object) -> None:
    assert callable(new_port)
    elsewhere = type(vns)({"VNS_DATABASE_URL": f"postgresql://vns@127.0.0.1:{new_port()}/vns"})
    assert "error unavailable: " in elsewhere("tenant", "list", code=1).err


def test_a_database_without_tables(vns: "Command", empty_database_url: str) -> None:
    elsewhere = type(vns)({"VNS_DATABASE_URL": empty_database_url})
    assert "migrated" in elsewhere("tenant", "list", code=1).err


def test_a_setting_that_cannot_be_used_is_named_without_its_value(vns: "Command") -> None:
    ended = type(vns)({"VNS_DATABASE_POOL_SIZE": "12345678"})("tenant", "list", code=1)
    assert "VNS_DATABASE_POOL_SIZE" in ended.err
    assert "12345678" not in ended.err


def test_pools_are_made_listed_and_locked(vns: "Command") -> None:
    made = vns(*POOL, "--sms-sender-proof", "contract 7")
    assert (made.field("first"), made.field("last"), made.field("numbers")) == ("07090000000", "07090000999", "1000")
    assert vns("pool", "lock", "voip").field("locked") == "yes"
    assert vns("pool", "unlock", "voip").field("locked") == "no"
    vns("pool", "lock", "voip", "--number", "070-9000-0001", "--number", "070-9000-0002")
    (row,) = vns("pool", "list", "--counts").rows()
    assert (row["NAME"], row["SENDS_TEXTS"], row["TOTAL"], row["HELD"], row["FREE"]) == (
        "voip",
        "yes",
        "1000",
        "2",
        "998",
    )
    vns("pool", "unlock", "voip", "--number", "070-9000-0001")
    assert vns("pool", "list", "--counts").rows()[0]["HELD"] == "1"


def test_a_pool_of_070_is_proven_unless_told_otherwise(vns: "Command") -> None:
    assert "allotment" in vns(*POOL).field("sms_sender_proof")
    other = ("pool", "create", "other", "--service", "070", "--first", "070-9100-0000", "--last", "070-9100-0009")
    vns(*other, "--unproven")
    rows = {row["NAME"]: row for row in vns("pool", "list").rows()}
    assert (rows["voip"]["SENDS_TEXTS"], rows["voip"]["SHOWN_ON_CALLS"]) == ("yes", "yes")
    assert (rows["other"]["SENDS_TEXTS"], rows["other"]["SHOWN_ON_CALLS"]) == ("no", "no")


def test_a_pool_s_numbers_are_shown_on_calls_as_long_as_their_proof_holds(vns: "Command") -> None:
    made = vns(*POOL, "--voice-proof", "allotment 7", "--until", "2099-12-31")
    assert (made.field("voice_proof"), made.field("voice_proof_until")[:16]) == ("allotment 7", "2099-12-31T15:00")
    assert (vns("pool", "list").rows()[0]["SHOWN_ON_CALLS"], vns("pool", "list").rows()[0]["SENDS_TEXTS"]) == (
        "yes",
        "no",
    )
    vns("pool", "proof", "voip", "--withdraw", "voice")
    assert vns("pool", "list").rows()[0]["SHOWN_ON_CALLS"] == "no"
    filed = vns("pool", "proof", "voip", "--sms", "contract 8")
    assert (filed.field("voice_proof"), filed.field("sms_sender_proof")) == ("contract 8", "contract 8")
    assert vns("pool", "proof", "voip", "--voice", "allotment 9").field("voice_proof") == "allotment 9"
    for wrong in ([], ["--until", "2020-01-01"], ["--voice", "x", "--withdraw", "voice"]):
        assert "error invalid_request: " in vns("pool", "proof", "voip", *wrong, code=1).err


def test_pools_that_cannot_be(vns: "Command") -> None:
    vns(*POOL)
    again = ("pool", "create", "more", "--service", "070", "--first", "07090000500", "--last", "07090001500")
    assert "error pool_overlap: " in vns(*again, code=1).err
    assert "error not_found: " in vns("pool", "lock", "other", code=1).err
    assert "error invalid_number: " in vns("pool", "lock", "voip", "--number", "7942", code=1).err
    assert "error invalid_request: " in vns("pool", "lock", "voip", "--number", "07011112222", code=1).err
    assert "error not_found: " in vns(*POOL[:2], "own", *POOL[3:], "--owner", "nobody", code=1).err


def test_the_journal_shows_who_did_what(vns: "Command") -> None:
    vns("tenant", "create", "mall", "--name", "몰", "--kind", "mall")
    key = vns("tenant", "key-issue", "mall").field("key")
    vns(*POOL)
    lines = vns("audit", "tail").out.splitlines()[1:]
    assert [line.split()[3] for line in lines] == ["tenant.created", "key.issued", "pool.created"]
    assert all(line.split()[2].startswith("cli:") for line in lines)
    (only,) = vns("audit", "tail", "-n", "5", "--event", "key.").out.splitlines()[1:]
    assert key in only
    assert vns("audit", "tail", "--event", "key%").out.splitlines()[1:] == []


def test_a_customers_own_block_as_the_page_on_modes_tells(vns: "Command") -> None:
    vns("tenant", "create", "mall", "--name", "몰", "--kind", "mall")
    [line] = [line for line in (ROOT / "docs/modes.md").read_text().splitlines() if line.startswith("$ vns ")]
    made = vns(*shlex.split(line)[2:])
    assert (made.field("name"), made.field("managed_by")) == ("mall-block", "customer")
    arguments = [word for word in shlex.split(line)[2:] if word not in ("--owner", "mall")]
    arguments[2] = "nobodys"
    assert "invalid_request" in vns(*arguments, code=1).err


def test_a_tenants_relay_number_is_filed_with_its_proof(vns: "Command") -> None:
    vns("tenant", "create", "relaying", "--name", "Relaying", "--kind", "mall")
    done = vns("tenant", "relay-number", "relaying", "1899-4321", "--proof", "file 7")
    assert done.field("relay_number") == "1899-4321"
    ends = datetime.fromisoformat(done.field("proof_until")) - datetime.now(UTC)
    assert timedelta(days=364) < ends <= timedelta(days=365)
    until = vns("tenant", "relay-number", "relaying", "1899-4321", "--proof", "file 8", "--until", "2099-12-31")
    assert until.field("proof_until")[:16] == "2099-12-31T15:00"
    over = ("tenant", "relay-number", "relaying", "1899-4321", "--proof", "file 8", "--until", "2020-12-31")
    assert "error invalid_request: " in vns(*over, code=1).err
    assert "proof" in vns("tenant", "relay-number", "relaying", "1899-4321", code=1).err
    vns("tenant", "relay-number", "relaying", "010-1234-5678", "--proof", "file 7", code=1)
    vns("tenant", "relay-number", "relaying")
