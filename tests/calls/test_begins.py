"""Begins of calls are kept in a bridge's own file, and become records together; nothing of one is lost on the way."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.bindings.test_meetings import start_and_wait_until_blocked
from tests.calls.begin_parts import NAME, a_begin, lines, records
from tests.calls.test_service import attempt, outcome, reason
from tests.core_world import COURIER, CUSTOMER, STRANGER, World
from tests.waiting import until
from vns.bindings.life import cut_calls, end_live, mark_to_cut
from vns.bindings.rules import Channel, Status
from vns.calls import begins as module
from vns.calls.begins import Begin, BeginFile, Begins
from vns.calls.service import Calls
from vns.errors import Unavailable
from vns.numbering.rules import digits_of
from vns.pools.rules import Service
from vns.routing.rules import Connect, Reason
from vns.rulebook.documents import checked


@pytest.fixture
async def begins(world: World, tmp_path: Path) -> Begins:
    """Of a bridge that has nothing of an earlier life."""
    opened = Begins(world.db, BeginFile(tmp_path / NAME))
    await opened.write_file()
    return opened


@pytest.fixture
def calls(world: World, begins: Begins) -> Calls:
    return Calls(world.db, world.router, world.clock, begins=begins)


@pytest.fixture
def another(world: World, tmp_path: Path) -> Calls:
    """Another bridge's, with a file of its own."""
    return Calls(world.db, world.router, world.clock, begins=Begins(world.db, BeginFile(tmp_path / "begins/b.jsonl")))


async def test_a_call_is_answered_before_it_has_a_record(
    world: World, calls: Calls, begins: Begins, tmp_path: Path
) -> None:
    vn = digits_of((await world.pair()).vn)
    connected = await calls.begin(attempt(world, vn, COURIER))
    refused = await calls.begin(attempt(world, vn, STRANGER))
    assert (reason(connected), reason(refused)) == (None, Reason.NOT_A_PARTY)
    assert await records(world) == {}
    assert [begin.id for begin in lines(tmp_path)] == [connected.call_id, refused.call_id]
    await begins.write()
    found = await records(world)
    assert [found[one.call_id]["result"] for one in (connected, refused)] == ["in_progress", "not_a_party"]


async def test_the_record_is_the_same_as_one_that_is_written_at_once(
    world: World, calls: Calls, begins: Begins
) -> None:
    at_once = Calls(world.db, world.router, world.clock)
    own = await world.allocate("01055550001", rules=checked({"missed_call_text": True}))
    pair = await world.pair()
    silent = await world.allocate("01055550002", channels=frozenset({Channel.SMS}))
    over = await world.allocate("01055550003")
    await world.bindings.release(world.mall, over.id)
    for vn, caller, direction in (
        (own.vn, COURIER, "to_real"),
        (pair.vn, COURIER, "to_real"),
        (pair.vn, CUSTOMER, "to_peer"),
        (pair.vn, STRANGER, "none"),
        (silent.vn, COURIER, "none"),
        (silent.vn, None, "none"),
        (over.vn, COURIER, "none"),
    ):
        follows = await calls.begin(attempt(world, digits_of(vn), caller))
        await begins.write()
        written = await at_once.begin(attempt(world, digits_of(vn), caller))
        found = await records(world)
        one, other = found[follows.call_id], found[written.call_id]
        assert one["direction"] == direction
        for row in (one, other):
            del row["id"], row["channel"]
            row["caller"] = row["caller"] is not None  # encrypted for its call
        assert one == other


async def test_what_changes_or_counts_more_is_written_before_the_answer(
    world: World, calls: Calls, tmp_path: Path
) -> None:
    once = await world.allocate(expire_after_call=True)
    counted = await world.allocate("01055550001", rules=checked({"concurrent_calls": 1}))
    begun = [await calls.begin(attempt(world, digits_of(one.vn), COURIER)) for one in (once, counted)]
    assert [reason(one) for one in begun] == [None, None]
    assert set(await records(world)) == {one.call_id for one in begun}
    assert not (tmp_path / NAME).exists()


