"""The whole way of a text: platform, NPro tables, and the relay as its own process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sms_relay.npro.database import NproDatabase, exists
from tests.core_world import World
from tests.npro.databases import mariadb, npro_mariadb_url, npro_postgres_url, npro_url
from tests.relay.keeping_smsc import KeepingSmsc
from vns.messages.rules import Message
from vns.messages.service import Messages
from vns.storage.pages import HistoryQuery

__all__ = ["mariadb", "npro_mariadb_url", "npro_postgres_url", "npro_url"]

PATIENCE = 60.0
FINAL = {"refused", "delivered", "failed", "unknown"}


@dataclass
class Process:
    """`python -m sms_relay` on the world's database. `kill` is kill -9."""

    environment: dict[str, str]
    log: Path
    _running: asyncio.subprocess.Process | None = None

    async def start(self, **settings: str) -> None:
        with self.log.open("ab") as sink:
            self._running = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sms_relay", env={**self.environment, **settings}, stdout=sink, stderr=sink
            )

    async def kill(self) -> None:
        assert self._running is not None
        self._running.kill()
        await self._running.wait()

    async def stop(self) -> int:
        """SIGTERM; returns the exit status, and fails if there is none in time."""
        assert self._running is not None
        self._running.terminate()
        async with asyncio.timeout(PATIENCE):
            return await self._running.wait()

    async def exit_status(self) -> int:
        """Of a process that ends by itself."""
        assert self._running is not None
        async with asyncio.timeout(PATIENCE):
            return await self._running.wait()

    async def end(self) -> None:
        if self._running is not None and self._running.returncode is None:
            await self.kill()

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.pid

    @property
    def ended(self) -> bool:
        return self._running is None or self._running.returncode is not None


@dataclass
class Stage:
    """A world with a relay process and an NPro database that is looked at from outside."""

    world: World
    messages: Messages
    npro: NproDatabase
    relay: Process
    log: Path = field(default_factory=Path)

    async def listed(self) -> list[Message]:
        return list((await self.messages.list(self.world.mall, HistoryQuery(limit=1000))).items)

    async def all_statuses(self) -> list[tuple[str, str | None, str | None]]:
        """(status, reason, code) of every text, nobody's too, oldest first."""
        async with self.world.db.connection() as connection:
            rows = await connection.fetch("select status, reason, code from messages order by received_at, id")
        return [(row["status"], row["reason"], row["code"]) for row in rows]

    async def rows(self, table: str) -> list[dict[str, Any]]:
        async with self.npro.transaction() as connection:
            if not await exists(connection, table):
                return []
            found = await connection.execute(text(f"SELECT * FROM {table} ORDER BY MSG_SEQ"))  # noqa: S608 - names of these tests
            return [{key.upper(): value for key, value in row.items()} for row in found.mappings()]

    async def log_rows(self) -> list[dict[str, Any]]:
        async with self.npro.transaction() as connection:
            names = await self.npro.existing_logs(connection)
        return [row for name in names for row in await self.rows(name)]

    async def until(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        """Asks again until it holds; a relay that ends, or a minute, is the failure."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not await condition():
                    assert not self.relay.ended, "the relay ended:\n" + self.relay.log.read_text()[-3000:]
        except TimeoutError:
            pytest.fail(f"never came: {what}; {await self.all_statuses()}\n{self.relay.log.read_text()[-3000:]}")

    async def all_final(self, count: int) -> bool:
        statuses = await self.all_statuses()
        return len(statuses) == count and all(status in FINAL for status, _, _ in statuses)


@pytest.fixture
async def keeping_smsc() -> AsyncIterator[KeepingSmsc]:
    smsc = KeepingSmsc()
    await smsc.start()
    yield smsc
    await smsc.close()


@pytest.fixture
async def stage(world: World, database_url: str, npro_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    """On PostgreSQL and on MariaDB; the relay is not started yet."""
    world.clock.time = datetime.now(UTC)
    environment = {
        "PATH": os.defpath,
        "VNS_DATABASE_URL": database_url,
        "VNS_DATABASE_POOL_SIZE": "4",
        "VNS_KEYS_FILE": str(world.keyring.path),
        "VNS_NPRO_DATABASE_URL": npro_url,
        "VNS_TRAN_TERM": "0.1",
        "VNS_DB_PING_TERM": "0.5",
    }
    npro = NproDatabase.open(npro_url, size=2)
    relay = Process(environment, tmp_path / "relay.log")
    messages = Messages(world.db, world.router, world.keyring, world.clock)
    yield Stage(world, messages, npro, relay)
    await relay.end()
    await npro.close()
