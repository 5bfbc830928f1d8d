"""Allocation on a real database: which number is given, to whom, and what is refused."""

import asyncio
from datetime import timedelta

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World, request
from vns.bindings.rules import Allocation, CallerId, Status
from vns.errors import (
    ExpiresTooSoon,
    IdempotencyMismatch,
    InvalidRequest,
    ModeNotSupported,
    NotFound,
    NumberNotMappable,
    PairInUse,
    PoolExhausted,
    QuotaExceeded,
    SameParty,
    VirtualNumberInUse,
    VnsError,
)
from vns.numbering.rules import parse
from vns.pools.rules import Mode, PoolChange, Service


async def test_a_one_way_binding_gets_a_050_number_and_masks_its_party(world: World) -> None:
    binding = await world.allocate(reference="order-1")
    assert 50410000000 <= binding.vn <= 50410000019
    assert (binding.status, binding.real_masked, binding.exposes) == (Status.ACTIVE, "010-****-2222", ("caller",))
    assert await world.bindings.get(world.mall, binding.id) == binding


async def test_a_pair_gets_a_070_number_and_exposes_nobody(world: World) -> None:
    binding = await world.pair()
    assert 7080000000 <= binding.vn <= 7080000019
    assert (binding.real_masked, binding.peer_masked, binding.exposes) == ("010-****-2222", "010-****-4444", ())
    assert binding.caller_id is CallerId.VIRTUAL


async def test_pairs_share_a_number_until_a_party_comes_again(world: World) -> None:
    first = await world.pair(CUSTOMER, COURIER)
    strangers = await world.pair(STRANGER, "01077778888")
    assert strangers.vn == first.vn
    again = await world.pair(CUSTOMER, "01099990000")
    assert again.vn != first.vn


async def test_the_same_pair_again_gets_another_number(world: World) -> None:
    assert (await world.pair()).vn != (await world.pair()).vn


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param({"mode": Mode.BIDIRECTIONAL}, InvalidRequest, id="pair without peer"),
        pytest.param({"peer": COURIER}, InvalidRequest, id="peer without pair"),
        pytest.param({"mode": Mode.BIDIRECTIONAL, "peer": CUSTOMER}, SameParty, id="same party"),
        pytest.param(
            {"mode": Mode.BIDIRECTIONAL, "peer": COURIER, "service": Service.PERSONAL},
            ModeNotSupported,
            id="pair on 050",
        ),
        pytest.param({"real": "050412345678"}, NumberNotMappable, id="a 050 as party"),
        pytest.param({"real": "07080000003"}, NumberNotMappable, id="a virtual number as party"),
        pytest.param({"ttl_seconds": 0}, InvalidRequest, id="ttl below a second"),
        pytest.param({"pool": "nowhere"}, NotFound, id="unknown pool"),
        pytest.param({"vn": "0504-2000-0000"}, NotFound, id="number in no pool"),
        pytest.param({"vn": "0504-1000-0001", "pool": "voip"}, InvalidRequest, id="number not in the pool"),
        pytest.param({"service": Service.REPRESENTATIVE}, PoolExhausted, id="no pool of the service"),
    ],
)
async def test_a_request_that_cannot_be_served_says_why(
    world: World, fields: dict[str, object], error: type[VnsError]
) -> None:
    with pytest.raises(error):
        await world.allocate(**fields)  # type: ignore[arg-type]


async def test_an_end_less_than_a_minute_ahead_is_refused(world: World) -> None:
    with pytest.raises(ExpiresTooSoon):
        await world.allocate(expires_at=world.clock.now() + timedelta(seconds=59))
    assert await world.allocate(expires_at=world.clock.now() + timedelta(seconds=60))


async def test_an_empty_pool_says_so_and_takes_no_live_number(world: World) -> None:
    given = {(await world.allocate()).vn for _ in range(20)}
    assert len(given) == 20
    with pytest.raises(PoolExhausted):
        await world.allocate()


