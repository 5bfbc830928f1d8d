"""A rotated key reaches what stands outside the two numbers of a binding, and everything still opens."""

import base64

from tests.core_world import CUSTOMER, STRANGER, World
from tests.routing.rows import Row, write
from vns.bindings.rules import Channel
from vns.crypto.rules import KeyRing, version_of
from vns.numbering.rules import parse
from vns.pools.rules import Mode, PoolChange
from vns.routing.blocks import BlockDirection, Blocks, keeper_of
from vns.routing.hooks import Hooks, NewHook
from vns.routing.reencryption import reencrypt_rules_once
from vns.routing.rules import Question
from vns.routing.service import Router
from vns.rulebook.documents import checked

X, SAFE = 7080000000, 50410000000
FIRST, SECOND = "01077770001", "01077770002"
FALLBACK = "0212345678"
SECRET = "sixteen characters"


async def versions(world: World) -> list[int]:
    """Of every ciphertext that the walk is for."""
    async with world.db.connection() as connection:
        rows = await connection.fetch(
            """
            select last_caller as blob from bindings where last_caller is not null
            union all select number from binding_members
            union all select number from blocked_parties
            union all select secret from intercept_hooks
            """
        )
        texts = await connection.fetch(
            """
            select rules #>> '{fallback_number,sealed}' as text from bindings where rules is not null
            union all select rules #>> '{fallback_number,sealed}' from pools where rules is not null
            """
        )
    return [version_of(row["blob"]) for row in rows] + [version_of(base64.b64decode(row["text"])) for row in texts]


async def test_a_walk_brings_everything_to_the_newest_version(world: World) -> None:
    await write(world, Row(mode=Mode.EXTENSION, vn=SAFE, extension="12", last_caller=STRANGER))
    await write(world, Row(mode=Mode.GROUP, vn=X, members=(FIRST, SECOND)))
    binding = await world.allocate(rules=checked({"fallback_number": FALLBACK}))
    await world.bindings.release(world.mall, binding.id)
    pool = await world.pools.get("voip")
    await world.pools.change("test", pool.id, PoolChange(rules=checked({"fallback_number": FALLBACK, "record": True})))
    blocks = Blocks(world.db, world.keyring, world.clock)
    await blocks.put(keeper_of(world.mall), parse(SECOND), BlockDirection.TO, binding_id=binding.id)
    await Hooks(world.db, world.keyring, world.clock).put(
        world.mall, NewHook(url="https://mall.example/", secret=SECRET)
    )
    assert await versions(world) == [1] * 7
    KeyRing.rotate(world.keyring.path)
    ring = KeyRing.load(world.keyring.path)
    assert await reencrypt_rules_once(world.db, ring) == 7
    assert await versions(world) == [2] * 7
    assert await reencrypt_rules_once(world.db, ring) == 0

    router = Router(ring)
    async with world.db.connection() as connection:
        for vn, caller, reached in ((SAFE, CUSTOMER, [STRANGER]), (X, CUSTOMER, [FIRST, SECOND])):
            question = Question(vn=vn, caller=parse(caller), channel=Channel.VOICE, at=world.clock.now())
            routed = await router.route(connection, question)
            assert [target.digits for target in routed.targets] == reached
            assert routed.hook is not None
            assert routed.hook.secret == SECRET
        question = Question(vn=binding.vn, caller=parse(STRANGER), channel=Channel.VOICE, at=world.clock.now())
        ended = await router.route(connection, question)
        assert [target.digits for target in ended.targets] == [FALLBACK]
        rules = await connection.fetchval("select rules from pools where name = 'voip'")
    assert rules["record"] is True
    [shown] = (await Blocks(world.db, ring, world.clock).list(keeper_of(world.mall))).items
    assert shown.masked == parse(SECOND).masked
