"""Ciphertexts that cannot be read: they hold up no other text, and wait for their key."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest

from tests.core_world import CUSTOMER, World
from tests.messages.spoiling import Spoil, changed, each_way, of_a_lost_key, put_envelope, spoil_envelope
from tests.messages.test_service import arrival
from vns.crypto.errors import KeyFileInvalid
from vns.messages.rules import OpenMessage
from vns.messages.service import Messages


@pytest.fixture
def messages(world: World) -> Messages:
    return Messages(world.db, world.router, world.keyring, world.clock)


async def texts(world: World, messages: Messages, count: int) -> list[UUID]:
    """Their ids, in the order of their npro_ids."""
    pair = await world.pair()
    return [(await messages.receive(arrival(pair, f"글 {number}")))[0].id for number in range(count)]


async def walked(look: Callable[..., Awaitable[list[OpenMessage]]], limit: int) -> list[UUID]:
    """All that a relay finds that asks for so many at a time."""
    found: list[UUID] = []
    after = -1
    while batch := await look(after=after, limit=limit):
        found += [message.id for message in batch]
        after = batch[-1].npro_id
    return found


@each_way
@pytest.mark.parametrize("handed", [False, True])
async def test_a_text_that_cannot_be_read_is_passed_over_until_it_can(
    world: World, messages: Messages, caplog: pytest.LogCaptureFixture, spoil: Spoil, *, handed: bool
) -> None:
    ids = await texts(world, messages, 5)
    if handed:
        await messages.mark_handed(ids)
    look = messages.awaited if handed else messages.pending_handover
    kept = {one: await spoil_envelope(world, one, spoil) for one in (ids[1], ids[2], ids[4])}
    for limit in (1, 2, 1000):
        assert await walked(look, limit) == [ids[0], ids[3]]
    assert messages.any_unread
    assert [caplog.text.count(str(one)) for one in ids] == [0, 1, 1, 0, 1]
    assert CUSTOMER not in caplog.text
    for one, sealed in kept.items():
        await put_envelope(world, one, sealed)
    assert await walked(look, 1000) == ids
    assert not messages.any_unread


async def test_one_whose_time_has_come_is_found_once_it_can_be_read(world: World, messages: Messages) -> None:
    ids = await texts(world, messages, 2)
    async with world.db.connection() as connection:
        await connection.execute("update messages set held = true, send_at = $1", world.clock.now())
    sealed = await spoil_envelope(world, ids[0], changed)
    assert [message.id for message in await messages.release_due()] == [ids[1]]
    await put_envelope(world, ids[0], sealed)
    assert await walked(messages.pending_handover, 1000) == ids


async def test_a_key_file_that_is_away_is_no_text_s_fault(world: World, messages: Messages, tmp_path: Path) -> None:
    ids = await texts(world, messages, 2)
    await spoil_envelope(world, ids[0], of_a_lost_key)
    moved = world.keyring.path.rename(tmp_path / "elsewhere")
    with pytest.raises(KeyFileInvalid):
        await messages.pending_handover()
    moved.rename(world.keyring.path)
    assert await walked(messages.pending_handover, 1000) == [ids[1]]