async def test_a_target_that_has_become_a_virtual_number_is_refused(world: World, calls: Calls, begins: Begins) -> None:
    binding = await world.allocate("07090000001")
    await world.pool("07090000000", "07090000009", Service.VOIP)
    begun = await calls.begin(attempt(world, digits_of(binding.vn), COURIER))
    assert reason(begun) is Reason.UNREACHABLE
    await begins.write()
    [row] = (await records(world)).values()
    assert (row["result"], row["direction"], row["to_index"]) == ("unreachable", "none", None)


async def test_a_call_that_ends_at_once_ends_after_it_has_begun(world: World, calls: Calls) -> None:
    begun = await calls.begin(attempt(world, digits_of((await world.allocate()).vn), COURIER))
    assert await calls.finish([outcome(world, begun.call_id)]) == 1
    row = (await records(world))[begun.call_id]
    assert (row["result"], row["to_masked"], row["reconciled"]) == ("answered", "010-****-2222", False)


@pytest.mark.parametrize("again", [False, True])
async def test_a_call_that_a_release_could_not_see_is_cut(
    world: World, calls: Calls, begins: Begins, again: bool
) -> None:
    """`again`: the calls were to go on at first, and are cut by a second release."""
    released, live, quiet = [await world.allocate(number) for number in (CUSTOMER, "01055550001", "01055550002")]
    begun = [await calls.begin(attempt(world, digits_of(one.vn), COURIER)) for one in (released, live, quiet)]
    if again:
        await world.bindings.release(world.mall, released.id)
    await world.bindings.release(world.mall, released.id, terminate_calls=True)
    await world.bindings.release(world.mall, quiet.id)
    await begins.write()
    assert [one.id for one in await calls.to_terminate()] == [begun[0].call_id]


async def test_bridges_are_told_of_a_call_to_cut(world: World, calls: Calls, begins: Begins) -> None:
    binding = await world.allocate()
    await calls.begin(attempt(world, digits_of(binding.vn), COURIER))
    await world.bindings.release(world.mall, binding.id, terminate_calls=True)
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with world.db.connection() as connection:
        await connection.add_listener("vns_terminate", lambda *notice: told.set_result(str(notice[-1])))
        try:
            await begins.write()
            assert await told == str(binding.id)
        finally:
            await connection.reset()


async def test_a_refused_call_is_not_cut(world: World, calls: Calls, begins: Begins) -> None:
    binding = await world.allocate()
    vn = digits_of(binding.vn)
    connected = await calls.begin(attempt(world, vn, COURIER))
    await world.bindings.release(world.mall, binding.id, terminate_calls=True)
    refused = await calls.begin(attempt(world, vn, COURIER))
    assert reason(refused) is Reason.ENDED
    await begins.write()
    assert [one.id for one in await calls.to_terminate()] == [connected.call_id]


async def test_a_release_under_way_neither_holds_the_record_up_nor_misses_the_call(
    world: World, calls: Calls, begins: Begins
) -> None:
    """Neither sees the other's work before both are done."""
    binding = await world.allocate()
    begun = await calls.begin(attempt(world, digits_of(binding.vn), COURIER))
    async with world.db.transaction() as connection:
        now = world.clock.now()
        await mark_to_cut(connection, [binding.id], now)
        await end_live(connection, [binding.id], Status.RELEASED, now, "test")
        await cut_calls(connection, [binding.id], now)
        await begins.write()
    row = (await records(world))[begun.call_id]
    assert row["terminate_requested_at"] is None
    assert [one.id for one in await calls.to_terminate()] == [begun.call_id]


async def test_what_a_bridge_that_had_hung_decides_after_the_end_changes_nothing(
    world: World, calls: Calls, another: Calls, begins: Begins
) -> None:
    """Bridge b was asked in its place, connected the call, and it has ended."""
    binding = await world.allocate(expire_after_call=True)
    vn, call_id = digits_of(binding.vn), uuid4()
    await another.begin(attempt(world, vn, COURIER, call_id=call_id, bridge="b"))
    assert await another.finish([outcome(world, call_id, bridge="b")]) == 1
    before = await records(world)
    world.clock.move(seconds=5)
    late = await calls.begin(attempt(world, vn, COURIER, call_id=call_id, bridge="a"))
    assert reason(late) is Reason.ENDED
    await begins.write()
    assert await records(world) == before


