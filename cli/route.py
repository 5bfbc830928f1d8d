"""`vns route`: what the platform would do with a call or a text, and why. Nothing is changed by asking."""

from typing import Annotated

import typer

from cli.output import fields
from cli.running import Platform, on_platform
from vns.bindings.rules import Channel
from vns.errors import InvalidNumber
from vns.numbering.rules import PhoneNumber, mask, parse
from vns.routing.rules import REFUSALS, Connect, Presented, Question
from vns.routing.service import Routed, Router


def route(
    vn: Annotated[str, typer.Argument(help="The number dialled or texted.")],
    caller: Annotated[str | None, typer.Option("--from", help="The caller's number; without it withheld.")] = None,
    channel: Annotated[Channel, typer.Option(help="Call or text.")] = Channel.VOICE,
) -> None:
    """Explain who would be connected to whom, and which number would be shown."""

    async def act(platform: Platform) -> tuple[Question, Routed]:
        dialled = _dialled(vn)
        question = Question(
            vn=dialled.key if dialled else None,
            caller=parse(caller) if caller else None,
            channel=channel,
            at=platform.clock.now(),
        )
        async with platform.db.connection() as connection:
            return question, await Router(platform.keyring).route(connection, question, connect=False)

    question, routed = on_platform(act)
    for number, step in enumerate(routed.decision.steps, 1):
        typer.echo(f"{number}. {step}")
    fields(_outcome(question, routed))


def _dialled(text: str) -> PhoneNumber | None:
    """None for what is no Korean number at all: the platform answers to that as well."""
    try:
        return parse(text)
    except InvalidNumber:
        return None


def _outcome(question: Question, routed: Routed) -> list[tuple[str, object]]:
    decision = routed.decision
    about: list[tuple[str, object]] = [
        ("caller", question.caller.masked if question.caller else "withheld"),
        ("binding", decision.binding_id),
    ]
    if not isinstance(decision, Connect):
        refusal = REFUSALS[decision.reason]
        return [
            ("decision", "refuse"),
            ("reason", decision.reason),
            ("sip", refusal.sip),
            ("q850", refusal.cause),
            ("prompt", refusal.prompt),
            *about,
        ]
    presented = routed.presented or ""
    return [
        ("decision", "connect"),
        ("target", f"{routed.target} ({decision.target} party)"),
        ("presents", mask(presented) if decision.present is Presented.CALLER else presented),
        *about,
    ]
