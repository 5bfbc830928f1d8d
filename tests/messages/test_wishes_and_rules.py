"""What people and the law say of texts: opt-outs, advertising, the platform's own answers, tags of relay numbers."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World
from tests.routing.rows import Row, write
from vns.access.rules import Principal
from vns.bindings.rules import Side
from vns.errors import AdvertisingNotAllowed, NumberNotMappable, RecipientRefuses, VirtualNumberInUse
from vns.messages import advertising
from vns.messages.relay_numbers import RelayNumberRegister
from vns.messages.rules import Arrival, NewText, OpenMessage, Status
from vns.messages.service import Messages
from vns.numbering.rules import digits_of, hyphenate, parse
from vns.pools.rules import Mode, Service
from vns.rulebook.documents import checked

RELAY = "18991234"
AD = "(광고) 오늘만 반값! 무료수신거부 080-123-4567"


class Texts:
    """Receives texts on a world's database; `open` is what waits to be handed over, oldest first."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.messages = Messages(world.db, world.router, world.keyring, world.clock)

    async def sent(self, dialled: str, sender: str, text: str) -> str:
        """How it was recorded: its status or, where nothing is sent, the reason."""
        arrival = Arrival(id=uuid4(), link="a", session="s", sender=sender, dialled=dialled, text=text)
        received, _ = await self.messages.receive(arrival)
        async with self._world.db.connection() as connection:
            reason = await connection.fetchval("select reason from messages where id = $1", received.id)
        return str(reason or received.status.value)

    async def open(self) -> list[OpenMessage]:
        return await self.messages.pending_handover()

    async def last(self) -> tuple[str, str, str]:
        envelope = (await self.open())[-1].envelope
        return envelope.to, envelope.sender, envelope.text


@pytest.fixture
def texts(world: World) -> Texts:
    return Texts(world)


# -- opt-out --------------------------------------------------------------------------------------------------


async def test_whoever_wants_no_texts_gets_none_until_it_wants_them_again(world: World, texts: Texts) -> None:
    pair = await world.pair()
    vn = digits_of(pair.vn)
    assert await texts.sent(vn, CUSTOMER, " 수신 거부 ") == "queued", "whoever wrote before learns of it"
    assert await texts.sent(vn, COURIER, "도착했습니다") == "opted_out"
    assert await texts.sent(vn, CUSTOMER, "어디세요?") == "queued", "the other way is as it was"
    with pytest.raises(RecipientRefuses):
        await texts.messages.send(world.mall, NewText(binding_id=pair.id, to=Side.REAL, text="안내"))
    assert await texts.sent(vn, CUSTOMER, "수신동의") == "queued"
    assert await texts.sent(vn, COURIER, "도착했습니다") == "queued"


async def test_an_opt_out_is_the_tenants_own_and_is_journaled_without_numbers(world: World, texts: Texts) -> None:
    pair = await world.pair()
    await texts.sent(digits_of(pair.vn), CUSTOMER, "STOP")
    other = await world.tenant("other")
    mine: Principal = world.mall
    world.mall = other
    theirs = await world.pair()
    world.mall = mine
    assert await texts.sent(digits_of(theirs.vn), COURIER, "도착했습니다") == "queued"
    async with world.db.connection() as connection:
        rows = await connection.fetch("select tenant_id, data::text from journal where event = 'texts.opted_out'")
    assert [row["tenant_id"] for row in rows] == [mine.tenant_id]
    assert CUSTOMER not in rows[0]["data"]


async def test_an_owner_who_cannot_text_out_can_still_opt_out(world: World, texts: Texts) -> None:
    binding = await world.allocate(service=Service.VOIP)
    assert await texts.sent(digits_of(binding.vn), CUSTOMER, "수신거부") == "not_allowed"
    with pytest.raises(RecipientRefuses):
        await texts.messages.send(world.mall, NewText(binding_id=binding.id, to=Side.REAL, text="안내"))


async def test_a_text_that_was_to_leave_later_is_not_sent_after_an_opt_out(world: World, texts: Texts) -> None:
    pair = await world.pair()
    later = world.clock.now().replace(hour=13)
    await texts.messages.send(world.mall, NewText(binding_id=pair.id, to=Side.REAL, text="안내", send_at=later))
    await texts.sent(digits_of(pair.vn), CUSTOMER, "수신거부")
    world.clock.move(hours=2)
    assert list(await texts.messages.release_due()) == []
    async with world.db.connection() as connection:
        assert await connection.fetchval("select reason from messages where send_at is not null") == "opted_out"


# -- advertising ----------------------------------------------------------------------------------------------

NOON, NIGHT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC), datetime(2026, 3, 1, 12, 0, tzinfo=UTC)  # 12:00 and 21:00 KST


