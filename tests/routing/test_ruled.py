"""Each rule on a real database, from the document that a customer writes to the decision."""

from dataclasses import replace
from typing import Any

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World
from tests.routing.rows import Row, write
from vns.access.rules import TenantKind
from vns.bindings.rules import BindingChange, Channel, Status
from vns.crypto.errors import DecryptionFailed
from vns.numbering.rules import parse
from vns.pools.rules import Mode, PoolChange, Service
from vns.routing.blocks import BlockDirection, Blocks, keeper_of
from vns.routing.rules import Collect, Question, Reason, Refuse
from vns.routing.service import Routed
from vns.rulebook.documents import checked
from vns.rulebook.rules import SealedNumber
from vns.rulebook.sealing import seal, unseal

X, Y, SAFE = 7080000000, 7080000001, 50410000000
FIRST, SECOND = "01077770001", "01077770002"
FALLBACK = "0212345678"
GROUP = Row(mode=Mode.GROUP, vn=X, members=(FIRST, SECOND))
PER_SIDE = Row(mode=Mode.PER_SIDE, vn=X, peer_vn=Y, peer=COURIER)


async def asked(world: World, vn: int, caller: str, channel: Channel = Channel.VOICE, **more: Any) -> Routed:
    question = Question(vn=vn, caller=parse(caller), channel=channel, at=world.clock.now(), **more)
    async with world.db.connection() as connection:
        return await world.router.route(connection, question)


def reason(routed: Routed) -> Reason | None:
    return routed.decision.reason if isinstance(routed.decision, Refuse) else None


async def pool_rules(world: World, name: str, **document: object) -> None:
    pool = await world.pools.get(name)
    await world.pools.change("test", pool.id, PoolChange(rules=checked(document)))


async def block(world: World, binding_id: object, number: str, direction: BlockDirection) -> None:
    blocks = Blocks(world.db, world.keyring, world.clock)
    await blocks.put(keeper_of(world.mall), parse(number), direction, binding_id=binding_id)  # type: ignore[arg-type]