async def test_rested_numbers_come_back_longest_rested_first(world: World) -> None:
    bindings = [await world.allocate() for _ in range(20)]
    for binding in (bindings[7], bindings[3]):
        await world.bindings.release(world.mall, binding.id)
        world.clock.move(seconds=1)
    with pytest.raises(PoolExhausted):
        await world.allocate()
    world.clock.move(days=7)
    assert [(await world.allocate()).vn for _ in range(2)] == [bindings[7].vn, bindings[3].vn]


async def test_an_expired_number_rests_from_its_end_without_anybody_writing_so(world: World) -> None:
    for _ in range(20):
        await world.allocate(ttl_seconds=100)
    world.clock.move(days=7, seconds=99)
    with pytest.raises(PoolExhausted):
        await world.allocate()
    world.clock.move(seconds=1)
    binding = await world.allocate()
    page = await world.bindings.find(world.mall, virtual_number=binding.vn)
    assert [found.status for found in page.items] == [Status.ACTIVE, Status.EXPIRED]


async def test_an_empty_shared_number_serves_exclusively_again(world: World) -> None:
    await world.pool("070-9000-0000", "070-9000-0000", Service.VOIP, name="one")
    pair = await world.pair(pool="one")
    with pytest.raises(PoolExhausted):
        await world.allocate(pool="one")
    await world.bindings.release(world.mall, pair.id)
    world.clock.move(days=7)
    assert (await world.allocate(pool="one")).vn == pair.vn


async def test_a_named_number_is_given_once(world: World) -> None:
    named = "0504-1000-0005"
    binding = await world.allocate(vn=named)
    assert binding.vn == parse(named).key
    with pytest.raises(VirtualNumberInUse):
        await world.allocate(vn=named)
    others = {(await world.allocate()).vn for _ in range(19)}
    assert binding.vn not in others


async def test_a_number_in_quarantine_is_revived_for_the_same_party_only(world: World) -> None:
    binding = await world.allocate(vn="0504-1000-0005")
    await world.bindings.release(world.mall, binding.id)
    with pytest.raises(VirtualNumberInUse):
        await world.allocate(STRANGER, vn="0504-1000-0005")
    other = await world.tenant("other")
    with pytest.raises(VirtualNumberInUse):
        await world.bindings.allocate(other, request(vn="0504-1000-0005"))
    assert (await world.allocate(vn="0504-1000-0005")).vn == binding.vn


async def test_a_pair_in_quarantine_is_revived_for_the_same_parties_only(world: World) -> None:
    pair = await world.pair(vn="070-8000-0005")
    with pytest.raises(PairInUse):
        await world.pair(CUSTOMER, STRANGER, vn="070-8000-0005")
    await world.bindings.release(world.mall, pair.id)
    with pytest.raises(PairInUse):
        await world.pair(CUSTOMER, STRANGER, vn="070-8000-0005")
    assert (await world.pair(COURIER, CUSTOMER, vn="070-8000-0005")).vn == pair.vn


async def test_an_exclusive_number_takes_no_pair_and_a_shared_one_no_single(world: World) -> None:
    await world.allocate(vn="070-8000-0001")
    with pytest.raises(VirtualNumberInUse):
        await world.pair(vn="070-8000-0001")
    await world.pair(vn="070-8000-0002")
    with pytest.raises(VirtualNumberInUse):
        await world.allocate(STRANGER, vn="070-8000-0002")


async def test_locked_numbers_are_passed_over_and_reserved_ones_only_named(world: World) -> None:
    pool = await world.pools.get("safe")
    locked, reserved = pool.first, pool.first + 1
    await world.pools.change("test", pool.id, PoolChange(lock=(locked,), reserve=(reserved,)))
    given = {(await world.allocate()).vn for _ in range(18)}
    assert not given & {locked, reserved}
    with pytest.raises(PoolExhausted):
        await world.allocate()
    with pytest.raises(VirtualNumberInUse):
        await world.allocate(vn="0504-1000-0000")
    assert (await world.allocate(vn="0504-1000-0001")).vn == reserved


