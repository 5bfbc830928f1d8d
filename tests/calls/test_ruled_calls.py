"""What rules and the newer modes write into a call's record, and what becomes of it at the call's end."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World
from tests.routing.rows import Row, write
from vns.bindings.rules import BindingChange, CallerId, Channel
from vns.calls.rules import NO_NUMBER, CallOutcome, HangupBy, Result
from vns.calls.service import Attempt, Begun, Calls
from vns.messages.missed import missed_text
from vns.messages.rules import SMS_BYTES, cipher_context, korean_bytes
from vns.messages.service import Messages
from vns.numbering.rules import parse
from vns.pools.rules import Mode, PoolChange, Proof, Service
from vns.routing.rules import Collect, Connect, Question, Reason, Refuse
from vns.rulebook.documents import checked
from vns.storage.pages import HistoryQuery

X, SAFE = 7080000000, 50410000000
DIGITS_X, DIGITS_SAFE = "07080000000", "050410000000"
FALLBACK = "0212345678"
EXTENSION = Row(mode=Mode.EXTENSION, vn=SAFE, extension="1234", caller_id="caller")


@pytest.fixture
def calls(world: World) -> Calls:
    return Calls(world.db, world.router, world.clock)


def attempt(
    world: World, dialled: str, caller: str | None, digits: str | None = None, call_id: UUID | None = None, **asked: Any
) -> Attempt:
    number, call_id = parse(dialled), call_id or uuid4()
    question = Question(
        vn=number.key,
        caller=parse(caller) if caller else None,
        channel=Channel.VOICE,
        at=world.clock.now(),
        dialled=number,
        digits=digits,
        **asked,
    )
    return Attempt(call_id=call_id, dialled=number, question=question, bridge="a", channel=f"vns-{call_id}")


def ended(world: World, begun: Begun, result: Result, *, rang: bool = False) -> CallOutcome:
    now = world.clock.now()
    return CallOutcome(
        call_id=begun.call_id,
        channel=f"vns-{begun.call_id}",
        bridge="a",
        result=result,
        cause=16,
        hangup_by=HangupBy.CALLER,
        ended_at=now,
        ringing_at=now - timedelta(seconds=5) if rang else None,
        answered_at=now - timedelta(seconds=3) if result is Result.ANSWERED else None,
    )


def reason(begun: Begun) -> Reason | None:
    decision = begun.routed.decision
    return decision.reason if isinstance(decision, Refuse) else None


async def stored(world: World) -> list[dict[str, Any]]:
    async with world.db.connection() as connection:
        return [dict(row) for row in await connection.fetch("select * from calls order by arrived_at, id")]


async def ruled(world: World, **rules: object) -> str:
    """A one-way number with rules; its digits."""
    await world.allocate(rules=checked(rules))
    return DIGITS_SAFE


async def test_a_call_that_is_asked_for_digits_has_one_record_until_its_end(world: World, calls: Calls) -> None:
    binding_id = await write(world, EXTENSION)
    first = await calls.begin(attempt(world, DIGITS_SAFE, STRANGER))
    assert isinstance(first.routed.decision, Collect)
    [row] = await stored(world)
    assert (row["result"], row["direction"], row["binding_id"]) == ("in_progress", "none", None)
    again = attempt(world, DIGITS_SAFE, STRANGER, "9", call_id=first.call_id)
    assert reason(await calls.begin(again)) is Reason.NOT_A_PARTY
    right = attempt(world, DIGITS_SAFE, STRANGER, "1234", call_id=first.call_id)
    assert isinstance((await calls.begin(right)).routed.decision, Connect)
    [row] = await stored(world)
    assert (row["result"], row["direction"], row["binding_id"]) == ("in_progress", "to_real", binding_id)
    assert (row["tenant_id"], row["cause"]) == (world.mall.tenant_id, None)


async def test_a_connected_stranger_becomes_the_last_caller(world: World, calls: Calls) -> None:
    await write(world, EXTENSION)
    await write(world, replace(EXTENSION, real=COURIER, extension="77"))
    assert reason(await calls.begin(attempt(world, DIGITS_SAFE, CUSTOMER))) is Reason.UNREACHABLE
    for caller in ("01099990001", STRANGER):
        await calls.begin(attempt(world, DIGITS_SAFE, caller, "1234"))
    back = await calls.begin(attempt(world, DIGITS_SAFE, CUSTOMER))
    assert [target.digits for target in back.routed.targets] == [STRANGER]
    assert back.routed.presented == DIGITS_SAFE
    assert [row["direction"] for row in await stored(world)].count("to_peer") == 1
    async with world.db.connection() as connection:
        kept = await connection.fetchval("select last_caller from bindings where last_caller is not null")
    assert STRANGER.encode() not in bytes(kept)


@pytest.mark.parametrize("change", [{"real_number": "01066660001"}, {"reference": "the same owner"}])
async def test_a_new_owner_does_not_reach_whom_the_former_one_had_been_called_by(
    world: World, calls: Calls, change: dict[str, str]
) -> None:
    binding_id = await write(world, replace(EXTENSION, last_caller=STRANGER))
    real = parse(change["real_number"]) if "real_number" in change else None
    changed = BindingChange(real_number=real, reference=change.get("reference"))
    await world.bindings.change(world.mall, binding_id, changed)
    back = await calls.begin(attempt(world, DIGITS_SAFE, change.get("real_number", CUSTOMER)))
    assert [target.digits for target in back.routed.targets] == ([] if real else [STRANGER])
    assert reason(back) is (Reason.UNREACHABLE if real else None)


async def test_a_call_back_does_not_become_the_owner_s_last_caller(world: World, calls: Calls) -> None:
    await write(world, replace(EXTENSION, last_caller=STRANGER))
    for _ in range(2):
        back = await calls.begin(attempt(world, DIGITS_SAFE, CUSTOMER))
        assert [target.digits for target in back.routed.targets] == [STRANGER]


async def test_an_emergency_service_is_nobody_to_call_back(world: World, calls: Calls) -> None:
    await write(world, EXTENSION)
    assert isinstance((await calls.begin(attempt(world, DIGITS_SAFE, "112", "1234"))).routed.decision, Connect)
    assert reason(await calls.begin(attempt(world, DIGITS_SAFE, CUSTOMER))) is Reason.UNREACHABLE


async def test_the_record_of_an_outgoing_call_names_the_subscriber_s_number_only(world: World, calls: Calls) -> None:
    binding_id = await write(world, Row(mode=Mode.OUTBOUND, vn=X))
    begun = await calls.begin(attempt(world, "070-1234-5678", CUSTOMER))
    assert begun.routed.presented == DIGITS_X
    await calls.begin(attempt(world, "112", CUSTOMER))
    await calls.begin(attempt(world, "070-1234-5678", STRANGER))
    rows = {row["direction"] + row["result"]: row for row in await stored(world)}
    connected = rows["to_peerin_progress"]
    assert (connected["vn"], connected["binding_id"], connected["to_masked"]) == (X, binding_id, "070-****-5678")
    assert rows["nonenot_allowed"]["vn"] == X
    assert rows["noneunallocated"]["binding_id"] is None
    assert NO_NUMBER not in {connected["vn"], rows["nonenot_allowed"]["vn"]}


async def test_a_number_takes_as_many_calls_as_its_rules_say_and_then_one_more_after_each(
    world: World, calls: Calls
) -> None:
    number = await ruled(world, concurrent_calls=2)
    first, second = [await calls.begin(attempt(world, number, STRANGER)) for _ in range(2)]
    third = await calls.begin(attempt(world, number, STRANGER))
    assert (reason(first), reason(second), reason(third)) == (None, None, Reason.BUSY)
    assert await calls.finish([ended(world, first, Result.ANSWERED)]) == 1
    assert reason(await calls.begin(attempt(world, number, STRANGER))) is None
    assert reason(await calls.begin(attempt(world, number, STRANGER))) is Reason.BUSY


async def test_a_call_asked_about_twice_takes_one_place(world: World, calls: Calls) -> None:
    number = await ruled(world, concurrent_calls=1)
    first = attempt(world, number, STRANGER)
    assert reason(await calls.begin(first)) is None
    assert reason(await calls.begin(first)) is None


async def test_no_two_calls_take_the_last_place_together(world: World) -> None:
    """Decided at the same time by two bridges, when both see the place free."""
    number = await ruled(world, concurrent_calls=3)
    bridges = [Calls(world.db, world.router, world.clock) for _ in range(2)]
    for _ in range(5):
        begun = await asyncio.gather(
            *(bridges[place % 2].begin(attempt(world, number, STRANGER)) for place in range(8))
        )
        connected = [one for one in begun if reason(one) is None]
        assert len(connected) == 3
        assert {reason(one) for one in begun} == {None, Reason.BUSY}
        assert await bridges[0].finish([ended(world, one, Result.ANSWERED) for one in connected]) == 3


async def test_a_call_that_is_one_too_many_does_not_move_a_sliding_end(world: World, calls: Calls) -> None:
    binding = await world.allocate(ttl_seconds=600, rules=checked({"concurrent_calls": 1}))
    ends = []
    for _ in range(2):
        world.clock.move(seconds=100)
        await calls.begin(attempt(world, DIGITS_SAFE, STRANGER))
        ends.append((await world.bindings.get(world.mall, binding.id)).expires_at)
    assert ends == [world.clock.now() + timedelta(seconds=500)] * 2


async def test_a_pool_s_limit_counts_each_number_for_itself(world: World, calls: Calls) -> None:
    [pool] = [pool for pool in await world.pools.list() if pool.name == "safe"]
    await world.pools.change("test", pool.id, PoolChange(rules=checked({"concurrent_calls": 1})))
    await world.allocate()
    await world.allocate()
    for number in (DIGITS_SAFE, "050410000001"):
        assert reason(await calls.begin(attempt(world, number, STRANGER))) is None
        assert reason(await calls.begin(attempt(world, number, STRANGER))) is Reason.BUSY


@pytest.mark.parametrize("proven", [True, False])
async def test_somebody_answers_for_a_number_that_has_ended(world: World, calls: Calls, proven: bool) -> None:
    rules = checked({"fallback_number": FALLBACK})
    fields: dict[str, Any] = {"service": Service.VOIP} if proven else {}
    safe = await world.pools.get("safe")
    await world.pools.change("test", safe.id, PoolChange(withdraw_proofs=frozenset({Proof.VOICE})))
    binding = await world.allocate(rules=rules, **fields)
    await world.bindings.release(world.mall, binding.id)
    number = DIGITS_X if proven else DIGITS_SAFE
    begun = await calls.begin(attempt(world, number, STRANGER))
    assert [target.digits for target in begun.routed.targets] == [FALLBACK]
    assert begun.routed.presented == (DIGITS_X if proven else STRANGER)
    [row] = await stored(world)
    assert (row["direction"], row["result"], row["binding_id"]) == ("to_fallback", "in_progress", binding.id)
    assert row["to_masked"] == "02-****-5678"
    assert await calls.finish([ended(world, begun, Result.ANSWERED)]) == 1
    assert reason(await calls.begin(attempt(world, number, None))) is Reason.ENDED
    hidden = await calls.begin(attempt(world, number, STRANGER, show_caller=False))
    assert reason(hidden) is (None if proven else Reason.ENDED)
    world.clock.move(days=8)
    assert reason(await calls.begin(attempt(world, number, STRANGER))) is Reason.UNALLOCATED


async def test_the_pool_s_fallback_number_answers_where_the_binding_names_none(world: World, calls: Calls) -> None:
    [pool] = [pool for pool in await world.pools.list() if pool.name == "safe"]
    await world.pools.change("test", pool.id, PoolChange(rules=checked({"fallback_number": FALLBACK})))
    binding = await world.allocate()
    await world.bindings.release(world.mall, binding.id)
    begun = await calls.begin(attempt(world, DIGITS_SAFE, STRANGER))
    assert [target.digits for target in begun.routed.targets] == [FALLBACK]


async def test_a_fallback_number_that_became_a_virtual_one_is_not_called(world: World, calls: Calls) -> None:
    binding = await world.allocate(rules=checked({"fallback_number": "070-9000-0001"}))
    await world.bindings.release(world.mall, binding.id)
    await world.pool("070-9000-0000", "070-9000-0019", Service.VOIP)
    assert reason(await calls.begin(attempt(world, DIGITS_SAFE, STRANGER))) is Reason.UNREACHABLE


async def texts(world: World) -> list[dict[str, Any]]:
    """Messages as stored, their envelopes opened."""
    async with world.db.connection() as connection:
        rows = [dict(row) for row in await connection.fetch("select * from messages order by id")]
    for row in rows:
        if row["envelope"] is not None:
            row["envelope"] = json.loads(world.keyring.decrypt(row["envelope"], context=cipher_context(row["id"])))
    return rows


MISSED: Sequence[tuple[Result, bool, bool]] = [
    (Result.BUSY, True, True),
    (Result.NO_ANSWER, True, True),
    (Result.UNREACHABLE, False, True),
    (Result.CANCELLED, True, True),
    (Result.CANCELLED, False, False),
    (Result.ANSWERED, True, False),
    (Result.UNKNOWN, True, False),
]


@pytest.mark.parametrize(("result", "rang", "told"), MISSED)
async def test_the_owner_is_told_once_of_a_call_that_it_missed(
    world: World, calls: Calls, result: Result, rang: bool, told: bool
) -> None:
    binding = await world.allocate(service=Service.VOIP, rules=checked({"missed_call_text": True}))
    begun = await calls.begin(attempt(world, DIGITS_X, STRANGER))
    outcome = ended(world, begun, result, rang=rang)
    assert await calls.finish([outcome]) == 1
    assert await calls.finish([outcome]) == 0
    found = await texts(world)
    assert len(found) == int(told)
    assert [row["caller"] for row in await stored(world)] == [None], "the caller's number goes with the call"
    if told:
        [row] = found
        assert (row["status"], row["binding_id"], row["vn"]) == ("queued", binding.id, X)
        assert row["envelope"] == {
            "to": CUSTOMER,
            "from": DIGITS_X,
            "text": "[부재중 전화] 안심번호 070-8000-0000 03/01 21:00 발신 010-5555-6666",
        }
        messages = Messages(world.db, world.router, world.keyring, world.clock)
        assert [message.id for message in await messages.pending_handover()] == [row["id"]]


@pytest.mark.parametrize("hidden", ["virtual", "privacy"])
async def test_a_text_names_no_caller_whom_the_owner_would_not_have_seen(
    world: World, calls: Calls, hidden: str
) -> None:
    caller_id = CallerId.VIRTUAL if hidden == "virtual" else CallerId.CALLER
    await world.allocate(service=Service.VOIP, caller_id=caller_id, rules=checked({"missed_call_text": True}))
    begun = await calls.begin(attempt(world, DIGITS_X, STRANGER, show_caller=hidden != "privacy"))
    assert [row["caller"] for row in await stored(world)] == [None]
    await calls.finish([ended(world, begun, Result.BUSY)])
    [row] = await texts(world)
    assert row["envelope"]["text"] == "[부재중 전화] 안심번호 070-8000-0000 03/01 21:00"


@pytest.mark.parametrize(
    ("spoiled", "told"),
    [
        ("update calls set caller = $1", ["[부재중 전화] 안심번호 070-8000-0000 03/01 21:00"]),
        ("update bindings set real_number = $1", []),
    ],
)
async def test_a_number_that_cannot_be_read_holds_up_no_end(
    world: World, calls: Calls, caplog: pytest.LogCaptureFixture, spoiled: str, told: list[str]
) -> None:
    """As where a key was taken away too early."""
    await world.allocate(service=Service.VOIP, rules=checked({"missed_call_text": True}))
    begun = await calls.begin(attempt(world, DIGITS_X, STRANGER))
    async with world.db.connection() as connection:
        await connection.execute(spoiled, b"nonsense")
    assert await calls.finish([ended(world, begun, Result.BUSY)]) == 1
    assert [row["result"] for row in await stored(world)] == ["busy"]
    assert [row["envelope"]["text"] for row in await texts(world)] == told
    assert f"{begun.call_id}" in caplog.text


async def test_what_cannot_be_sent_is_said_not_sent(world: World, calls: Calls) -> None:
    number = await ruled(world, missed_call_text=True)
    begun = await calls.begin(attempt(world, number, STRANGER))
    await calls.finish([ended(world, begun, Result.NO_ANSWER, rang=True)])
    messages = Messages(world.db, world.router, world.keyring, world.clock)
    [shown] = (await messages.list(world.mall, HistoryQuery())).items
    assert (shown.status, shown.reason, shown.code) == ("failed", "sender_not_registered", "i")


async def test_only_the_owner_is_told_and_only_by_rule(world: World, calls: Calls) -> None:
    pair = await world.pair(rules=checked({"missed_call_text": True}))
    to_peer = await calls.begin(attempt(world, DIGITS_X, CUSTOMER))
    await calls.finish([ended(world, to_peer, Result.BUSY)])
    assert await texts(world) == []
    to_real = await calls.begin(attempt(world, DIGITS_X, COURIER))
    await calls.finish([ended(world, to_real, Result.BUSY)])
    assert [row["envelope"]["text"][-11:] for row in await texts(world)] == ["03/01 21:00"]
    await world.bindings.change(world.mall, pair.id, BindingChange(rules=checked({"missed_call_text": None})))
    silent = await calls.begin(attempt(world, DIGITS_X, COURIER))
    await calls.finish([ended(world, silent, Result.BUSY)])
    assert len(await texts(world)) == 1


async def test_per_side_the_text_comes_from_the_number_that_the_owner_may_dial(world: World, calls: Calls) -> None:
    row = Row(mode=Mode.PER_SIDE, vn=X, peer_vn=X + 1, peer=COURIER, rules={"missed_call_text": True})
    await write(world, row)
    begun = await calls.begin(attempt(world, DIGITS_X, COURIER))
    await calls.finish([ended(world, begun, Result.BUSY)])
    [text] = await texts(world)
    assert (text["vn"], text["envelope"]["from"]) == (X + 1, "07080000001")


def test_the_longest_text_is_one_sms(world: World) -> None:
    length = korean_bytes(missed_text("050412345678", "050812345678", world.clock.now()))
    assert length is not None
    assert length <= SMS_BYTES
