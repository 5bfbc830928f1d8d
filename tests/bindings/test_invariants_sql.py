"""What breaks invariant 1 is refused by PostgreSQL itself, whoever writes the statement."""

from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.core_world import World
from vns.numbering.rules import key_of

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16
NEVER = "9999-01-01 00:00+00"
ONE_WAY_VN, PAIR_VN = key_of("07080000001"), key_of("07080000002")

BINDING = """
insert into bindings (id, tenant_id, pool_id, vn, mode, real_number, real_index, peer_number, peer_index, channels,
                      caller_id, ends_at, created_at)
select $1, t.id, p.id, $2, $3, 'x', $4, case when $5::bytea is null then null else 'y'::bytea end, $5, '{voice}',
       'virtual', $6::text::timestamptz, now()
from tenants t, pools p where t.code = 'mall' and p.name = 'voip'
"""
NUMBER = """
insert into numbers (vn, pool_id, kind, binding_id, free_at)
select $1, id, $2, $3, $4::text::timestamptz from pools where name = 'voip'
"""
SEAT = "insert into seats (vn, party, binding_id, free_at) values ($1, $2, $3, $4::text::timestamptz)"


async def bind(connection: asyncpg.Connection, vn: int, real: bytes, peer: bytes | None = None) -> UUID:
    binding_id = uuid4()
    await connection.execute(BINDING, binding_id, vn, "bidirectional" if peer else "one_way", real, peer, NEVER)
    return binding_id


@pytest.fixture
async def filled(world: World) -> World:
    """A live one-way binding on one number, and a live pair of A and B on another."""
    async with world.db.transaction() as connection:
        single, pair = await bind(connection, ONE_WAY_VN, A), await bind(connection, PAIR_VN, A, B)
        await connection.execute(NUMBER, ONE_WAY_VN, "exclusive", single, NEVER)
        await connection.execute(NUMBER, PAIR_VN, "shared", None, NEVER)
        for party in (A, B):
            await connection.execute(SEAT, PAIR_VN, party, pair, NEVER)
    return world


async def test_a_second_live_binding_on_an_exclusive_number(filled: World) -> None:
    async with filled.db.connection() as connection:
        with pytest.raises(asyncpg.UniqueViolationError, match="one_live_per_exclusive_vn"):
            await bind(connection, ONE_WAY_VN, B)


async def test_a_second_row_for_an_exclusive_number(filled: World) -> None:
    async with filled.db.connection() as connection:
        with pytest.raises(asyncpg.UniqueViolationError, match="numbers_pkey"):
            await connection.execute(NUMBER, ONE_WAY_VN, "exclusive", None, NEVER)


async def test_an_ended_binding_brought_back_to_life_beside_a_live_one(filled: World) -> None:
    async with filled.db.connection() as connection:
        await connection.execute(
            "update bindings set status = 'released', ended_at = now(), ends_at = now() where vn = $1", ONE_WAY_VN
        )
        await bind(connection, ONE_WAY_VN, B)
        with pytest.raises(asyncpg.UniqueViolationError, match="one_live_per_exclusive_vn"):
            await connection.execute("update bindings set status = 'active', ended_at = null where vn = $1", ONE_WAY_VN)


@pytest.mark.parametrize("party", [A, B])
async def test_a_second_seat_of_a_party_on_one_number(filled: World, party: bytes) -> None:
    async with filled.db.transaction() as connection:
        other = await bind(connection, PAIR_VN, party, C)
        with pytest.raises(asyncpg.UniqueViolationError, match="seats_pkey"):
            async with connection.transaction():
                await connection.execute(SEAT, PAIR_VN, party, other, NEVER)


async def test_a_seat_on_an_exclusive_number(filled: World) -> None:
    async with filled.db.transaction() as connection:
        pair = await bind(connection, ONE_WAY_VN, B, C)
        with pytest.raises(asyncpg.ForeignKeyViolationError, match="seats_vn_kind_fkey"):
            async with connection.transaction():
                await connection.execute(SEAT, ONE_WAY_VN, B, pair, NEVER)


async def test_a_seat_that_says_it_is_on_an_exclusive_number(filled: World) -> None:
    async with filled.db.connection() as connection:
        with pytest.raises(asyncpg.CheckViolationError, match="seats_kind_check"):
            await connection.execute("update seats set kind = 'exclusive' where vn = $1", PAIR_VN)


async def test_a_number_with_seats_made_exclusive(filled: World) -> None:
    async with filled.db.connection() as connection:
        with pytest.raises(asyncpg.ForeignKeyViolationError, match="seats_vn_kind_fkey"):
            await connection.execute("update numbers set kind = 'exclusive' where vn = $1", PAIR_VN)


async def test_an_exclusive_binding_named_on_a_shared_number(filled: World) -> None:
    async with filled.db.connection() as connection:
        single = await bind(connection, PAIR_VN, C)
        with pytest.raises(asyncpg.CheckViolationError, match="numbers_check"):
            await connection.execute("update numbers set binding_id = $2 where vn = $1", PAIR_VN, single)


async def test_a_seat_of_no_binding(filled: World) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="seats_binding_id_fkey"):
        async with filled.db.transaction() as connection:
            await connection.execute(SEAT, PAIR_VN, C, uuid4(), NEVER)


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param("[7080000000,7080000019]", id="the same"),
        pytest.param("[7080000019,7080000030]", id="the last number"),
        pytest.param("[7079999999,7080000000]", id="the first number"),
        pytest.param("[7080000005,7080000006]", id="inside"),
        pytest.param("[7070000000,7090000000]", id="around"),
    ],
)
async def test_pools_that_overlap(world: World, numbers: str) -> None:
    async with world.db.connection() as connection:
        with pytest.raises(asyncpg.ExclusionViolationError, match="pools_do_not_overlap"):
            await connection.execute(
                "insert into pools (name, service, numbers, modes)"
                " values ('other', '070', $1::text::int8range, '{one_way}')",
                numbers,
            )
        status = await connection.execute(
            "insert into pools (name, service, numbers, modes)"
            " values ('beside', '070', '[7080000020,7080000030]', '{one_way}')"
        )
        assert status == "INSERT 0 1"
