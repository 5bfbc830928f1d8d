"""What the worker writes down, seals and clears."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tests.core_world import World, request
from tests.prompts.test_audio import tone
from vns.abuse.settings import AbuseSettings
from vns.bindings.rules import Status
from vns.maintenance import seals
from vns.maintenance.worker import CLEARED_AT_ONCE, WORKER_LOCK, Worker
from vns.messages.relay_numbers import RelayNumberRegister
from vns.numbering.rules import parse
from vns.pools.rules import PoolChange, Service
from vns.recordings.retention import Retention
from vns.recordings.service import Recordings
from vns.recordings.settings import RecordingSettings
from vns.senders.exemption_rules import Route
from vns.senders.exemptions import Exemptions
from vns.senders.rules import Policy as SenderPolicy
from vns.senders.rules import Proof
from vns.senders.service import Senders


async def _round(world: World) -> None:
    async with world.db.connection() as connection:
        await Worker(world.db, world.clock, AbuseSettings().policy()).round(connection)


async def _events(world: World, event: str) -> list[asyncpg.Record]:
    async with world.db.connection() as connection:
        rows: list[asyncpg.Record] = await connection.fetch("select * from journal where event = $1 order by id", event)
        return rows


async def _verdict(world: World) -> seals.Verdict:
    async with world.db.connection() as connection:
        return await seals.verify(connection)


async def test_what_has_expired_is_written_down_as_of_its_own_end(world: World) -> None:
    binding = await world.allocate(ttl_seconds=10)
    end = binding.expires_at
    world.clock.move(seconds=60)
    await _round(world)
    async with world.db.connection() as connection:
        row = await connection.fetchrow("select status, ended_at from bindings where id = $1", binding.id)
    assert row is not None
    assert (row["status"], row["ended_at"]) == (Status.EXPIRED, end)
    assert [event["subject"] for event in await _events(world, "binding.expired")] == [binding.id]


async def test_the_journal_is_sealed_and_verified(world: World) -> None:
    await world.allocate()
    await _round(world)
    await world.allocate()
    await _round(world)
    verdict = await _verdict(world)
    assert (verdict.broken_at, verdict.unsealed, verdict.seals) == (None, 0, 2)
    assert verdict.rows == len(await _all_rows(world))


async def _all_rows(world: World) -> list[asyncpg.Record]:
    async with world.db.connection() as connection:
        rows: list[asyncpg.Record] = await connection.fetch("select * from journal")
        return rows


@pytest.mark.parametrize(
    "tampering",
    [
        "update journal set actor = 'somebody else' where event = 'binding.created'",
        "update journal set data = '{}' where event = 'binding.created'",
        "delete from journal where event = 'binding.created'",
        "insert into journal (txid, at, actor, event) select txid, at, actor, event from journal limit 1",
        "delete from journal_seals where seq = 1",
        "update journal_seals set hash = previous where seq = 1",
    ],
)
async def test_tampering_with_what_is_sealed_is_found(world: World, tampering: str) -> None:
    await world.allocate()
    await _round(world)
    await world.allocate()
    await _round(world)
    async with world.db.connection() as connection:
        await connection.execute(tampering)
    assert (await _verdict(world)).broken_at is not None


async def test_a_transaction_still_running_is_sealed_later_and_not_lost(world: World) -> None:
    async with world.db.transaction() as slow:
        await slow.execute("insert into journal (at, actor, event) values (now(), 'test', 'slow')")
        await world.allocate()
        await _round(world)
        before = await _verdict(world)
    await _round(world)
    after = await _verdict(world)
    assert before.unsealed > 0
    assert (after.unsealed, after.broken_at) == (0, None)


async def test_a_transaction_larger_than_a_seal_is_sealed_whole(world: World) -> None:
    await _round(world)
    async with world.db.transaction() as connection:
        await connection.execute(
            "insert into journal (at, actor, event) select now(), 'test', 'many' from generate_series(1, $1)",
            seals.SEAL_ROWS + 1,
        )
    await world.allocate()
    await _round(world)
    verdict = await _verdict(world)
    assert (verdict.unsealed, verdict.broken_at) == (0, None)
    assert verdict.rows == len(await _all_rows(world))


async def test_more_stored_answers_are_cleared_than_one_statement_takes(world: World) -> None:
    async with world.db.connection() as connection:
        await connection.execute(
            "insert into idempotency_keys select $1, n::text, '', 201, '{}', $2 from generate_series(1, $3::integer) n",
            world.mall.tenant_id,
            world.clock.now(),
            2 * CLEARED_AT_ONCE + 1,
        )
    world.clock.move(hours=24)
    await _round(world)
    assert await _stored(world) == 0


async def test_stored_answers_are_cleared_after_a_day(world: World) -> None:
    await world.bindings.allocate(world.mall, request(), "key")
    world.clock.move(hours=23)
    await _round(world)
    assert await _stored(world) == 1
    world.clock.move(hours=2)
    await _round(world)
    assert await _stored(world) == 0


async def _stored(world: World) -> int:
    async with world.db.connection() as connection:
        count: int = await connection.fetchval("select count(*) from idempotency_keys")
        return count


async def test_a_pool_that_runs_low_is_told_of_once(world: World) -> None:
    await world.pool("0504-5000-0000", "0504-5000-0009", Service.PERSONAL, name="low", low_water=9)
    worker = Worker(world.db, world.clock, AbuseSettings().policy())
    for _ in range(3):
        await world.allocate(pool="low")
        world.clock.move(minutes=2)
        async with world.db.connection() as connection:
            await worker.round(connection)
    assert [event["data"] for event in await _events(world, "pool.low")] == [{"free": 8, "low_water": 9}]


@pytest.mark.parametrize("reached", [False, True], ids=["counter not reached", "counter at the end"])
async def test_what_is_free_is_counted_as_the_pool_counts_it(world: World, *, reached: bool) -> None:
    """Named ahead of the counter, held, resting, rested, shared with and without pairs: all in one small pool."""
    world.clock.move(days=-10)
    pool = await world.pool("070-9000-0000", "070-9000-0009", Service.VOIP, name="mixed", low_water=20)
    rested, pair = await world.allocate(pool="mixed"), await world.pair(pool="mixed")
    await world.bindings.release(world.mall, rested.id)
    await world.bindings.release(world.mall, pair.id)
    world.clock.move(days=10)
    await world.allocate(vn="070-9000-0008")
    held = PoolChange(lock=(pool.last,), reserve=(pool.last - 2,))
    await world.pools.change("test", pool.id, held)
    resting = await world.allocate(vn="070-9000-0006")
    await world.bindings.release(world.mall, resting.id)
    for _ in range(6 if reached else 1):
        await world.allocate(pool="mixed")
    world.clock.move(minutes=2)
    await _round(world)
    expected = (await world.pools.counts([pool.id]))[pool.id].free
    told = [event["data"] for event in await _events(world, "pool.low") if event["subject"] == pool.id]
    assert told == [{"free": expected, "low_water": 20}]
    assert expected == (0 if reached else 5)


async def test_recorded_calls_are_erased_when_their_time_is_over(world: World, tmp_path: Path) -> None:
    settings = RecordingSettings(recording_store_dir=tmp_path / "store", recording_retention_days=7)
    recordings = Recordings(world.db, world.keyring, world.clock, settings)
    clear = tmp_path / "call.wav"
    clear.write_bytes(tone(8_000, 0.5))
    await recordings.seal(clear, uuid4())
    await recordings.register("a")
    worker = Worker(
        world.db, world.clock, AbuseSettings().policy(), retention=Retention(world.db, world.clock, settings)
    )
    async with world.db.connection() as connection:
        await worker.round(connection)
        assert await _events(world, "recording.erased") == []
        world.clock.move(days=7)
        await worker.round(connection)
        assert await connection.fetchval("select wrapped_key from recordings") is None
    assert len(await _events(world, "recording.erased")) == 1
    assert _files(tmp_path / "store") == []


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_counts_of_past_days_are_cleared_and_refusals_of_texts_are_not(world: World) -> None:
    tables = ("auto_replies", "sender_days", "sender_codes", "opt_outs")
    now = world.clock.now()
    async with world.db.connection() as connection:
        await connection.execute("insert into auto_replies values (1, $1, $2)", bytes(16), now.date())
        await connection.execute("insert into sender_days values (1, $1, 1)", now.date())
        await connection.execute("insert into sender_codes values ($1, $2)", bytes(16), now)
        await connection.execute("insert into opt_outs values ($1, $2, null, $3)", world.mall.tenant_id, bytes(16), now)

    async def left() -> list[int]:
        async with world.db.connection() as connection:
            return [await connection.fetchval(f"select count(*) from {table}") for table in tables]  # noqa: S608

    await _round(world)
    assert await left() == [1, 1, 1, 1]
    world.clock.move(days=2)
    await _round(world)
    assert await left() == [1, 1, 0, 1]
    world.clock.move(days=32)
    await _round(world)
    assert await left() == [0, 0, 0, 1]


async def test_the_end_of_a_proof_is_told_of(world: World) -> None:
    senders = Senders(world.db, world.keyring, world.clock)
    await senders.set_policy("test", world.mall.tenant_id, SenderPolicy(proof=Proof.LISTED))
    own = await senders.register("test", world.mall.tenant_id, "02-1234-5678")
    await _round(world)
    assert await _events(world, "sender.expiring") == []
    world.clock.move(days=350)
    await _round(world)
    world.clock.move(days=1)
    await _round(world)
    assert [event["subject"] for event in await _events(world, "sender.expiring")] == [own.id]


async def test_the_end_of_an_exemption_is_told_of_once_and_by_its_day(world: World) -> None:
    granted = await Exemptions(world.db, world.clock).grant("test", world.mall.tenant_id, Route.CARRIER, "file 7")
    await _round(world)
    assert await _events(world, "sender.exemption_expiring") == []
    world.clock.move(days=336)
    for _ in range(2):
        await _round(world)
    (told,) = await _events(world, "sender.exemption_expiring")
    assert told["tenant_id"] == world.mall.tenant_id
    assert told["data"] == {"route": "carrier", "expires_at": granted.ends_at.isoformat()}


async def test_the_ends_of_proofs_of_pools_and_relay_numbers_are_told_of_once(world: World) -> None:
    register, safe = RelayNumberRegister(world.db, world.clock), await world.pools.get("safe")
    first = world.clock.now() + timedelta(days=31)
    await register.put("test", world.mall.tenant_id, parse("1899-4321"), "file 7", first)
    await world.pools.change("test", safe.id, PoolChange(voice_proof_until=first))

    async def told() -> list[tuple[object, object, object]]:
        await _round(world)
        found = [
            *await _events(world, "pool.proof_expiring"),
            *await _events(world, "texts.relay_number_expiring"),
        ]
        return [(event["subject"], event["tenant_id"], event["data"]["expires_at"]) for event in found]

    assert await told() == []
    world.clock.move(days=1)
    expected = [(safe.id, None, first.isoformat()), (None, world.mall.tenant_id, first.isoformat())]
    assert await told() == expected
    assert await told() == expected
    second = first + timedelta(days=1)
    await register.put("test", world.mall.tenant_id, parse("1899-4321"), "file 8", second)
    world.clock.move(days=1)
    assert await told() == [*expected, (None, world.mall.tenant_id, second.isoformat())]
    world.clock.move(days=90)
    assert len(await told()) == 3, "what is over is not about to end"


async def test_a_part_of_a_round_that_fails_takes_no_other_along(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def too_slow(_: object, __: asyncpg.Connection) -> None:
        raise asyncpg.QueryCanceledError("statement timeout")

    await world.pool("0504-5000-0000", "0504-5000-0009", Service.PERSONAL, name="low", low_water=9)
    for _ in range(2):
        await world.allocate(pool="low")
    monkeypatch.setattr(Worker, "_clear_counts", too_slow)
    await _round(world)
    assert len(await _events(world, "pool.low")) == 1
    assert "QueryCanceledError" in caplog.text


async def test_a_round_that_fails_leaves_the_work_to_whoever_comes_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to the connection that goes back to the pool with the lock."""

    async def too_slow(_: object, __: asyncpg.Connection) -> None:
        raise asyncpg.QueryCanceledError("statement timeout")

    monkeypatch.setattr(Worker, "round", too_slow)
    worker = Worker(world.db, world.clock, AbuseSettings().policy())
    async with world.db.connection() as one, world.db.connection() as other:
        with pytest.raises(asyncpg.QueryCanceledError):
            await worker._rounds_while_chosen(one, asyncio.Event())
        assert await other.fetchval("select pg_try_advisory_lock($1)", WORKER_LOCK)
        await other.fetchval("select pg_advisory_unlock($1)", WORKER_LOCK)
