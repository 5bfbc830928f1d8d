"""Texts of one batch: one that cannot be decided spoils no other."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.core_world import STRANGER, World
from tests.messages.spoiling import changed, of_a_lost_key
from tests.messages.test_service import arrival
from vns.bindings.rules import Side, cipher_context
from vns.crypto.errors import DecryptionFailed, UnknownKeyVersion
from vns.errors import InvalidNumber, Unavailable
from vns.messages.service import Messages
from vns.routing.service import Router

NEIGHBOUR = "01077778888"


def no_number(world: World, binding_id: UUID, _sealed: bytes) -> bytes:
    return world.keyring.encrypt("12", context=cipher_context(binding_id, Side.REAL))


UNREADABLE_PARTIES: list[tuple[Callable[[World, UUID, bytes], bytes], type[Exception]]] = [
    (lambda _world, _id, sealed: changed(sealed), DecryptionFailed),
    (lambda _world, _id, sealed: of_a_lost_key(sealed), UnknownKeyVersion),
    (no_number, InvalidNumber),
]


@pytest.mark.parametrize(("spoiled", "error"), UNREADABLE_PARTIES)
async def test_a_text_to_a_number_that_cannot_be_read_fails_alone(
    world: World, spoiled: Callable[[World, UUID, bytes], bytes], error: type[Exception]
) -> None:
    messages = Messages(world.db, world.router, world.keyring, world.clock)
    good, bad = await world.pair(), await world.pair(STRANGER, NEIGHBOUR)
    async with world.db.connection() as connection:
        sealed = await connection.fetchval("select real_number from bindings where id = $1", bad.id)
        await connection.execute(
            "update bindings set real_number = $2 where id = $1", bad.id, spoiled(world, bad.id, sealed)
        )
    together = [arrival(good, f"글 {number}") for number in range(6)]
    together.insert(3, arrival(bad, sender=NEIGHBOUR))
    answers = await asyncio.gather(*map(messages.receive, together), return_exceptions=True)
    assert [type(answer) for answer in answers if isinstance(answer, BaseException)] == [error]
    assert isinstance(answers[3], error)
    assert len(await messages.pending_handover()) == 6


async def test_texts_are_not_tried_one_by_one_while_postgresql_is_away(world: World) -> None:
    class Away(Router):
        asked = 0

        async def route_many(self, *_: Any) -> Any:
            self.asked += 1
            raise Unavailable("away")

    router, pair = Away(world.keyring), await world.pair()
    messages = Messages(world.db, router, world.keyring, world.clock)
    together = [arrival(pair, f"글 {number}") for number in range(8)]
    answers = await asyncio.gather(*map(messages.receive, together), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    assert router.asked == 1
