"""A rotated key reaches the texts that are not final, and nothing brings back what is erased."""

import asyncio

from tests.core_world import World
from tests.messages.test_service import arrival
from tests.waiting import until
from vns.crypto.rules import KeyRing, version_of
from vns.messages.reencryption import reencrypt_messages_once
from vns.messages.rules import Outcome, Status
from vns.messages.service import Messages


async def test_a_rotated_key_reaches_texts_that_are_not_final(world: World) -> None:
    messages, pair = Messages(world.db, world.router, world.keyring, world.clock), await world.pair()
    _, waiting = await messages.receive(arrival(pair))
    _, sent = await messages.receive(arrival(pair, "둘"))
    _, over = await messages.receive(arrival(pair, "셋"))
    assert waiting is not None and sent is not None and over is not None
    now = world.clock.now()
    await messages.record_result([Outcome(id=sent.id, status=Status.SENT, at=now, sent_at=now)])
    await messages.record_result([Outcome(id=over.id, status=Status.DELIVERED, at=now, sent_at=now, code="0")])
    KeyRing.rotate(world.keyring.path)
    ring = KeyRing.load(world.keyring.path)
    assert await reencrypt_messages_once(world.db, ring) == 2
    assert await reencrypt_messages_once(world.db, ring) == 0
    async with world.db.connection() as connection:
        rows = await connection.fetch("select id, envelope from messages")
    versions = {row["id"]: version_of(row["envelope"]) if row["envelope"] else None for row in rows}
    assert versions == {waiting.id: 2, sent.id: 2, over.id: None}
    found = {message.id: message.envelope.text for message in await messages.pending_handover()}
    assert found[waiting.id] == "안녕하세요"


async def test_a_text_that_becomes_final_in_between_stays_erased(world: World) -> None:
    messages, pair = Messages(world.db, world.router, world.keyring, world.clock), await world.pair()
    _, message = await messages.receive(arrival(pair))
    assert message is not None
    KeyRing.rotate(world.keyring.path)

    class Slow(KeyRing):
        """Meanwhile the carrier's receipt comes."""

        def encrypt(self, text: str, *, context: bytes) -> bytes:
            erased.append(text)
            return super().encrypt(text, context=context)

    erased: list[str] = []
    async with world.db.transaction() as connection:  # the row is held while the walk comes to it
        await connection.execute("update messages set envelope = null, status = 'failed' where id = $1", message.id)
        walking = asyncio.create_task(reencrypt_messages_once(world.db, Slow.load(world.keyring.path)))
        await until(lambda: _somebody_waits(world))
    assert await walking == 0
    assert len(erased) == 1
    async with world.db.connection() as connection:
        assert await connection.fetchval("select envelope from messages where id = $1", message.id) is None


async def _somebody_waits(world: World) -> bool:
    async with world.db.connection() as connection:
        waits: bool = await connection.fetchval(
            "select exists (select from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock')"
        )
    return waits
