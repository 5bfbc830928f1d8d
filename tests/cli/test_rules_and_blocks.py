"""`set-rules`, `vns block`, `vns tenant hook`, and what `vns route` tells of them."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT, Command, Ended
from vns.access.rules import NewTenant, Principal, TenantKind, in_place_of
from vns.access.service import Access
from vns.bindings.rules import AllocationRequest, Binding
from vns.bindings.service import Bindings
from vns.crypto.rules import KeyRing
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import Mode, NewPool, Service
from vns.pools.service import Pools
from vns.rulebook.documents import checked
from vns.rulebook.rules import Rules
from vns.storage.clock import Clock
from vns.storage.database import Database

OWNER, STRANGER = "01011112222", "01055556666"
ACTOR = "cli:tester"


@pytest.fixture
async def mall(db: Database) -> Principal:
    access, pools = Access(db, Clock()), Pools(db, Clock())
    tenant = await access.create_tenant(ACTOR, NewTenant(code="mall", name="몰", kind=TenantKind.MALL))
    first, last = parse("0504-1000-0000").key, parse("0504-1000-0099").key
    await pools.create(ACTOR, NewPool(name="safe", service=Service.PERSONAL, first=first, last=last))
    return in_place_of(tenant, ACTOR)


@pytest.fixture
async def binding(db: Database, keyring: KeyRing, mall: Principal) -> AsyncIterator[Binding]:
    service = Bindings(db, keyring, Clock(), render=lambda made: str(made.id))
    made = (await service.allocate(mall, AllocationRequest(mode=Mode.ONE_WAY, real_number=parse(OWNER)))).binding
    assert made is not None
    yield made
    await service.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rules.json"


def written(file: Path, **document: Any) -> str:
    file.write_text(json.dumps(document), encoding="utf-8")
    return str(file)


def asked(vns: Command, binding: Binding, *more: str) -> Ended:
    return vns("route", digits_of(binding.vn), "--from", STRANGER, *more)


def test_rules_of_a_pool_and_a_binding_are_set_from_a_file_and_explained(
    vns: Command, binding: Binding, file: Path
) -> None:
    shown = vns("pool", "set-rules", "safe", written(file, ring_seconds=20, fallback_number="02-1234-5678"))
    assert json.loads(shown.field("rules")) == {"ring_seconds": 20, "fallback_number": "02-****-5678"}
    own = vns("binding", "set-rules", str(binding.id), written(file, max_seconds=600, record=True, concurrent_calls=1))
    assert json.loads(own.field("rules")) == {"max_seconds": 600, "record": True, "concurrent_calls": 1}
    told = asked(vns, binding)
    names = ("decision", "ring_seconds", "max_seconds", "record", "concurrent")
    assert [told.field(name) for name in names] == ["connect", "20", "600", "yes", "1"]
    vns("binding", "set-rules", str(binding.id), written(file, directions=["to_peer"], max_seconds=None))
    refused = asked(vns, binding)
    assert refused.field("reason") == "not_allowed"
    assert "direction to_real" in refused.out
    vns("binding", "release", str(binding.id))
    ended = asked(vns, binding)
    assert ended.field("target") == "02-****-5678 (fallback number)"


@pytest.mark.parametrize(
    ("text", "code"),
    [("{", "invalid_rules"), ('{"x": 1}', "invalid_rules"), ('{"fallback_number": "112"}', "number_not_mappable")],
)
@pytest.mark.usefixtures("binding")
def test_a_wrong_file_has_a_code(vns: Command, file: Path, text: str, code: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert code in vns("pool", "set-rules", "safe", str(file), code=1).err


def test_a_party_is_blocked_and_let_in_again(vns: Command, binding: Binding) -> None:
    on_binding = vns("block", "add", STRANGER, "--binding", str(binding.id))
    assert (on_binding.field("number"), on_binding.field("direction")) == ("010-****-6666", "from")
    assert asked(vns, binding).field("reason") == "not_allowed"
    on_pool = vns("block", "add", STRANGER, "--pool", "safe", "--direction", "both")
    listed = vns("block", "list").rows()
    assert [row["BLOCK"] for row in listed] == [on_pool.field("id"), on_binding.field("id")]
    assert [row["BLOCK"] for row in vns("block", "list", "--pool", "safe").rows()] == [on_pool.field("id")]
    assert STRANGER[1:] not in str(listed)
    for one in (on_binding, on_pool):
        vns("block", "remove", one.field("id"))
    assert asked(vns, binding).field("decision") == "connect"
    assert "name a --binding or a --pool" in vns("block", "add", STRANGER, code=1).err


def test_a_hook_is_set_shown_and_told_of(vns: Command, binding: Binding, database_url: str, keyring: KeyRing) -> None:
    url = "https://calls.mall.example/vns"
    assert "VNS_HOOK_SECRET is not set" in vns("tenant", "hook", "set", "mall", "--url", url, code=1).err
    settings = {"VNS_DATABASE_URL": database_url, "VNS_KEYS_FILE": str(keyring.path)}
    secretive = Command({**settings, "VNS_HOOK_SECRET": "sixteen characters"})
    made = secretive("tenant", "hook", "set", "mall", "--url", url, "--on-failure", "refuse")
    assert (made.field("deadline_ms"), made.field("on_failure")) == ("700", "refuse")
    assert vns("tenant", "hook", "show", "mall").field("url") == url
    assert "hook is asked" in asked(vns, binding).out
    vns("tenant", "hook", "remove", "mall")
    assert "hook" not in asked(vns, binding).out
    assert "not_found" in vns("tenant", "hook", "show", "mall", code=1).err


PAGE = (ROOT / "docs/rules.md").read_text(encoding="utf-8")


def test_the_document_shown_is_one_that_is_taken() -> None:
    example = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    document = json.loads(example[1])
    assert set(document) == {field.name for field in fields(Rules)}, "the page shows every field"
    assert checked(document).fallback == parse("02-1234-5678")
    for name in document:
        assert f"| `{name}` |" in PAGE


def test_every_command_of_the_page_works(vns: Command, binding: Binding, file: Path) -> None:
    example = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    file.write_text(example[1], encoding="utf-8")
    given = {"019a0000-0000-7000-8000-000000000000": str(binding.id), "rules.json": str(file)}
    typed = [line.removeprefix("$ bin/vns ").split() for line in PAGE.splitlines() if line.startswith("$ ")]
    assert len(typed) >= 6
    for command in typed:
        vns(*(given.get(word, word) for word in command))