async def test_hours_of_the_pool_hold_until_the_binding_has_its_own(world: World) -> None:
    """The world's clock stands at 21:00 in Korea on a Sunday that is a public holiday."""
    week = {day: [["09:00", "22:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    binding = await world.allocate()
    await pool_rules(world, "safe", hours={"open": week})
    assert reason(await asked(world, binding.vn, STRANGER)) is None
    await pool_rules(world, "safe", hours={"open": week, "holidays": "closed"})
    assert reason(await asked(world, binding.vn, STRANGER)) is Reason.NOT_ALLOWED
    assert reason(await asked(world, binding.vn, STRANGER, Channel.SMS)) is Reason.NOT_ALLOWED
    await world.bindings.change(world.mall, binding.id, BindingChange(rules=checked({"hours": {"open": week}})))
    assert reason(await asked(world, binding.vn, STRANGER)) is None
    world.clock.move(hours=1)
    assert reason(await asked(world, binding.vn, STRANGER)) is Reason.NOT_ALLOWED


async def test_one_direction_of_a_pair_is_switched_off(world: World) -> None:
    binding = await world.pair(rules=checked({"directions": ["to_peer"]}))
    assert reason(await asked(world, binding.vn, CUSTOMER)) is None
    assert reason(await asked(world, binding.vn, COURIER)) is Reason.NOT_ALLOWED


async def test_a_channel_is_switched_off_for_a_pool(world: World) -> None:
    binding = await world.allocate()
    await pool_rules(world, "safe", channels=["voice"])
    assert reason(await asked(world, binding.vn, STRANGER)) is None
    assert reason(await asked(world, binding.vn, STRANGER, Channel.SMS)) is Reason.NOT_ALLOWED


async def test_limits_reach_whoever_carries_the_call_out(world: World) -> None:
    binding = await world.allocate(rules=checked({"ring_seconds": 15, "record": True}))
    await pool_rules(world, "safe", ring_seconds=60, max_seconds=900)
    limits = (await asked(world, binding.vn, STRANGER)).limits
    assert (limits.ring_seconds, limits.max_seconds, limits.record) == (15, 900, True)


async def test_a_blocked_member_does_not_ring_and_may_not_call_as_the_direction_says(world: World) -> None:
    binding_id = await write(world, GROUP)
    await block(world, binding_id, FIRST, BlockDirection.TO)
    assert [target.digits for target in (await asked(world, X, CUSTOMER)).targets] == [SECOND]
    assert reason(await asked(world, X, FIRST)) is None
    await block(world, binding_id, SECOND, BlockDirection.BOTH)
    assert reason(await asked(world, X, CUSTOMER)) is Reason.NOT_ALLOWED
    assert reason(await asked(world, X, SECOND)) is Reason.NOT_ALLOWED


async def test_whom_a_subscriber_may_not_call(world: World) -> None:
    binding_id = await write(world, Row(mode=Mode.OUTBOUND, vn=X))
    shop = parse("0212345678")
    await block(world, binding_id, shop.digits, BlockDirection.TO)
    assert reason(await asked(world, shop.key, CUSTOMER, dialled=shop)) is Reason.NOT_ALLOWED
    assert reason(await asked(world, X, CUSTOMER, digits=shop.digits)) is Reason.NOT_ALLOWED
    other = parse("0212345679")
    assert reason(await asked(world, other.key, CUSTOMER, dialled=other)) is None


async def test_a_last_caller_that_is_blocked_is_not_called_back(world: World) -> None:
    row = Row(mode=Mode.EXTENSION, vn=SAFE, extension="12", last_caller=STRANGER)
    binding_id = await write(world, row)
    await block(world, binding_id, STRANGER, BlockDirection.TO)
    assert reason(await asked(world, SAFE, CUSTOMER)) is Reason.NOT_ALLOWED


async def test_the_operator_s_block_on_a_pool_holds_before_digits_are_asked_for(world: World) -> None:
    await write(world, Row(mode=Mode.EXTENSION, vn=SAFE, extension="12"))
    operator = await world.tenant("operator", TenantKind.OPERATOR)
    pool = await world.pools.get("safe")
    blocks = Blocks(world.db, world.keyring, world.clock)
    assert isinstance((await asked(world, SAFE, STRANGER)).decision, Collect)
    await blocks.put(keeper_of(operator), parse(STRANGER), BlockDirection.FROM, pool_id=pool.id)
    assert reason(await asked(world, SAFE, STRANGER)) is Reason.NOT_ALLOWED
    assert reason(await asked(world, SAFE, STRANGER, digits="12")) is Reason.NOT_ALLOWED


async def test_a_group_without_anybody_who_may_be_called_reaches_nobody(world: World) -> None:
    await write(world, replace(GROUP, members=("070-9000-0001".replace("-", ""),)))
    await world.pool("070-9000-0000", "070-9000-0019", Service.VOIP)
    assert reason(await asked(world, X, CUSTOMER)) is Reason.UNREACHABLE


def called(routed: Routed) -> list[str]:
    """Whom it reaches; nobody where it has ended."""
    assert reason(routed) in (None, Reason.ENDED)
    return [target.digits for target in routed.targets]


ENDED_PAIRS = [
    pytest.param(Row(mode=Mode.BIDIRECTIONAL, vn=X, peer=COURIER), ((X, CUSTOMER), (X, COURIER)), id="bidirectional"),
    pytest.param(PER_SIDE, ((Y, CUSTOMER), (X, COURIER)), id="per_side"),
    pytest.param(GROUP, ((X, CUSTOMER), (X, SECOND)), id="group"),
]


@pytest.mark.parametrize("of_the_pool", [False, True])
@pytest.mark.parametrize(("row", "parties"), ENDED_PAIRS)
async def test_the_fallback_answers_former_parties_as_long_as_their_number_rests(
    world: World, row: Row, parties: tuple[tuple[int, str], ...], of_the_pool: bool
) -> None:
    """Nobody takes their seats over meanwhile."""
    rules = {"fallback_number": FALLBACK}
    if of_the_pool:
        await pool_rules(world, "voip", **rules)
    await write(world, replace(row, rules=None if of_the_pool else rules, status=Status.RELEASED, ended=True))
    for vn, party in parties:
        assert called(await asked(world, vn, party)) == [FALLBACK]
    world.clock.move(days=7)
    for vn, party in parties:
        assert called(await asked(world, vn, party)) == []


async def test_a_party_that_was_replaced_has_no_fallback(world: World) -> None:
    """Neither while the pair goes on, nor when that has ended and the seats of both rest."""
    pair = await world.pair(rules=checked({"fallback_number": FALLBACK}))
    await world.bindings.change(world.mall, pair.id, BindingChange(peer_number=parse(STRANGER)))
    assert called(await asked(world, pair.vn, CUSTOMER)) == [STRANGER]
    assert called(await asked(world, pair.vn, COURIER)) == []
    await world.bindings.release(world.mall, pair.id)
    assert called(await asked(world, pair.vn, STRANGER)) == [FALLBACK]
    assert called(await asked(world, pair.vn, COURIER)) == []


async def test_a_member_that_left_has_no_fallback(world: World) -> None:
    team = await world.allocate(
        mode=Mode.GROUP, members=(FIRST, SECOND), rules=checked({"fallback_number": FALLBACK}), service=Service.VOIP
    )
    await world.bindings.change(world.mall, team.id, BindingChange(remove_members=(parse(SECOND),)))
    assert called(await asked(world, team.vn, FIRST)) == [CUSTOMER]
    assert called(await asked(world, team.vn, SECOND)) == []
    await world.bindings.release(world.mall, team.id)
    assert called(await asked(world, team.vn, FIRST)) == [FALLBACK]
    assert called(await asked(world, team.vn, SECOND)) == []


async def test_a_sealed_number_opens_only_where_it_belongs(world: World) -> None:
    binding, other = await world.allocate(), await world.allocate()
    number = SealedNumber(seal(world.keyring, binding.id, "0212345678"), "")
    assert unseal(world.keyring, binding.id, number) == "0212345678"
    with pytest.raises(DecryptionFailed):
        unseal(world.keyring, other.id, number)
