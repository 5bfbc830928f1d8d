"""A call that rings a team in order is asked about again before each next member, and decided by what is in force then.

In between is acknowledged what the platform promises nobody is newly connected against.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.calls.begin_parts import NAME, records
from tests.calls.test_ruled_calls import attempt, ended, reason
from tests.calls.test_service import begun_and_noted
from tests.core_world import CUSTOMER, STRANGER, World
from vns.abuse.flags import CallerFlags
from vns.abuse.settings import AbuseSettings
from vns.abuse.tally import Tally
from vns.abuse.watch import Watch
from vns.bindings.rules import Binding, BindingChange, Channel, Ring
from vns.calls.begins import BeginFile, Begins
from vns.calls.rules import Result
from vns.calls.service import Attempt, Begun, Calls
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import Mode
from vns.routing.blocks import BlockDirection, Blocks, keeper_of
from vns.routing.hooks import Hooks, NewHook
from vns.routing.intercept import Action, HookAnswer, Inquiry
from vns.routing.rules import REFUSALS, Connect, Reason, Target
from vns.routing.service import Hook
from vns.rulebook.documents import checked

FIRST, SECOND, THIRD = TEAM = ("01070000001", "01070000002", "01070000003")
OTHER, FALLBACK = "01088889999", "0212345678"


@pytest.fixture
def calls(world: World) -> Calls:
    return Calls(world.db, world.router, world.clock)


async def a_team(world: World, **fields: Any) -> Binding:
    return await world.allocate(mode=Mode.GROUP, members=TEAM, **fields)


def asking(world: World, binding: Binding) -> Attempt:
    """The customer's first question."""
    return attempt(world, digits_of(binding.vn), CUSTOMER)


def again(world: World, first: Attempt, *tried: str, bridge: str = "a") -> Attempt:
    """The same call, after each of `tried` has rung for a while."""
    world.clock.move(seconds=30)
    question = replace(first.question, at=world.clock.now(), tried=frozenset(tried))
    return replace(first, bridge=bridge, question=question)


def reached(begun: Begun) -> list[str]:
    assert isinstance(begun.routed.decision, Connect)
    return [target.digits for target in begun.routed.targets]


async def test_who_has_rung_is_left_out_and_the_record_is_that_of_a_call_to_a_team(world: World, calls: Calls) -> None:
    binding = await a_team(world)
    first = asking(world, binding)
    assert reached(await calls.begin(first)) == list(TEAM)
    before = await records(world)
    for tried in (1, 2):
        assert reached(await calls.begin(again(world, first, *TEAM[:tried]))) == list(TEAM[tried:])
        assert await records(world) == before, "whoever is left, nobody knows yet who will answer"
    nobody = await calls.begin(again(world, first, *TEAM))
    assert nobody.routed.nobody_left
    assert await records(world) == before
    assert await calls.finish([ended(world, nobody, Result.BUSY)]) == 1
    [row] = (await records(world)).values()
    assert (row["result"], row["direction"], row["binding_id"]) == ("busy", "to_peer", binding.id)
    assert (row["to_masked"], row["to_index"], row["arrived_at"]) == (None, None, first.question.at)


async def test_a_team_that_changes_is_rung_as_it_is_now(world: World, calls: Calls) -> None:
    binding = await a_team(world)
    first = asking(world, binding)
    await calls.begin(first)
    change = BindingChange(add_members=(parse(OTHER),), remove_members=(parse(SECOND),))
    await world.bindings.change(world.mall, binding.id, change)
    assert reached(await calls.begin(again(world, first, FIRST))) == [THIRD, OTHER]
    await world.bindings.change(world.mall, binding.id, BindingChange(ring=Ring.ALL))
    rest = await calls.begin(again(world, first, FIRST))
    assert reached(rest) == [THIRD, OTHER]
    assert isinstance(rest.routed.decision, Connect)
    assert rest.routed.decision.ring is Ring.ALL
    await world.bindings.change(world.mall, binding.id, BindingChange(members=(parse(FIRST),)))
    assert (await calls.begin(again(world, first, FIRST))).routed.nobody_left


async def test_a_member_that_is_blocked_meanwhile_is_not_rung(world: World, calls: Calls) -> None:
    binding = await a_team(world)
    first = asking(world, binding)
    await calls.begin(first)
    blocks, keeper = Blocks(world.db, world.keyring, world.clock), keeper_of(world.mall)
    await blocks.put(keeper, parse(SECOND), BlockDirection.TO, binding_id=binding.id)
    assert reached(await calls.begin(again(world, first, FIRST))) == [THIRD]
    await blocks.put(keeper, parse(THIRD), BlockDirection.TO, binding_id=binding.id)
    assert (await calls.begin(again(world, first, FIRST))).routed.nobody_left


Change = Callable[[World, Binding], Awaitable[object]]


