"""`vns route`: what the platform would do with a call or a text, and why. Nothing is changed by asking."""

from typing import Annotated

import typer

from cli.output import fields
from cli.running import Platform, on_platform
from vns.bindings.rules import Channel
from vns.routing.explanation import Explainer, Explanation
from vns.routing.service import Router


def route(
    vn: Annotated[str, typer.Argument(help="The number dialled or texted.")],
    caller: Annotated[str | None, typer.Option("--from", help="The caller's number; without it withheld.")] = None,
    digits: Annotated[
        str | None, typer.Option(help="What the caller dials when asked: an extension, or whom a subscriber calls.")
    ] = None,
    channel: Annotated[Channel, typer.Option(help="Call or text.")] = Channel.VOICE,
) -> None:
    """Explain who would be connected to whom, and which number would be shown. A hook is told of, not asked."""

    async def act(platform: Platform) -> Explanation:
        explainer = Explainer(platform.db, Router(platform.keyring), platform.clock)
        return await explainer.explain(vn, caller, channel, digits=digits)

    explained = on_platform(act)
    for number, step in enumerate(explained.steps, 1):
        typer.echo(f"{number}. {step}")
    fields(explained.facts)
