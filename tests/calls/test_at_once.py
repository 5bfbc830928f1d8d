"""A plain call's begin is written together with the question for its facts, and says what the decision says."""

from collections.abc import Mapping
from uuid import uuid4

import pytest

from tests.bindings.test_meetings import start_and_wait_until_blocked
from tests.calls.test_service import attempt, reason, stored
from tests.core_world import COURIER, CUSTOMER, STRANGER, World
from vns.bindings.rules import BindingChange, Channel
from vns.calls.service import Begun, Calls
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import Mode, Service
from vns.routing.rules import Connect, Reason


@pytest.fixture
def calls(world: World) -> Calls:
    return Calls(world.db, world.router, world.clock)


async def forget_masks(world: World) -> None:
    """As bindings were before the platform kept masks: the begin then takes a statement of its own."""
    async with world.db.connection() as connection:
        await connection.execute("update bindings set real_masked = null, peer_masked = null")


def without_names(row: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in {"id", "channel"}}


@pytest.mark.parametrize(
    ("mode", "caller", "direction"),
    [
        (Mode.ONE_WAY, COURIER, "to_real"),
        (Mode.BIDIRECTIONAL, COURIER, "to_real"),
        (Mode.BIDIRECTIONAL, CUSTOMER, "to_peer"),
    ],
)
async def test_the_record_is_the_same_as_that_of_two_statements(
    world: World, calls: Calls, mode: Mode, caller: str, direction: str
) -> None:
    binding = await world.pair() if mode is Mode.BIDIRECTIONAL else await world.allocate()
    at_once = await calls.begin(attempt(world, digits_of(binding.vn), caller))
    await forget_masks(world)
    in_two = await calls.begin(attempt(world, digits_of(binding.vn), caller))
    assert (at_once.routed.begun, in_two.routed.begun) == (direction, None)
    assert isinstance(at_once.routed.decision, Connect)
    assert at_once.routed.decision == in_two.routed.decision
    one, other = await stored(world)
    assert one["direction"] == direction
    assert without_names(one) == without_names(other)


async def test_a_changed_party_is_recorded_with_its_own_mask(world: World, calls: Calls) -> None:
    binding = await world.pair()
    await world.bindings.change(world.mall, binding.id, BindingChange(real_number=parse("01077778888")))
    begun = await calls.begin(attempt(world, digits_of(binding.vn), COURIER))
    await calls.begin(attempt(world, digits_of(binding.vn), "01077778888"))
    assert begun.routed.begun == "to_real"
    assert [row["to_masked"] for row in await stored(world)] == ["010-****-8888", "010-****-4444"]


async def test_what_is_refused_is_not_begun(world: World, calls: Calls) -> None:
    """Owner, silenced channel, stranger, withheld caller, released binding, stopped caller: never `in_progress`."""
    own = await world.allocate()
    silent = await world.allocate("01055550001", channels=frozenset({Channel.SMS}))
    pair = await world.pair("01055550002", "01055550003")
    over = await world.allocate("01055550004")
    await world.bindings.release(world.mall, over.id)
    expected = [
        (own.vn, CUSTOMER, Reason.NOT_ALLOWED),
        (silent.vn, COURIER, Reason.NOT_ALLOWED),
        (pair.vn, STRANGER, Reason.NOT_A_PARTY),
        (own.vn, None, Reason.NOT_A_PARTY),
        (over.vn, COURIER, Reason.ENDED),
    ]
    for vn, caller, why in expected:
        begun = await calls.begin(attempt(world, digits_of(vn), caller))
        assert (reason(begun), begun.routed.begun) == (why, None)
    rows = await stored(world)
    assert sorted(str(row["result"]) for row in rows) == sorted(why.value for _, _, why in expected)
    assert {(row["direction"], row["to_masked"]) for row in rows} == {("none", None)}


async def test_a_call_that_ends_its_binding_waits_for_the_disk(world: World, calls: Calls) -> None:
    binding = await world.allocate(expire_after_call=True)
    begun = await calls.begin(attempt(world, digits_of(binding.vn), COURIER))
    assert isinstance(begun.routed.decision, Connect)
    assert begun.routed.begun is None


async def test_a_begin_that_the_decision_does_not_confirm_is_put_right(world: World, calls: Calls) -> None:
    """SQL does not know that the target has become a virtual number itself; the decision does."""
    binding = await world.allocate("07090000001")
    await world.pool("07090000000", "07090000009", Service.VOIP)
    call_id = uuid4()
    begun = await calls.begin(attempt(world, digits_of(binding.vn), COURIER, call_id=call_id))
    assert reason(begun) is Reason.UNREACHABLE
    [row] = await stored(world)
    assert (row["id"], row["result"], row["direction"]) == (call_id, "unreachable", "none")
    assert (row["to_index"], row["to_masked"]) == (None, None)


async def test_a_binding_that_changes_hands_meanwhile_is_not_begun_for_the_old(world: World, calls: Calls) -> None:
    """The change is committed while the statement waits for the binding: what it had read is no longer so."""
    binding = await world.pair()
    async with world.db.transaction() as connection:
        await connection.execute(
            "update bindings set real_index = $2 where id = $1", binding.id, world.keyring.index(STRANGER)
        )
        pending = await start_and_wait_until_blocked(world, calls.begin(attempt(world, digits_of(binding.vn), COURIER)))
        assert not pending.done()
    begun: Begun = await pending
    assert begun.routed.begun is None