async def released(world: World, binding: Binding) -> None:
    await world.bindings.release(world.mall, binding.id)


async def run_out(world: World, _: Binding) -> None:
    world.clock.move(seconds=3600)


async def consumed(world: World, binding: Binding) -> None:
    """By another call, which a member makes."""
    calls = Calls(world.db, world.router, world.clock)
    other = await calls.begin(attempt(world, digits_of(binding.vn), SECOND))
    await calls.finish([ended(world, other, Result.ANSWERED)])


async def caller_blocked(world: World, binding: Binding) -> None:
    blocks = Blocks(world.db, world.keyring, world.clock)
    await blocks.put(keeper_of(world.mall), parse(CUSTOMER), BlockDirection.FROM, binding_id=binding.id)


async def closed(world: World, binding: Binding) -> None:
    await world.bindings.change(world.mall, binding.id, BindingChange(rules=checked({"hours": {"open": {}}})))


async def texts_only(world: World, binding: Binding) -> None:
    await world.bindings.change(world.mall, binding.id, BindingChange(channels=frozenset({Channel.SMS})))


async def another_customer(world: World, binding: Binding) -> None:
    await world.bindings.change(world.mall, binding.id, BindingChange(real_number=parse(STRANGER)))


@pytest.mark.parametrize("kept", [False, True], ids=["written at once", "kept in a file"])
@pytest.mark.parametrize(
    ("change", "refused", "fields"),
    [
        (released, Reason.ENDED, {}),
        (run_out, Reason.ENDED, {"ttl_seconds": 3600}),
        (consumed, Reason.ENDED, {"expire_after_call": True}),
        (another_customer, Reason.ENDED, {}),
        (caller_blocked, Reason.NOT_ALLOWED, {}),
        (closed, Reason.NOT_ALLOWED, {}),
        (texts_only, Reason.NOT_ALLOWED, {}),
        (released, Reason.ENDED, {"rules": {"concurrent_calls": 2}}),
    ],
)
async def test_what_was_acknowledged_meanwhile_ends_the_call_as_it_would_a_new_one(
    world: World, tmp_path: Path, change: Change, refused: Reason, fields: dict[str, Any], kept: bool
) -> None:
    rules = checked(fields["rules"]) if "rules" in fields else None
    binding = await a_team(world, **{**fields, "rules": rules})
    begins = Begins(world.db, BeginFile(tmp_path / NAME) if kept else None)
    calls = Calls(world.db, world.router, world.clock, begins=begins)
    await calls.begins.write_file()
    first = asking(world, binding)
    assert reached(await calls.begin(first)) == list(TEAM)
    await change(world, binding)
    assert reason(await calls.begin(again(world, first, FIRST))) is refused
    await calls.begins.write()
    row = (await records(world))[first.call_id]
    assert (row["result"], row["cause"], row["direction"]) == (refused, REFUSALS[refused].cause, "none")
    assert (row["arrived_at"], row["binding_id"]) == (first.question.at, binding.id)


async def test_an_end_that_slides_is_moved_by_each_member_that_rings(world: World, calls: Calls) -> None:
    """So a team that takes longer than that to ring does not end its own call."""
    binding = await a_team(world, ttl_seconds=40)
    first = asking(world, binding)
    await calls.begin(first)
    for tried in (1, 2):
        assert reached(await calls.begin(again(world, first, *TEAM[:tried]))) == list(TEAM[tried:])
    last = world.clock.now()
    assert (await calls.begin(again(world, first, *TEAM))).routed.nobody_left
    assert (await world.bindings.get(world.mall, binding.id)).expires_at == last + timedelta(seconds=40)


async def test_who_answers_for_a_team_that_has_ended(world: World, calls: Calls) -> None:
    binding = await a_team(world, rules=checked({"fallback_number": FALLBACK}))
    first = asking(world, binding)
    await calls.begin(first)
    await world.bindings.release(world.mall, binding.id)
    fallback = await calls.begin(again(world, first, FIRST))
    assert reached(fallback) == [FALLBACK]
    assert isinstance(fallback.routed.decision, Connect)
    assert fallback.routed.decision.target is Target.FALLBACK
    [row] = (await records(world)).values()
    assert (row["direction"], row["to_masked"]) == ("to_fallback", "02-****-5678")
    assert (await calls.begin(again(world, first, FIRST, FALLBACK))).routed.nobody_left


async def test_a_call_takes_one_place_however_many_it_rings(world: World, calls: Calls) -> None:
    binding = await a_team(world, rules=checked({"concurrent_calls": 1}))
    first = asking(world, binding)
    assert reached(await calls.begin(first)) == list(TEAM)
    assert reached(await calls.begin(again(world, first, FIRST))) == [SECOND, THIRD]
    assert reason(await calls.begin(asking(world, binding))) is Reason.BUSY
    over = await calls.begin(again(world, first, *TEAM))
    assert over.routed.nobody_left
    assert reason(await calls.begin(asking(world, binding))) is Reason.BUSY, "it has not ended yet"
    await calls.finish([ended(world, over, Result.NO_ANSWER)])
    assert reached(await calls.begin(asking(world, binding))) == list(TEAM)


