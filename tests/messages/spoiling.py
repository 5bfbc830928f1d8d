"""Ciphertexts that cannot be read, and can be again."""

from collections.abc import Callable
from uuid import UUID

import pytest

from tests.core_world import World

Spoil = Callable[[bytes], bytes]


def changed(sealed: bytes) -> bytes:
    return sealed[:-1] + bytes([sealed[-1] ^ 1])


def of_a_lost_key(sealed: bytes) -> bytes:
    return (9).to_bytes(2, "big") + sealed[2:]


each_way = pytest.mark.parametrize("spoil", [changed, of_a_lost_key])


async def spoil_envelope(world: World, message_id: UUID, spoil: Spoil) -> bytes:
    """Returns what stood there, for `put_envelope`."""
    async with world.db.connection() as connection:
        sealed: bytes = await connection.fetchval("select envelope from messages where id = $1", message_id)
    await put_envelope(world, message_id, spoil(sealed))
    return sealed


async def put_envelope(world: World, message_id: UUID, sealed: bytes) -> None:
    async with world.db.connection() as connection:
        await connection.execute("update messages set envelope = $2 where id = $1", message_id, sealed)
