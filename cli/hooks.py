"""`vns tenant hook`: where a tenant is asked before one of its bindings connects anybody."""

import os
from typing import Annotated

import typer

from cli.output import fields
from cli.running import Platform, actor, on_platform
from vns.access.rules import in_place_of
from vns.errors import InvalidRequest
from vns.routing.hooks import DEFAULT_DEADLINE, Hooks, HookShown, NewHook
from vns.routing.service import OnFailure

app = typer.Typer(no_args_is_help=True, help="The intercept hook of a tenant.")

SECRET = "VNS_HOOK_SECRET"  # noqa: S105 - the name of a variable

TenantArgument = Annotated[str, typer.Argument(help="The tenant's code or id.")]


@app.command("set")
def set_(
    tenant: TenantArgument,
    url: Annotated[str, typer.Option(help="http or https.")],
    deadline_ms: Annotated[int, typer.Option(help="How long the tenant may take to answer.")] = DEFAULT_DEADLINE,
    on_failure: Annotated[OnFailure, typer.Option(help="What happens without an answer.")] = OnFailure.ALLOW,
) -> None:
    """Set a hook. Its secret is read from the variable VNS_HOOK_SECRET, so that no list of processes shows it."""

    async def act(platform: Platform) -> HookShown:
        secret = os.environ.get(SECRET)
        if secret is None:
            raise InvalidRequest(f"{SECRET} is not set")
        owner = in_place_of(await platform.access.get_tenant(tenant), actor())
        hook = NewHook(url=url, secret=secret, deadline_ms=deadline_ms, on_failure=on_failure)
        return await _hooks(platform).put(owner, hook)

    _show(on_platform(act))


@app.command()
def show(tenant: TenantArgument) -> None:
    """A tenant's hook, without its secret."""

    async def act(platform: Platform) -> HookShown:
        return await _hooks(platform).get(in_place_of(await platform.access.get_tenant(tenant), actor()))

    _show(on_platform(act))


@app.command()
def remove(tenant: TenantArgument) -> None:
    """Ask the tenant no more."""

    async def act(platform: Platform) -> HookShown:
        return await _hooks(platform).remove(in_place_of(await platform.access.get_tenant(tenant), actor()))

    _show(on_platform(act))


def _hooks(platform: Platform) -> Hooks:
    return Hooks(platform.db, platform.keyring, platform.clock, platform.copies)


def _show(hook: HookShown) -> None:
    fields(
        [
            ("url", hook.url),
            ("deadline_ms", hook.deadline_ms),
            ("on_failure", hook.on_failure),
            ("changed_at", hook.changed_at),
        ]
    )