@pytest.mark.parametrize(
    ("text", "fields", "allowed"),
    [
        (AD, {}, True),
        (AD, {"purpose": "delivery"}, False),
        ("오늘만 반값! 080-123-4567", {}, False),
        ("(광고) 오늘만 반값!", {}, False),
        ("(광고) 080-123-4567 오늘만 반값!", {}, False),
        ("(광고) 반값 무료거부 0801234567.", {}, True),
        (AD, {"leaves_at": NIGHT}, False),
        (AD, {"leaves_at": NIGHT, "night_consent": True}, True),
        (AD, {"leaves_at": datetime(2026, 2, 28, 22, 59, 59, tzinfo=UTC)}, False),
        (AD, {"leaves_at": datetime(2026, 2, 28, 23, 0, tzinfo=UTC)}, True),
        (AD, {"leaves_at": datetime(2026, 3, 1, 11, 59, 59, tzinfo=UTC)}, True),
    ],
)
def test_what_the_law_asks_of_advertising(text: str, fields: dict[str, Any], allowed: bool) -> None:
    given = {"purpose": "marketing", "leaves_at": NOON, "night_consent": False, **fields}
    assert (advertising.objection(text, **given) is None) is allowed


@pytest.mark.parametrize("text", ["(광고) a", " [광고]a", "（광 고）a", "<광고> a"])
def test_advertising_is_recognised_however_it_is_marked(text: str) -> None:
    assert advertising.is_marked(text)
    assert not advertising.is_marked(f"오늘 {text}")


async def test_no_advertising_through_a_delivery_whoever_sends_it(world: World, texts: Texts) -> None:
    world.clock.time = NOON
    delivery, other = await world.pair(), await world.pair(CUSTOMER, STRANGER, purpose="marketing")
    assert await texts.sent(digits_of(delivery.vn), COURIER, AD) == "advertising_not_allowed"
    assert await texts.sent(digits_of(other.vn), STRANGER, AD) == "queued"
    assert await texts.sent(digits_of(other.vn), STRANGER, "(광고) 반값") == "advertising_not_allowed"
    with pytest.raises(AdvertisingNotAllowed):
        await texts.messages.send(world.mall, NewText(binding_id=delivery.id, to=Side.REAL, text=AD))
    await texts.messages.send(world.mall, NewText(binding_id=other.id, to=Side.REAL, text=AD, advertising=True))
    with pytest.raises(AdvertisingNotAllowed):
        unmarked = NewText(binding_id=other.id, to=Side.REAL, text="반값 080-123-4567", advertising=True)
        await texts.messages.send(world.mall, unmarked)


# -- a number that has ended ----------------------------------------------------------------------------------


async def test_a_number_that_has_ended_answers_once_a_day_where_its_rules_say_so(world: World, texts: Texts) -> None:
    pair = await world.pair(rules=checked({"ended_text": True}))
    quiet = await world.pair(CUSTOMER, STRANGER)
    for binding in (pair, quiet):
        await world.bindings.release(world.mall, binding.id)
    vn = digits_of(pair.vn)
    for _ in range(3):
        assert await texts.sent(vn, COURIER, "어디세요?") == "ended"
    assert await texts.sent(digits_of(quiet.vn), STRANGER, "어디세요?") == "ended"
    (answer,) = await texts.open()
    assert (answer.envelope.to, answer.envelope.sender) == (COURIER, vn)
    assert hyphenate(vn) in answer.envelope.text
    assert await texts.sent(vn, CUSTOMER, "어디세요?") == "ended"
    world.clock.move(days=1)
    assert await texts.sent(vn, COURIER, "어디세요?") == "ended"
    assert [one.envelope.to for one in await texts.open()] == [COURIER, CUSTOMER, COURIER]


async def test_a_number_without_proof_answers_nobody(world: World, texts: Texts) -> None:
    binding = await world.allocate(rules=checked({"ended_text": True}))
    await world.bindings.release(world.mall, binding.id)
    assert await texts.sent(digits_of(binding.vn), COURIER, "어디세요?") == "ended"
    assert await texts.open() == []


async def test_lines_that_cannot_read_are_not_answered(world: World, texts: Texts) -> None:
    pair = await world.pair(CUSTOMER, "0212345678", rules=checked({"ended_text": True}))
    await world.bindings.release(world.mall, pair.id)
    assert await texts.sent(digits_of(pair.vn), "0212345678", "text") == "ended"
    assert await texts.open() == []


# -- tags -----------------------------------------------------------------------------------------------------

X, Z = 50410000000, 50410000001  # of a pool without proof


async def unproven_pair(world: World, vn: int, peer: str = COURIER) -> None:
    await write(world, Row(mode=Mode.BIDIRECTIONAL, vn=vn, peer=peer))


async def with_relay(world: World) -> None:
    await RelayNumberRegister(world.db, world.clock).put("test", world.mall.tenant_id, parse(RELAY), "file 9")