class Told(Watch):
    """Counts what it is told of."""

    told = 0

    def note(self, *args: Any, **more: Any) -> None:
        self.told += 1
        super().note(*args, **more)


async def test_limits_of_callers_count_the_call_once_and_its_end_is_no_scan(world: World, redis_url: str) -> None:
    binding = await a_team(world)
    tally = Tally(redis_url)
    policy = AbuseSettings(calls_per_caller=2, calls_per_number=0, scan_numbers=0).policy()
    watch = Told(CallerFlags(world.db, world.clock), tally, policy)
    calls = Calls(world.db, world.router, world.clock, watch)
    first = asking(world, binding)
    question = replace(first.question, tried=frozenset({FIRST}))  # within the same minute
    try:
        for one in (first, replace(first, question=question), replace(first, question=question)):
            assert reason(await begun_and_noted(calls, one)) is None
            await watch.flush()
        assert reason(await begun_and_noted(calls, asking(world, binding))) is None, "its second call"
        await watch.flush()
        assert reason(await begun_and_noted(calls, replace(first, question=question))) is None, (
            "in the middle of a call"
        )
        assert reason(await begun_and_noted(calls, asking(world, binding))) is Reason.NOT_ALLOWED
        counted = watch.told
        await world.bindings.release(world.mall, binding.id)
        assert reason(await begun_and_noted(calls, again(world, first, FIRST))) is Reason.ENDED
        assert watch.told == counted == 2
    finally:
        await tally.close()


class Allowing:
    """A hook that lets everybody through, and counts."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, hook: Hook, inquiry: Inquiry) -> HookAnswer | None:
        self.asked += 1
        return HookAnswer(action=Action.ALLOW)


async def test_a_tenant_is_asked_about_a_call_once_and_not_for_each_member(world: World) -> None:
    await Hooks(world.db, world.keyring, world.clock).put(
        world.mall, NewHook(url="https://mall.example/ask", secret="s" * 20)
    )
    hook = Allowing()
    calls = Calls(world.db, world.router, world.clock, interceptor=hook)
    binding = await a_team(world, rules=checked({"fallback_number": FALLBACK}))
    first = asking(world, binding)
    for tried in range(3):
        assert reached(await calls.begin(again(world, first, *TEAM[:tried]))) == list(TEAM[tried:])
    assert (await calls.begin(again(world, first, *TEAM))).routed.nobody_left
    assert hook.asked == 1
    await world.bindings.release(world.mall, binding.id)
    assert reached(await calls.begin(again(world, first, FIRST))) == [FALLBACK]
    assert hook.asked == 2, "whoever is no member of the team is somebody else"


@pytest.mark.parametrize("refused", [False, True])
async def test_the_next_bridge_goes_on_where_the_first_was_killed(world: World, tmp_path: Path, refused: bool) -> None:
    """The first one's begin is in its file alone, until it starts again."""
    first_bridge, second_bridge = (
        Calls(
            world.db, world.router, world.clock, begins=Begins(world.db, BeginFile(tmp_path / f"begins/{name}.jsonl"))
        )
        for name in "ab"
    )
    for one in (first_bridge, second_bridge):
        await one.begins.write_file()
    binding = await a_team(world)
    first = asking(world, binding)
    await first_bridge.begin(first)
    assert await records(world) == {}
    if refused:
        await world.bindings.release(world.mall, binding.id)
    begun = await second_bridge.begin(again(world, first, FIRST, bridge="b"))
    assert reason(begun) is (Reason.ENDED if refused else None)
    await second_bridge.begins.write()
    if not refused:
        await world.bindings.release(world.mall, binding.id, terminate_calls=True)
        assert [call.id for call in await second_bridge.to_terminate()] == [first.call_id], "it can be cut"
    reborn = Begins(world.db, BeginFile(tmp_path / "begins/a.jsonl"))
    assert await reborn.write_file() == 1
    [row] = (await records(world)).values()
    assert (row["bridge"], row["direction"]) == ("b", "none" if refused else "to_peer")


async def test_a_release_between_the_facts_and_the_record_refuses_the_next_member(
    world: World, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    binding = await a_team(world)
    first = asking(world, binding)
    await calls.begin(first)
    route = world.router.route

    async def then_released(*asked: Any, **how: Any) -> Any:
        routed = await route(*asked, **how)
        await world.bindings.release(world.mall, binding.id)
        return routed

    monkeypatch.setattr(world.router, "route", then_released)
    assert reason(await calls.begin(again(world, first, FIRST))) is Reason.ENDED
    [row] = (await records(world)).values()
    assert (row["result"], row["direction"]) == ("ended", "none")
