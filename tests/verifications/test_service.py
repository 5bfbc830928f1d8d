"""Verification calls in the core: who may be called, how often, by which bridge, and what is left afterwards."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.core_world import CUSTOMER, World
from vns.crypto.rules import KeyRing, version_of
from vns.errors import (
    CallerIdNotProven,
    CallUnderWay,
    InvalidRequest,
    NotFound,
    NumberNotMappable,
    RateLimited,
    VnsError,
)
from vns.numbering.rules import parse
from vns.pools.rules import PoolChange
from vns.storage.database import Database
from vns.verifications.reencryption import reencrypt_verifications_once
from vns.verifications.rules import CLAIM, WAITS, Failure, Outcome, Status, VerificationCall, new_code
from vns.verifications.service import Verifications
from vns.verifications.settings import VerificationSettings

PROVEN = "070-8000-0019"


def verifications_of(world: World, **settings: Any) -> Verifications:
    settings.setdefault("verification_caller_id", PROVEN)
    return Verifications(world.db, world.keyring, world.clock, VerificationSettings(**settings))


@pytest.fixture
async def verifications(world: World) -> AsyncIterator[Verifications]:
    yield verifications_of(world)


async def asked(verifications: Verifications, number: str = CUSTOMER, code: str = "482910") -> VerificationCall:
    return await verifications.request("test", parse(number), code)


async def stored(db: Database) -> list[dict[str, Any]]:
    async with db.connection() as connection:
        return [dict(row) for row in await connection.fetch("select * from verification_calls order by requested_at")]


def heard(call: VerificationCall, world: World, *, attempt: int = 1, spoken: int = 2) -> Outcome:
    now = world.clock.now()
    return Outcome(id=call.id, attempt=attempt, ended_at=now, failure=None, spoken=spoken, answered_at=now)


async def test_a_call_is_claimed_once_and_leaves_neither_number_nor_code(
    world: World, verifications: Verifications
) -> None:
    call = await asked(verifications)
    assert (call.status, call.number_masked) == (Status.QUEUED, "010-****-2222")
    claims = await asyncio.gather(*(verifications.claim(name) for name in "abcdef"))
    [claim] = [claim for claim in claims if claim is not None]
    assert (claim.number, claim.code, claim.caller_id) == (CUSTOMER, "482910", "07080000019")
    assert CUSTOMER not in repr(claim) and "482910" not in repr(claim)
    assert await verifications.finish("a", heard(call, world))
    assert not await verifications.finish("b", heard(call, world, spoken=1)), "it is written once"
    done = await verifications.get(call.id)
    assert (done.status, done.spoken, done.attempts, done.reason) == (Status.COMPLETED, 2, 1, None)
    [row] = await stored(world.db)
    assert row["number"] is None and row["code"] is None
    async with world.db.connection() as connection:
        journal = await connection.fetch("select * from journal where event like 'verification.%' order by id")
    assert [entry["event"] for entry in journal] == ["verification.requested", "verification.ended"]
    assert journal[1]["data"] == {
        "number": "010-****-2222",
        "status": "completed",
        "reason": None,
        "spoken": 2,
        "attempts": 1,
    }


async def test_the_claim_of_a_dead_bridge_is_taken_over_and_not_before(
    world: World, verifications: Verifications
) -> None:
    call = await asked(verifications)
    assert await verifications.claim("dead") is not None
    world.clock.time += CLAIM - timedelta(seconds=1)
    assert await verifications.claim("b") is None
    assert await verifications.expire("b") == 0
    world.clock.move(seconds=1)
    second = await verifications.claim("b")
    assert second is not None and second.attempt == 2
    late = Outcome(id=call.id, attempt=1, ended_at=world.clock.now(), failure=Failure.BUSY)
    assert not await verifications.finish("a", late), "the first attempt's failure is not the second one's"
    assert await verifications.finish("a", heard(call, world, attempt=1)), "a code that was heard counts"


async def test_two_lost_attempts_are_the_last(world: World, verifications: Verifications) -> None:
    call = await asked(verifications)
    for _ in range(2):
        assert await verifications.claim("dead") is not None
        world.clock.time += CLAIM
    assert await verifications.claim("b") is None
    assert await verifications.expire("b") == 1
    done = await verifications.get(call.id)
    assert (done.status, done.reason, done.attempts) == (Status.FAILED, Failure.EXPIRED, 2)


async def test_a_request_that_nobody_takes_expires(world: World, verifications: Verifications) -> None:
    call = await asked(verifications)
    world.clock.time += WAITS
    assert await verifications.claim("late") is None
    assert await verifications.expire("late") == 1
    assert (await verifications.get(call.id)).reason is Failure.EXPIRED


async def test_one_number_is_called_once_at_a_time(world: World, verifications: Verifications) -> None:
    results = await asyncio.gather(*(asked(verifications) for _ in range(3)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["CallUnderWay", "CallUnderWay", "VerificationCall"]
    await asked(verifications, "010-3333-4444")
    with pytest.raises(CallUnderWay):
        await asked(verifications)


async def test_limits_of_one_number(world: World) -> None:
    verifications = verifications_of(world, verification_calls_per_day=4)

    async def over() -> None:
        call = await asked(verifications)
        await verifications.claim("a")
        await verifications.finish("a", heard(call, world))

    for _ in range(3):
        await over()
        world.clock.move(minutes=1)
    with pytest.raises(RateLimited) as refused:
        await asked(verifications)
    assert refused.value.retry_after == 7 * 60
    await asked(verifications, "010-3333-4444")
    world.clock.move(minutes=7)
    await over()
    world.clock.move(minutes=20)
    with pytest.raises(RateLimited) as refused:
        await asked(verifications)
    assert refused.value.retry_after == (24 * 60 - 30) * 60
    world.clock.move(hours=24)
    await over()


@pytest.mark.parametrize(
    ("number", "error"),
    [
        ("112", NumberNotMappable),
        ("114", NumberNotMappable),
        ("060-700-1234", NumberNotMappable),
        ("0504-1000-0001", NumberNotMappable),
        ("070-8000-0003", NumberNotMappable),
    ],
)
async def test_who_is_never_called(verifications: Verifications, number: str, error: type[VnsError]) -> None:
    with pytest.raises(error):
        await asked(verifications, number)


@pytest.mark.parametrize("code", ["", "123", "123456789", "12a456", "１２３４５６", "1234\n"])
async def test_what_is_no_code(verifications: Verifications, code: str) -> None:
    with pytest.raises(InvalidRequest):
        await asked(verifications, code=code)


@pytest.mark.parametrize("shown", [None, "hello", "070-9999-0000", "0504-2000-0001"])
async def test_without_a_proven_number_to_present_nobody_is_called(world: World, shown: str | None) -> None:
    await world.pool("0504-2000-0000", "0504-2000-0009", name="unproven")
    with pytest.raises(CallerIdNotProven):
        await asked(verifications_of(world, verification_caller_id=shown))
    assert await stored(world.db) == []


async def test_a_call_whose_number_is_proven_no_more_is_not_made(world: World, verifications: Verifications) -> None:
    call = await asked(verifications)
    voip, end = await world.pools.get("voip"), world.clock.now() + timedelta(seconds=30)
    await world.pools.change("test", voip.id, PoolChange(voice_proof_until=end))
    world.clock.move(seconds=30)
    assert await verifications.claim("a") is None
    with pytest.raises(CallerIdNotProven):
        await asked(verifications, "010-3333-4444")
    await world.pools.change("test", voip.id, PoolChange(voice_proof="file 8"))
    claim = await verifications.claim("a")
    assert claim is not None and claim.id == call.id


async def test_an_unknown_call(world: World, verifications: Verifications) -> None:
    with pytest.raises(NotFound):
        await verifications.get(world.mall.tenant_id)


def test_codes_are_six_digits_and_differ() -> None:
    codes = {new_code() for _ in range(200)}
    assert all(len(code) == 6 and code.isdigit() for code in codes)
    assert len(codes) > 190


async def test_a_rotated_key_reaches_calls_under_way(world: World, verifications: Verifications) -> None:
    over, waiting = await asked(verifications), await asked(verifications, "010-3333-4444")
    await verifications.claim("a")
    await verifications.finish("a", heard(over, world))
    KeyRing.rotate(world.keyring.path)
    ring = KeyRing.load(world.keyring.path)
    assert await reencrypt_verifications_once(world.db, ring) == 2
    assert await reencrypt_verifications_once(world.db, ring) == 0
    rows = {row["id"]: (row["number"], row["code"]) for row in await stored(world.db)}
    assert rows[over.id] == (None, None)
    assert [version_of(blob) for blob in rows[waiting.id]] == [2, 2]
    claim = await verifications.claim("a")
    assert claim is not None
    assert (claim.number, claim.code) == ("01033334444", "482910")
