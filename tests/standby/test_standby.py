"""Calls while PostgreSQL is away, and what is never connected then. Real PostgreSQL, real Redis."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.core_world import COURIER, CUSTOMER, STRANGER, World
from tests.standby.parts import BEGINS, Scene, known, scene, target
from vns.bindings.rules import BindingChange
from vns.calls.rules import CallOutcome, HangupBy, Result
from vns.calls.service import Begun, Calls
from vns.errors import Unavailable
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import FOREVER, Mode, PoolChange, Proof
from vns.pools.service import Pools
from vns.routing.blocks import BlockDirection, Blocks, keeper_of
from vns.routing.hooks import Hooks, NewHook
from vns.routing.rules import Refuse
from vns.rulebook.documents import checked
from vns.storage.copies import CopyStore
from vns.storage.revocation import OVER, REOPENED_AFTER


async def test_a_known_number_is_connected_for_any_caller(on: Scene) -> None:
    vn = await known(on)
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER
    assert target(await on.bridge.call(vn, STRANGER)) == CUSTOMER


async def test_what_is_not_known_is_told_to_try_later(on: Scene) -> None:
    vn = digits_of((await on.world.allocate()).vn)
    on.bridge.db.reached = False
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)


async def test_the_copy_of_a_pair_is_for_its_party_alone(on: Scene) -> None:
    vn = digits_of((await on.world.pair()).vn)
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER
    await on.bridge.calm()
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER
    for other in (STRANGER, CUSTOMER, None):
        with pytest.raises(Unavailable):
            await on.bridge.call(vn, other)


async def test_a_team_rings_on_by_its_copy_until_it_changes(on: Scene, tmp_path: Path) -> None:
    """PostgreSQL goes away between two of its members."""
    team = ("01070000001", "01070000002", "01070000003")
    binding = await on.world.allocate(mode=Mode.GROUP, members=team)
    vn = digits_of(binding.vn)
    assert target(await on.bridge.call(vn, CUSTOMER)) == team[0]
    await on.bridge.calm()
    on.bridge.db.reached = False
    for tried in (1, 2):
        assert target(await on.bridge.call(vn, CUSTOMER, *team[:tried])) == team[tried]
    kept = (tmp_path / BEGINS).read_text()
    assert (await on.bridge.call(vn, CUSTOMER, *team)).routed.nobody_left
    assert (tmp_path / BEGINS).read_text() == kept, "the record is that of who was rung"
    await on.bindings.change(on.world.mall, binding.id, BindingChange(remove_members=(parse(team[1]),)))
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, CUSTOMER, team[0])


async def test_an_end_holds_without_postgresql(on: Scene) -> None:
    vn = await known(on, expires_at=on.world.clock.now().replace(microsecond=0) + (OVER))
    on.world.clock.move(seconds=80)
    await on.bridge.copies.look()
    await on.bridge.copies.confirm()
    on.bridge.db.reached = False
    on.world.clock.move(seconds=OVER.total_seconds() - 80)
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)


@pytest.mark.parametrize(
    "how", ["released", "released_by_reference", "party", "channels", "blocked", "hooked", "rules"]
)
async def test_an_acknowledged_change_takes_the_copy_back(on: Scene, how: str) -> None:
    world, mall = on.world, on.world.mall
    vn = await known(on, reference="r-1")
    [binding] = (await on.bindings.find(mall, reference="r-1")).items
    blocks = Blocks(world.db, world.keyring, world.clock, on.revocations)
    match how:
        case "released":
            await on.bindings.release(mall, binding.id)
        case "released_by_reference":
            await on.bindings.release_many(mall, references=["r-1"])
        case "party":
            await on.bindings.change(mall, binding.id, BindingChange(real_number=parse(STRANGER)))
        case "channels":
            await on.bindings.change(mall, binding.id, BindingChange(channels=frozenset({"sms"})))  # type: ignore[arg-type]  # as stored
        case "blocked":
            await blocks.put(keeper_of(mall), parse(COURIER), BlockDirection.FROM, binding_id=binding.id)
        case "hooked":
            hooks = Hooks(world.db, world.keyring, world.clock, on.revocations)
            await hooks.put(mall, NewHook(url="https://mall.example/ask", secret="s" * 20))
        case "rules":
            change = BindingChange(rules=checked({"directions": ["to_peer"]}))
            await on.bindings.change(mall, binding.id, change)
    on.bridge.db.reached = False
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)


async def test_a_copy_shows_a_number_no_longer_than_it_is_proven(on: Scene) -> None:
    voip, end = await on.world.pools.get("voip"), on.world.clock.now() + timedelta(seconds=30)
    await on.world.pools.change("test", voip.id, PoolChange(voice_proof_until=end))
    vn = digits_of((await on.world.pair()).vn)
    assert (await on.bridge.call(vn, COURIER)).routed.presented == vn
    await on.bridge.calm()
    on.bridge.db.reached = False
    assert (await on.bridge.call(vn, COURIER)).routed.presented == vn
    on.world.clock.time = end
    late = await on.bridge.call(vn, COURIER)
    assert (target(late), late.routed.presented) == (CUSTOMER, None)


@pytest.mark.parametrize(
    "change",
    [
        PoolChange(withdraw_proofs=frozenset({Proof.VOICE})),
        PoolChange(voice_proof="another"),
        PoolChange(voice_proof_until=FOREVER),
        PoolChange(sms_sender_proof="another"),
    ],
)
async def test_a_change_of_proofs_takes_all_copies_back(on: Scene, change: PoolChange) -> None:
    vn = await known(on)
    pools = Pools(on.world.db, on.world.clock, copies=on.revocations)
    safe = await pools.get("safe")
    await pools.change("test", safe.id, PoolChange(low_water=7))
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER
    on.malls.reached = False
    with pytest.raises(Unavailable):
        await pools.change("test", safe.id, change)
    on.malls.reached = True
    await pools.change("test", safe.id, change)  # the change itself stood already
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)


async def test_what_was_read_before_a_release_is_not_kept_after_it(on: Scene) -> None:
    """The bridge read, the release was acknowledged, and only then the bridge's copy is sent."""
    binding = await on.world.allocate()
    vn = digits_of(binding.vn)
    await on.bridge.call(vn, COURIER)
    await on.bindings.release(on.world.mall, binding.id)
    await on.bridge.copies.flush()
    on.bridge.db.reached = False
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)


