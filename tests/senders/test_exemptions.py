"""An exemption proves a tenant's numbers for a year, those added later too, and no longer than it stands."""

import pytest

from tests.core_world import World
from vns.errors import InvalidRequest, NotFound
from vns.messages.senders import Sender, proven
from vns.senders.exemption_rules import Route
from vns.senders.exemptions import Exemptions
from vns.senders.rules import Method, Status
from vns.senders.service import Senders

ACTOR, EARLY, LATE = "user:operator", "02-1234-5678", "02-1234-5679"


async def shown(world: World) -> list[str]:
    asked = [Sender(world.mall.tenant_id, digits) for digits in ("0212345678", "0212345679")]
    async with world.db.connection() as connection:
        found = await proven(connection, world.keyring, asked, world.clock.now())
    return sorted(one.digits for one in found)


async def test_numbers_are_proven_by_it_and_renewed_with_it(world: World) -> None:
    senders, exemptions = Senders(world.db, world.keyring, world.clock), Exemptions(world.db, world.clock)
    tenant_id = world.mall.tenant_id
    early = await senders.register(ACTOR, tenant_id, EARLY)
    assert await shown(world) == []
    granted = await exemptions.grant(ACTOR, tenant_id, Route.INTEGRATION, "application 4")
    assert await shown(world) == ["0212345678"]
    world.clock.move(days=300)
    late = await senders.register(ACTOR, tenant_id, LATE)
    assert (late.status, late.method, late.expires_at) == (Status.VERIFIED, Method.EXEMPT, granted.ends_at)
    world.clock.move(days=60)
    renewed = await exemptions.grant(ACTOR, tenant_id, Route.CARRIER, "certificate 9")
    world.clock.move(days=364)
    assert await shown(world) == ["0212345678", "0212345679"]
    assert (await senders.get(tenant_id, early.id)).expires_at == renewed.ends_at
    world.clock.move(days=2)
    assert await shown(world) == []
    assert (await senders.register(ACTOR, tenant_id, "02-1234-5670")).status is Status.WAITING


async def test_it_is_taken_back_at_once_and_other_proofs_stay(world: World) -> None:
    senders, exemptions = Senders(world.db, world.keyring, world.clock), Exemptions(world.db, world.clock)
    tenant_id = world.mall.tenant_id
    own = await senders.register(ACTOR, tenant_id, EARLY)
    await senders.approve(ACTOR, tenant_id, own.id, "file 7")
    await exemptions.grant(ACTOR, tenant_id, Route.CARRIER, "certificate 9")
    exempt = await senders.register(ACTOR, tenant_id, LATE)
    assert await shown(world) == ["0212345678", "0212345679"]
    await exemptions.revoke(ACTOR, tenant_id)
    assert await shown(world) == ["0212345678"]
    assert (await senders.get(tenant_id, exempt.id)).status is Status.WAITING
    with pytest.raises(NotFound):
        await exemptions.revoke(ACTOR, tenant_id)
    with pytest.raises(InvalidRequest):
        await exemptions.grant(ACTOR, tenant_id, Route.CARRIER, "")
