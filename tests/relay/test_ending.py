"""The relay ends when it is told to, whatever its databases do."""

from collections.abc import Callable

import psutil
import pytest

from tests.relay.conftest import Stage
from tests.relay.keeping_smsc import KeepingSmsc

SESSIONS = "select pid from pg_stat_activity where client_port = any($1::integer[]) and backend_type = 'client backend'"


async def test_while_it_still_waits_for_its_database(stage: Stage, new_port: Callable[[], int]) -> None:
    await stage.relay.start(VNS_DATABASE_URL=f"postgresql://vns@127.0.0.1:{new_port()}/vns")

    async def waiting() -> bool:
        return "does not answer yet" in stage.relay.log.read_text()

    await stage.until("the relay waits", waiting)
    assert await stage.relay.stop() == 0


@pytest.mark.parametrize("turn", range(3))
async def test_just_after_its_sessions_were_cut(stage: Stage, keeping_smsc: KeepingSmsc, turn: int) -> None:
    """Its tasks are cancelled while they find their connections gone, and must not take that for a reason to go on."""
    await stage.relay.start(VNS_SMPP_URL=f"smpp://vns:secret@127.0.0.1:{keeping_smsc.port}")
    process = psutil.Process(stage.relay.pid)

    async def on_duty() -> bool:
        async with stage.world.db.connection() as connection:
            statement = "select count(*) from pg_locks where locktype = 'advisory' and granted and pid = any($1)"
            return bool(await connection.fetchval(statement, await sessions()) >= 1)

    async def sessions() -> list[int]:
        ports = [one.laddr.port for one in process.net_connections("tcp4")]
        async with stage.world.db.connection() as connection:
            return [row["pid"] for row in await connection.fetch(SESSIONS, ports)]

    await stage.until("the relay is on duty", on_duty)
    async with stage.world.db.connection() as connection:
        await connection.fetch(
            "select pg_terminate_backend(pid) from unnest($1::integer[]) as s (pid)", await sessions()
        )
    assert await stage.relay.stop() == 0, (turn, stage.relay.log.read_text())
