"""`vns tenant`: customers, their limits, keys and grants."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from cli.dates import LastDay, end_of
from cli.output import fields, table
from cli.running import Platform, actor, on_platform
from vns.access.rules import SCOPES_OF, IssuedKey, NewTenant, Scope, Tenant, TenantKind
from vns.access.service import REMEMBERED_FOR
from vns.messages.relay_numbers import RelayNumberRegister
from vns.numbering.rules import parse

app = typer.Typer(no_args_is_help=True, help="Customers: malls, couriers and the operator itself.")

TenantArgument = Annotated[str, typer.Argument(help="The tenant's code or id.")]
MaxLive = Annotated[int | None, typer.Option(help="Most live bindings.", min=0)]
Rate = Annotated[int | None, typer.Option(help="Most requests a second.", min=1)]

T = TypeVar("T")


def in_force(action: Callable[[Platform], Awaitable[T]]) -> T:
    """Run `action`, and come back when no process goes by what it remembers from before."""

    async def until_known(platform: Platform) -> T:
        done = await action(platform)
        await asyncio.sleep(REMEMBERED_FOR.total_seconds())
        return done

    return on_platform(until_known)


@app.command()
def create(
    code: Annotated[str, typer.Argument(help="Short name: a-z, 0-9 and -.")],
    name: Annotated[str, typer.Option(help="Name for people.")],
    kind: Annotated[TenantKind, typer.Option(help="What the tenant is.")],
    max_live_bindings: MaxLive = None,
    requests_per_second: Rate = None,
) -> None:
    """Make a tenant."""
    new = NewTenant(
        code=code,
        name=name,
        kind=kind,
        max_live_bindings=max_live_bindings,
        requests_per_second=requests_per_second,
    )
    _show(on_platform(lambda platform: platform.access.create_tenant(actor(), new)))


@app.command("list")
def list_() -> None:
    """All tenants."""
    tenants = on_platform(lambda platform: platform.access.list_tenants())
    heading = ("CODE", "KIND", "STATUS", "MAX_LIVE", "PER_SECOND", "CREATED", "NAME")
    table(
        heading,
        (
            (
                tenant.code,
                tenant.kind,
                tenant.status,
                tenant.max_live_bindings,
                tenant.requests_per_second,
                tenant.created_at,
                tenant.name,
            )
            for tenant in tenants
        ),
    )


@app.command()
def suspend(tenant: TenantArgument) -> None:
    """Refuse a tenant's keys from now on. Its bindings go on."""
    _show(in_force(lambda platform: platform.access.suspend_tenant(actor(), tenant)))


@app.command()
def resume(tenant: TenantArgument) -> None:
    """Take a suspension back."""
    _show(in_force(lambda platform: platform.access.resume_tenant(actor(), tenant)))


@app.command("relay-number")
def relay_number(
    tenant: TenantArgument,
    number: Annotated[
        str | None, typer.Argument(help="The line that texts leave from; without it there is none.")
    ] = None,
    proof: Annotated[str, typer.Option(help="Where the proof that the line may send texts is filed.")] = "",
    until: LastDay = None,
) -> None:
    """Where texts leave from whose virtual number is no proven sender: they carry a tag then, and answers find it.

    The proof holds for a year unless `--until` names another last day.
    """

    async def act(platform: Platform) -> datetime | None:
        found = await platform.access.get_tenant(tenant)
        register = RelayNumberRegister(platform.db, platform.clock)
        if number is None:
            await register.remove(actor(), found.id)
            return None
        return await register.put(actor(), found.id, parse(number), proof, end_of(until))

    ends = on_platform(act)
    shown = parse(number).hyphenated if number is not None else None
    fields([("tenant", tenant), ("relay_number", shown), ("proof_until", ends)])


@app.command()
def quota(
    tenant: TenantArgument,
    max_live_bindings: MaxLive = None,
    requests_per_second: Rate = None,
) -> None:
    """Set both limits of a tenant; a limit that is left out is taken away."""
    _show(
        in_force(
            lambda platform: platform.access.set_quotas(
                actor(),
                tenant,
                max_live_bindings=max_live_bindings,
                requests_per_second=requests_per_second,
            )
        )
    )


@app.command()
def grant(
    courier: Annotated[str, typer.Argument(help="The courier's code or id.")],
    mall: Annotated[str, typer.Argument(help="The mall's code or id.")],
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the grant back.")] = False,
) -> None:
    """Let a courier look a mall's deliveries up."""
    in_force(
        lambda platform: (
            platform.access.revoke_lookup(actor(), courier=courier, mall=mall)
            if revoke
            else platform.access.grant_lookup(actor(), courier=courier, mall=mall)
        )
    )
    typer.echo(f"{courier} may {'no longer ' if revoke else ''}look up deliveries of {mall}")


@app.command("keys")
def keys(tenant: TenantArgument) -> None:
    """The keys of a tenant, without their secrets."""
    found = on_platform(lambda platform: platform.access.list_keys(tenant))
    table(
        ("KEY", "BEGINS", "CREATED", "EXPIRES", "REVOKED", "SCOPES"),
        ((key.id, key.hint, key.created_at, key.expires_at, key.revoked_at, key.scopes) for key in found),
    )


@app.command("key-issue")
def key_issue(
    tenant: TenantArgument,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="May be repeated; without it all that fit the tenant.")
    ] = None,
) -> None:
    """A new API key. Its secret is shown this one time."""
    scopes = frozenset(scope) if scope else None
    _show_key(on_platform(lambda platform: platform.access.issue_key(actor(), tenant, scopes)))


@app.command("key-rotate")
def key_rotate(
    key: Annotated[UUID, typer.Argument(help="The key's id.")],
    overlap_seconds: Annotated[int, typer.Option(help="How long the old key goes on.", min=0)] = 86_400,
) -> None:
    """A new key in the place of an old one, which goes on for a while."""
    run = on_platform if overlap_seconds >= REMEMBERED_FOR.total_seconds() else in_force
    _show_key(run(lambda platform: platform.access.rotate_key(actor(), key, overlap_seconds=overlap_seconds)))


@app.command("key-revoke")
def key_revoke(key: Annotated[UUID, typer.Argument(help="The key's id.")]) -> None:
    """End a key at once."""
    in_force(lambda platform: platform.access.revoke_key(actor(), key))
    typer.echo(f"revoked {key}")


@app.command()
def scopes() -> None:
    """What keys of each kind of tenant may do."""
    table(("KIND", "SCOPES"), ((kind, SCOPES_OF[kind]) for kind in TenantKind))


def _show(tenant: Tenant) -> None:
    fields(
        [
            ("id", tenant.id),
            ("code", tenant.code),
            ("name", tenant.name),
            ("kind", tenant.kind),
            ("status", tenant.status),
            ("max_live_bindings", tenant.max_live_bindings),
            ("requests_per_second", tenant.requests_per_second),
        ]
    )


def _show_key(issued: IssuedKey) -> None:
    fields([("key", issued.key_id), ("secret", issued.secret)])
    typer.echo("The secret is not kept and cannot be shown again.", err=True)