async def test_ensure_finds_the_live_binding_of_the_same_parties(world: World) -> None:
    first = await world.bindings.allocate(world.mall, request(ensure=True, reference="r"))
    second = await world.bindings.allocate(world.mall, request(ensure=True, reference="r"))
    assert (first.created, second.created) == (True, False)
    assert first.binding and second.binding and first.binding.id == second.binding.id
    other = await world.bindings.allocate(world.mall, request(STRANGER, ensure=True, reference="r"))
    assert other.created


async def test_ensure_without_a_reference_goes_by_the_parties_alone(world: World) -> None:
    named = await world.allocate(reference="r")
    first = await world.bindings.allocate(world.mall, request(ensure=True))
    again = await world.bindings.allocate(world.mall, request(ensure=True))
    assert first.binding and again.binding
    assert first.binding.id == again.binding.id != named.id
    pair = await world.pair()
    turned = request(COURIER, mode=Mode.BIDIRECTIONAL, peer=CUSTOMER, ensure=True)
    found = await world.bindings.allocate(world.mall, turned)
    assert found.binding and found.binding.id == pair.id


async def test_many_ensures_at_once_make_one_binding(world: World) -> None:
    wanted = request(ensure=True, reference="r")
    answers = await asyncio.gather(*(world.bindings.allocate(world.mall, wanted) for _ in range(20)))
    assert len({answer.binding.id for answer in answers if answer.binding}) == 1
    assert [answer.created for answer in answers].count(True) == 1


async def test_an_idempotency_key_answers_as_before(world: World) -> None:
    first = await world.bindings.allocate(world.mall, request(), "key")
    again = await world.bindings.allocate(world.mall, request(), "key")
    assert first.binding is not None
    assert (again.stored_status, again.stored_body) == (201, f'{{"id": "{first.binding.id}"}}')
    with pytest.raises(IdempotencyMismatch):
        await world.bindings.allocate(world.mall, request(STRANGER), "key")
    world.clock.move(hours=25)
    assert (await world.bindings.allocate(world.mall, request(STRANGER), "key")).created


async def test_the_same_key_many_times_at_once_makes_one_binding(world: World) -> None:
    answers = await asyncio.gather(*(world.bindings.allocate(world.mall, request(), "key") for _ in range(20)))
    assert [answer.created for answer in answers].count(True) == 1
    assert len((await world.bindings.find(world.mall)).items) == 1


async def test_one_bad_item_of_a_batch_spoils_no_other(world: World) -> None:
    items = [request(), request(vn="0504-1000-0001"), request(vn="0504-1000-0001"), request("01000001111")]
    items += [request(mode=Mode.BIDIRECTIONAL), request(mode=Mode.BIDIRECTIONAL, peer=COURIER)]
    answers = await world.bindings.allocate_many(world.mall, items)
    kinds = [type(answer) for answer in answers]
    assert kinds == [Allocation, Allocation, VirtualNumberInUse, Allocation, InvalidRequest, Allocation]


async def test_a_batch_larger_than_the_pool_fills_it(world: World) -> None:
    answers = await world.bindings.allocate_many(world.mall, [request() for _ in range(25)])
    made = [answer.binding.vn for answer in answers if isinstance(answer, Allocation) and answer.binding]
    assert len(set(made)) == 20
    assert [type(answer) for answer in answers].count(PoolExhausted) == 5


async def test_a_quota_of_live_bindings_holds_under_a_rush(world: World) -> None:
    small = await world.tenant("small", max_live_bindings=3)
    answers = await asyncio.gather(
        *(world.bindings.allocate(small, request()) for _ in range(10)), return_exceptions=True
    )
    assert [type(answer) for answer in answers].count(Allocation) == 3
    assert [type(answer) for answer in answers].count(QuotaExceeded) == 7


async def test_a_tenants_own_pool_serves_it_first_and_nobody_else(world: World) -> None:
    other = await world.tenant("other")
    await world.pool("0504-3000-0000", "0504-3000-0000", name="own", owner_id=other.tenant_id)
    own = await world.bindings.allocate(other, request())
    shared = await world.bindings.allocate(other, request())
    assert own.binding and own.binding.vn == 50430000000
    assert shared.binding and shared.binding.vn < 50410000020
    with pytest.raises(NotFound):
        await world.allocate(pool="own")
