"""Copies are read again before their lease ends: which, when, and by whom. Real PostgreSQL, real Redis."""

from pathlib import Path

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER
from tests.standby.parts import Scene, bridge, known, target
from vns.bindings.rules import BindingChange
from vns.errors import Unavailable
from vns.numbering.rules import digits_of, parse
from vns.rulebook.documents import checked


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


async def test_those_with_rules_are_confirmed_too_as_many_as_a_round_reads_singly(
    on: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vns.routing.copies.MOST_SINGLY", 1)
    rules = checked({"ring_seconds": 20})
    earlier, later = [digits_of((await on.world.allocate(rules=rules)).vn) for _ in range(2)]
    for vn in (earlier, later):
        await on.bridge.call(vn, COURIER)
    await on.bridge.calm()
    on.world.clock.move(seconds=60)
    await on.bridge.copies.look()
    await on.bridge.copies.confirm()
    on.world.clock.move(seconds=60)
    on.bridge.db.reached = False
    assert target(await on.bridge.call(later, COURIER)) == CUSTOMER
    with pytest.raises(Unavailable):
        await on.bridge.call(earlier, COURIER)


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
    vn = await known(on, rules=checked({"ring_seconds": 20}))
    on.world.clock.move(seconds=60)
    await on.bridge.copies.look()
    await on.bridge.copies.confirm()
    await on.bridge.call(vn, COURIER)
    await on.bridge.calm()
    on.world.clock.move(seconds=60)
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER
