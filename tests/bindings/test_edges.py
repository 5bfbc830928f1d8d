"""The edges of what may be asked: times at the end of the calendar, texts that cannot be stored, names given twice."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World, request
from vns.access.rules import TenantKind
from vns.bindings.rules import Allocation, BindingChange, Channel, Status
from vns.errors import ExpiresTooSoon, IdempotencyMismatch, InvalidRequest, NotFound, VnsError
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import FOREVER, PoolChange
from vns.routing.rules import Reason, Refuse

CANNOT_BE_STORED = ["a\0b", "\ud800", "", "x" * 129]
LAST = datetime.max.replace(tzinfo=UTC)
BEYOND = datetime.max.replace(tzinfo=timezone(-timedelta(hours=9)))
FOREVER_TTL = 2**31 - 1


@pytest.mark.parametrize("reference", CANNOT_BE_STORED)
async def test_a_reference_that_cannot_be_stored(world: World, reference: str) -> None:
    await world.tenant("courier", TenantKind.COURIER)
    await world.access.grant_lookup("test", courier="courier", mall="mall")
    courier = await world.login("courier")
    binding = await world.allocate()
    for attempt in (
        world.allocate(reference=reference),
        world.bindings.change(world.mall, binding.id, BindingChange(reference=reference)),
        world.bindings.find(world.mall, reference=reference),
        world.bindings.release_many(world.mall, references=[reference]),
        world.bindings.deliveries(courier, [reference]),
    ):
        with pytest.raises(InvalidRequest):
            await attempt


@pytest.mark.parametrize("text", ["한국어 주문 🙂", "'; drop table bindings; --", "%_\\", "\n\t\x7f"])
async def test_a_reference_is_any_other_text(world: World, text: str) -> None:
    binding = await world.allocate(reference=text)
    assert (await world.bindings.find(world.mall, reference=text)).items == (binding,)
    [released] = await world.bindings.release_many(world.mall, references=[text])
    assert [found.id for found in released.released] == [binding.id]


@pytest.mark.parametrize("field", ["purpose", "reference"])
async def test_one_text_that_cannot_be_stored_spoils_no_batch(world: World, field: str) -> None:
    bad = request(**{field: "a\0b"})
    answers = await world.bindings.allocate_many(world.mall, [request(), bad, request()])
    assert [type(answer) for answer in answers] == [Allocation, InvalidRequest, Allocation]


@pytest.mark.parametrize("key", ["", "x" * 1_000, "가" * 1_000, "a\0b"])
async def test_an_idempotency_key_that_cannot_be_stored(world: World, key: str) -> None:
    with pytest.raises(InvalidRequest):
        await world.bindings.allocate(world.mall, request(), key)


async def test_a_key_holds_for_the_found_binding_of_an_ensure(world: World) -> None:
    ensured = request(ensure=True, reference="r")
    made = await world.bindings.allocate(world.mall, ensured)
    found = await world.bindings.allocate(world.mall, ensured, "key")
    assert (made.created, found.created) == (True, False)
    assert made.binding is not None
    await world.bindings.release(world.mall, made.binding.id)
    again = await world.bindings.allocate(world.mall, ensured, "key")
    assert (again.stored_status, again.stored_body) == (200, f'{{"id": "{made.binding.id}"}}')
    with pytest.raises(IdempotencyMismatch):
        await world.bindings.allocate(world.mall, request(reference="r"), "key")


async def test_two_tenants_may_use_one_key(world: World) -> None:
    other = await world.tenant("other")
    mine = await world.bindings.allocate(world.mall, request(), "key")
    theirs = await world.bindings.allocate(other, request(STRANGER), "key")
    assert mine.created
    assert theirs.created


@pytest.mark.parametrize("end", [LAST, FOREVER, FOREVER - timedelta(seconds=1)])
async def test_an_end_at_the_end_of_the_calendar(world: World, end: datetime) -> None:
    await world.pools.change("test", (await world.pools.get("safe")).id, PoolChange(quarantine_seconds=FOREVER_TTL))
    binding = await world.allocate(expires_at=end, ttl_seconds=FOREVER_TTL)
    assert (await world.ask(binding.vn, COURIER)).target is not None
    changed = await world.bindings.change(world.mall, binding.id, BindingChange(clear_ttl_seconds=True))
    assert changed.expires_at == (None if end >= FOREVER else end)
    await world.bindings.release(world.mall, binding.id)
    refused = (await world.ask(binding.vn, COURIER)).decision
    assert isinstance(refused, Refuse)
    assert refused.reason is Reason.ENDED


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param({"expires_at": BEYOND}, InvalidRequest, id="an end that UTC cannot spell"),
        pytest.param({"expires_at": datetime(2030, 1, 1)}, InvalidRequest, id="an end without zone"),  # noqa: DTZ001
        pytest.param({"expires_at": datetime.min.replace(tzinfo=UTC)}, ExpiresTooSoon, id="the first of all days"),
        pytest.param({"ttl_seconds": 2**31}, InvalidRequest, id="ttl beyond an integer"),
        pytest.param({"ttl_seconds": 10**20}, InvalidRequest, id="ttl beyond a timedelta"),
        pytest.param({"ttl_seconds": -1}, InvalidRequest, id="negative ttl"),
    ],
)
async def test_an_end_of_no_calendar(world: World, fields: dict[str, object], error: type[VnsError]) -> None:
    binding = await world.allocate()
    with pytest.raises(error):
        await world.allocate(**fields)  # type: ignore[arg-type]
    with pytest.raises(error):
        await world.bindings.change(world.mall, binding.id, BindingChange(**fields))  # type: ignore[arg-type]


async def test_a_new_absolute_end_leaves_a_sliding_one_where_it_is(world: World) -> None:
    binding = await world.allocate(ttl_seconds=100)
    world.clock.move(seconds=50)
    far = world.clock.now() + timedelta(days=1)
    changed = await world.bindings.change(world.mall, binding.id, BindingChange(expires_at=far))
    assert changed.expires_at == binding.expires_at
    near = await world.bindings.change(
        world.mall, binding.id, BindingChange(ttl_seconds=1_000, expires_at=world.clock.now() + timedelta(seconds=60))
    )
    assert near.expires_at == world.clock.now() + timedelta(seconds=60)
    slid = await world.bindings.change(world.mall, binding.id, BindingChange(clear_expires_at=True))
    assert slid.expires_at == world.clock.now() + timedelta(seconds=1_000)


async def test_the_parties_of_a_pair_change_places(world: World) -> None:
    pair = await world.pair()
    swap = BindingChange(real_number=parse(COURIER), peer_number=parse(CUSTOMER))
    changed = await world.bindings.change(world.mall, pair.id, swap)
    assert (changed.real_masked, changed.peer_masked) == (pair.peer_masked, pair.real_masked)
    for caller, callee in ((CUSTOMER, COURIER), (COURIER, CUSTOMER)):
        target = (await world.ask(pair.vn, caller)).target
        assert target is not None
        assert target.digits == callee


async def test_both_parties_are_replaced_at_once(world: World) -> None:
    pair = await world.pair()
    new = BindingChange(real_number=parse(STRANGER), peer_number=parse("01077778888"))
    await world.bindings.change(world.mall, pair.id, new)
    target = (await world.ask(pair.vn, STRANGER)).target
    assert target is not None
    assert target.digits == "01077778888"
    for gone in (CUSTOMER, COURIER):
        refused = (await world.ask(pair.vn, gone)).decision
        assert isinstance(refused, Refuse)
        assert refused.reason is Reason.ENDED


async def test_a_channel_taken_away_and_given_back(world: World) -> None:
    binding = await world.allocate()
    for channels, connects in ((frozenset({Channel.SMS}), False), (frozenset(Channel), True)):
        await world.bindings.change(world.mall, binding.id, BindingChange(channels=channels))
        assert ((await world.ask(binding.vn, COURIER)).target is not None) is connects
        assert (await world.ask(binding.vn, COURIER, Channel.SMS)).target is not None


async def test_a_release_by_names_that_look_alike(world: World) -> None:
    """A reference may be spelt like another binding's id or number; each is answered for itself, and each time."""
    first, second = await world.allocate(), await world.allocate()
    like_id = await world.allocate(reference=str(first.id))
    like_number = await world.allocate(reference=digits_of(second.vn))
    outcomes = await world.bindings.release_many(
        world.mall,
        ids=[first.id, first.id, uuid4()],
        references=[str(first.id), digits_of(second.vn), str(first.id)],
        virtual_numbers=[second.vn, second.vn],
    )
    assert [[binding.id for binding in outcome.released] for outcome in outcomes] == [
        [first.id], [first.id], [], [like_id.id], [like_number.id], [like_id.id], [second.id], [second.id],
    ]  # fmt: skip
    assert isinstance(outcomes[2].error, NotFound)
    for binding in (first, second, like_id, like_number):
        assert (await world.bindings.get(world.mall, binding.id)).status is Status.RELEASED