async def test_nor_after_redis_was_emptied_in_between(on: Scene, redis_url: str) -> None:
    binding = await on.world.allocate()
    vn = digits_of(binding.vn)
    await on.bridge.call(vn, COURIER)
    await on.bindings.release(on.world.mall, binding.id)
    redis = Redis.from_url(redis_url)
    await redis.flushall()
    await redis.aclose()
    await on.bridge.calm()
    await on.bridge.calm()
    on.bridge.db.reached = False
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)


async def test_what_was_read_while_the_epoch_was_asked_for_is_not_kept(
    on: Scene, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bridge learns of a new epoch; in between a call is read, released, and Redis emptied once more."""
    world, bridge = on.world, on.bridge
    redis = Redis.from_url(redis_url)
    await redis.flushall()
    other = digits_of((await world.allocate(STRANGER)).vn)
    await bridge.call(other, COURIER)
    await bridge.copies.flush()  # it finds that the epoch it knew is gone
    binding = await world.allocate()
    asked = bridge.store.epoch

    async def slow() -> bytes:
        world.clock.move(seconds=1)
        await bridge.call(digits_of(binding.vn), COURIER)
        await on.bindings.release(world.mall, binding.id)
        await redis.flushall()
        world.clock.move(seconds=1)
        return await asked()

    monkeypatch.setattr(bridge.store, "epoch", slow)
    await bridge.copies.look()
    await bridge.copies.flush()
    await redis.aclose()
    bridge.db.reached = False
    with pytest.raises(Unavailable):
        await bridge.call(digits_of(binding.vn), COURIER)


async def test_what_was_read_while_copies_were_closed_is_not_kept_once_they_are_open(on: Scene) -> None:
    """While they are closed a release needs no Redis, and leaves nothing there that would refuse an older read."""
    world, bridge = on.world, on.bridge
    on.malls.reached = False
    first, second = await world.allocate(), await world.allocate(STRANGER)
    with pytest.raises(Unavailable):
        await on.bindings.release(world.mall, first.id)
    await bridge.copies.look()  # closed
    world.clock.move(seconds=REOPENED_AFTER.total_seconds() + 1)
    await bridge.call(digits_of(second.vn), COURIER)
    await on.bindings.release(world.mall, second.id)
    world.clock.move(seconds=1)
    await bridge.copies.look()  # opens them
    await bridge.copies.look()
    await bridge.copies.flush()
    bridge.db.reached = False
    with pytest.raises(Unavailable):
        await bridge.call(digits_of(second.vn), COURIER)


async def test_without_redis_a_release_is_acknowledged_once_no_copy_can_be_left(on: Scene) -> None:
    vn = await known(on)
    on.malls.reached = False  # the bridge still reaches it
    [binding] = (await on.bindings.find(on.world.mall, virtual_number=parse(vn).key)).items
    with pytest.raises(Unavailable):
        await on.bindings.release(on.world.mall, binding.id)
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER  # nobody was told that it had ended
    on.bridge.db.reached = True
    await on.bridge.copies.look()
    on.world.clock.move(seconds=OVER.total_seconds())
    await on.bindings.release(on.world.mall, binding.id)
    other = await on.world.allocate()
    await on.bindings.release(on.world.mall, other.id)  # from now on at once
    on.bridge.db.reached = False
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)


async def test_closed_copies_are_not_written_and_open_again_later(on: Scene) -> None:
    on.malls.reached = False
    binding = await on.world.allocate()
    with pytest.raises(Unavailable):
        await on.bindings.release(on.world.mall, binding.id)
    await on.bridge.calm()
    vn = digits_of((await on.world.allocate()).vn)
    await on.bridge.call(vn, COURIER)
    await on.bridge.calm()
    on.bridge.db.reached = False
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)
    on.bridge.db.reached = True
    on.world.clock.move(seconds=REOPENED_AFTER.total_seconds() + 1)
    await on.bridge.calm()
    await on.bridge.calm()
    on.world.clock.move(seconds=1)
    await on.bridge.call(vn, COURIER)
    await on.bridge.calm()
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER


async def test_a_release_said_again_takes_the_copy_back(on: Scene) -> None:
    """By reference, when nothing of it is live any more."""
    vn = await known(on, reference="r-1")
    on.malls.reached = False
    with pytest.raises(Unavailable):
        await on.bindings.release_many(on.world.mall, references=["r-1"])
    on.malls.reached = True
    await on.bindings.release_many(on.world.mall, references=["r-1"])
    on.bridge.db.reached = False
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)


@pytest.mark.parametrize("fields", [{"expire_after_call": True}, {"rules": checked({"concurrent_calls": 1})}])
async def test_what_a_row_alone_cannot_decide_is_not_copied(on: Scene, fields: dict[str, Any]) -> None:
    vn = await known(on, **fields)
    on.bridge.db.reached = False
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)


async def test_a_stopped_caller_stays_stopped(on: Scene) -> None:
    vn = await known(on)
    async with on.world.db.connection() as connection:
        await connection.execute(
            "insert into caller_flags (party, masked, reason, status, counted, until, flagged_at)"
            " values ($1, '010-****-6666', 'scanning', 'stopped', 9, $2, $3)",
            on.world.keyring.index(STRANGER),
            on.world.clock.now() + OVER,
            on.world.clock.now(),
        )
    await on.bridge.copies.look()
    on.bridge.db.reached = False
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, STRANGER)


async def test_a_copy_that_is_not_ours_is_passed_over(on: Scene, redis_url: str) -> None:
    """Moved to another number, or changed."""
    vn, other = await known(on), digits_of((await on.world.allocate(STRANGER)).vn)
    redis = Redis.from_url(redis_url)
    copy = await redis.hget(f"vns:copies:{parse(vn).key}", "*")
    assert isinstance(copy, bytes)
    await redis.hset(f"vns:copies:{parse(other).key}", "*", copy)
    await redis.hset(f"vns:copies:{parse(vn).key}", "*", copy[:-1] + bytes([copy[-1] ^ 1]))
    await redis.aclose()
    on.bridge.db.reached = False
    for dialled in (vn, other):
        with pytest.raises(Unavailable):
            await on.bridge.call(dialled, COURIER)


async def test_an_end_that_is_no_time_is_passed_over(on: Scene, redis_url: str) -> None:
    vn = await known(on)
    redis = Redis.from_url(redis_url)
    copy = await redis.hget(f"vns:copies:{parse(vn).key}", "*")
    epoch = await redis.get("vns:copies-epoch")
    assert isinstance(copy, bytes)
    assert isinstance(epoch, bytes)
    end = len(epoch), len(epoch) + 8
    await redis.hset(f"vns:copies:{parse(vn).key}", "*", copy[: end[0]] + b"\xff" * 8 + copy[end[1] :])
    await redis.aclose()
    on.bridge.db.reached = False
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)


async def test_redis_sees_no_real_number(on: Scene, redis_url: str) -> None:
    await known(on)
    redis = Redis.from_url(redis_url)
    seen = b""
    for key in await redis.keys():
        seen += key + (await redis.dump(key) or b"")  # type: ignore[operator]  # bytes, as nothing is decoded
    await redis.aclose()
    assert b"vns:copies:" in seen
    for number in (CUSTOMER, COURIER):
        assert number.encode() not in seen


@pytest.mark.parametrize(
    ("setting", "value", "usual"), [("save", "900 1", ""), ("maxmemory-policy", "allkeys-lru", "noeviction")]
)
async def test_a_redis_that_keeps_things_on_disk_or_drops_some_gets_no_copies(
    on: Scene, redis_url: str, setting: str, value: str, usual: str
) -> None:
    redis = Redis.from_url(redis_url)
    await redis.config_set("maxmemory", "100mb")
    await redis.config_set(setting, value)
    try:
        on.world.clock.move(seconds=60)
        vn = digits_of((await on.world.allocate()).vn)
        await on.bridge.calm()
        await on.bridge.call(vn, COURIER)
        await on.bridge.calm()
    finally:
        await redis.config_set(setting, usual)
        await redis.config_set("maxmemory", "0")
        await redis.aclose()
    on.bridge.db.reached = False
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, COURIER)


async def test_where_no_bridge_ever_kept_copies_nobody_waits_for_redis(
    world: World, redis_url: str, tmp_path: Path
) -> None:
    async with scene(world, redis_url, tmp_path) as opened:
        opened.malls.reached = False
        binding = await world.allocate()
        assert (await opened.bindings.release(world.mall, binding.id)).ended_at is not None


async def test_a_redis_that_takes_nothing_is_as_good_as_none(on: Scene, redis_url: str, new_port: Any) -> None:
    """A replica answers, and keeps nothing: neither does a bridge end by that, nor is a release acknowledged."""
    vn = digits_of((await on.world.allocate()).vn)
    await on.bridge.call(vn, COURIER)
    redis = Redis.from_url(redis_url)
    await redis.slaveof("127.0.0.1", new_port())
    try:
        with pytest.raises(Unavailable):
            await on.bridge.copies.flush()
        with pytest.raises(Unavailable):
            await on.bindings.release_many(on.world.mall, virtual_numbers=[parse(vn).key])
    finally:
        await redis.slaveof()
        await redis.aclose()


async def test_a_store_without_a_redis_says_so(new_port: Any) -> None:
    store = CopyStore(f"redis://127.0.0.1:{new_port()}/0")
    with pytest.raises(Unavailable):
        await store.forgets()
    await store.close()


async def records(on: Scene) -> list[dict[str, Any]]:
    async with on.world.db.connection() as connection:
        return [dict(row) for row in await connection.fetch("select * from calls order by arrived_at, id")]


def outcome(on: Scene, begun: Begun) -> CallOutcome:
    return CallOutcome(
        call_id=begun.call_id,
        channel=f"vns-{begun.call_id}",
        bridge="a",
        result=Result.ANSWERED,
        cause=16,
        hangup_by=HangupBy.CALLER,
        arrived_at=begun_at(on),
        ringing_at=begun_at(on),
        answered_at=begun_at(on),
        ended_at=on.world.clock.now(),
        vn=0,
    )


def begun_at(on: Scene) -> Any:
    return on.world.clock.now().replace(microsecond=0)


@pytest.mark.parametrize("first", ["begin", "end"])
async def test_its_record_is_whole_whatever_is_written_first(on: Scene, first: str) -> None:
    """The end may be written by another bridge, of a call that it has no record of."""
    vn = await known(on)
    on.world.clock.move(seconds=1)
    on.bridge.db.reached = False
    begun = await on.bridge.call(vn, COURIER)
    on.bridge.db.reached = True
    on.world.clock.move(seconds=3)
    ended = outcome(on, begun)
    if first == "begin":
        await on.bridge.begins.write()
        assert await on.bridge.calls.finish([ended]) == 1
    else:
        another = Calls(on.world.db, on.world.router, on.world.clock)
        assert await another.finish([ended]) == 1
        await on.bridge.begins.write()
    before, record = await records(on)
    assert record["id"] == begun.call_id
    same = ("tenant_id", "binding_id", "direction", "from_index", "from_masked", "to_index", "to_masked")
    assert {name: record[name] for name in same} == {name: before[name] for name in same}
    assert (record["result"], record["from_copy"], before["from_copy"]) == ("answered", True, False)
    assert record["answered_at"] is not None


async def test_its_end_waits_for_its_begin(on: Scene) -> None:
    vn = await known(on)
    on.bridge.db.reached = False
    begun = await on.bridge.call(vn, COURIER)
    with pytest.raises(Unavailable):
        await on.bridge.calls.finish([outcome(on, begun)])
    on.bridge.db.reached = True
    assert await on.bridge.calls.finish([outcome(on, begun)]) == 1
    assert [row["to_masked"] for row in await records(on)] == ["010-****-2222"] * 2


async def test_a_refused_call_is_not_written_as_a_connected_one(on: Scene) -> None:
    vn = await known(on)
    on.bridge.db.reached = False
    with pytest.raises(Unavailable):
        await on.bridge.call(vn, CUSTOMER)  # its owner cannot call out through it
    on.bridge.db.reached = True
    await on.bridge.begins.write()
    assert len(await records(on)) == 1, "the call from before"


async def test_postgresql_decides_as_soon_as_it_answers(on: Scene) -> None:
    vn = await known(on)
    on.bridge.db.reached = False
    await on.bridge.call(vn, COURIER)
    on.bridge.db.reached = True
    begun = await on.bridge.call(digits_of((await on.world.allocate()).vn), COURIER)  # a hiccup: not known, but asked
    assert target(begun) == CUSTOMER


async def test_refusals_of_postgresql_are_final(on: Scene) -> None:
    binding = await on.world.allocate()
    await on.bindings.release(on.world.mall, binding.id)
    begun = await on.bridge.call(digits_of(binding.vn), COURIER)
    assert isinstance(begun.routed.decision, Refuse)
