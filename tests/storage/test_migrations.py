"""What migrations make of what was there before them."""

import asyncpg
import pytest


@pytest.fixture
async def older(empty_database_url: str) -> "Older":
    return Older(empty_database_url)


class Older:
    """A database on its way through the versions."""

    def __init__(self, url: str) -> None:
        self.url = url

    def upgrade(self, revision: str) -> None:
        from alembic import command  # noqa: PLC0415 - slow to import
        from alembic.config import Config  # noqa: PLC0415

        from vns.storage.migrate import MIGRATIONS  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["url"] = self.url
        command.upgrade(config, revision)

    def before(self, revision: str) -> str:
        """The version that comes before another."""
        from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow to import

        from vns.storage.migrate import MIGRATIONS  # noqa: PLC0415

        before = ScriptDirectory(str(MIGRATIONS)).get_revision(revision).down_revision
        assert isinstance(before, str)
        return before

    async def connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(self.url)


async def test_a_pool_is_proven_for_calls_by_what_was_on_file_and_by_nothing_else(older: Older) -> None:
    older.upgrade(older.before("0021"))
    connection = await older.connect()
    try:
        await connection.execute(
            """insert into pools (name, service, numbers, modes, sms_sender_proof) values
                   ('bare', '050', '[50410000000,50410000010)', '{one_way}', null),
                   ('proven', '070', '[7080000000,7080000010)', '{bidirectional}', 'file 7')"""
        )
        older.upgrade("0021")
        rows = await connection.fetch("select name, voice_proof, voice_proof_until > now() as holds from pools")
    finally:
        await connection.close()
    assert {tuple(row) for row in rows} == {("bare", None, None), ("proven", "file 7", True)}


async def test_no_proof_of_a_relay_number_ends_before_anybody_is_reminded(older: Older) -> None:
    older.upgrade(older.before("0022"))
    connection = await older.connect()
    try:
        await connection.execute(
            """insert into tenants (code, name, kind) values ('old', 'Old', 'mall'), ('new', 'New', 'mall')"""
        )
        await connection.execute(
            """insert into relay_numbers (tenant_id, number, proof, created_at)
               select id, case code when 'old' then 18770001 else 18770002 end, 'f',
                      case code when 'old' then now() - interval '2 years' else now() end
                 from tenants"""
        )
        older.upgrade("0022")
        days = await connection.fetch(
            "select number, round(extract(epoch from proof_until - now()) / 86400) as days from relay_numbers"
        )
    finally:
        await connection.close()
    assert {(row["number"], int(row["days"])) for row in days} == {(18770001, 30), (18770002, 365)}
