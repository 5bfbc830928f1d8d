"""How a command runs: opens what it needs, ends with the exit codes of the platform, tells errors by their code.

Exit codes: 0 done; 1 an error, told on standard error as `error <code>: <detail>`; 2 wrong usage.
"""

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn, TypeVar

import asyncpg
import typer
from pydantic import ValidationError

from vns.access.service import Access
from vns.crypto.rules import KeyRing
from vns.errors import InvalidRequest, VnsError
from vns.pools.service import Pools
from vns.settings import Settings
from vns.storage.clock import Clock
from vns.storage.copies import CopyStore
from vns.storage.database import Database
from vns.storage.revocation import Revocations

FAILED = 1

T = TypeVar("T")


def actor() -> str:
    """How the journal names who typed the command."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # an account that has no name on this machine, as in containers
        return f"cli:uid-{os.getuid()}"


@dataclass(frozen=True)
class Platform:
    """An open database and the services over it. The key ring is read only by commands that need it."""

    settings: Settings
    db: Database
    store: CopyStore
    clock: Clock

    @cached_property
    def access(self) -> Access:
        return Access(self.db, self.clock)

    @cached_property
    def pools(self) -> Pools:
        return Pools(self.db, self.clock, copies=self.copies)

    @cached_property
    def copies(self) -> Revocations:
        """Takes back what bridges have copied, before a command says that something is changed."""
        return Revocations(self.db, self.store, self.clock)

    @cached_property
    def keyring(self) -> KeyRing:
        """Raises KeyFileInvalid."""
        return KeyRing.load(self.settings.keys_file)


@asynccontextmanager
async def _opened() -> AsyncIterator[Platform]:
    settings = read_settings()
    db = await Database.open(settings.database_url, size=2)
    store = CopyStore(settings.redis_url)
    try:
        yield Platform(settings, db, store, Clock())
    finally:
        await store.close()
        await db.close()


def read_settings() -> Settings:
    """Raises InvalidRequest, which names the setting and not its value."""
    try:
        return Settings()
    except ValidationError as error:
        names = ", ".join("VNS_" + str(problem["loc"][0]).upper() for problem in error.errors())
        raise InvalidRequest(f"these settings cannot be used: {names}") from None


def on_platform(action: Callable[[Platform], Awaitable[T]]) -> T:
    """Run `action` on the platform that the settings name."""

    async def run() -> T:
        async with _opened() as platform:
            return await action(platform)

    return finish(run)


def finish(action: Callable[[], Awaitable[T]]) -> T:
    """Run `action`; an error ends the command with its code on standard error."""

    async def run() -> T:
        return await action()

    try:
        return asyncio.run(run())
    except VnsError as error:
        fail(error.code, error.detail)
    except asyncpg.UndefinedTableError:
        fail("internal_error", "the database has no tables of this platform: has it been migrated?")
    except asyncpg.PostgresError as error:
        # Only the class: PostgreSQL's own words may quote stored values.
        fail("internal_error", f"PostgreSQL refused ({type(error).__name__}, {error.sqlstate})")


def fail(code: str, detail: str) -> NoReturn:
    typer.echo(f"error {code}: {detail}", err=True)
    raise typer.Exit(FAILED)