async def test_without_a_relay_number_nothing_is_sent(world: World, texts: Texts) -> None:
    await unproven_pair(world, X)
    assert await texts.sent(digits_of(X), COURIER, "도착") == "sender_not_registered"


async def test_a_relay_number_is_shown_as_long_as_its_proof_holds(world: World, texts: Texts) -> None:
    await unproven_pair(world, X)
    end = world.clock.now() + timedelta(minutes=1)
    register = RelayNumberRegister(world.db, world.clock)
    await register.put("test", world.mall.tenant_id, parse(RELAY), "file 9", end)
    assert await texts.sent(digits_of(X), COURIER, "도착") == "queued"
    world.clock.time = end
    assert await texts.sent(digits_of(X), COURIER, "아직 여기 있어요") == "sender_not_registered"
    await with_relay(world)
    assert await texts.sent(digits_of(X), COURIER, "또 왔어요") == "queued"


async def test_a_tagged_text_can_be_answered_with_its_tag_and_without(world: World, texts: Texts) -> None:
    await unproven_pair(world, X)
    await with_relay(world)
    assert await texts.sent(digits_of(X), COURIER, "도착") == "queued"
    assert await texts.last() == (CUSTOMER, RELAY, f"[{hyphenate(digits_of(X))} #1] 도착")
    assert await texts.sent(RELAY, CUSTOMER, "#1 고맙습니다") == "queued"
    assert await texts.last() == (COURIER, RELAY, f"[{hyphenate(digits_of(X))} #1] 고맙습니다")
    assert await texts.sent(RELAY, CUSTOMER, "12시에 가요") == "queued", "only one number has texted: no tag is needed"
    assert (await texts.last())[0] == COURIER
    assert (await texts.last())[2].endswith("12시에 가요")


async def test_an_answer_that_could_be_for_several_is_refused_and_explained_once_a_day(
    world: World, texts: Texts
) -> None:
    await unproven_pair(world, X)
    await unproven_pair(world, Z, STRANGER)
    await with_relay(world)
    await texts.sent(digits_of(X), COURIER, "하나")
    await texts.sent(digits_of(Z), STRANGER, "둘")
    assert await texts.last() == (CUSTOMER, RELAY, f"[{hyphenate(digits_of(Z))} #2] 둘")
    for text in ("네", "#9 네"):
        assert await texts.sent(RELAY, CUSTOMER, text) == "tag_needed"
    to, sender, explained = await texts.last()
    assert (to, sender) == (CUSTOMER, RELAY)
    assert all(part in explained for part in ("#1", "#2", hyphenate(digits_of(X)), hyphenate(digits_of(Z))))
    assert len(await texts.open()) == 3
    assert await texts.sent(RELAY, CUSTOMER, "#2 네") == "queued"
    assert (await texts.last())[0] == STRANGER
    assert await texts.sent(RELAY, "01099990000", "누구세요") == "tag_needed"


async def test_a_tag_never_reaches_the_next_owner_of_a_number(world: World, texts: Texts) -> None:
    await unproven_pair(world, X)
    await with_relay(world)
    await texts.sent(digits_of(X), COURIER, "도착")
    async with world.db.transaction() as connection:
        await connection.execute("delete from seats")
        await connection.execute("update bindings set status = 'released', ended_at = now()")
    await unproven_pair(world, X, STRANGER)
    assert await texts.sent(RELAY, CUSTOMER, "#1 아직인가요") == "ended"
    assert await texts.sent(digits_of(X), STRANGER, "새로 왔어요") == "queued"
    assert "#2" in (await texts.last())[2]


async def test_a_relay_number_is_a_line_of_a_business_and_of_one_tenant(world: World) -> None:
    register = RelayNumberRegister(world.db, world.clock)
    with pytest.raises(NumberNotMappable):
        await register.put("test", world.mall.tenant_id, parse(CUSTOMER), "file 9")
    with pytest.raises(VirtualNumberInUse):
        await register.put("test", world.mall.tenant_id, parse("070-8000-0001"), "file 9")
    await with_relay(world)
    other = await world.tenant("other")
    with pytest.raises(VirtualNumberInUse):
        await register.put("test", other.tenant_id, parse(RELAY), "file 10")
    assert await register.remove("test", world.mall.tenant_id)
    assert not await register.remove("test", world.mall.tenant_id)
    await register.put("test", other.tenant_id, parse(RELAY), "file 10")


async def test_what_people_write_to_one_another_is_not_counted(world: World) -> None:
    pair = await world.pair()
    messages = Messages(world.db, world.router, world.keyring, world.clock, daily_limit=1)

    async def one() -> Status:
        arrival = Arrival(
            id=uuid4(), link="a", session="s", sender=COURIER, dialled=digits_of(pair.vn), text=str(uuid4())
        )
        return (await messages.receive(arrival))[0].status

    assert [await one() for _ in range(3)] == [Status.QUEUED] * 3