async def test_of_two_answers_the_later_holds_also_where_the_end_came_first(
    world: World, calls: Calls, another: Calls, begins: Begins
) -> None:
    binding = await world.allocate()
    vn, call_id = digits_of(binding.vn), uuid4()
    arrived = world.clock.now() - timedelta(seconds=1)
    await calls.begin(attempt(world, vn, COURIER, call_id=call_id, bridge="a"))
    world.clock.move(seconds=3)
    await another.begin(attempt(world, vn, COURIER, call_id=call_id, bridge="b"))
    world.clock.move(seconds=20)
    third = Calls(world.db, world.router, world.clock)
    ended = outcome(world, call_id, bridge="b", vn=binding.vn, arrived_at=arrived)
    assert await third.finish([ended]) == 1
    await another.begins.write_file()
    await begins.write()
    [row] = (await records(world)).values()
    assert (row["bridge"], row["direction"], row["result"]) == ("b", "to_real", "answered")


@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_the_later_answer_holds_whichever_is_written_first(
    world: World, calls: Calls, another: Calls, order: str
) -> None:
    """Bridge a answered too late, so that b was asked; meanwhile the number was released."""
    binding = await world.allocate()
    vn, call_id = digits_of(binding.vn), uuid4()
    await calls.begin(attempt(world, vn, COURIER, call_id=call_id, bridge="a"))
    world.clock.move(seconds=2)
    await world.bindings.release(world.mall, binding.id)
    refused = await another.begin(attempt(world, vn, COURIER, call_id=call_id, bridge="b"))
    assert reason(refused) is Reason.ENDED
    await another.begins.write_file()
    for bridge in order:
        await (calls if bridge == "a" else another).begins.write()
        await (calls if bridge == "a" else another).begins.write_file()
    [row] = (await records(world)).values()
    assert (row["bridge"], row["result"], row["direction"]) == ("b", "ended", "none")


async def test_of_one_batch_the_last_answer_holds(world: World, calls: Calls, begins: Begins) -> None:
    binding = await world.allocate()
    vn, call_id = digits_of(binding.vn), uuid4()
    await calls.begin(attempt(world, vn, COURIER, call_id=call_id))
    await world.bindings.release(world.mall, binding.id)
    await calls.begin(attempt(world, vn, COURIER, call_id=call_id))
    await begins.write()
    [row] = (await records(world)).values()
    assert (row["result"], row["direction"], row["to_masked"]) == ("ended", "none", None)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"direction": "sideways"}, "CheckViolationError"),
        ({"from_masked": "010\0"}, "CharacterNotInRepertoireError"),
        ({"vn": 2**63}, "DataError"),
    ],
)
async def test_one_that_is_no_record_holds_up_no_other(
    world: World, calls: Calls, begins: Begins, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any], why: str
) -> None:
    bad = a_begin(**wrong)
    begins.append(bad)
    begun = await calls.begin(attempt(world, digits_of((await world.allocate()).vn), COURIER))
    await begins.write()
    assert set(await records(world)) == {begun.call_id}
    assert f"{bad.id} is no record: {why}" in caplog.text
    await begins.write()
    assert set(await records(world)) == {begun.call_id}


