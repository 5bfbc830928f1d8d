"""How bindings change and end, as the decision sees it."""

from datetime import timedelta

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World, request
from vns.access.rules import TenantKind
from vns.bindings.life import consume
from vns.bindings.rules import BindingChange, Channel, Status
from vns.bindings.service import Delivery
from vns.errors import (
    AmbiguousReference,
    ExpiresTooSoon,
    InvalidRequest,
    NotFound,
    NumberNotMappable,
    PairInUse,
    SameParty,
    VnsError,
)
from vns.numbering.rules import parse
from vns.pools.rules import NewPool, Service
from vns.routing.rules import Connect, Question, Reason, Refuse
from vns.routing.service import Routed


def outcome(routed: Routed) -> str | Reason:
    """Whom a question reached, as digits; or why nobody."""
    if isinstance(routed.decision, Refuse):
        return routed.decision.reason
    assert isinstance(routed.decision, Connect)
    assert routed.target is not None
    return routed.target.digits


async def test_one_way_reaches_the_customer_showing_the_caller(world: World) -> None:
    vn = (await world.allocate()).vn
    routed = await world.ask(vn, COURIER)
    assert (outcome(routed), routed.presented) == (CUSTOMER, COURIER)


async def test_a_pair_reaches_each_other_showing_the_virtual_number(world: World) -> None:
    vn = (await world.pair()).vn
    there, back = await world.ask(vn, CUSTOMER), await world.ask(vn, COURIER)
    assert (outcome(there), there.presented) == (COURIER, "07080000000")
    assert (outcome(back), back.presented) == (CUSTOMER, "07080000000")
    assert outcome(await world.ask(vn, STRANGER)) is Reason.NOT_A_PARTY


async def test_a_release_is_final_and_idempotent(world: World) -> None:
    binding = await world.allocate()
    first = await world.bindings.release(world.mall, binding.id)
    world.clock.move(seconds=5)
    second = await world.bindings.release(world.mall, binding.id)
    assert first == second
    assert first.status is Status.RELEASED
    assert outcome(await world.ask(binding.vn, COURIER)) is Reason.ENDED
    world.clock.move(days=7)
    assert outcome(await world.ask(binding.vn, COURIER)) is Reason.UNALLOCATED


async def test_another_tenant_neither_sees_nor_ends_a_binding(world: World) -> None:
    binding, other = await world.allocate(reference="r"), await world.tenant("other")
    for attempt in (
        world.bindings.get(other, binding.id),
        world.bindings.release(other, binding.id),
        world.bindings.change(other, binding.id, BindingChange(ttl_seconds=5)),
    ):
        with pytest.raises(NotFound):
            await attempt
    [outcome_] = await world.bindings.release_many(other, references=["r"])
    assert isinstance(outcome_.error, NotFound)
    assert not (await world.bindings.find(other)).items
    assert outcome(await world.ask(binding.vn, COURIER)) == CUSTOMER


async def test_a_sliding_end_moves_with_connected_decisions_only(world: World) -> None:
    binding = await world.allocate(ttl_seconds=100)
    world.clock.move(seconds=90)
    assert outcome(await world.ask(binding.vn, CUSTOMER)) is Reason.NOT_ALLOWED
    assert outcome(await world.ask(binding.vn, COURIER)) == CUSTOMER
    world.clock.move(seconds=99)
    assert (await world.bindings.get(world.mall, binding.id)).status is Status.ACTIVE
    world.clock.move(seconds=1)
    assert outcome(await world.ask(binding.vn, COURIER)) is Reason.ENDED
    assert (await world.bindings.get(world.mall, binding.id)).status is Status.EXPIRED


async def test_a_sliding_end_never_passes_the_absolute_one(world: World) -> None:
    end = world.clock.now() + timedelta(seconds=120)
    binding = await world.allocate(ttl_seconds=100, expires_at=end)
    world.clock.move(seconds=99)
    assert outcome(await world.ask(binding.vn, COURIER)) == CUSTOMER
    assert (await world.bindings.get(world.mall, binding.id)).expires_at == end
    world.clock.move(seconds=21)
    assert outcome(await world.ask(binding.vn, COURIER)) is Reason.ENDED


