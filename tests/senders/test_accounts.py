"""Accounts show what their administrator has proven, as long as they are under it; proofs that end soon are told of."""

import pytest

from tests.core_world import World
from vns.errors import Conflict, InvalidRequest, NotFound
from vns.messages.senders import Sender, proven
from vns.senders.accounts import Accounts
from vns.senders.reminders import AT_ONCE, remind
from vns.senders.rules import Policy, Proof
from vns.senders.service import Senders

ACTOR, NUMBER = "user:test", "02-1234-5678"


async def may_show(world: World, tenant_id: object) -> bool:
    asked = Sender(tenant_id, "0212345678")  # type: ignore[arg-type]
    async with world.db.connection() as connection:
        return asked in await proven(connection, world.keyring, [asked], world.clock.now())


async def listed(world: World) -> Senders:
    senders = Senders(world.db, world.keyring, world.clock)
    await senders.set_policy(ACTOR, world.mall.tenant_id, Policy(proof=Proof.LISTED))
    return senders


async def test_an_account_shows_its_administrators_numbers_and_no_other_way_round(world: World) -> None:
    senders, accounts = await listed(world), Accounts(world.db, world.clock)
    account, stranger = await world.tenant("account"), await world.tenant("stranger")
    own = await senders.register(ACTOR, world.mall.tenant_id, NUMBER)
    assert not await may_show(world, account.tenant_id)
    await accounts.put(ACTOR, world.mall.tenant_id, account.tenant_id)
    await accounts.put(ACTOR, world.mall.tenant_id, account.tenant_id)
    shown = [await may_show(world, who.tenant_id) for who in (world.mall, account, stranger)]
    assert shown == [True, True, False]
    assert [(one.code, one.name) for one in await accounts.list(world.mall.tenant_id)] == [("account", "account")]
    await senders.remove(ACTOR, world.mall.tenant_id, own.id)
    await senders.set_policy(ACTOR, account.tenant_id, Policy(proof=Proof.LISTED))
    await senders.register(ACTOR, account.tenant_id, NUMBER)
    assert [await may_show(world, who.tenant_id) for who in (world.mall, account)] == [False, True]


async def test_an_account_that_is_taken_out_shows_them_no_more(world: World) -> None:
    senders, accounts = await listed(world), Accounts(world.db, world.clock)
    account, other = await world.tenant("account"), await world.tenant("other")
    await senders.register(ACTOR, world.mall.tenant_id, NUMBER)
    await accounts.put(ACTOR, world.mall.tenant_id, account.tenant_id)
    with pytest.raises(Conflict):
        await accounts.put(ACTOR, other.tenant_id, account.tenant_id)
    with pytest.raises(NotFound):
        await accounts.remove(ACTOR, other.tenant_id, account.tenant_id)
    with pytest.raises(InvalidRequest):
        await accounts.put(ACTOR, other.tenant_id, other.tenant_id)
    await accounts.remove(ACTOR, world.mall.tenant_id, account.tenant_id)
    assert not await may_show(world, account.tenant_id)
    assert await accounts.list(world.mall.tenant_id) == ()


async def test_the_end_of_a_proof_is_told_of_once_a_month_before(world: World) -> None:
    senders = await listed(world)
    own = await senders.register(ACTOR, world.mall.tenant_id, NUMBER)

    async def reminded() -> int:
        async with world.db.transaction() as connection:
            return await remind(connection, world.clock.now())

    world.clock.move(days=334)
    assert await reminded() == 0
    world.clock.move(days=2)
    assert await reminded() == 1
    assert await reminded() == 0
    async with world.db.connection() as connection:
        row = await connection.fetchrow("select * from journal where event = 'sender.expiring'")
    assert row is not None
    assert (row["subject"], row["tenant_id"], row["data"]["number"]) == (
        own.id,
        world.mall.tenant_id,
        "02-****-5678",
    )
    await senders.approve(ACTOR, world.mall.tenant_id, own.id, "file 8")
    assert await reminded() == 0
    world.clock.move(days=340)
    assert await reminded() == 1
    world.clock.move(days=30)
    assert await reminded() == 0
    assert AT_ONCE > 1