async def test_nothing_is_lost_while_postgresql_is_away(
    world: World, calls: Calls, begins: Begins, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await calls.begin(attempt(world, digits_of((await world.allocate()).vn), COURIER))
    with monkeypatch.context() as away:
        away.setattr(world.db, "take", _away)
        with pytest.raises(Unavailable):
            await begins.write()
        with pytest.raises(Unavailable):
            await calls.finish([outcome(world, begun.call_id)])
    await begins.write()
    assert set(await records(world)) == {begun.call_id}


async def _away() -> None:
    raise Unavailable("PostgreSQL does not answer")


async def test_a_file_that_takes_nothing_makes_the_caller_wait_for_postgresql(
    world: World, calls: Calls, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).mkdir()
    begun = await calls.begin(attempt(world, digits_of((await world.allocate()).vn), COURIER))
    assert set(await records(world)) == {begun.call_id}
    assert "cannot be written down" in caplog.text


async def test_what_a_killed_bridge_had_kept_is_written_by_the_next(world: World, calls: Calls, tmp_path: Path) -> None:
    vn = digits_of((await world.pair()).vn)
    kept = [(await calls.begin(attempt(world, vn, caller))).call_id for caller in (COURIER, STRANGER)]
    reborn = Begins(world.db, BeginFile(tmp_path / NAME))
    early = await Calls(world.db, world.router, world.clock, begins=reborn).begin(attempt(world, vn, CUSTOMER))
    assert await reborn.write_file() == 3
    assert set(await records(world)) == {*kept, early.call_id}
    assert lines(tmp_path) == []
    assert await reborn.write_file() == 0


async def test_what_is_kept_while_the_file_is_being_written_stays(world: World, calls: Calls, tmp_path: Path) -> None:
    vn = digits_of((await world.allocate()).vn)
    before = await calls.begin(attempt(world, vn, COURIER))
    reborn = Begins(world.db, BeginFile(tmp_path / NAME))
    bridge = Calls(world.db, world.router, world.clock, begins=reborn)
    async with world.db.transaction() as connection:
        await connection.execute("lock table calls in access exclusive mode")
        pending = await start_and_wait_until_blocked(world, reborn.write_file())
        meanwhile = await bridge.begin(attempt(world, vn, COURIER))
    assert await pending == 1
    assert set(await records(world)) == {before.call_id}
    assert [begin.id for begin in lines(tmp_path)] == [meanwhile.call_id]
    await reborn.write()
    assert set(await records(world)) == {before.call_id, meanwhile.call_id}


async def test_what_postgresql_has_taken_of_a_long_file_is_not_read_again(
    world: World, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vn = digits_of((await world.allocate()).vn)
    begun = [(await calls.begin(attempt(world, vn, COURIER))).call_id for _ in range(6)]
    monkeypatch.setattr(module, "READ_AT_ONCE", (tmp_path / NAME).stat().st_size // 2)
    reborn = Begins(world.db, BeginFile(tmp_path / NAME))
    record = reborn.record
    taken: list[UUID] = []

    async def record_once(connection: asyncpg.Connection, batch: Sequence[Begin]) -> None:
        if taken:
            raise Unavailable("PostgreSQL does not answer")
        await record(connection, batch)
        taken.extend(begin.id for begin in batch)

    with monkeypatch.context() as going:
        going.setattr(reborn, "record", record_once)
        with pytest.raises(Unavailable):
            await reborn.write_file()
    assert 0 < len(taken) < 6
    late = await Calls(world.db, world.router, world.clock, begins=reborn).begin(attempt(world, vn, COURIER))
    assert await reborn.write_file() + len(taken) == 7
    assert set(await records(world)) == {*begun, late.call_id}
    assert lines(tmp_path) == []


async def test_more_than_fits_in_memory_waits_in_the_file(
    world: World, calls: Calls, begins: Begins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_IN_MEMORY", 2)
    monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
    vn = digits_of((await world.allocate()).vn)
    begun = [(await calls.begin(attempt(world, vn, COURIER))).call_id for _ in range(5)]
    await begins.write()
    assert set(await records(world)) == set(begun[:2])
    assert await begins.write_file() == 5
    assert set(await records(world)) == set(begun)
    later = await calls.begin(attempt(world, vn, COURIER))
    await begins.write()
    assert later.call_id in await records(world)


async def test_the_file_does_not_grow_for_ever(
    world: World, calls: Calls, begins: Begins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vn = digits_of((await world.allocate()).vn)
    begun = [await calls.begin(attempt(world, vn, COURIER)) for _ in range(3)]
    await begins.write()
    assert len(lines(tmp_path)) == 3, "what is short is left"
    monkeypatch.setattr(module, "LONGEST_FILE", 1000)
    begun.append(await calls.begin(attempt(world, vn, COURIER)))
    async with world.db.transaction() as connection:
        await connection.execute("lock table calls in access exclusive mode")
        pending = await start_and_wait_until_blocked(world, begins.write())
        begun.append(await calls.begin(attempt(world, vn, COURIER)))
    await pending
    assert [begin.id for begin in lines(tmp_path)] == [begun[-1].call_id]
    begun.append(await calls.begin(attempt(world, vn, COURIER)))
    assert [begin.id for begin in lines(tmp_path)] == [one.call_id for one in begun[-2:]]
    await begins.write()
    assert set(await records(world)) == {one.call_id for one in begun}


async def test_what_is_written_again_changes_nothing(
    world: World, calls: Calls, begins: Begins, tmp_path: Path
) -> None:
    """As after a kill: the file still holds what has long become a record, and ended."""
    binding = await world.allocate(rules=checked({"missed_call_text": True}))
    begun = await calls.begin(attempt(world, digits_of(binding.vn), COURIER))
    ended = outcome(world, begun.call_id, ringing_at=world.clock.now() - timedelta(seconds=11))
    assert await calls.finish([ended]) == 1
    before = await records(world)
    assert before[begun.call_id]["caller"] is None
    assert [begin.caller is not None for begin in lines(tmp_path)] == [True]
    assert await Begins(world.db, BeginFile(tmp_path / NAME)).write_file() == 1
    assert await records(world) == before


async def test_its_task_writes_what_comes(world: World, calls: Calls, begins: Begins) -> None:
    vn = digits_of((await world.allocate()).vn)
    task = asyncio.create_task(begins.run())
    try:
        for count in (1, 2):
            await calls.begin(attempt(world, vn, COURIER))

            async def written(count: int = count) -> bool:
                return len(await records(world)) == count

            await until(written)
    finally:
        task.cancel()


async def test_its_task_writes_what_came_during_a_write(world: World, calls: Calls, begins: Begins) -> None:
    """Without another call that would wake it."""
    vn = digits_of((await world.allocate()).vn)
    begun = [await calls.begin(attempt(world, vn, COURIER))]
    async with world.db.transaction() as connection:
        await connection.execute("lock table calls in access exclusive mode")
        task = await start_and_wait_until_blocked(world, begins.run())
        begun.append(await calls.begin(attempt(world, vn, COURIER)))
    try:

        async def written() -> bool:
            return set(await records(world)) == {one.call_id for one in begun}

        await until(written)
    finally:
        task.cancel()


async def test_its_task_tries_again_when_postgresql_is_back(
    world: World, calls: Calls, begins: Begins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRY_AGAIN_EVERY", 0)
    begun = await calls.begin(attempt(world, digits_of((await world.allocate()).vn), COURIER))
    tried = asyncio.Event()

    async def away() -> None:
        tried.set()
        raise Unavailable("PostgreSQL does not answer")

    task = asyncio.create_task(begins.run())
    try:
        with monkeypatch.context() as gone:
            gone.setattr(world.db, "take", away)
            await tried.wait()

        async def written() -> bool:
            return set(await records(world)) == {begun.call_id}

        await until(written)
    finally:
        task.cancel()


async def test_leaving_writes_what_is_kept(world: World, calls: Calls, begins: Begins, tmp_path: Path) -> None:
    begun = await calls.begin(attempt(world, digits_of((await world.allocate()).vn), COURIER))
    await begins.close()
    assert set(await records(world)) == {begun.call_id}
    assert not (tmp_path / NAME).exists()


async def test_leaving_without_postgresql_leaves_the_file(
    world: World, calls: Calls, begins: Begins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await calls.begin(attempt(world, digits_of((await world.allocate()).vn), COURIER))
    monkeypatch.setattr(world.db, "take", _away)
    await begins.close()
    assert [begin.id for begin in lines(tmp_path)] == [begun.call_id]


async def test_a_connected_call_keeps_its_binding(world: World, calls: Calls, begins: Begins) -> None:
    """What happens to the binding after the answer is no reason not to record the call."""
    binding = await world.allocate()
    begun = await calls.begin(attempt(world, digits_of(binding.vn), COURIER))
    assert isinstance(begun.routed.decision, Connect)
    await world.bindings.release(world.mall, binding.id)
    assert (await world.bindings.get(world.mall, binding.id)).status is Status.RELEASED
    await begins.write()
    [row] = (await records(world)).values()
    assert (row["binding_id"], row["result"], row["terminate_requested_at"]) == (binding.id, "in_progress", None)


@pytest.fixture(autouse=True)
async def ended(begins: Begins) -> AsyncIterator[None]:
    yield
    await begins.close()
