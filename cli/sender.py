"""`vns sender call`: the call that speaks a code. The registry's commands: cli/registry.py."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from cli.output import fields
from cli.running import FAILED, Platform, actor, on_platform
from vns.numbering.rules import digits_of, parse
from vns.verifications.rules import Status, VerificationCall, new_code
from vns.verifications.service import Verifications

LOOK_EVERY = 0.5  # seconds


app = typer.Typer(no_args_is_help=True, help="Sender numbers: registered, proven, and the calls that prove them.")


@app.command()
def call(
    number: Annotated[str, typer.Argument(help="Who is called.", metavar="NUMBER")],
    code: Annotated[str | None, typer.Option(help="What is spoken, 4 to 8 digits; made and shown without it.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is over; exit status 1 if the code was not heard.")] = (
        False
    ),
) -> None:
    """Call a number and speak a code to whoever answers, twice."""
    spoken = code or new_code()

    async def act(platform: Platform) -> VerificationCall:
        verifications = Verifications(platform.db, platform.keyring, platform.clock)
        asked = await verifications.request(actor(), parse(number), spoken)
        return await _over(verifications, asked.id) if wait else asked

    done = on_platform(act)
    fields(
        [
            ("id", done.id),
            ("number", done.number_masked),
            ("shows", digits_of(done.caller_id)),
            *([("code", spoken)] if code is None else []),
            ("status", done.status),
            ("reason", done.reason),
            ("spoken", done.spoken),
            ("attempts", done.attempts),
        ]
    )
    if done.status is Status.FAILED:
        raise typer.Exit(FAILED)


async def _over(verifications: Verifications, call_id: UUID) -> VerificationCall:
    """Bridges end every call, if only as expired; without any bridge this waits until Ctrl-C."""
    while not (seen := await verifications.get(call_id)).status.over:  # noqa: ASYNC110 - a row sends no signal
        await asyncio.sleep(LOOK_EVERY)
    return seen
