"""Pools on a real database: made in a moment, never overlapping, counted rightly."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.core_world import COURIER, World
from vns.errors import InvalidNumber, InvalidRequest, NotFound, PoolExhausted, PoolOverlap, VnsError
from vns.numbering.rules import digits_of
from vns.pools.rules import STRIPES, Mode, NewPool, Pool, PoolChange, PoolCounts, Proof, Service, range_of


async def rows(world: World, table: str) -> int:
    async with world.db.connection() as connection:
        count: int = await connection.fetchval(f"select count(*) from {table}")  # noqa: S608 - names of tables, from this file
        return count


async def counts(world: World, name: str) -> PoolCounts:
    pool = await world.pools.get(name)
    return (await world.pools.counts([pool.id]))[pool.id]


async def test_a_million_numbers_are_a_handful_of_rows(world: World) -> None:
    before = await rows(world, "pool_stripes")
    pool = await world.pool("0504-3000-0000", "0504-3099-9999", name="million")
    assert pool.last - pool.first + 1 == 1_000_000
    assert await rows(world, "pool_stripes") - before == STRIPES
    assert await rows(world, "numbers") == 0
    assert await counts(world, "million") == PoolCounts(
        total=1_000_000, free=1_000_000, live=0, quarantined=0, locked=0
    )


async def test_the_stripes_of_a_pool_are_its_numbers(world: World) -> None:
    pool = await world.pool("0504-3000-0000", "0504-3001-2344", name="odd")
    async with world.db.connection() as connection:
        stripes = await connection.fetch(
            "select next_key, last_key from pool_stripes where pool_id = $1 order by stripe", pool.id
        )
    assert [key for stripe in stripes for key in range(stripe["next_key"], stripe["last_key"] + 1)] == list(
        range(pool.first, pool.last + 1)
    )


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param("0504-1000-0000", "0504-1000-0019", id="the same"),
        pytest.param("0504-1000-0019", "0504-1000-0100", id="one number"),
        pytest.param("0504-0000-0000", "0504-9999-9999", id="around"),
        pytest.param("0504-1000-0007", "0504-1000-0007", id="inside"),
    ],
)
async def test_ranges_that_overlap_are_refused(world: World, first: str, last: str) -> None:
    with pytest.raises(PoolOverlap):
        await world.pool(first, last, name="other")
    assert [pool.name for pool in await world.pools.list()] == ["safe", "voip"]
    assert await rows(world, "pool_stripes") == 2


@pytest.mark.parametrize(
    ("service", "first", "last", "error"),
    [
        pytest.param(Service.PERSONAL, "0502-1000-0000", "0502-1000-0009", VnsError, id="0502"),
        pytest.param(Service.PERSONAL, "0501-1000-0000", "0503-1000-0000", InvalidRequest, id="0502 in the middle"),
        pytest.param(Service.PERSONAL, "070-8100-0000", "070-8100-0009", InvalidRequest, id="070 as 050"),
        pytest.param(Service.VOIP, "070-8100-0000", "0504-2000-0000", InvalidRequest, id="mixed services"),
        pytest.param(Service.VOIP, "070-8100-0009", "070-8100-0000", InvalidRequest, id="backwards"),
        pytest.param(Service.REPRESENTATIVE, "1877-0000", "1899-0000", InvalidRequest, id="two prefixes"),
        pytest.param(Service.VOIP, "010-8100-0000", "010-8100-0009", InvalidRequest, id="mobile numbers"),
        pytest.param(Service.PERSONAL, "hello", "0504-2000-0000", InvalidNumber, id="no number"),
    ],
)
def test_a_range_that_fits_no_pool(service: Service, first: str, last: str, error: type[VnsError]) -> None:
    with pytest.raises(error):
        range_of(service, first, last)


async def test_names_are_taken_once_and_found(world: World) -> None:
    with pytest.raises(InvalidRequest):
        await world.pool("0504-3000-0000", "0504-3000-0009", name="safe")
    other = await world.pool("0504-3000-0000", "0504-3000-0009", name="other")
    with pytest.raises(InvalidRequest):
        await world.pools.change("test", other.id, PoolChange(name="safe"))
    renamed = await world.pools.change("test", other.id, PoolChange(name="renamed"))
    assert await world.pools.get("renamed") == await world.pools.get(str(other.id)) == renamed
    for unknown in ("other", uuid4()):
        with pytest.raises(NotFound):
            await world.pools.get(unknown)


async def test_an_owner_that_does_not_exist(world: World) -> None:
    with pytest.raises(NotFound):
        await world.pools.create(
            "test", NewPool(name="x", service=Service.PERSONAL, first=50430000000, last=50430000009, owner_id=uuid4())
        )
    assert len(await world.pools.list()) == 2


async def test_a_tenant_sees_its_own_pools_first_and_no_other_tenants(world: World) -> None:
    owner, other = await world.tenant("owner"), await world.tenant("other")
    await world.pool("0504-3000-0000", "0504-3000-0009", name="own", owner_id=owner.tenant_id)
    assert [pool.name for pool in await world.pools.list(owner.tenant_id)] == ["own", "safe", "voip"]
    assert [pool.name for pool in await world.pools.list(other.tenant_id)] == ["safe", "voip"]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"name": "x" * 10_000}, id="long name"),
        pytest.param({"name": "a\0b"}, id="NUL in a name"),
        pytest.param({"name": ""}, id="no name"),
        pytest.param({"quarantine_seconds": -1}, id="negative quarantine"),
        pytest.param({"quarantine_seconds": 2**31}, id="endless quarantine"),
        pytest.param({"default_ttl_seconds": 0}, id="no time to live"),
        pytest.param({"default_ttl_seconds": 2**31}, id="endless time to live"),
        pytest.param({"low_water": -1}, id="negative low water"),
        pytest.param({"sms_sender_proof": "\0"}, id="NUL in the proof"),
        pytest.param({"voice_proof": ""}, id="no proof"),
        pytest.param(
            {"voice_proof": "file", "voice_proof_until": datetime(2026, 3, 1, 12, tzinfo=UTC)}, id="it is over"
        ),
    ],
)
async def test_settings_that_no_pool_can_have(world: World, wrong: dict[str, object]) -> None:
    fields: dict[str, object] = {"name": "x", "service": Service.PERSONAL, "first": 50430000000, "last": 50430000009}
    with pytest.raises(InvalidRequest):
        await world.pools.create("test", NewPool(**(fields | wrong)))  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest):
        await world.pools.change("test", (await world.pools.get("safe")).id, PoolChange(**wrong))  # type: ignore[arg-type]


async def test_every_number_is_counted_in_its_state(world: World) -> None:
    safe = await world.pools.get("safe")
    live, released = await world.allocate(), await world.allocate()
    await world.allocate(ttl_seconds=10)
    await world.bindings.release(world.mall, released.id)
    world.clock.move(seconds=10)
    await world.pools.change("test", safe.id, PoolChange(lock=(safe.last,), reserve=(safe.last - 1, live.vn)))
    assert await counts(world, "safe") == PoolCounts(total=20, free=15, live=1, quarantined=2, locked=3)
    world.clock.move(days=7)
    assert await counts(world, "safe") == PoolCounts(total=20, free=17, live=1, quarantined=0, locked=3)


async def test_a_shared_number_is_live_while_one_of_its_pairs_is(world: World) -> None:
    first = await world.pair()
    second = await world.pair("01044445555", "01055556666")
    assert first.vn == second.vn
    assert await counts(world, "voip") == PoolCounts(total=20, free=19, live=1, quarantined=0, locked=0)
    await world.bindings.release(world.mall, first.id)
    assert (await counts(world, "voip")).live == 1
    await world.bindings.release(world.mall, second.id)
    assert await counts(world, "voip") == PoolCounts(total=20, free=19, live=0, quarantined=1, locked=0)


async def test_numbers_are_held_and_given_free_again(world: World) -> None:
    pool = await world.pool("0504-3000-0000", "0504-3000-0001", name="two")
    held = (pool.first, pool.first, pool.last)  # naming one twice is no error
    await world.pools.change("test", pool.id, PoolChange(lock=held))
    with pytest.raises(PoolExhausted):
        await world.allocate(pool="two")
    await world.pools.change("test", pool.id, PoolChange(unhold=(pool.first,), reserve=(pool.last,)))
    assert (await world.allocate(pool="two")).vn == pool.first
    with pytest.raises(PoolExhausted):
        await world.allocate(pool="two")
    assert (await world.allocate(vn=digits_of(pool.last))).vn == pool.last


async def test_a_live_binding_goes_on_when_its_number_or_pool_is_locked(world: World) -> None:
    binding = await world.allocate()
    pool = await world.pools.get("safe")
    await world.pools.change("test", pool.id, PoolChange(lock=(binding.vn,), locked=True))
    routed = await world.ask(binding.vn, COURIER)
    assert routed.target is not None
    await world.bindings.release(world.mall, binding.id)
    with pytest.raises(PoolExhausted):
        await world.allocate()
    world.clock.move(days=8)
    await world.pools.change("test", pool.id, PoolChange(locked=False))
    assert binding.vn not in {(await world.allocate()).vn for _ in range(19)}


async def test_a_number_of_another_pool_cannot_be_held(world: World) -> None:
    safe, voip = await world.pools.get("safe"), await world.pools.get("voip")
    with pytest.raises(InvalidRequest):
        await world.pools.change("test", safe.id, PoolChange(lock=(voip.first,)))
    assert await rows(world, "numbers") == 0


async def test_what_is_changed_and_what_stays(world: World) -> None:
    before = await world.pools.get("safe")
    after = await world.pools.change(
        "test", before.id, PoolChange(quarantine_seconds=5, modes=frozenset({Mode.ONE_WAY}), locked=True)
    )
    assert (after.quarantine_seconds, after.modes, after.locked) == (5, frozenset({Mode.ONE_WAY}), True)
    assert (after.name, after.low_water, after.sms_sender_proof) == (before.name, before.low_water, None)
    with pytest.raises(NotFound):
        await world.pools.change("test", uuid4(), PoolChange(locked=True))


def proofs(pool: Pool) -> tuple[str | None, str | None, datetime | None]:
    return pool.sms_sender_proof, pool.voice_proof, pool.voice_proof_until


async def test_a_proof_of_texts_proves_calls_where_nothing_else_does(world: World) -> None:
    voip, safe = await world.pools.get("voip"), await world.pools.get("safe")
    assert (proofs(voip), proofs(safe)) == (("file 1", "file 1", None), (None, "file 2", None))
    end = world.clock.now() + timedelta(days=1)
    both = await world.pool(
        "0504-3000-0000", "0504-3000-0009", voice_proof="v", sms_sender_proof="s", voice_proof_until=end
    )
    assert proofs(both) == ("s", "v", end)
    bare = await world.pool("0504-4000-0000", "0504-4000-0009")
    assert proofs(bare) == (None, None, None)
    assert proofs(await world.pools.change("test", bare.id, PoolChange(sms_sender_proof="t"))) == ("t", "t", None)
    assert proofs(await world.pools.change("test", safe.id, PoolChange(sms_sender_proof="t"))) == ("t", "file 2", None)


async def test_a_new_proof_has_its_own_end_and_the_end_alone_can_be_moved(world: World) -> None:
    safe, now = await world.pools.get("safe"), world.clock.now()
    soon, later = now + timedelta(days=1), now + timedelta(days=2)

    async def changed(**fields: object) -> tuple[str | None, str | None, datetime | None]:
        return proofs(await world.pools.change("test", safe.id, PoolChange(**fields)))  # type: ignore[arg-type]

    assert await changed(voice_proof_until=soon) == (None, "file 2", soon)
    assert await changed(name="renamed") == (None, "file 2", soon)
    assert await changed(voice_proof_until=later) == (None, "file 2", later)
    assert await changed(voice_proof="file 3") == (None, "file 3", None)
    assert await changed(voice_proof="file 4", voice_proof_until=datetime.max.replace(tzinfo=UTC)) == (
        None,
        "file 4",
        None,
    )


async def test_proofs_are_withdrawn_and_the_journal_tells(world: World) -> None:
    voip = await world.pools.get("voip")
    both = PoolChange(withdraw_proofs=frozenset(Proof))
    await world.pools.change("test", voip.id, PoolChange(withdraw_proofs=frozenset({Proof.VOICE})))
    assert proofs(await world.pools.get("voip")) == ("file 1", None, None)
    assert proofs(await world.pools.change("test", voip.id, both)) == (None, None, None)
    async with world.db.connection() as connection:
        told = await connection.fetch("select event, data from journal where subject = $1 order by id", voip.id)
    assert [(row["event"], row["data"]) for row in told] == [
        ("pool.created", {"sms_sender_proof": "file 1"}),
        ("pool.changed", {"withdrawn": ["voice"]}),
        ("pool.changed", {"withdrawn": ["sms", "voice"]}),
    ]


async def test_what_no_proof_can_be(world: World) -> None:
    bare, soon = await world.pool("0504-4000-0000", "0504-4000-0009"), world.clock.now() + timedelta(days=1)
    for wrong in (
        PoolChange(voice_proof_until=soon),  # there is nothing to end
        PoolChange(voice_proof="file", withdraw_proofs=frozenset({Proof.VOICE})),
        PoolChange(sms_sender_proof="file", withdraw_proofs=frozenset({Proof.SMS})),
    ):
        with pytest.raises(InvalidRequest):
            await world.pools.change("test", bare.id, wrong)
    with pytest.raises(InvalidRequest):
        await world.pool("0504-5000-0000", "0504-5000-0009", voice_proof_until=soon)
    assert proofs(await world.pools.get(bare.id)) == (None, None, None)
