"""Texts in the newer modes: the same decision, and digits taken from the text where the decision asks for some."""

from dataclasses import replace
from uuid import uuid4

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World
from tests.routing.rows import Row, write
from vns.messages.rules import ADDRESSED, Arrival, OpenMessage, Status
from vns.messages.service import Messages
from vns.pools.rules import Mode

X, Y = 7080000000, 7080000001
DIGITS_X, DIGITS_Y, SHOP = "07080000000", "07080000001", "0212345678"
FIRST, SECOND = "01077770001", "01077770002"
EXTENSION = Row(mode=Mode.EXTENSION, vn=X, extension="1234")


async def sent(world: World, dialled: str, sender: str, text: str = "hello") -> tuple[OpenMessage | None, str | None]:
    """The message to be handed over, and the reason where there is none."""
    messages = Messages(world.db, world.router, world.keyring, world.clock)
    arrival = Arrival(id=uuid4(), link="a", session="s", sender=sender, dialled=dialled, text=text)
    received, message = await messages.receive(arrival)
    async with world.db.connection() as connection:
        reason = await connection.fetchval("select reason from messages where id = $1", received.id)
    assert (message is None) is (received.status is not Status.QUEUED)
    return message, reason


def passed(outcome: tuple[OpenMessage | None, str | None]) -> tuple[str, str, str]:
    message, reason = outcome
    assert message is not None, reason
    return message.envelope.to, message.envelope.sender, message.envelope.text


async def test_a_text_to_an_extension_begins_with_it(world: World) -> None:
    await write(world, EXTENSION)
    assert passed(await sent(world, DIGITS_X, STRANGER, "1234 hello there")) == (CUSTOMER, DIGITS_X, "hello there")
    assert passed(await sent(world, DIGITS_X, STRANGER, " #1234# two\nlines")) == (CUSTOMER, DIGITS_X, "two\nlines")
    assert await sent(world, DIGITS_X, STRANGER, "hello 1234") == (None, "not_allowed")
    assert await sent(world, DIGITS_X, STRANGER, "1234") == (None, "not_allowed")
    assert await sent(world, DIGITS_X, STRANGER, "99 hello") == (None, "not_a_party")


async def test_an_owner_s_text_goes_to_its_last_caller(world: World) -> None:
    await write(world, replace(EXTENSION, last_caller=STRANGER))
    assert passed(await sent(world, DIGITS_X, CUSTOMER)) == (STRANGER, DIGITS_X, "hello")


async def test_per_side_the_recipient_can_answer_the_sender_shown(world: World) -> None:
    await write(world, Row(mode=Mode.PER_SIDE, vn=X, peer_vn=Y, peer=COURIER))
    assert passed(await sent(world, DIGITS_X, COURIER)) == (CUSTOMER, DIGITS_Y, "hello")
    assert passed(await sent(world, DIGITS_Y, CUSTOMER)) == (COURIER, DIGITS_X, "hello")


async def test_a_text_to_a_team_goes_to_the_first_and_one_from_it_to_the_customer(world: World) -> None:
    await write(world, Row(mode=Mode.GROUP, vn=X, members=(FIRST, SECOND), ring="all"))
    assert passed(await sent(world, DIGITS_X, CUSTOMER)) == (FIRST, DIGITS_X, "hello")
    assert passed(await sent(world, DIGITS_X, SECOND)) == (CUSTOMER, DIGITS_X, "hello")


async def test_a_subscriber_texts_out_with_its_number(world: World) -> None:
    binding_id = await write(world, Row(mode=Mode.OUTBOUND, vn=X))
    assert passed(await sent(world, SHOP, CUSTOMER)) == (SHOP, DIGITS_X, "hello")
    assert passed(await sent(world, DIGITS_X, CUSTOMER, "02-1234-5678 hello")) == (SHOP, DIGITS_X, "hello")
    assert await sent(world, DIGITS_X, CUSTOMER, "hello") == (None, "not_allowed")
    assert await sent(world, DIGITS_X, CUSTOMER, "112 hello") == (None, "not_allowed")
    async with world.db.connection() as connection:
        rows = await connection.fetch("select vn, binding_id from messages")
    assert {tuple(row) for row in rows} == {(X, binding_id)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1234 a", ("1234", "a")),
        ("#12# a b", ("12", "a b")),
        ("12:a", ("12", "a")),
        ("010-1234-5678, a", ("010-1234-5678", "a")),
        ("1 a", None),
        ("a 1234", None),
        ("1234", None),
        ("1234a", None),
        ("12345678901234567 a", None),
    ],
)
def test_what_counts_as_addressed(text: str, found: tuple[str, str] | None) -> None:
    match = ADDRESSED.fullmatch(text)
    assert (match and (match["digits"], match["text"])) == found


async def test_the_text_kept_is_the_one_without_its_address(world: World) -> None:
    """What is encrypted and handed over; the extension is nobody's number."""
    await write(world, EXTENSION)
    message, _ = await sent(world, DIGITS_X, STRANGER, "1234 hello")
    assert message is not None
    messages = Messages(world.db, world.router, world.keyring, world.clock)
    [kept] = await messages.pending_handover()
    assert (kept.envelope.to, kept.envelope.text) == (CUSTOMER, "hello")
