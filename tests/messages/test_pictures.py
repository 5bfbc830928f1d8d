"""Multimedia messages as recorded: decided like texts, encrypted until they end, recognised when they come again."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World
from tests.messages.test_wishes_and_rules import RELAY, unproven_pair, with_relay
from tests.routing.rows import Row, write
from vns.crypto.rules import KeyRing, version_of
from vns.messages.reencryption import reencrypt_messages_once
from vns.messages.rules import (
    LMS_BYTES,
    Arrival,
    Kind,
    Outcome,
    Status,
    Unencodable,
    left_out_note,
    sendable_with_files,
    subject_of,
)
from vns.messages.service import Messages
from vns.numbering.rules import digits_of, hyphenate
from vns.pools.rules import Mode

X = 50410000000  # of a pool without proof
PICTURES = (b"\xff\xd8 one \x00", b"\xff\xd8 two \xff")


def arrival(dialled: str, sender: str = COURIER, text: str = "사진", **more: object) -> Arrival:
    fields = {"pictures": PICTURES, "delivery": uuid4().hex, "raw": b"digest", **more}
    return Arrival(id=uuid4(), link="m", session=uuid4().hex, sender=sender, dialled=dialled, text=text, **fields)  # type: ignore[arg-type]


@pytest.fixture
def messages(world: World) -> Messages:
    return Messages(world.db, world.router, world.keyring, world.clock)


async def reason_of(messages: Messages, world: World, one: Arrival) -> str:
    """As it was recorded: the reason or, without one, the status."""
    received, _ = await messages.receive(one)
    async with world.db.connection() as connection:
        reason = await connection.fetchval("select reason from messages where id = $1", received.id)
    return str(reason or received.status.value)


async def test_pictures_are_kept_encrypted_until_the_message_ends(world: World, messages: Messages) -> None:
    _, message = await messages.receive(arrival(digits_of((await world.pair()).vn)))
    assert message is not None
    assert message.kind is Kind.MMS
    assert await messages.pictures(message.id) == PICTURES
    KeyRing.rotate(world.keyring.path)
    assert await reencrypt_messages_once(world.db, KeyRing.load(world.keyring.path)) == 3
    async with world.db.connection() as connection:
        rows = await connection.fetch("select content from message_pictures")
    assert [version_of(row["content"]) for row in rows] == [2, 2]
    assert not any(picture in row["content"] for row in rows for picture in PICTURES)
    assert await messages.pictures(message.id) == PICTURES
    now = world.clock.now()
    assert await messages.kept_files([message.id], now + timedelta(days=9)) == {message.id}, "it has not ended"
    await messages.record_result([Outcome(id=message.id, status=Status.DELIVERED, at=now, sent_at=now, code="0")])
    assert await messages.pictures(message.id) == ()
    assert await messages.kept_files([message.id], now - timedelta(seconds=1)) == {message.id}
    assert await messages.kept_files([message.id], now) == set()


async def test_the_carriers_name_tells_a_resend_from_an_equal_message(world: World, messages: Messages) -> None:
    first = arrival(digits_of((await world.pair()).vn))
    assert not (await messages.receive(first))[0].duplicate
    world.clock.time += timedelta(days=6)
    again = replace(first, id=uuid4(), session="other")
    assert (await messages.receive(again))[0].id == first.id
    assert (await messages.receive(replace(first, id=uuid4(), session="third")))[0].duplicate
    for other in (replace(again, delivery="another"), replace(again, raw=b"other"), replace(again, sender=CUSTOMER)):
        assert not (await messages.receive(replace(other, id=uuid4())))[0].duplicate
    world.clock.time += timedelta(days=2)
    assert not (await messages.receive(replace(first, id=uuid4(), session="late")))[0].duplicate


async def test_an_extension_alone_is_enough_beside_a_picture(world: World, messages: Messages) -> None:
    await write(world, Row(mode=Mode.EXTENSION, vn=7080000000, extension="1234"))
    for text, left in (("1234", ""), ("#1234#", ""), ("1234 문", "문")):
        _, message = await messages.receive(arrival("07080000000", STRANGER, text))
        assert message is not None
        assert (message.envelope.to, message.envelope.text, message.kind) == (CUSTOMER, left, Kind.MMS)
    assert await reason_of(messages, world, arrival("07080000000", STRANGER, "문")) == "not_allowed"


async def test_a_relay_number_s_tag_stands_before_the_pictures(world: World, messages: Messages) -> None:
    await unproven_pair(world, X)
    await with_relay(world)
    _, message = await messages.receive(arrival(digits_of(X), text=""))
    assert message is not None
    assert (message.envelope.sender, message.envelope.text) == (RELAY, f"[{hyphenate(digits_of(X))} #1] ")
    assert message.kind is Kind.MMS
    _, answer = await messages.receive(arrival(RELAY, CUSTOMER, "#1"))
    assert answer is not None
    assert (answer.envelope.to, await messages.pictures(answer.id)) == (COURIER, PICTURES)


async def test_advertising_in_the_subject_is_advertising(world: World, messages: Messages) -> None:
    vn = digits_of((await world.pair()).vn)
    assert await reason_of(messages, world, arrival(vn, subject="(광고) 세일")) == "advertising_not_allowed"
    assert await reason_of(messages, world, arrival(vn, subject="세일")) == "queued"
    assert (await messages.pending_handover())[-1].envelope.subject == "세일"


async def test_what_is_not_sent_leaves_no_picture(world: World, messages: Messages) -> None:
    await unproven_pair(world, X)
    assert await reason_of(messages, world, arrival(digits_of(X))) == "sender_not_registered"
    assert await reason_of(messages, world, arrival("0504999900", STRANGER)) == "unallocated"
    async with world.db.connection() as connection:
        assert await connection.fetchval("select count(*) from message_pictures") == 0


@pytest.mark.parametrize(
    ("text", "pictures", "left_out", "found"),
    [
        ("", 1, 0, ("", Kind.MMS)),
        ("", 1, 2, (left_out_note(2), Kind.MMS)),
        ("안녕", 0, 1, (f"안녕\n{left_out_note(1)}", Kind.SMS)),
        ("가" * 40, 0, 1, (f"{'가' * 40}\n{left_out_note(1)}", Kind.LMS)),
        ("가" * (LMS_BYTES // 2), 1, 1, ("가" * (LMS_BYTES // 2), Kind.MMS)),
        ("", 0, 3, "nothing_to_show"),
        ("가" * (LMS_BYTES // 2 + 1), 1, 0, "too_long"),
    ],
)
def test_what_is_sent_of_text_and_files(text: str, pictures: int, left_out: int, found: object) -> None:
    one = arrival("1", text=text, pictures=PICTURES[:pictures], left_out=left_out)
    made = sendable_with_files(text, one, Unencodable.TRANSLITERATE)
    assert (made if isinstance(made, str) else (made.text, made.kind)) == found


@pytest.mark.parametrize(
    ("text", "subject"),
    [("", ""), ("제목\r\n둘", "제목 둘"), ("가" * 50, "가" * 20), ("a" * 50, "a" * 40), ("é", "e"), ("\x01", "")],
)
def test_a_subject_fits_its_column(text: str, subject: str) -> None:
    assert subject_of(text, Unencodable.TRANSLITERATE) == subject
