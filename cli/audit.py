"""`vns audit`: who did what, and whether the record is whole."""

import json
from typing import Annotated

import asyncpg
import typer

from cli import queries
from cli.output import fields, table
from cli.running import Platform, fail, on_platform
from vns.maintenance.seals import Verdict
from vns.maintenance.seals import verify as verify_seals

app = typer.Typer(no_args_is_help=True, help="Who did what, and whether the record is whole.")


@app.command()
def verify() -> None:
    """Compute the hash chain over the journal again. Reads all of it."""

    async def act(platform: Platform) -> Verdict:
        async with platform.db.connection() as connection:
            return await verify_seals(connection)

    verdict = on_platform(act)
    fields(
        [
            ("seals", verdict.seals),
            ("rows sealed", verdict.rows),
            ("rows not sealed yet", verdict.unsealed),
            ("head", verdict.head.hex()),
            ("chain", "whole" if verdict.broken_at is None else "broken"),
        ]
    )
    if verdict.broken_at is not None:
        fail("audit_chain_broken", f"seal {verdict.broken_at}: {verdict.why}")


@app.command()
def tail(
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many.", min=1, max=100_000)] = 20,
    event: Annotated[str | None, typer.Option(help="Only events that begin so, for example `key.`")] = None,
) -> None:
    """The newest entries of the journal, oldest first."""

    async def act(platform: Platform) -> list[asyncpg.Record]:
        async with platform.db.connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(queries.TAIL, lines, _beginning(event))
        return rows[::-1]

    table(
        ("AT", "TENANT", "ACTOR", "EVENT", "SUBJECT", "DATA"),
        (
            (
                row["at"],
                row["tenant"],
                row["actor"],
                row["event"],
                row["subject"],
                json.dumps(row["data"], ensure_ascii=False, sort_keys=True) if row["data"] else None,
            )
            for row in on_platform(act)
        ),
    )


def _beginning(event: str | None) -> str | None:
    """As a LIKE pattern in which what was typed stands for itself."""
    if event is None:
        return None
    for special in "!%_":
        event = event.replace(special, f"!{special}")
    return f"{event}%"
