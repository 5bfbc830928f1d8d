"""Calls against a real database: begun with the decision, finished once, consumed once, listed for their tenant."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World
from vns.abuse.flags import CallerFlags
from vns.abuse.settings import AbuseSettings
from vns.abuse.tally import Tally
from vns.abuse.watch import Watch
from vns.bindings.rules import CallerId, Channel, Status
from vns.calls import queries
from vns.calls.rules import NO_NUMBER, CallOutcome, HangupBy, Result
from vns.calls.service import Attempt, Begun, Calls
from vns.errors import InvalidRequest
from vns.numbering.rules import caller_from_sip, parse
from vns.routing.rules import Connect, Question, Reason, Refuse
from vns.storage.pages import HistoryQuery


@pytest.fixture
def calls(world: World) -> Calls:
    return Calls(world.db, world.router, world.clock)


def attempt(world: World, vn: str, caller: str | None, *, call_id: UUID | None = None, bridge: str = "a") -> Attempt:
    number = caller_from_sip(caller) if caller else None
    call_id = call_id or uuid4()
    dialled = parse(vn)
    question = Question(vn=dialled.key, caller=number, channel=Channel.VOICE, at=world.clock.now())
    return Attempt(call_id=call_id, dialled=dialled, question=question, bridge=bridge, channel=f"vns-{call_id}")


def outcome(world: World, call_id: UUID, result: Result = Result.ANSWERED, **fields: object) -> CallOutcome:
    ended = world.clock.now()
    values: dict[str, object] = {
        "call_id": call_id,
        "channel": f"vns-{call_id}",
        "bridge": "a",
        "result": result,
        "cause": 16,
        "hangup_by": HangupBy.CALLER,
        "ended_at": ended,
        "answered_at": ended - timedelta(seconds=10.2) if result is Result.ANSWERED else None,
    }
    return CallOutcome(**{**values, **fields})  # type: ignore[arg-type]  # a test's short hand


def reason(begun: Begun) -> Reason | None:
    decision = begun.routed.decision
    return decision.reason if isinstance(decision, Refuse) else None


async def events(world: World) -> list[str]:
    async with world.db.connection() as connection:
        rows = await connection.fetch("select event from journal where event in ('call.ended', 'binding.consumed')")
    return sorted(row["event"] for row in rows)


async def stored(world: World) -> list[dict[str, object]]:
    async with world.db.connection() as connection:
        return [dict(row) for row in await connection.fetch("select * from calls order by arrived_at")]


async def test_a_connected_call_is_recorded_before_it_rings(world: World, calls: Calls) -> None:
    binding = await world.allocate()
    begun = await calls.begin(attempt(world, "050410000000", COURIER))
    assert isinstance(begun.routed.decision, Connect)
    assert begun.routed.target == parse(CUSTOMER)
    [row] = await stored(world)
    assert (row["result"], row["binding_id"], row["direction"]) == ("in_progress", binding.id, "to_real")
    assert (row["from_masked"], row["to_masked"]) == ("010-****-4444", "010-****-2222")
    assert row["from_index"] == world.keyring.index(COURIER)
    assert row["to_index"] == world.keyring.index(CUSTOMER)
    assert row["ended_at"] is None


async def test_a_refused_call_is_recorded_with_its_reason(world: World, calls: Calls) -> None:
    await world.pair()
    assert reason(await calls.begin(attempt(world, "07080000000", STRANGER))) is Reason.NOT_A_PARTY
    [row] = await stored(world)
    assert (row["result"], row["cause"], row["direction"], row["to_index"]) == ("not_a_party", 21, "none", None)


async def test_a_number_that_is_no_virtual_one_is_not_written_down(world: World, calls: Calls) -> None:
    """A carrier's mistake must not put somebody's own number into the records."""
    assert reason(await calls.begin(attempt(world, CUSTOMER, COURIER))) is Reason.UNALLOCATED
    [row] = await stored(world)
    assert row["vn"] == NO_NUMBER


async def test_the_second_answer_to_one_attempt_holds(world: World, calls: Calls) -> None:
    binding = await world.allocate()
    call_id = uuid4()
    await calls.begin(attempt(world, "050410000000", COURIER, call_id=call_id, bridge="a"))
    again = await calls.begin(attempt(world, "050410000000", COURIER, call_id=call_id, bridge="b"))
    assert isinstance(again.routed.decision, Connect)
    await world.bindings.release(world.mall, binding.id)
    assert (
        reason(await calls.begin(attempt(world, "050410000000", COURIER, call_id=call_id, bridge="a"))) is Reason.ENDED
    )
    [row] = await stored(world)
    assert (row["result"], row["bridge"], row["direction"], row["to_masked"]) == ("ended", "a", "none", None)


async def test_a_release_and_a_call_at_the_same_moment(world: World, calls: Calls) -> None:
    """Whoever wins: a connected call is one that the release has marked to be cut, or the call is refused."""
    for _ in range(10):
        binding = await world.pair()
        call, released = await asyncio.gather(
            calls.begin(attempt(world, "07080000000", COURIER)),
            world.bindings.release(world.mall, binding.id, terminate_calls=True),
        )
        marked = {open_call.id for open_call in await calls.to_terminate()}
        assert released.status is Status.RELEASED
        assert (reason(call) is None) == (call.call_id in marked)
        world.clock.move(days=8)


async def test_an_end_is_written_once(world: World, calls: Calls) -> None:
    await world.allocate()
    begun = await calls.begin(attempt(world, "050410000000", COURIER))
    first = outcome(world, begun.call_id)
    assert await calls.finish([first]) == 1
    world.clock.move(seconds=9)
    assert await calls.finish([outcome(world, begun.call_id, Result.UNKNOWN)]) == 0
    [row] = await stored(world)
    assert (row["result"], row["ended_at"], row["billed_seconds"]) == ("answered", first.ended_at, 11)
    assert row["reconciled"] is False
    assert await events(world) == ["call.ended"]


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (Result.ANSWERED, Status.CONSUMED),
        (Result.BUSY, Status.ACTIVE),
        (Result.CANCELLED, Status.ACTIVE),
        (Result.UNKNOWN, Status.ACTIVE),
    ],
)
async def test_only_an_answered_call_consumes(world: World, calls: Calls, result: Result, status: Status) -> None:
    binding = await world.allocate(expire_after_call=True)
    begun = await calls.begin(attempt(world, "050410000000", COURIER))
    await calls.finish([outcome(world, begun.call_id, result)])
    assert (await world.bindings.get(world.mall, binding.id)).status is status


async def test_a_call_noted_as_answered_consumes_whatever_became_of_its_end(world: World, calls: Calls) -> None:
    binding = await world.allocate(expire_after_call=True)
    begun = await calls.begin(attempt(world, "050410000000", COURIER))
    answered = world.clock.now()
    await calls.note_answers({begun.call_id: answered, uuid4(): answered})
    await calls.note_answers({begun.call_id: answered + timedelta(seconds=1)})
    assert (await world.bindings.get(world.mall, binding.id)).status is Status.ACTIVE
    await calls.finish([outcome(world, begun.call_id, Result.UNKNOWN)])
    [row] = await stored(world)
    assert (row["result"], row["answered_at"], row["billed_seconds"]) == ("unknown", answered, 0)
    assert (await world.bindings.get(world.mall, binding.id)).status is Status.CONSUMED


async def test_a_call_never_arrives_after_its_end(world: World, calls: Calls) -> None:
    """A bridge that had hung decides, by its own clock, when the call is over already."""
    await world.allocate()
    begun = await calls.begin(attempt(world, "050410000000", COURIER))
    ended = world.clock.now() - timedelta(seconds=3)
    await calls.finish([outcome(world, begun.call_id, Result.OVERLOAD, ended_at=ended)])
    [row] = await stored(world)
    assert (row["arrived_at"], row["ended_at"]) == (ended, ended)


async def test_two_bridges_finishing_at_once_consume_once(world: World, calls: Calls) -> None:
    binding = await world.allocate(expire_after_call=True)
    begun = [await calls.begin(attempt(world, "050410000000", COURIER)) for _ in range(3)]
    ended = [outcome(world, one.call_id) for one in begun]
    written = await asyncio.gather(*(calls.finish(ended) for _ in range(4)))
    assert sorted(written) == [0, 0, 0, 3]
    assert await events(world) == ["binding.consumed"] + ["call.ended"] * 3
    assert (await world.bindings.get(world.mall, binding.id)).status is Status.CONSUMED


async def test_releases_and_ends_do_not_block_one_another(world: World, calls: Calls) -> None:
    """Both lock bindings before calls; the other way round PostgreSQL would have to break the knot."""
    for _ in range(5):
        binding = await world.allocate(expire_after_call=True)
        begun = [await calls.begin(attempt(world, f"0{binding.vn}", COURIER)) for _ in range(5)]
        ended = [outcome(world, one.call_id) for one in begun]
        await asyncio.gather(
            world.bindings.release(world.mall, binding.id, terminate_calls=True),
            calls.finish(ended),
            *(calls.finish([one]) for one in reversed(ended)),
        )
    assert [call.id for call in await calls.to_terminate()] == []


async def test_a_call_that_nobody_was_asked_about_gets_its_record(world: World, calls: Calls) -> None:
    lost = outcome(
        world, uuid4(), Result.OVERLOAD, vn=50410000000, arrived_at=world.clock.now() - timedelta(seconds=5), bridge=""
    )
    assert await calls.finish([lost]) == 1
    assert await calls.finish([lost]) == 0
    assert await calls.finish([outcome(world, uuid4())]) == 0
    [row] = await stored(world)
    assert (row["result"], row["vn"], row["from_index"]) == ("overload", 50410000000, None)
    assert await events(world) == ["call.ended"]


@pytest.mark.parametrize("vn", [10**20, -(10**9)])
async def test_an_end_that_is_no_record_holds_up_no_other(
    world: World, calls: Calls, caplog: pytest.LogCaptureFixture, vn: int
) -> None:
    wrong = outcome(world, uuid4(), Result.OVERLOAD, vn=vn, cause=10**6 if vn < 0 else 42, arrived_at=world.clock.now())
    begun = [await calls.begin(attempt(world, "050412345678", COURIER)) for _ in range(2)]
    ended = [outcome(world, one.call_id, Result.UNALLOCATED) for one in begun]
    assert await calls.finish([ended[0], wrong, ended[1]]) == 2
    assert {row["id"] for row in await stored(world)} == {one.call_id for one in begun}
    assert f"{wrong.call_id} is no record" in caplog.text


async def test_a_call_that_nobody_was_asked_about_belongs_to_the_exclusive_numbers_tenant(
    world: World, calls: Calls
) -> None:
    binding, pair = await world.allocate(), await world.pair()
    now = world.clock.now()
    ids = [uuid4(), uuid4(), uuid4()]
    await calls.finish(
        [
            outcome(world, ids[0], Result.OVERLOAD, vn=binding.vn, arrived_at=now),
            outcome(world, ids[1], Result.OVERLOAD, vn=pair.vn, arrived_at=now),
            outcome(world, ids[2], Result.OVERLOAD, vn=binding.vn, arrived_at=now, ended_at=now - timedelta(seconds=1)),
        ]
    )
    owners = {row["id"]: (row["tenant_id"], row["binding_id"]) for row in await stored(world)}
    assert owners == {ids[0]: (world.mall.tenant_id, binding.id), ids[1]: (None, None), ids[2]: (None, None)}


async def test_which_calls_still_wait_for_their_end(world: World, calls: Calls) -> None:
    await world.allocate()
    ended = await calls.begin(attempt(world, "050410000000", COURIER))
    waiting = await calls.begin(attempt(world, "050410000000", STRANGER))
    await calls.finish([outcome(world, ended.call_id)])
    nobody = uuid4()
    assert await calls.unfinished([ended.call_id, waiting.call_id, nobody]) == {waiting.call_id: True, nobody: False}
    world.clock.move(seconds=1)
    assert [call.id for call in await calls.open_since(world.clock.now())] == [waiting.call_id]
    assert await calls.open_since(world.clock.now() - timedelta(seconds=5)) == []


async def test_lists_are_paged_filtered_and_the_tenants_own(world: World, calls: Calls) -> None:
    one, other = await world.allocate(), await world.allocate(STRANGER, caller_id=CallerId.VIRTUAL)
    begun = []
    for vn in (one.vn, other.vn, one.vn):
        begun.append(await calls.begin(attempt(world, f"0{vn}", COURIER)))
        world.clock.move(minutes=1)
    first = await calls.list(world.mall, HistoryQuery(limit=2))
    second = await calls.list(world.mall, HistoryQuery(limit=2, cursor=first.next_cursor))
    assert second.next_cursor is None
    assert sorted(call.id for call in (*first.items, *second.items)) == sorted(call.call_id for call in begun)
    assert {call.vn for call in (await calls.list(world.mall, HistoryQuery(virtual_number=one.vn))).items} == {one.vn}
    assert len((await calls.list(world.mall, HistoryQuery(binding_id=other.id))).items) == 1
    start = world.clock.now() - timedelta(minutes=2)
    assert len((await calls.list(world.mall, HistoryQuery(since=start))).items) == 2
    assert len((await calls.list(world.mall, HistoryQuery(until=start))).items) == 1
    assert (await calls.list(await world.tenant("another-mall"))).items == ()
    with pytest.raises(InvalidRequest):
        await calls.list(world.mall, HistoryQuery(cursor="no cursor"))


async def begun_and_noted(calls: Calls, one: Attempt) -> Begun:
    """As a bridge does, which tells Asterisk in between."""
    begun = await calls.begin(one)
    if begun.counts:
        calls.note(one, begun.routed)
    return begun


async def test_a_call_too_many_is_refused_and_recorded(world: World, redis_url: str) -> None:
    binding = await world.allocate()
    tally = Tally(redis_url)
    policy = AbuseSettings(calls_per_caller=2, calls_per_number=0, scan_numbers=0).policy()
    watch = Watch(CallerFlags(world.db, world.clock), tally, policy)
    calls = Calls(world.db, world.router, world.clock, watch)
    vn = f"0{binding.vn}"
    try:
        for _ in range(2):
            assert reason(await begun_and_noted(calls, attempt(world, vn, COURIER))) is None
            await watch.flush()
        refused = await begun_and_noted(calls, attempt(world, vn, COURIER))
        assert reason(refused) is Reason.NOT_ALLOWED
        assert "more than 2 calls a minute" in refused.routed.decision.steps[0]
        assert reason(await begun_and_noted(calls, attempt(world, vn, STRANGER))) is None
    finally:
        await tally.close()
    rows = await stored(world)
    assert [row["result"] for row in rows].count("not_allowed") == 1
    assert len(rows) == 4


@pytest.mark.parametrize("statement", [queries.LOCK_CONSUMABLE, queries.FINISH, queries.NOTE_ANSWERS])
async def test_an_end_is_found_by_its_call_and_not_among_all_open_ones(world: World, statement: str) -> None:
    """Whatever it is given: that is how a bridge has its statements planned."""
    async with world.db.transaction() as connection:
        await connection.execute(
            "insert into calls (id, vn, direction, arrived_at, bridge, channel)"
            " select uuidv7(), 1, 'none', now(), 'a', 'c' from generate_series(1, 5000)"
        )
        await connection.execute("set local plan_cache_mode = force_generic_plan")
        await connection.execute(f"prepare ending as {statement}")
        types = "select unnest(parameter_types)::text as name from pg_prepared_statements where name = 'ending'"
        arguments = ", ".join(f"'{{}}'::{row['name']}" for row in await connection.fetch(types))
        plan = "\n".join(row[0] for row in await connection.fetch(f"explain execute ending ({arguments})"))
    assert " on calls " in plan
    assert "calls_open" not in plan
