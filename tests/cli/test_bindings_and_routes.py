"""`vns binding`, `vns route`, `vns keys`: what an operator sees and may do, never a real number."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from vns.access.rules import NewTenant, Principal, TenantKind, in_place_of
from vns.access.service import Access
from vns.bindings.reencryption import reencrypt_once
from vns.bindings.rules import AllocationRequest, Binding, Side, cipher_context
from vns.bindings.service import Bindings
from vns.crypto.errors import UnknownKeyVersion
from vns.crypto.rules import KeyRing, version_of
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import Mode, NewPool, Service
from vns.pools.service import Pools
from vns.storage.clock import Clock
from vns.storage.database import Database

if TYPE_CHECKING:
    from tests.cli.conftest import Command

OWNER, PEER, STRANGER = "01011112222", "01033334444", "01055556666"
ACTOR = "cli:tester"


@pytest.fixture
async def mall(db: Database) -> Principal:
    access, pools = Access(db, Clock()), Pools(db, Clock())
    await access.create_tenant(ACTOR, NewTenant(code="another", name="다른 몰", kind=TenantKind.MALL))
    tenant = await access.create_tenant(ACTOR, NewTenant(code="mall", name="몰", kind=TenantKind.MALL))
    ranges = [
        ("safe", Service.PERSONAL, "0504-1000-0000", "0504-1000-0099"),
        ("voip", Service.VOIP, "070-9000-0000", "070-9000-0099"),
    ]
    for name, service, first, last in ranges:
        new = NewPool(name=name, service=service, first=parse(first).key, last=parse(last).key, voice_proof="allotment")
        await pools.create(ACTOR, new)
    return in_place_of(tenant, ACTOR)


@pytest.fixture
async def bindings(db: Database, keyring: KeyRing) -> AsyncIterator[Bindings]:
    service = Bindings(db, keyring, Clock(), render=lambda binding: str(binding.id))
    yield service
    await service.close()


async def allocated(bindings: Bindings, mall: Principal, request: AllocationRequest) -> Binding:
    binding = (await bindings.allocate(mall, request)).binding
    assert binding is not None
    return binding


@pytest.fixture
async def one_way(bindings: Bindings, mall: Principal) -> Binding:
    request = AllocationRequest(mode=Mode.ONE_WAY, real_number=parse(OWNER), reference="waybill-1")
    return await allocated(bindings, mall, request)


@pytest.fixture
async def pair(bindings: Bindings, mall: Principal) -> Binding:
    request = AllocationRequest(mode=Mode.BIDIRECTIONAL, real_number=parse(OWNER), peer_number=parse(PEER))
    return await allocated(bindings, mall, request)


def assert_no_real_number(*texts: str) -> None:
    for text in texts:
        plain = text.replace("-", "")
        for number in (OWNER, PEER, STRANGER):
            assert number not in plain
            assert number[1:] not in plain


def test_a_binding_is_shown_listed_and_released(vns: "Command", one_way: Binding, pair: Binding) -> None:
    shown = vns("binding", "show", str(one_way.id))
    assert shown.field("real_number") == "010-****-2222"
    assert shown.field("virtual_number") == digits_of(one_way.vn)
    assert shown.field("status") == "active"
    listings = [
        (("--tenant", "mall"), {one_way.id, pair.id}),
        (("--vn", digits_of(pair.vn)), {pair.id}),
        (("--reference", "waybill-1"), {one_way.id}),
        (("--tenant", "mall", "--status", "released"), set()),
        (("--vn", "070-9000-0099"), set()),
    ]
    for arguments, expected in listings:
        listed = vns("binding", "list", *arguments)
        assert {UUID(row["BINDING"]) for row in listed.rows()} == expected
        assert_no_real_number(listed.out)
    released = vns("binding", "release", str(one_way.id))
    assert released.field("status") == "released"
    assert vns("binding", "release", str(one_way.id)).field("ended_at") == released.field("ended_at")
    assert_no_real_number(shown.out, released.out)
    (entry,) = vns("audit", "tail", "--event", "binding.released").out.splitlines()[1:]
    assert re.search(r"\bcli:", entry)


def test_bindings_that_are_not_there(vns: "Command", keyring: KeyRing) -> None:
    assert keyring.versions == (1,)
    assert "error not_found: " in vns("binding", "show", str(UUID(int=1)), code=1).err
    assert "error not_found: " in vns("binding", "release", str(UUID(int=1)), code=1).err
    assert "error invalid_request: " in vns("binding", "list", code=1).err
    assert "Usage" in vns("binding", "show", "7", code=2).err


def test_a_decision_is_explained(vns: "Command", one_way: Binding, pair: Binding) -> None:
    safe, shared = digits_of(one_way.vn), digits_of(pair.vn)
    table = [
        ((safe, "--from", "010-5555-6666"), {"decision": "connect", "target": "010-****-2222 (real party)"}),
        ((safe, "--from", STRANGER), {"presents": "010-****-6666"}),
        ((safe, "--from", OWNER), {"decision": "refuse", "reason": "not_allowed", "sip": "403", "q850": "21"}),
        ((safe,), {"decision": "refuse", "reason": "not_a_party", "caller": "withheld"}),
        ((shared, "--from", PEER), {"decision": "connect", "target": "010-****-2222 (real party)"}),
        ((shared, "--from", OWNER), {"target": "010-****-4444 (peer party)", "presents": shared}),
        ((shared, "--from", OWNER, "--channel", "sms"), {"decision": "connect"}),
        ((shared, "--from", STRANGER), {"reason": "not_a_party", "sip": "403"}),
        (("0504-1000-0098", "--from", STRANGER), {"reason": "unallocated", "sip": "404", "prompt": "unallocated"}),
        (("031-222-3333", "--from", STRANGER), {"reason": "unallocated"}),
        (("7942", "--from", STRANGER), {"reason": "unallocated"}),
    ]
    for arguments, expected in table:
        explained = vns("route", *arguments)
        assert {name: explained.field(name) for name in expected} == expected, arguments
        assert explained.out.startswith("1. ")
        assert_no_real_number(explained.out)
    vns("pool", "proof", "voip", "--withdraw", "voice")
    explained = vns("route", shared, "--from", OWNER)
    assert (explained.field("target"), explained.field("presents")) == ("010-****-4444 (peer party)", "withheld")
    assert "the pool's proof is not on file" in explained.out
    vns("binding", "release", str(one_way.id))
    assert vns("route", safe, "--from", STRANGER).field("sip") == "410"


async def test_explaining_a_decision_does_not_prolong_a_binding(
    vns: "Command", bindings: Bindings, mall: Principal
) -> None:
    request = AllocationRequest(mode=Mode.ONE_WAY, real_number=parse(OWNER), ttl_seconds=3600)
    sliding = await allocated(bindings, mall, request)
    assert vns("route", digits_of(sliding.vn), "--from", STRANGER).field("decision") == "connect"
    assert (await bindings.get(mall, sliding.id)).expires_at == sliding.expires_at


def test_a_caller_that_is_no_number(vns: "Command", keyring: KeyRing) -> None:
    assert keyring.versions == (1,)
    refused = vns("route", "0504-1000-0000", "--from", "+1 650 253 0000", code=1)
    assert "error invalid_number: " in refused.err
    assert "650" not in refused.err


def test_a_key_ring_is_made_once(vns: "Command", keys_file: Path, tmp_path: Path) -> None:
    assert "error internal_error: " in vns("keys", "list", code=1).err
    assert vns("keys", "generate").field("newest") == "1"
    assert vns("keys", "list").field("file") == str(keys_file)
    before = keys_file.read_bytes()
    assert "not overwritten" in vns("keys", "generate", code=1).err
    assert keys_file.read_bytes() == before
    other = tmp_path / "other.json"
    vns("keys", "generate", "--path", str(other))
    assert KeyRing.load(other).index("1") != KeyRing.load(keys_file).index("1")


async def stored(db: Database) -> dict[UUID, tuple[bytes, bytes | None]]:
    async with db.connection() as connection:
        rows = await connection.fetch("select id, real_number, peer_number from bindings")
    return {row["id"]: (row["real_number"], row["peer_number"]) for row in rows}


async def test_rotation_encrypts_what_is_stored_anew(
    vns: "Command", db: Database, keyring: KeyRing, one_way: Binding, pair: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.keys.SETTLED_AFTER", 0)
    rotated = vns("keys", "rotate")
    assert (rotated.field("newest version"), rotated.field("bindings encrypted anew")) == ("2", "2")
    numbers = await stored(db)
    assert {version_of(blob) for row in numbers.values() for blob in row if blob} == {2}
    real, peer = numbers[pair.id]
    assert keyring.decrypt(real, context=cipher_context(pair.id, Side.REAL)) == OWNER
    assert peer is not None
    assert keyring.decrypt(peer, context=cipher_context(pair.id, Side.PEER)) == PEER
    assert vns("binding", "show", str(one_way.id)).field("real_number") == "010-****-2222"
    assert vns("route", digits_of(pair.vn), "--from", PEER).field("decision") == "connect"
    assert vns("keys", "list").field("versions") == "1, 2"
    events = [line.split()[3] for line in vns("audit", "tail", "--event", "keys.").out.splitlines()[1:]]
    assert events == ["keys.rotated", "keys.reencrypted"]


async def test_what_a_slow_process_still_writes_with_the_old_key_is_found_by_the_second_walk(
    vns: "Command", db: Database, one_way: Binding, pair: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await stored(db)
    walks = 0

    async def walk(own_db: Database, ring: KeyRing) -> int:
        nonlocal walks
        walks += 1
        found = await reencrypt_once(own_db, ring)
        if walks == 1:
            async with own_db.connection() as connection:
                await connection.execute(
                    "update bindings set real_number = $2 where id = $1", one_way.id, before[one_way.id][0]
                )
        return found

    monkeypatch.setattr("cli.keys.SETTLED_AFTER", 0)
    monkeypatch.setattr("cli.keys.reencrypt_once", walk)
    assert vns("keys", "rotate").field("bindings encrypted anew") == "3"
    assert {version_of(blob) for row in (await stored(db)).values() for blob in row if blob} == {2}
    assert set(await stored(db)) == {one_way.id, pair.id}


async def test_a_walk_goes_over_every_batch_and_finds_nothing_twice(
    db: Database, keyring: KeyRing, bindings: Bindings, mall: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vns.bindings.reencryption.BATCH", 3)
    requests = [AllocationRequest(mode=Mode.ONE_WAY, real_number=parse(OWNER)) for _ in range(7)]
    await bindings.allocate_many(mall, requests)
    assert await reencrypt_once(db, keyring) == 0
    KeyRing.rotate(keyring.path)
    keyring.reload()
    assert await reencrypt_once(db, keyring) == 7
    assert await reencrypt_once(db, keyring) == 0


async def test_erased_numbers_are_passed_over(db: Database, keyring: KeyRing, one_way: Binding, pair: Binding) -> None:
    async with db.connection() as connection:
        await connection.execute("update bindings set real_number = '' where id = $1", one_way.id)
    KeyRing.rotate(keyring.path)
    keyring.reload()
    assert await reencrypt_once(db, keyring) == 1
    assert (await stored(db))[one_way.id][0] == b""
    assert version_of((await stored(db))[pair.id][0]) == 2


async def test_a_number_of_a_lost_key_stops_the_walk(db: Database, keyring: KeyRing, one_way: Binding) -> None:
    before = await stored(db)
    async with db.connection() as connection:
        await connection.execute(
            "update bindings set real_number = $2 where id = $1", one_way.id, b"\x00\x09" + before[one_way.id][0][2:]
        )
    with pytest.raises(UnknownKeyVersion):
        await reencrypt_once(db, keyring)


async def test_a_change_during_the_walk_wins(
    db: Database, keyring: KeyRing, one_way: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is read, then changed by somebody else, then written: what the other wrote stays."""
    context = cipher_context(one_way.id, Side.REAL)
    changed = keyring.encrypt(STRANGER, context=context)
    KeyRing.rotate(keyring.path)
    keyring.reload()
    ready = await stored(db)
    real = ready[one_way.id][0]
    from vns.bindings import reencryption  # noqa: PLC0415 - the statement itself is under test here

    anew = keyring.encrypt(OWNER, context=context)
    async with db.connection() as connection:
        await connection.execute("update bindings set real_number = $2 where id = $1", one_way.id, changed)
        assert await reencryption._renew(connection, [(one_way.id, real, None, anew, None)]) == 0
    assert (await stored(db))[one_way.id][0] == changed
