"""`vns binding`: what numbers are mapped to, real numbers masked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import typer

from cli import queries
from cli.output import compact, fields, table
from cli.running import Platform, actor, on_platform
from vns.access.rules import Principal, in_place_of
from vns.bindings.rules import Binding, Status
from vns.bindings.service import Bindings
from vns.errors import InvalidRequest, NotFound
from vns.numbering.rules import digits_of, parse

app = typer.Typer(no_args_is_help=True, help="Live and past mappings.")

BindingArgument = Annotated[UUID, typer.Argument(help="The binding's id.")]


@app.command()
def show(binding: BindingArgument) -> None:
    """One binding."""

    async def act(platform: Platform) -> tuple[Principal, Binding]:
        principal = await owner_of(platform, binding)
        async with bindings_of(platform) as bindings:
            return principal, await bindings.get(principal, binding)

    principal, found = on_platform(act)
    show_binding(principal, found)


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's (code or id).")] = None,
    vn: Annotated[str | None, typer.Option("--vn", help="Only on this virtual number.")] = None,
    reference: Annotated[str | None, typer.Option(help="Only with this order or waybill.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(help="Most bindings of each tenant.", min=1, max=1000)] = 50,
) -> None:
    """Bindings, newest first. Needs a tenant, a virtual number or a reference."""

    async def act(platform: Platform) -> list[tuple[object, ...]]:
        if tenant is None and vn is None and reference is None:
            raise InvalidRequest("name a --tenant, a --vn or a --reference")
        key = parse(vn).key if vn else None
        rows: list[tuple[object, ...]] = []
        async with bindings_of(platform) as bindings:
            for principal in await _principals(platform, tenant=tenant, key=key, reference=reference):
                page = await bindings.find(
                    principal, reference=reference, virtual_number=key, status=status, limit=limit
                )
                rows += [_row(principal, binding) for binding in page.items]
        return rows

    heading = ("BINDING", "TENANT", "MODE", "STATUS", "VN", "REAL", "PEER", "REFERENCE", "EXPIRES", "CREATED")
    table(heading, on_platform(act))


@app.command()
def release(
    binding: BindingArgument,
    terminate_calls: Annotated[bool, typer.Option("--terminate-calls", help="Cut calls in progress too.")] = False,
) -> None:
    """End a binding: the next call on its number is refused."""

    async def act(platform: Platform) -> tuple[Principal, Binding]:
        principal = await owner_of(platform, binding)
        async with bindings_of(platform) as bindings:
            return principal, await bindings.release(principal, binding, terminate_calls=terminate_calls)

    principal, released = on_platform(act)
    show_binding(principal, released)


@asynccontextmanager
async def bindings_of(platform: Platform) -> AsyncIterator[Bindings]:
    """Without a way to render answers: nothing here is asked with an Idempotency-Key."""
    bindings = Bindings(
        platform.db,
        platform.keyring,
        platform.clock,
        render=lambda binding: str(binding.id),
        copies=platform.copies,
    )
    try:
        yield bindings
    finally:
        await bindings.close()


async def owner_of(platform: Platform, binding: UUID) -> Principal:
    """Raises NotFound."""
    owners = await _principals(platform, binding=binding)
    if not owners:
        raise NotFound("no such binding")
    return owners[0]


async def _principals(
    platform: Platform,
    *,
    tenant: str | None = None,
    binding: UUID | None = None,
    key: int | None = None,
    reference: str | None = None,
) -> list[Principal]:
    """The tenant named, else all that have such bindings, in the order of their codes."""
    if tenant is not None:
        return [in_place_of(await platform.access.get_tenant(tenant), actor())]
    async with platform.db.connection() as connection:
        rows = await connection.fetch(queries.TENANTS_OF_BINDINGS, binding, key, reference)
    found = {row["tenant_id"] for row in rows}
    return [in_place_of(one, actor()) for one in await platform.access.list_tenants() if one.id in found]


def _row(principal: Principal, binding: Binding) -> tuple[object, ...]:
    return (
        binding.id,
        principal.tenant_code,
        binding.mode,
        binding.status,
        digits_of(binding.vn),
        binding.real_masked,
        binding.peer_masked,
        binding.reference,
        binding.expires_at,
        binding.created_at,
    )


def show_binding(principal: Principal, binding: Binding) -> None:
    fields(
        [
            ("id", binding.id),
            ("tenant", principal.tenant_code),
            ("mode", binding.mode),
            ("status", binding.status),
            ("virtual_number", digits_of(binding.vn)),
            ("peer_virtual_number", digits_of(binding.peer_vn) if binding.peer_vn is not None else None),
            ("extension", binding.extension),
            ("real_number", binding.real_masked),
            ("peer_number", binding.peer_masked),
            ("members", ", ".join(binding.members_masked or ())),
            ("ring", binding.ring),
            ("reference", binding.reference),
            ("purpose", binding.purpose),
            ("channels", binding.channels),
            ("caller_id", binding.caller_id),
            ("exposes", binding.exposes),
            ("rules", compact(binding.rules)),
            ("expires_at", binding.expires_at),
            ("ttl_seconds", binding.ttl_seconds),
            ("expire_after_call", "yes" if binding.expire_after_call else "no"),
            ("created_at", binding.created_at),
            ("ended_at", binding.ended_at),
        ]
    )
