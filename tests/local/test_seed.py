"""The seed data: there after the first run, untouched by the second."""

from pathlib import Path

import asyncpg
import pytest

from local.seed import POOLS, SeedKeys, seed

COUNTS = """select (select count(*) from tenants) as tenants, (select count(*) from api_keys) as keys,
    (select count(*) from delivery_grants) as grants, (select count(*) from pools) as pools"""


async def counts(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        return dict(await connection.fetchrow(COUNTS))
    finally:
        await connection.close()


async def test_a_second_run_changes_nothing(database_url: str, tmp_path: Path) -> None:
    first = await seed(database_url, tmp_path)
    assert await counts(database_url) == {"tenants": 3, "keys": 3, "grants": 1, "pools": len(POOLS)}
    assert await seed(database_url, tmp_path) == first
    assert await counts(database_url) == {"tenants": 3, "keys": 3, "grants": 1, "pools": len(POOLS)}


async def test_keys_that_were_lost_are_issued_anew(database_url: str, tmp_path: Path) -> None:
    first = await seed(database_url, tmp_path / "one")
    second = await seed(database_url, tmp_path / "two")
    assert {first.mall, first.courier, first.operator}.isdisjoint({second.mall, second.courier, second.operator})


async def test_kept_keys_of_another_database_are_replaced(
    database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    from vns.storage.migrate import upgrade  # noqa: PLC0415 - Alembic is slow to import

    first = await seed(database_url, tmp_path)
    upgrade(empty_database_url)
    assert (await seed(empty_database_url, tmp_path)).mall != first.mall


@pytest.mark.parametrize(("name", "total"), [("050", 1_000_000), ("070", 100_000), ("1877", 10_000)])
async def test_the_pools_are_as_large_as_the_demo_promises(
    database_url: str, tmp_path: Path, name: str, total: int
) -> None:
    await seed(database_url, tmp_path)
    connection = await asyncpg.connect(database_url)
    try:
        size = await connection.fetchval("select upper(numbers) - lower(numbers) from pools where name = $1", name)
        assert size == total
    finally:
        await connection.close()


async def test_secrets_are_files_of_their_owner_and_in_no_repr(database_url: str, tmp_path: Path) -> None:
    keys = await seed(database_url, tmp_path)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()}
    assert modes == {0o600}
    assert keys.mall not in repr(keys)
    assert isinstance(keys, SeedKeys)


async def test_the_demo_s_numbers_may_be_shown_also_in_a_database_from_before(
    database_url: str, tmp_path: Path
) -> None:
    """Unless somebody has taken the proof away."""
    await seed(database_url, tmp_path)
    proven = "select array_agg(name order by name) from pools where voice_proof_until > now()"
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval(proven) == ["050", "070", "1877"]
        await connection.execute("update pools set voice_proof = null, voice_proof_until = null")
        await connection.execute(
            "insert into journal (at, actor, event, subject, data)"
            " select now(), 'cli:root', 'pool.changed', id, '{\"withdrawn\": [\"voice\"]}'"
            " from pools where name = '070'"
        )
        await seed(database_url, tmp_path)
        assert await connection.fetchval(proven) == ["050", "1877"]
    finally:
        await connection.close()
