"""The modes with numbers, extensions or teams of their own: allocated, decided, changed and ended."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World, request
from vns.bindings.rules import Binding, BindingChange, CallerId, Channel, Ring, Status
from vns.errors import (
    Conflict,
    InvalidRequest,
    ModeNotSupported,
    NumberNotMappable,
    PairInUse,
    PoolExhausted,
    SameParty,
    VirtualNumberInUse,
    VnsError,
)
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import ManagedBy, Mode, PoolChange, Service
from vns.routing.rules import Collect, Reason, Refuse
from vns.routing.service import Routed

TEAM = ("01070000001", "01070000002", "01070000003")
OTHER = "01088889999"
WAYS: dict[Mode, dict[str, Any]] = {
    Mode.PER_SIDE: {"peer": COURIER},
    Mode.EXTENSION: {},
    Mode.GROUP: {"members": TEAM},
    Mode.OUTBOUND: {},
}
each_mode = pytest.mark.parametrize("mode", list(WAYS))


async def made(world: World, mode: Mode, real: str = CUSTOMER, **fields: Any) -> Binding:
    return await world.allocate(real, mode=mode, **{**WAYS[mode], **fields})


async def dial(world: World, vn: int | None, caller: str, **fields: Any) -> Routed:
    return await world.ask(vn, caller, **fields)  # type: ignore[arg-type]  # None: no virtual number


def reason(routed: Routed) -> Reason:
    assert isinstance(routed.decision, Refuse)
    return routed.decision.reason


async def reaches_owner(world: World, binding: Binding) -> Routed:
    """By whom and in the way that the mode has for it."""
    match binding.mode:
        case Mode.EXTENSION:
            return await dial(world, binding.vn, STRANGER, digits=binding.extension)
        case Mode.GROUP:
            return await dial(world, binding.vn, TEAM[1])
        case Mode.OUTBOUND:
            return await dial(world, None, CUSTOMER, dialled=parse(OTHER))
        case _:
            return await dial(world, binding.vn, COURIER)


async def test_each_side_knows_the_other_by_a_number_of_its_own(world: World) -> None:
    binding = await made(world, Mode.PER_SIDE)
    assert binding.peer_vn is not None
    assert binding.peer_vn != binding.vn
    to_customer, to_courier = await dial(world, binding.vn, COURIER), await dial(world, binding.peer_vn, CUSTOMER)
    assert (to_customer.target, to_customer.presented) == (parse(CUSTOMER), digits_of(binding.peer_vn))
    assert (to_courier.target, to_courier.presented) == (parse(COURIER), digits_of(binding.vn))
    for vn, caller in ((binding.vn, CUSTOMER), (binding.peer_vn, COURIER), (binding.vn, STRANGER)):
        assert reason(await dial(world, vn, caller)) is Reason.NOT_A_PARTY
    assert binding.exposes == ()


async def test_a_party_needs_as_many_numbers_as_it_has_peers(world: World) -> None:
    """Couriers with disjoint customers share two numbers; each further peer of one party takes one more."""
    for number in range(4):
        await made(world, Mode.PER_SIDE, f"0101111000{number}", peer=f"0103333000{number}")
    async with world.db.connection() as connection:
        assert await connection.fetchval("select count(*) from numbers where kind = 'shared'") == 2
    for number in range(4):
        await made(world, Mode.PER_SIDE, f"0101111100{number}", peer="01033339999")
    async with world.db.connection() as connection:
        assert await connection.fetchval("select count(*) from numbers where kind = 'shared'") == 4


async def test_callers_reach_an_owner_by_its_extension_and_it_calls_the_last_one_back(world: World) -> None:
    one, two = await made(world, Mode.EXTENSION), await made(world, Mode.EXTENSION, OTHER)
    assert (one.vn, one.exposes) == (two.vn, ("caller",))
    assert one.extension is not None
    assert one.extension != two.extension
    assert isinstance((await dial(world, one.vn, STRANGER)).decision, Collect)
    assert (await dial(world, one.vn, STRANGER, digits=one.extension)).target == parse(CUSTOMER)
    assert (await dial(world, two.vn, STRANGER, digits=two.extension)).target == parse(OTHER)
    wrong = next(digits for digits in ("0000", "1111", "2222") if digits not in (one.extension, two.extension))
    assert isinstance((await dial(world, one.vn, STRANGER, digits=wrong)).decision, Refuse)


async def test_an_owner_has_one_extension_on_a_number(world: World) -> None:
    one, two = await made(world, Mode.EXTENSION), await made(world, Mode.EXTENSION)
    assert one.vn != two.vn
    with pytest.raises(PairInUse):
        await made(world, Mode.EXTENSION, vn=digits_of(one.vn))


async def test_an_extension_may_be_wished_for(world: World) -> None:
    one = await made(world, Mode.EXTENSION, extension="77")
    assert one.extension == "77"
    with pytest.raises(VirtualNumberInUse):
        await made(world, Mode.EXTENSION, OTHER, vn=digits_of(one.vn), extension="77")
    elsewhere = await made(world, Mode.EXTENSION, OTHER, extension="77")
    assert (elsewhere.extension, elsewhere.vn != one.vn) == ("77", True)


async def test_a_team_stands_behind_one_number(world: World) -> None:
    binding = await made(world, Mode.GROUP, ring=Ring.ALL)
    assert (binding.ring, binding.members_masked) == (Ring.ALL, ("010-****-0001", "010-****-0002", "010-****-0003"))
    called = await dial(world, binding.vn, CUSTOMER)
    assert called.targets == tuple(map(parse, TEAM))
    assert called.presented == digits_of(binding.vn)
    for member in TEAM:
        assert (await dial(world, binding.vn, member)).target == parse(CUSTOMER)
    assert reason(await dial(world, binding.vn, STRANGER)) is Reason.NOT_A_PARTY
    second = await made(world, Mode.GROUP, OTHER)
    assert second.vn != binding.vn, "each member is known by one binding on a number"
    third = await made(world, Mode.GROUP, STRANGER, members=[OTHER])
    assert third.vn == binding.vn


async def test_a_team_changes(world: World) -> None:
    binding = await made(world, Mode.GROUP)
    change = BindingChange(add_members=(parse(OTHER),), remove_members=(parse(TEAM[0]),), ring=Ring.ALL)
    changed = await world.bindings.change(world.mall, binding.id, change)
    assert (changed.members_masked, changed.ring) == (("010-****-0002", "010-****-0003", "010-****-9999"), Ring.ALL)
    assert reason(await dial(world, binding.vn, TEAM[0])) is Reason.ENDED
    assert (await dial(world, binding.vn, OTHER)).target == parse(CUSTOMER)
    whole = BindingChange(members=(parse(OTHER), parse(TEAM[1])))
    changed = await world.bindings.change(world.mall, binding.id, whole)
    assert changed.members_masked == ("010-****-9999", "010-****-0002")
    assert (await dial(world, binding.vn, CUSTOMER)).targets == (parse(OTHER), parse(TEAM[1]))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (BindingChange(remove_members=tuple(map(parse, TEAM))), InvalidRequest),
        (BindingChange(remove_members=(parse(OTHER),)), InvalidRequest),
        (BindingChange(add_members=(parse(TEAM[0]),)), SameParty),
        (BindingChange(add_members=(parse(CUSTOMER),)), SameParty),
        (BindingChange(real_number=parse(TEAM[0])), SameParty),
        (BindingChange(add_members=(parse("112"),)), NumberNotMappable),
        (BindingChange(add_members=(parse("07080000000"),)), NumberNotMappable),
        (BindingChange(peer_number=parse(OTHER)), InvalidRequest),
        (BindingChange(caller_id=CallerId.CALLER), InvalidRequest),
    ],
)
async def test_a_team_that_cannot_be(world: World, change: BindingChange, error: type[VnsError]) -> None:
    binding = await made(world, Mode.GROUP)
    with pytest.raises(error):
        await world.bindings.change(world.mall, binding.id, change)
    assert (await world.bindings.get(world.mall, binding.id)).members_masked == binding.members_masked


async def test_a_subscriber_calls_out_with_one_number_at_a_time(world: World) -> None:
    binding = await made(world, Mode.OUTBOUND, ttl_seconds=60)
    called = await dial(world, None, CUSTOMER, dialled=parse(OTHER))
    assert (called.target, called.presented, called.vn) == (parse(OTHER), digits_of(binding.vn), binding.vn)
    assert isinstance(await _refusal(world, None, STRANGER, dialled=parse(OTHER)), Refuse)
    assert isinstance((await dial(world, binding.vn, CUSTOMER)).decision, Collect)
    assert reason(await dial(world, binding.vn, STRANGER)) is Reason.NOT_ALLOWED
    with pytest.raises(PairInUse):
        await made(world, Mode.OUTBOUND)
    world.clock.move(seconds=61)
    again = await made(world, Mode.OUTBOUND)
    assert again.vn != binding.vn
    assert (await world.bindings.get(world.mall, binding.id)).status is Status.EXPIRED


async def _refusal(world: World, vn: int | None, caller: str, **fields: Any) -> object:
    return (await dial(world, vn, caller, **fields)).decision


async def test_nothing_unproven_is_presented(world: World) -> None:
    await world.pool("070-8100-0000", "070-8100-0009", Service.VOIP, name="unproven")
    with pytest.raises(ModeNotSupported):
        await made(world, Mode.OUTBOUND, pool="unproven")
    await world.pool(
        "070-8200-0000",
        "070-8200-0009",
        Service.VOIP,
        name="calls",
        voice_proof="file 2",
        voice_proof_until=world.clock.now() + timedelta(days=1),
    )
    texts = frozenset({Channel.SMS})
    with pytest.raises(ModeNotSupported):
        await made(world, Mode.OUTBOUND, pool="calls", channels=texts)
    calling = await made(world, Mode.OUTBOUND, pool="calls")
    await world.bindings.release(world.mall, calling.id)
    world.clock.move(days=1)
    with pytest.raises(ModeNotSupported):
        await made(world, Mode.OUTBOUND, pool="calls")
    binding = await made(world, Mode.OUTBOUND)
    await world.bindings.release(world.mall, binding.id)
    batch = await world.bindings.allocate_many(world.mall, [request(CUSTOMER, mode=Mode.OUTBOUND)] * 2)
    assert [isinstance(answer, PairInUse) for answer in batch] == [False, True]


async def test_numbers_that_may_be_shown_are_given_out_before_those_that_may_not(world: World) -> None:
    voip, end = await world.pools.get("voip"), world.clock.now() + timedelta(days=1)
    other = await world.pool("070-8100-0000", "070-8100-0009", Service.VOIP, voice_proof="file 3")
    assert (await world.pair()).vn in voip
    await world.pools.change("test", voip.id, PoolChange(voice_proof_until=end))
    world.clock.time = end
    assert (await world.pair("01012341234", "01012341235")).vn in other


@each_mode
async def test_a_release_ends_every_way_and_rests_every_place(world: World, mode: Mode) -> None:
    binding = await made(world, mode)
    assert (await reaches_owner(world, binding)).target is not None
    await world.bindings.release(world.mall, binding.id)
    ended = await reaches_owner(world, binding)
    assert ended.target is None
    if mode is not Mode.OUTBOUND:
        assert reason(ended) is Reason.ENDED
    async with world.db.connection() as connection:
        ends = await connection.fetch(
            "select free_at from seats where binding_id = $1 union select free_at from extensions where binding_id = $1"
            " union select free_at from numbers where binding_id = $1",
            binding.id,
        )
    assert [row["free_at"] for row in ends] == [world.clock.now() + (ends[0]["free_at"] - world.clock.now())]
    assert (ends[0]["free_at"] - world.clock.now()).days == 7
    assert (await world.bindings.get(world.mall, binding.id)).status is Status.RELEASED


@each_mode
async def test_a_sliding_end_moves_with_each_connected_decision(world: World, mode: Mode) -> None:
    binding = await made(world, mode, ttl_seconds=60)
    for _ in range(3):
        world.clock.move(seconds=59)
        assert (await reaches_owner(world, binding)).target is not None
    world.clock.move(seconds=61)
    assert (await reaches_owner(world, binding)).target is None
    async with world.db.connection() as connection:
        resting = await connection.fetchval(
            "select min(free_at) from (select free_at from seats where binding_id = $1 union all"
            " select free_at from extensions where binding_id = $1 union all"
            " select free_at from numbers where binding_id = $1) as places",
            binding.id,
        )
    assert (resting - world.clock.now()).days == 6


@each_mode
async def test_what_has_ended_is_taken_over_after_its_rest(world: World, mode: Mode) -> None:
    """Nobody has written the end down by then; the new binding closes the old one."""
    first = await made(world, mode, ttl_seconds=60)
    world.clock.move(days=8)
    names = {"vn": digits_of(first.vn)}
    if mode is Mode.EXTENSION:
        names["extension"] = first.extension or ""
    second = await made(world, mode, **names)
    assert (second.vn, second.extension) == (first.vn, first.extension)
    assert (await world.bindings.get(world.mall, first.id)).status is Status.EXPIRED
    assert (await reaches_owner(world, second)).decision.binding_id == second.id


@each_mode
async def test_a_returned_parcel_gets_its_number_back(world: World, mode: Mode) -> None:
    first = await made(world, mode)
    await world.bindings.release(world.mall, first.id)
    names = {"vn": digits_of(first.vn)}
    if first.peer_vn is not None:
        names["peer_vn"] = digits_of(first.peer_vn)
    with pytest.raises(Conflict):
        await made(world, mode, STRANGER, vn=names["vn"], **_same_place(first))
    again = await made(world, mode, **names)
    assert (again.vn, again.peer_vn, again.extension) == (first.vn, first.peer_vn, first.extension)
    assert (await reaches_owner(world, again)).target is not None


def _same_place(binding: Binding) -> dict[str, Any]:
    """What somebody else would ask for to sit where a party of `binding` rests."""
    return {"extension": binding.extension} if binding.mode is Mode.EXTENSION else {}


@each_mode
async def test_ensure_finds_the_same_and_only_the_same(world: World, mode: Mode) -> None:
    first = await made(world, mode, ensure=True, reference="r")
    again = await made(world, mode, ensure=True, reference="r")
    assert again.id == first.id
    if mode is Mode.OUTBOUND:
        return
    others: dict[Mode, dict[str, Any]] = {Mode.GROUP: {"members": TEAM[:2]}, Mode.PER_SIDE: {"peer": OTHER}}
    other = others.get(mode)
    different = await made(
        world, mode, STRANGER if other is None else CUSTOMER, ensure=True, reference="r", **other or {}
    )
    assert different.id != first.id
    if mode is Mode.GROUP:
        assert (await made(world, mode, ensure=True, reference="r", members=TEAM[::-1])).id == first.id


@each_mode
async def test_a_key_is_for_one_request(world: World, mode: Mode) -> None:
    wanted = request(CUSTOMER, mode=mode, **WAYS[mode])
    first = await world.bindings.allocate(world.mall, wanted, "key")
    again = await world.bindings.allocate(world.mall, wanted, "key")
    assert first.binding is not None
    assert again.stored_body == f'{{"id": "{first.binding.id}"}}'


async def test_both_numbers_of_a_binding_find_it(world: World) -> None:
    binding = await made(world, Mode.PER_SIDE)
    assert binding.peer_vn is not None
    found = await world.bindings.find(world.mall, virtual_number=binding.peer_vn)
    assert [one.id for one in found.items] == [binding.id]
    [outcome] = await world.bindings.release_many(world.mall, virtual_numbers=[binding.peer_vn])
    assert [one.id for one in outcome.released] == [binding.id]


async def test_the_parties_of_two_sides_change(world: World) -> None:
    binding = await made(world, Mode.PER_SIDE)
    assert binding.peer_vn is not None
    await world.bindings.change(world.mall, binding.id, BindingChange(peer_number=parse(OTHER)))
    assert (await dial(world, binding.vn, OTHER)).target == parse(CUSTOMER)
    assert (await dial(world, binding.peer_vn, CUSTOMER)).target == parse(OTHER)
    assert reason(await dial(world, binding.vn, COURIER)) is Reason.ENDED
    neighbour = await made(world, Mode.PER_SIDE, STRANGER, peer=COURIER, vn=None)
    assert neighbour.vn != binding.vn, "the courier's seat rests"


async def test_a_subscriber_changes_its_phone(world: World) -> None:
    binding, other = await made(world, Mode.OUTBOUND), await made(world, Mode.OUTBOUND, STRANGER)
    with pytest.raises(PairInUse):
        await world.bindings.change(world.mall, binding.id, BindingChange(real_number=parse(STRANGER)))
    await world.bindings.change(world.mall, binding.id, BindingChange(real_number=parse(OTHER)))
    assert (await dial(world, None, OTHER, dialled=parse(COURIER))).presented == digits_of(binding.vn)
    assert (await dial(world, None, STRANGER, dialled=parse(COURIER))).presented == digits_of(other.vn)
    assert (await dial(world, None, CUSTOMER, dialled=parse(COURIER))).target is None


async def test_a_customer_gives_its_own_numbers_out_by_name(world: World) -> None:
    with pytest.raises(InvalidRequest):
        await world.pool("070-8200-0000", "070-8200-0009", Service.VOIP, name="nobody", managed_by=ManagedBy.CUSTOMER)
    block = await world.pool(
        "070-8200-0000",
        "070-8200-0009",
        Service.VOIP,
        name="block",
        owner_id=world.mall.tenant_id,
        managed_by=ManagedBy.CUSTOMER,
        sms_sender_proof="file 2",
    )
    for mode in (Mode.ONE_WAY, *WAYS):
        with pytest.raises(InvalidRequest):
            await world.allocate(CUSTOMER, mode=mode, pool="block", **WAYS.get(mode, {}))
    named = await world.allocate(CUSTOMER, vn="070-8200-0003")
    assert (named.vn, named.mode) == (parse("07082000003").key, Mode.ONE_WAY)
    elsewhere = await world.allocate(CUSTOMER, service=Service.VOIP)
    assert elsewhere.vn not in block
    await world.pools.change("test", block.id, PoolChange(managed_by=ManagedBy.PLATFORM))
    assert (await world.allocate(CUSTOMER, pool="block")).vn in block


async def test_numbers_of_one_use_are_not_for_another(world: World) -> None:
    extension, pair = await made(world, Mode.EXTENSION, service=Service.VOIP), await world.pair()
    single = await world.allocate(STRANGER, service=Service.VOIP)
    for vn, modes in (
        (extension.vn, (Mode.ONE_WAY, Mode.OUTBOUND, Mode.GROUP, Mode.PER_SIDE)),
        (pair.vn, (Mode.EXTENSION, Mode.ONE_WAY, Mode.OUTBOUND)),
        (single.vn, (Mode.EXTENSION, Mode.GROUP, Mode.PER_SIDE, Mode.OUTBOUND)),
    ):
        for mode in modes:
            with pytest.raises(VirtualNumberInUse):
                await world.allocate(OTHER, mode=mode, vn=digits_of(vn), **WAYS.get(mode, {}))


async def test_a_pool_that_is_used_up(world: World) -> None:
    await world.pool("070-8300-0000", "070-8300-0000", Service.VOIP, name="one", sms_sender_proof="f")
    with pytest.raises(PoolExhausted):
        await made(world, Mode.PER_SIDE, pool="one")  # it needs two
    await made(world, Mode.GROUP, pool="one")
    for mode in (Mode.GROUP, Mode.OUTBOUND, Mode.EXTENSION):
        with pytest.raises(PoolExhausted):
            await made(world, mode, pool="one")


async def test_many_at_once_never_share_a_place(world: World) -> None:
    """Owners of extensions, teams with a member in common, couriers with many customers, subscribers twice."""
    wanted = [
        *(request(f"0101111{n:04}", mode=Mode.EXTENSION) for n in range(20)),
        *(request(f"0102222{n:04}", mode=Mode.GROUP, members=[TEAM[0], f"0106666{n:04}"]) for n in range(5)),
        *(request(f"0103333{n:04}", mode=Mode.PER_SIDE, peer=COURIER) for n in range(5)),
        *(request(f"010444400{n % 3:02}", mode=Mode.OUTBOUND) for n in range(6)),
    ]
    answers = await asyncio.gather(
        *(world.bindings.allocate(world.mall, one) for one in wanted), return_exceptions=True
    )
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(failure, PairInUse) for failure in failures)
    assert len(failures) == 3
    async with world.db.connection() as connection:
        seats = await connection.fetchval("select count(*) from seats s join bindings b on b.id = s.binding_id")
        extensions = await connection.fetchval("select count(distinct (vn, extension)) from extensions")
    assert (seats, extensions) == (20 + 5 * 3 + 5 * 2, 20)
