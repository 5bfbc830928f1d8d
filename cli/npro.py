"""`vns npro`: the tables that the text gateway reads, in whichever database they are."""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlalchemy import func, select

from cli.output import table
from cli.running import finish
from cli.settings import CliSettings
from sms_relay.npro.codes import State
from sms_relay.npro.database import NotReachable, NproDatabase, NproError, exists
from sms_relay.npro.kst import KoreanClock
from vns.errors import InvalidRequest, Unavailable

app = typer.Typer(no_args_is_help=True, help="The tables that the text gateway reads.")

T = TypeVar("T")
Url = Annotated[str | None, typer.Option("--database-url", help="The database; without it VNS_NPRO_DATABASE_URL.")]


@app.command()
def init(database_url: Url = None) -> None:
    """Create the tables that are missing. What is there stays as it is."""

    async def act(npro: NproDatabase) -> list[str]:
        await npro.prepare(KoreanClock())
        tables = npro.tables
        return [one.name for one in (tables.data, tables.contents, tables.spam, tables.queue, tables.part)]

    for name in _on_npro(database_url, act):
        typer.echo(f"{name} is there")


@app.command()
def status(database_url: Url = None) -> None:
    """How many messages are in which state."""

    async def act(npro: NproDatabase) -> list[tuple[str, int, str, int]]:
        async with npro.transaction() as connection:
            if not await exists(connection, npro.tables.data.name):
                raise InvalidRequest("there is no MSG_DATA here: vns npro init creates it")
            names = await npro.existing_logs(connection)
            rows: list[tuple[str, int, str, int]] = []
            for one in (npro.tables.data, *(npro.tables.log(name) for name in names)):
                state = one.columns["CUR_STATE"]
                found = await connection.execute(select(state, func.count()).group_by(state).order_by(state))
                rows += [(one.name, number, _meaning(number), count) for number, count in found]
        return rows

    table(("TABLE", "CUR_STATE", "MEANING", "ROWS"), _on_npro(database_url, act))


@app.command()
def run(
    conf: Annotated[Path, typer.Option("--conf", help="The file of settings, in UTF-8 or MS949.")] = Path("npro.conf"),
    check: Annotated[bool, typer.Option("--check", help="Only say whether the file can be used.")] = False,
) -> None:
    """Serve the tables of the database that npro.conf names, until SIGTERM. Nothing of the platform is needed."""
    command = [sys.executable, "-m", "sms_relay.standalone", "--conf", str(conf), *(["--check"] if check else [])]
    # in our place: signals reach the agent, and its exit status is ours
    os.execv(sys.executable, command)  # noqa: S606 - the words of the one who called


def _meaning(state: int) -> str:
    return State(state).name.lower() if state in set(State) else "unknown"


def _on_npro(url: str | None, action: Callable[[NproDatabase], Awaitable[T]]) -> T:
    async def run() -> T:
        async with _opened(url) as npro:
            return await action(npro)

    return finish(run)


@asynccontextmanager
async def _opened(url: str | None) -> AsyncIterator[NproDatabase]:
    """The errors of the tables' own package as the platform's."""
    where = url or CliSettings().npro_database_url
    if where is None:
        raise InvalidRequest("name the database with VNS_NPRO_DATABASE_URL or --database-url")
    try:
        npro = NproDatabase.open(where, size=1)
        try:
            yield npro
        finally:
            await npro.close()
    except NotReachable as error:
        raise Unavailable(str(error)) from error
    except NproError as error:
        raise InvalidRequest(str(error)) from error
