"""Copies are read again before their lease ends: which, when, and by whom. Real PostgreSQL, real Redis."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.core_world import COURIER, CUSTOMER, STRANGER
from tests.standby.parts import Scene, bridge, known, target
from vns.bindings.rules import BindingChange
from vns.errors import Unavailable
from vns.numbering.rules import digits_of, parse
from vns.rulebook.documents import checked
from vns.storage.copies import Epoch, Kept


async def test_a_lease_ends_and_confirming_renews_it(on: Scene) -> None:
    vn = await known(on)
    on.world.clock.move(seconds=60)
    await on.bridge.copies.look()
    await on.bridge.copies.confirm()
    on.world.clock.move(seconds=89)
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER
    on.world.clock.move(seconds=1)
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)


async def test_the_newest_bindings_are_known_before_anybody_calls(on: Scene) -> None:
    safe, pair = await on.world.allocate(), await on.world.pair()
    await on.bridge.copies.confirm()
    on.bridge.db.reached = False
    assert target(await on.bridge.call(digits_of(safe.vn), STRANGER)) == CUSTOMER
    assert target(await on.bridge.call(digits_of(pair.vn), CUSTOMER)) == COURIER
    assert target(await on.bridge.call(digits_of(pair.vn), COURIER)) == CUSTOMER


async def test_bridges_share_the_reading_and_what_one_has_kept_the_other_leaves(
    on: Scene, redis_url: str, tmp_path: Path
) -> None:
    vns = [digits_of((await on.world.allocate()).vn) for _ in range(3)]
    async with bridge(on.world, redis_url, tmp_path / "other") as other:
        await other.calm()
        on.world.clock.move(seconds=3)
        for turn in (on.bridge, other):
            for vn in vns:
                await turn.call(vn, COURIER)
            await turn.calm()
        for one, shared in ((other, on.bridge), (on.bridge, other)):
            on.world.clock.move(seconds=21)
            for turn in (one, shared):
                turn.store.written.clear()
                await turn.copies.look()
                await turn.copies.confirm()
            assert len(one.store.written) == len(vns)
            assert shared.store.written == []
    on.bridge.db.reached = False
    assert [target(await on.bridge.call(vn, STRANGER)) for vn in vns] == [CUSTOMER] * 3


async def test_what_another_bridge_has_kept_is_read_again_once_it_is_old(
    on: Scene, redis_url: str, tmp_path: Path
) -> None:
    vn = await known(on)
    async with bridge(on.world, redis_url, tmp_path / "other") as other:
        await other.calm()
        await other.copies.confirm()  # knows it as the other's
    on.world.clock.move(seconds=21)
    async with bridge(on.world, redis_url, tmp_path / "third") as third:
        await third.calm()
        on.world.clock.move(seconds=1)
        await third.copies.confirm()
        assert [one.vn for one in third.store.written] == [parse(vn).key]


async def test_a_number_of_one_owner_is_read_again_once_however_many_called_it(on: Scene) -> None:
    vn = await known(on)
    for caller in (STRANGER, COURIER, None):
        await on.bridge.call(vn, caller)
    await on.bridge.calm()
    on.world.clock.move(seconds=21)
    await on.bridge.copies.look()
    on.bridge.store.written.clear()
    await on.bridge.copies.confirm()
    await on.bridge.copies.confirm()  # and not again at the next look
    assert [one.vn for one in on.bridge.store.written] == [parse(vn).key]


RULED = checked({"ring_seconds": 20})


async def test_those_with_rules_take_turns_where_a_round_reads_fewer(
    on: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vns.routing.copies.MOST_SINGLY", 1)
    vns = [await known(on, rules=RULED) for _ in range(2)]
    for _ in range(8):
        on.world.clock.move(seconds=25)
        await on.bridge.copies.look()
        await on.bridge.copies.confirm()
    on.bridge.db.reached = False
    assert [target(await on.bridge.call(vn, COURIER)) for vn in vns] == [CUSTOMER] * 2


async def test_what_has_rules_and_was_never_called_takes_nobodys_turn(
    on: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its copies are for each caller, and there is none yet."""
    monkeypatch.setattr("vns.routing.copies.MOST_SINGLY", 1)
    vn = await known(on, rules=RULED)
    for _ in range(3):
        await on.world.allocate(rules=RULED)
    on.bridge.store.written.clear()
    for _ in range(4):
        on.world.clock.move(seconds=25)
        await on.bridge.copies.look()
        await on.bridge.copies.confirm()
    assert {one.vn for one in on.bridge.store.written} == {parse(vn).key}
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER


async def test_a_call_keeps_nothing_that_is_new_enough_whoever_keeps_it(
    on: Scene, redis_url: str, tmp_path: Path
) -> None:
    vn = await known(on)
    async with bridge(on.world, redis_url, tmp_path / "other") as other:
        await other.calm()
        on.world.clock.move(seconds=21)
        for one in (other, on.bridge):
            await one.copies.look()
            await one.copies.confirm()
        assert other.store.written
    on.bridge.store.written.clear()
    on.world.clock.move(seconds=19)
    await on.bridge.call(vn, COURIER)
    await on.bridge.calm()
    assert on.bridge.store.written == []
    on.world.clock.move(seconds=1)
    await on.bridge.call(vn, COURIER)
    await on.bridge.calm()
    assert [one.vn for one in on.bridge.store.written] == [parse(vn).key]


async def test_a_changed_row_is_kept_by_the_next_call(on: Scene) -> None:
    binding = await on.world.allocate()
    vn = digits_of(binding.vn)
    await on.bridge.call(vn, COURIER)
    await on.bridge.calm()
    await on.bindings.change(on.world.mall, binding.id, BindingChange(real_number=parse("01055550009")))
    on.world.clock.move(seconds=3)  # read after the change, by every clock
    await on.bridge.call(vn, COURIER)
    await on.bridge.calm()
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == "01055550009"


async def test_what_a_round_has_passed_over_is_kept_by_the_next_call(
    on: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vns.routing.copies.MOST_SINGLY", 0)
    vn = await known(on, rules=RULED)
    on.world.clock.move(seconds=60)
    await on.bridge.copies.look()
    await on.bridge.copies.confirm()
    await on.bridge.call(vn, COURIER)
    await on.bridge.calm()
    on.world.clock.move(seconds=60)
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER


async def test_a_copy_that_was_refused_counts_for_none(on: Scene) -> None:
    """Read so soon after a change that a clock that is a little ahead may have read it before."""
    binding = await on.world.allocate()
    vn = digits_of(binding.vn)
    await on.bindings.change(on.world.mall, binding.id, BindingChange(reference="new"))
    for _ in range(2):
        on.world.clock.move(seconds=1.5)
        await on.bridge.call(vn, COURIER)
        await on.bridge.calm()
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER


async def test_what_an_emptied_redis_has_lost_is_kept_by_the_next_call(on: Scene, redis_url: str) -> None:
    vn = await known(on)
    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
    await on.bridge.calm()  # notices
    on.world.clock.move(seconds=1)
    await on.bridge.call(vn, COURIER)
    await on.bridge.calm()
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER


async def test_a_number_that_very_many_call_keeps_what_holds_and_no_more(on: Scene, redis_url: str) -> None:
    """Its key lives on with each new copy."""
    store, clock = on.bridge.store, on.world.clock
    epoch = Epoch(value=await store.epoch(), known_at=clock.now())
    async with Redis.from_url(redis_url) as redis:
        for call in range(300):
            clock.move(seconds=5)
            one = Kept(vn=7, field=b"%d" % call, sealed=b"sealed", read_at=clock.now())
            assert await store.keep(epoch, [one], clock.now()) == [True]
            assert await redis.hlen("vns:copies:7") < 128
    lately = [b"%d" % call for call in range(283, 300)]
    assert [found.field for found in await store.find(7, lately, clock.now())] == lately
