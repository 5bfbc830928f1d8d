"""What breaks the invariants of the newer modes is refused by PostgreSQL itself, whoever writes the statement."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.core_world import World
from vns.numbering.rules import key_of

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16
NEVER = "9999-01-01 00:00+00"
VN, OTHER_VN = key_of("07080000001"), key_of("07080000002")

BINDING = """
insert into bindings (id, tenant_id, pool_id, vn, mode, real_number, real_index, peer_number, peer_index, peer_vn,
                      extension, ring, channels, caller_id, ends_at, created_at)
select $1, t.id, p.id, $2, $3, 'x', $4, case when $5::bytea is null then null else 'y'::bytea end, $5, $6, $7, $8,
       '{voice}', 'virtual', '9999-01-01 00:00+00', now()
from tenants t, pools p where t.code = 'mall' and p.name = 'voip'
"""
NUMBER = "insert into numbers (vn, pool_id, kind, free_at) select $1, id, $2, $3::text::timestamptz from pools limit 1"


async def bind(connection: asyncpg.Connection, mode: str, vn: int = VN, real: bytes = A, **fields: Any) -> UUID:
    binding_id = uuid4()
    columns = (fields.get(name) for name in ("peer", "peer_vn", "extension", "ring"))
    await connection.execute(BINDING, binding_id, vn, mode, real, *columns)
    return binding_id


@pytest.mark.parametrize(
    ("first", "second", "constraint"),
    [
        (
            {"mode": "extension", "extension": "1234"},
            {"mode": "extension", "extension": "1234", "real": B},
            "one_live_per_extension",
        ),
        ({"mode": "outbound"}, {"mode": "outbound", "vn": OTHER_VN}, "one_live_per_subscriber"),
        ({"mode": "outbound"}, {"mode": "outbound", "real": B}, "one_live_per_exclusive_vn"),
        ({"mode": "one_way"}, {"mode": "outbound", "real": B}, "one_live_per_exclusive_vn"),
    ],
)
async def test_a_second_live_binding_in_one_place(
    world: World, first: dict[str, Any], second: dict[str, Any], constraint: str
) -> None:
    async with world.db.connection() as connection:
        await bind(connection, **first)
        with pytest.raises(asyncpg.UniqueViolationError, match=constraint):
            await bind(connection, **second)
        await connection.execute("update bindings set status = 'released', ended_at = now()")
        await bind(connection, **second)


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "per_side", "peer": B},
        {"mode": "per_side", "peer": B, "peer_vn": VN},
        {"mode": "per_side", "peer_vn": OTHER_VN},
        {"mode": "one_way", "peer_vn": OTHER_VN},
        {"mode": "group"},
        {"mode": "group", "ring": "some"},
        {"mode": "group", "ring": "all", "peer": B},
        {"mode": "extension"},
        {"mode": "extension", "extension": "1"},
        {"mode": "extension", "extension": "12a4"},
        {"mode": "one_way", "extension": "1234"},
        {"mode": "outbound", "peer": B},
        {"mode": "per_side", "peer": A, "peer_vn": OTHER_VN},
        {"mode": "conference"},
    ],
    ids=str,
)
async def test_a_binding_that_no_mode_can_have(world: World, fields: dict[str, Any]) -> None:
    async with world.db.connection() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await bind(connection, **fields)


@pytest.mark.parametrize("kind", ["exclusive", "shared"])
async def test_an_extension_only_on_a_number_of_its_kind(world: World, kind: str) -> None:
    async with world.db.connection() as connection:
        binding = await bind(connection, "extension", extension="1234")
        await connection.execute(NUMBER, VN, kind, NEVER)
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(
                "insert into extensions (vn, extension, binding_id, free_at) values ($1, '1234', $2, now())",
                VN,
                binding,
            )
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(
                "insert into seats (vn, party, kind, binding_id, free_at) values ($1, $2, 'extension', $3, now())",
                VN,
                A,
                binding,
            )


async def test_a_number_with_extensions_stays_one(world: World) -> None:
    async with world.db.connection() as connection:
        binding = await bind(connection, "extension", extension="1234")
        await connection.execute(NUMBER, VN, "extension", NEVER)
        await connection.execute(
            "insert into extensions (vn, extension, binding_id, free_at) values ($1, '1234', $2, now())", VN, binding
        )
        for kind in ("exclusive", "shared"):
            with pytest.raises(asyncpg.ForeignKeyViolationError):
                await connection.execute("update numbers set kind = $2 where vn = $1", VN, kind)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(
                "insert into extensions (vn, extension, binding_id, free_at) values ($1, '1234', $2, now())",
                VN,
                binding,
            )


async def test_a_member_twice_in_a_team(world: World) -> None:
    member = "insert into binding_members (binding_id, position, number, party) values ($1, $2, 'x', $3)"
    async with world.db.connection() as connection:
        binding = await bind(connection, "group", ring="all")
        await connection.execute(member, binding, 0, B)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(member, binding, 1, B)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(member, binding, 0, C)


async def test_a_block_of_nobodys_is_managed_by_no_customer(world: World) -> None:
    async with world.db.connection() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("update pools set managed_by = 'customer'")
