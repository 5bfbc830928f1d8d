"""A rotated key reaches what accounts hold, and it still opens."""

from datetime import date

from tests.core_world import World
from vns.crypto.rules import KeyRing, version_of
from vns.numbering.rules import parse
from vns.users.reencryption import reencrypt_users_once
from vns.users.rules import NewUser, Role
from vns.users.service import Users, context_of


async def test_a_rotated_key_reaches_mobiles_and_birth_dates(world: World) -> None:
    tenant = await world.access.get_tenant(world.mall.tenant_code)
    new = NewUser(
        login="manager", role=Role.MALL_ADMIN, name="담당자", mobile=parse("01077778888"), birth_date=date(1990, 5, 1)
    )
    made = await Users(world.db, world.keyring, world.clock).create("test", tenant, new)
    KeyRing.rotate(world.keyring.path)
    ring = KeyRing.load(world.keyring.path)
    assert await reencrypt_users_once(world.db, ring) == 2
    assert await reencrypt_users_once(world.db, ring) == 0
    async with world.db.connection() as connection:
        row = await connection.fetchrow("select mobile, birth_date from users where id = $1", made.user.id)
    assert [version_of(blob) for blob in row] == [2, 2]
    assert ring.decrypt(row["mobile"], context=context_of(made.user.id, "mobile")) == "01077778888"
    assert ring.decrypt(row["birth_date"], context=context_of(made.user.id, "birth")) == "1990-05-01"
