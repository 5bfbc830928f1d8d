"""`vns sender manager` and `vns sender select`: the manager, and numbers that the manager proves together."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from cli.output import fields, table
from cli.registry import TenantOption
from cli.running import Platform, actor, on_platform
from vns.errors import InvalidRequest
from vns.senders.evidence import Paper
from vns.senders.manager_rules import Manager
from vns.senders.managers import Managers
from vns.senders.selections import Selection, Selections

app = typer.Typer(no_args_is_help=True, help="A tenant's manager: one code to their mobile proves many numbers.")

NameArgument = Annotated[str, typer.Argument(help="The manager's name.")]
MobileArgument = Annotated[str, typer.Argument(help="The manager's mobile number.")]


class Kind(StrEnum):
    EMPLOYMENT = Paper.EMPLOYMENT.value
    ATTORNEY = Paper.ATTORNEY.value


def add_to(sender: typer.Typer) -> None:
    """The commands stand beside the registry's."""
    sender.add_typer(app, name="manager")
    sender.command()(select)
    sender.command()(select_confirm)


@app.command()
def show(tenant: TenantOption) -> None:
    """The tenant's manager and their papers."""
    _run(tenant, lambda managers, tenant_id: managers.get(tenant_id))


@app.command()
def designate(name: NameArgument, mobile: MobileArgument, tenant: TenantOption) -> None:
    """Put somebody in charge; there is one at most."""
    _run(tenant, lambda managers, tenant_id: managers.designate(actor(), tenant_id, name, mobile))


@app.command()
def replace(name: NameArgument, mobile: MobileArgument, tenant: TenantOption) -> None:
    """Put another in place of the one there is; proof and papers begin anew."""
    _run(tenant, lambda managers, tenant_id: managers.replace(actor(), tenant_id, name, mobile))


@app.command()
def verify(tenant: TenantOption) -> None:
    """Send a code to the manager's mobile."""

    async def act(managers: Managers, tenant_id: UUID) -> Manager:
        await managers.send_code(actor(), tenant_id)
        return await managers.get(tenant_id)

    _run(tenant, act)


@app.command()
def confirm(code: Annotated[str, typer.Argument(help="What was read.")], tenant: TenantOption) -> None:
    """Prove the manager's mobile by the code it was sent."""
    _run(tenant, lambda managers, tenant_id: managers.confirm(actor(), tenant_id, code))


@app.command()
def upload(
    kind: Annotated[Kind, typer.Argument(help="Certificate of employment, or power of attorney.")],
    file: Annotated[Path, typer.Argument(help="PDF, JPEG or PNG.", exists=True)],
    tenant: TenantOption,
) -> None:
    """Add a paper, in place of a former one of its kind. `vns sender document` writes one to a file."""

    async def act(managers: Managers, tenant_id: UUID) -> Manager:
        try:
            content = file.read_bytes()
        except OSError:
            raise InvalidRequest("the file cannot be read") from None
        return await managers.upload(actor(), tenant_id, Paper(kind), content)

    _run(tenant, act)


@app.command()
def submit(tenant: TenantOption) -> None:
    """Ask an operator to decide."""
    _run(tenant, lambda managers, tenant_id: managers.submit(actor(), tenant_id))


@app.command()
def approve(tenant: TenantOption) -> None:
    """Let the manager prove numbers from now on."""

    async def act(managers: Managers, tenant_id: UUID) -> Manager:
        return await managers.approve(actor(), tenant_id, (await managers.get(tenant_id)).id)

    _run(tenant, act)


@app.command()
def refuse(tenant: TenantOption, reason: Annotated[str, typer.Option(help="Why; the tenant reads it.")]) -> None:
    """Refuse the manager, or take the approval away, at once."""

    async def act(managers: Managers, tenant_id: UUID) -> Manager:
        return await managers.refuse(actor(), tenant_id, (await managers.get(tenant_id)).id, reason)

    _run(tenant, act)


@app.command()
def end(tenant: TenantOption) -> None:
    """Un-designate the manager and erase what is known of them."""

    async def act(platform: Platform) -> None:
        await _managers(platform).end(actor(), (await platform.access.get_tenant(tenant)).id)

    on_platform(act)
    typer.echo("the tenant has no manager now")


@app.command()
def review() -> None:
    """Managers of all tenants that wait for a decision, newest first; at most 1,000."""

    async def act(platform: Platform) -> tuple[Manager, ...]:
        return (await _managers(platform).review(limit=1_000)).items

    found = on_platform(act)
    table(("TENANT", "MANAGER", "MOBILE", "SINCE"), ((o.tenant_id, o.id, o.mobile_masked, o.created_at) for o in found))


def select(
    tenant: TenantOption,
    senders: Annotated[list[UUID] | None, typer.Argument(help="The sender numbers' ids.", metavar="SENDER…")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
) -> None:
    """Send the approved manager one code that proves all these numbers."""

    async def act(platform: Platform) -> Selection:
        if every == bool(senders):
            raise InvalidRequest("either ids, or --all")
        tenant_id = (await platform.access.get_tenant(tenant)).id
        return await _selections(platform).start(actor(), tenant_id, None if every else senders)

    made = on_platform(act)
    fields([("selection", made.id), ("numbers", made.numbers), ("mobile", made.mobile_masked)])


def select_confirm(
    selection: Annotated[UUID, typer.Argument(help="The selection's id.")],
    code: Annotated[str, typer.Argument(help="What the manager has read.")],
    tenant: TenantOption,
) -> None:
    """Prove the chosen numbers by the code."""

    async def act(platform: Platform) -> int:
        tenant_id = (await platform.access.get_tenant(tenant)).id
        return await _selections(platform).confirm(actor(), tenant_id, selection, code)

    typer.echo(f"{on_platform(act)} numbers are proven")


def _managers(platform: Platform) -> Managers:
    return Managers(platform.db, platform.keyring, platform.clock)


def _selections(platform: Platform) -> Selections:
    return Selections(platform.db, platform.keyring, platform.clock)


def _run(tenant: str, action: Callable[[Managers, UUID], Awaitable[Manager]]) -> None:
    async def act(platform: Platform) -> Manager:
        return await action(_managers(platform), (await platform.access.get_tenant(tenant)).id)

    one = on_platform(act)
    fields(
        [
            ("id", one.id),
            ("mobile", one.mobile_masked),
            ("status", one.status),
            ("reason", one.reason),
            ("missing", ", ".join(one.missing) or None),
            *((paper.kind, paper.id) for paper in one.papers),
        ]
    )
