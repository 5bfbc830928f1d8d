"""`vns caller`: callers who are flagged, stopped or trusted."""

from datetime import timedelta
from typing import Annotated

import typer

from cli.output import table
from cli.running import Platform, actor, on_platform
from vns.abuse.flags import CallerFlags
from vns.abuse.rules import FlagStatus
from vns.numbering.rules import parse

app = typer.Typer(no_args_is_help=True, help="Callers who are flagged, stopped or trusted.")

CallerArgument = Annotated[str, typer.Argument(help="The caller's number.", metavar="NUMBER")]
Hours = Annotated[int | None, typer.Option(help="For so many hours; without it for ever.", min=1)]


@app.command("list")
def list_() -> None:
    """Who is on the list, newest first."""
    flags = on_platform(lambda platform: _flags(platform).list())
    table(
        ("CALLER", "STATUS", "REASON", "COUNTED", "FLAGGED", "UNTIL"),
        ((flag.masked, flag.status, flag.reason, flag.counted, flag.flagged_at, flag.until) for flag in flags),
    )


@app.command()
def stop(caller: CallerArgument, hours: Hours = None) -> None:
    """From now on this caller reaches nobody, by call or text."""
    _decide(caller, FlagStatus.STOPPED, hours)


@app.command()
def trust(caller: CallerArgument, hours: Hours = None) -> None:
    """No rule limits or flags this caller: a help desk that calls customers all day."""
    _decide(caller, FlagStatus.TRUSTED, hours)


@app.command()
def clear(caller: CallerArgument) -> None:
    """Take a caller off the list."""

    async def act(platform: Platform) -> None:
        await _flags(platform).clear(actor(), platform.keyring, parse(caller))

    on_platform(act)


def _decide(caller: str, status: FlagStatus, hours: int | None) -> None:
    async def act(platform: Platform) -> None:
        until = platform.clock.now() + timedelta(hours=hours) if hours is not None else None
        await _flags(platform).decide(actor(), platform.keyring, parse(caller), status, until)

    on_platform(act)


def _flags(platform: Platform) -> CallerFlags:
    return CallerFlags(platform.db, platform.clock)
