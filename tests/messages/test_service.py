"""Texts on a real database: recorded once, decided on, and final once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World
from vns.bindings.rules import Binding, Channel
from vns.errors import InvalidRequest
from vns.messages.rules import Arrival, Kind, Message, OpenMessage, Outcome, Received, Status
from vns.messages.service import Messages
from vns.numbering.rules import digits_of
from vns.routing.service import Router
from vns.storage.pages import HistoryQuery


@pytest.fixture
def messages(world: World) -> Messages:
    return Messages(world.db, world.router, world.keyring, world.clock)


def arrival(binding: Binding, text: str | None = "안녕하세요", **fields: Any) -> Arrival:
    values = {"id": uuid4(), "link": "skt", "session": "one", "sender": COURIER, "dialled": digits_of(binding.vn)}
    return Arrival(text=text, **{**values, **fields})


async def listed(world: World, messages: Messages, **fields: Any) -> list[Message]:
    return list((await messages.list(world.mall, HistoryQuery(**fields))).items)


async def test_a_text_for_a_live_pair_is_queued_with_the_virtual_number_as_sender(
    world: World, messages: Messages
) -> None:
    pair = await world.pair()
    received, message = await messages.receive(arrival(pair))
    assert (received.status, received.duplicate) == (Status.QUEUED, False)
    assert message is not None
    envelope = message.envelope
    assert (envelope.to, envelope.sender, envelope.text) == (CUSTOMER, digits_of(pair.vn), "안녕하세요")
    assert (await messages.pending_handover())[0] == message
    assert CUSTOMER not in repr(message)


REFUSALS = [
    ({"sender": STRANGER}, "refused", "not_a_party", None),
    ({"sender": "withheld"}, "refused", "not_a_party", None),
    ({"dialled": "0504-9999-0000"}, "refused", "unallocated", None),
    ({"dialled": "no number"}, "refused", "unallocated", None),
    ({"text": None, "raw": b"\1\2"}, "refused", "unreadable", "f"),
    ({"text": ""}, "refused", "empty", "q"),
    ({"text": "가" * 1001}, "failed", "too_long", "o"),
    ({"text": "\ue000"}, "failed", "not_encodable", "f"),
]


@pytest.mark.parametrize(("fields", "status", "reason", "code"), REFUSALS, ids=lambda value: str(value)[:30])
async def test_what_is_not_sent_is_recorded_with_its_reason(
    world: World, messages: Messages, fields: dict[str, Any], status: str, reason: str, code: str | None
) -> None:
    pair = await world.pair()
    received, message = await messages.receive(arrival(pair, **fields))
    assert message is None
    async with world.db.connection() as connection:
        row = await connection.fetchrow("select * from messages where id = $1", received.id)
    assert (row["status"], row["reason"], row["code"], row["envelope"]) == (status, reason, code, None)
    assert row["finished_at"] is not None
    assert await messages.pending_handover() == []


async def test_a_pool_without_proof_sends_nothing(world: World, messages: Messages) -> None:
    await messages.receive(arrival(await world.allocate()))
    (shown,) = await listed(world, messages)
    assert (shown.status, shown.reason, shown.code) == (Status.FAILED, "sender_not_registered", "i")


async def test_a_binding_without_texts_refuses_them(world: World, messages: Messages) -> None:
    await messages.receive(arrival(await world.pair(channels=frozenset({Channel.VOICE}))))
    (shown,) = await listed(world, messages)
    assert (shown.status, shown.reason) == (Status.REFUSED, "not_allowed")


async def test_a_release_that_comes_between_decision_and_record_wins(world: World, messages: Messages) -> None:
    pair = await world.pair()

    class Overtaken(Router):
        async def route(self, connection: Any, question: Any, **more: Any) -> Any:
            routed = await super().route(connection, question, **more)
            await world.bindings.release(world.mall, pair.id)
            return routed

    overtaken = Messages(world.db, Overtaken(world.keyring), world.keyring, world.clock)
    received, message = await overtaken.receive(arrival(pair))
    assert (received.status, message) == (Status.REFUSED, None)


async def test_the_same_text_again_through_the_same_session_is_a_new_one(world: World, messages: Messages) -> None:
    pair = await world.pair()
    first, _ = await messages.receive(arrival(pair))
    second, _ = await messages.receive(arrival(pair))
    assert (second.duplicate, second.id != first.id) == (False, True)


async def test_through_another_session_it_is_a_resend_each_record_answering_for_one(
    world: World, messages: Messages
) -> None:
    pair = await world.pair()
    first, _ = await messages.receive(arrival(pair))
    resent, message = await messages.receive(arrival(pair, session="two"))
    assert (resent, message) == (Received(id=first.id, status=Status.QUEUED, duplicate=True), None)
    again, _ = await messages.receive(arrival(pair, session="two"))
    assert not again.duplicate, "typed a second time by the person"


DIFFERENT: list[dict[str, Any]] = [{"text": "다른 말"}, {"link": "kt"}, {"sender": CUSTOMER}]


@pytest.mark.parametrize("fields", DIFFERENT, ids=str)
async def test_another_text_party_or_link_is_no_resend(
    world: World, messages: Messages, fields: dict[str, Any]
) -> None:
    pair = await world.pair()
    await messages.receive(arrival(pair))
    other, _ = await messages.receive(arrival(pair, session="two", **fields))
    assert not other.duplicate


async def test_after_ten_minutes_it_is_a_new_text(world: World, messages: Messages) -> None:
    pair = await world.pair()
    await messages.receive(arrival(pair))
    world.clock.move(minutes=10, seconds=1)
    later, _ = await messages.receive(arrival(pair, session="two"))
    assert not later.duplicate


async def test_an_offer_with_the_id_of_an_unsure_attempt_is_recognised(world: World, messages: Messages) -> None:
    pair = await world.pair()
    same = arrival(pair)
    await messages.receive(same)
    again, message = await messages.receive(same)
    assert (again.duplicate, message) == (True, None)


async def test_two_sessions_at_once_record_it_once(world: World, messages: Messages) -> None:
    pair = await world.pair()
    answers = await asyncio.gather(*(messages.receive(arrival(pair, session=str(number))) for number in range(8)))
    assert sum(not received.duplicate for received, _ in answers) == 1
    assert len(await messages.pending_handover()) == 1


async def queued(world: World, messages: Messages) -> OpenMessage:
    _, message = await messages.receive(arrival(await world.pair()))
    assert message is not None
    return message


def outcome(message_id: UUID, status: Status, world: World, code: str | None = None) -> Outcome:
    return Outcome(id=message_id, status=status, at=world.clock.now(), code=code, sent_at=world.clock.now())


@pytest.mark.parametrize("told_of_sending", [True, False], ids=["sent before", "all at once"])
async def test_times_that_a_carrier_rounds_stay_in_their_order(
    world: World, messages: Messages, *, told_of_sending: bool
) -> None:
    """A receipt tells minutes, MSG_DATA seconds."""
    message = await queued(world, messages)
    received, second, minute = (world.clock.now() - timedelta(seconds=back) for back in (0, 1, 30))
    if told_of_sending:
        await messages.record_result([Outcome(id=message.id, status=Status.SENT, at=second)])
    await messages.record_result([Outcome(id=message.id, status=Status.DELIVERED, at=minute, sent_at=second)])
    [done] = await listed(world, messages)
    assert (done.received_at, done.sent_at, done.finished_at) == (received, received, received)


async def test_what_never_left_has_no_time_of_sending(world: World, messages: Messages) -> None:
    message = await queued(world, messages)
    await messages.record_result([Outcome(id=message.id, status=Status.FAILED, at=world.clock.now())])
    [done] = await listed(world, messages)
    assert (done.sent_at, done.finished_at) == (None, world.clock.now())


async def test_handed_sent_delivered(world: World, messages: Messages) -> None:
    message = await queued(world, messages)
    await messages.mark_handed([message.id])
    assert await messages.pending_handover() == []
    assert [one.id for one in await messages.awaited()] == [message.id]
    await messages.record_result([outcome(message.id, Status.SENT, world)])
    assert [one.status for one in await listed(world, messages)] == [Status.SENT]
    assert await messages.record_result([outcome(message.id, Status.DELIVERED, world, "0")]) == 1
    assert await messages.awaited() == []


async def test_the_first_end_stays(world: World, messages: Messages) -> None:
    message = await queued(world, messages)
    assert await messages.record_result([outcome(message.id, Status.FAILED, world, "C")]) == 1
    assert await messages.record_result([outcome(message.id, Status.DELIVERED, world, "0")]) == 0
    await messages.record_result([outcome(message.id, Status.SENT, world)])
    assert [(one.status, one.code) for one in await listed(world, messages)] == [(Status.FAILED, "C")]
    async with world.db.connection() as connection:
        assert await connection.fetchval("select envelope from messages") is None


async def test_the_journal_tells_the_story_without_numbers(world: World, messages: Messages) -> None:
    pair = await world.pair()
    _, message = await messages.receive(arrival(pair))
    assert message is not None
    await messages.receive(arrival(pair, sender=STRANGER))
    await messages.record_result([outcome(message.id, Status.DELIVERED, world, "0")])
    async with world.db.connection() as connection:
        rows = await connection.fetch(
            "select event, data::text as data from journal where event like 'message.%' order by txid, id"
        )
    assert [row["event"] for row in rows] == ["message.received", "message.refused", "message.finished"]
    numbers = (CUSTOMER, COURIER, STRANGER, digits_of(pair.vn))
    assert not any(number in row["data"] for row in rows for number in numbers)


async def test_lists_are_the_tenants_own_masked_and_paged(world: World, messages: Messages) -> None:
    pair, other = await world.pair(), await world.pair(STRANGER, "01077778888")
    start = world.clock.now()
    for number in range(5):
        world.clock.move(seconds=1)
        await messages.receive(arrival(pair, f"글 {number}"))
    await messages.receive(arrival(other, sender=STRANGER))
    assert len(await listed(world, messages)) == 6
    assert len(await listed(world, messages, binding_id=pair.id)) == 5
    assert len(await listed(world, messages, until=start + timedelta(seconds=3))) == 2
    first = await messages.list(world.mall, HistoryQuery(binding_id=pair.id, limit=3))
    rest = await messages.list(world.mall, HistoryQuery(binding_id=pair.id, limit=3, cursor=first.next_cursor))
    assert (len(first.items), len(rest.items), rest.next_cursor) == (3, 2, None)
    shown = rest.items[-1]
    assert (shown.sender, shown.recipient, shown.vn, shown.kind) == (
        "010-****-4444",
        "010-****-2222",
        pair.vn,
        Kind.SMS,
    )
    stranger = await world.tenant("other-mall")
    assert (await messages.list(stranger)).items == ()
    with pytest.raises(InvalidRequest):
        await messages.list(world.mall, HistoryQuery(cursor="x"))
