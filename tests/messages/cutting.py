"""Ends the session that holds the relay's duty, as PostgreSQL does when it goes away."""

from tests.core_world import World
from vns.messages.duty import LOCK

HOLDER = """
select pg_terminate_backend(pid, 10000) from pg_locks
 where locktype = 'advisory' and granted and (classid::bigint << 32 | objid::bigint) = $1
   and database = (select oid from pg_database where datname = current_database())
"""


async def cut_the_duty(world: World) -> None:
    """Returns once the session is gone."""
    async with world.db.connection() as connection:
        assert await connection.fetchval(HOLDER, LOCK) is True