async def test_explaining_a_decision_does_not_move_a_sliding_end(world: World) -> None:
    binding = await world.allocate(ttl_seconds=100)
    world.clock.move(seconds=50)
    question = Question(vn=binding.vn, caller=parse(COURIER), channel=Channel.VOICE, at=world.clock.now())
    async with world.db.connection() as connection:
        routed = await world.router.route(connection, question, connect=False)
    assert outcome(routed) == CUSTOMER
    assert (await world.bindings.get(world.mall, binding.id)).expires_at == binding.expires_at


async def test_a_consumed_binding_connects_no_more(world: World) -> None:
    binding = await world.allocate(expire_after_call=True)
    async with world.db.transaction() as connection:
        assert await consume(connection, binding.id, world.clock.now(), actor="test")
        assert not await consume(connection, binding.id, world.clock.now(), actor="test")
    assert outcome(await world.ask(binding.vn, COURIER)) is Reason.ENDED
    assert (await world.bindings.get(world.mall, binding.id)).status is Status.CONSUMED


async def test_a_pools_default_expiry_serves_where_none_is_asked_for(world: World) -> None:
    await world.pools.create(
        "test",
        NewPool(name="short", service=Service.PERSONAL, first=50460000000, last=50460000009, default_ttl_seconds=30),
    )
    binding = await world.allocate(pool="short")
    assert (binding.ttl_seconds, binding.expires_at) == (30, world.clock.now() + timedelta(seconds=30))


async def test_a_change_extends_a_binding_and_its_quarantine(world: World) -> None:
    binding = await world.allocate(ttl_seconds=100)
    world.clock.move(seconds=50)
    end = world.clock.now() + timedelta(days=1)
    changed = await world.bindings.change(
        world.mall, binding.id, BindingChange(expires_at=end, clear_ttl_seconds=True, reference="new")
    )
    assert (changed.expires_at, changed.ttl_seconds, changed.reference) == (end, None, "new")
    world.clock.move(hours=23)
    assert outcome(await world.ask(binding.vn, COURIER)) == CUSTOMER
    world.clock.move(days=7, hours=1, seconds=-1)
    assert outcome(await world.ask(binding.vn, COURIER)) is Reason.ENDED


async def test_a_new_party_takes_the_old_ones_place(world: World) -> None:
    binding = await world.pair()
    await world.bindings.change(world.mall, binding.id, BindingChange(peer_number=parse(STRANGER)))
    assert outcome(await world.ask(binding.vn, STRANGER)) == CUSTOMER
    assert outcome(await world.ask(binding.vn, CUSTOMER)) == STRANGER
    assert outcome(await world.ask(binding.vn, COURIER)) is Reason.ENDED
    with pytest.raises(PairInUse):
        await world.pair(COURIER, "01012121212", vn="070-8000-0000")


async def test_a_party_taken_back_is_connected_again(world: World) -> None:
    binding = await world.pair()
    await world.bindings.change(world.mall, binding.id, BindingChange(peer_number=parse(STRANGER)))
    with pytest.raises(PairInUse):  # the seat rests: it is not given even to the pair that left it
        await world.bindings.change(world.mall, binding.id, BindingChange(peer_number=parse(COURIER)))
    world.clock.move(days=7)
    await world.bindings.change(world.mall, binding.id, BindingChange(peer_number=parse(COURIER)))
    assert outcome(await world.ask(binding.vn, COURIER)) == CUSTOMER


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param(BindingChange(real_number=parse("112")), NumberNotMappable, id="emergency number"),
        pytest.param(BindingChange(real_number=parse("07080000001")), NumberNotMappable, id="virtual number"),
        pytest.param(BindingChange(real_number=parse(COURIER)), SameParty, id="same party"),
        pytest.param(BindingChange(peer_number=parse("01012121212")), PairInUse, id="party with a pair here"),
        pytest.param(BindingChange(channels=frozenset()), InvalidRequest, id="no channel"),
        pytest.param(BindingChange(ttl_seconds=-5), InvalidRequest, id="negative ttl"),
    ],
)
async def test_a_change_that_cannot_be_made_changes_nothing(
    world: World, change: BindingChange, error: type[VnsError]
) -> None:
    binding = await world.pair()
    await world.pair("01012121212", "01034343434", vn="070-8000-0000")
    with pytest.raises(error):
        await world.bindings.change(world.mall, binding.id, change)
    assert await world.bindings.get(world.mall, binding.id) == binding
    assert outcome(await world.ask(binding.vn, COURIER)) == CUSTOMER


async def test_an_ended_binding_does_not_change(world: World) -> None:
    binding = await world.allocate(ttl_seconds=5)
    world.clock.move(seconds=5)
    with pytest.raises(InvalidRequest):
        await world.bindings.change(world.mall, binding.id, BindingChange(ttl_seconds=100))
    live = await world.allocate()
    with pytest.raises(ExpiresTooSoon):
        await world.bindings.change(world.mall, live.id, BindingChange(expires_at=world.clock.now()))


async def test_a_bulk_release_ends_all_live_matches(world: World) -> None:
    one, two, three = [await world.allocate(reference="waybill") for _ in range(3)]
    await world.bindings.release(world.mall, three.id)
    other = await world.allocate()
    by_reference = await world.bindings.release_many(world.mall, references=["waybill", "nothing"])
    assert {binding.id for binding in by_reference[0].released} == {one.id, two.id}
    assert isinstance(by_reference[1].error, NotFound)
    [again] = await world.bindings.release_many(world.mall, references=["waybill"])
    assert (again.released, again.error) == ((), None)
    [by_number] = await world.bindings.release_many(world.mall, virtual_numbers=[other.vn])
    assert [binding.id for binding in by_number.released] == [other.id]
    assert (await world.bindings.get(world.mall, other.id)).status is Status.RELEASED


async def test_lists_go_page_by_page_newest_first(world: World) -> None:
    made = [await world.allocate(reference="r") for _ in range(5)]
    first = await world.bindings.find(world.mall, reference="r", limit=3)
    second = await world.bindings.find(world.mall, reference="r", limit=3, cursor=first.next_cursor)
    assert [binding.id for binding in (*first.items, *second.items)] == [binding.id for binding in reversed(made)]
    assert second.next_cursor is None
    with pytest.raises(InvalidRequest):
        await world.bindings.find(world.mall, cursor="nonsense")


async def test_lists_know_an_end_before_the_worker_does(world: World) -> None:
    binding = await world.allocate(ttl_seconds=5)
    world.clock.move(seconds=5)
    assert not (await world.bindings.find(world.mall, status=Status.ACTIVE)).items
    assert [found.id for found in (await world.bindings.find(world.mall, status=Status.EXPIRED)).items] == [binding.id]


async def test_a_courier_sees_the_live_number_of_the_malls_it_serves(world: World) -> None:
    courier = await world.tenant("courier", TenantKind.COURIER)
    await world.allocate(reference="waybill")
    assert [type(found) for found in await world.bindings.deliveries(courier, ["waybill"])] == [NotFound]
    await world.access.grant_lookup("test", courier="courier", mall="mall")
    courier = await world.login("courier")
    live = await world.allocate(reference="waybill")
    ended = await world.allocate(reference="waybill")
    await world.bindings.release(world.mall, ended.id)
    found = await world.bindings.deliveries(courier, ["waybill", "unknown"])
    assert found[0] == Delivery(reference="waybill", vn=live.vn, status=Status.ACTIVE, expires_at=None)
    assert isinstance(found[1], NotFound)


async def test_two_malls_with_one_waybill_are_not_guessed_between(world: World) -> None:
    await world.tenant("courier", TenantKind.COURIER)
    second = await world.tenant("second")
    for mall in ("mall", "second"):
        await world.access.grant_lookup("test", courier="courier", mall=mall)
    courier = await world.login("courier")
    mine = await world.allocate(reference="waybill")
    await world.bindings.allocate(second, request(reference="waybill"))
    [ambiguous] = await world.bindings.deliveries(courier, ["waybill"])
    assert isinstance(ambiguous, AmbiguousReference)
    [named] = await world.bindings.deliveries(courier, ["waybill"], tenant="mall")
    assert isinstance(named, Delivery)
    assert named.vn == mine.vn


async def test_who_was_replaced_rests_no_longer_because_the_pair_is_released_later(world: World) -> None:
    pair = await world.pair()
    change = BindingChange(peer_number=parse(STRANGER))
    await world.bindings.change(world.mall, pair.id, change)
    replaced = world.clock.now()
    world.clock.move(hours=1)
    await world.bindings.release(world.mall, pair.id)
    async with world.db.connection() as connection:
        seats = await connection.fetch("select party, free_at from seats where vn = $1", pair.vn)
    began = {row["party"]: row["free_at"] - timedelta(days=7) for row in seats}
    assert began == {
        world.keyring.index(COURIER): replaced,
        world.keyring.index(CUSTOMER): world.clock.now(),
        world.keyring.index(STRANGER): world.clock.now(),
    }
