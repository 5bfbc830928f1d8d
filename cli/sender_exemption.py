"""`vns sender exemption`: a tenant's application for an exemption, and an operator's decision."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from cli.output import fields, table
from cli.registry import TenantOption
from cli.running import Platform, actor, on_platform
from vns.errors import InvalidRequest, NotFound
from vns.senders.applications import Applications, Standing
from vns.senders.bulk import cells_of
from vns.senders.exemption_rules import Application, Company

app = typer.Typer(no_args_is_help=True, help="A tenant's application for an exemption, of a year at a time.")


def add_to(sender: typer.Typer) -> None:
    """The commands stand beside the registry's."""
    sender.add_typer(app, name="exemption")


@app.command()
def show(tenant: TenantOption) -> None:
    """The tenant's exemption, and its application: the one under way, else the approved one."""

    async def act(platform: Platform) -> Standing:
        return await _applications(platform).standing((await platform.access.get_tenant(tenant)).id)

    standing = on_platform(act)
    exemption, application = standing.exemption, standing.application
    numbers = application.company.numbers if application and application.company else ()
    fields(
        [
            ("exempt by", exemption.route if exemption else None),
            ("ends", exemption.ends_at if exemption else None),
            *(_lines(application) if application else ()),
            *(("number", number) for number in numbers),
        ]
    )


@app.command()
def apply(
    *,
    tenant: TenantOption,
    company: Annotated[str, typer.Option(help="The company's name.")],
    business_number: Annotated[str, typer.Option(help="사업자등록번호.")],
    corporate_number: Annotated[str | None, typer.Option(help="법인등록번호; a sole proprietor has none.")] = None,
    new_corporate_number: Annotated[
        bool, typer.Option("--new-corporate-number", help="Assigned since 31 January 2025: without a check digit.")
    ] = False,
    representative: Annotated[str, typer.Option(help="Who represents it.")],
    address: Annotated[str, typer.Option(help="Where it sits.")],
    numbers: Annotated[Path, typer.Option(help=".xls, .xlsx or text: its numbers, in column A.", exists=True)],
) -> None:
    """Draft an application of a tenant whose server is connected, in place of what was drafted before."""

    async def act(applications: Applications, tenant_id: UUID) -> Application:
        given = Company(
            company=company,
            business_number=business_number,
            corporate_number=corporate_number,
            new_corporate_number=new_corporate_number,
            representative=representative,
            address=address,
            numbers=tuple(cells_of(_content(numbers))),
        )
        return await applications.write(actor(), tenant_id, given)

    _run(tenant, act)


@app.command()
def upload(
    file: Annotated[Path, typer.Argument(help="PDF, JPEG or PNG.", exists=True)],
    tenant: TenantOption,
) -> None:
    """Draft an application of a special value-added carrier: a copy of its registration certificate."""
    _run(tenant, lambda applications, tenant_id: applications.upload(actor(), tenant_id, _content(file)))


@app.command()
def renew(tenant: TenantOption) -> None:
    """Draft a renewal with what was approved; a carrier uploads another copy of its certificate."""
    _run(tenant, lambda applications, tenant_id: applications.renew(actor(), tenant_id))


@app.command()
def submit(tenant: TenantOption) -> None:
    """Ask an operator to decide."""
    _run(tenant, lambda applications, tenant_id: applications.submit(actor(), tenant_id))


@app.command()
def withdraw(tenant: TenantOption) -> None:
    """End the application under way and erase it; an exemption goes on."""

    async def act(platform: Platform) -> None:
        await _applications(platform).withdraw(actor(), (await platform.access.get_tenant(tenant)).id)

    on_platform(act)
    typer.echo("the application is withdrawn")


@app.command()
def approve(tenant: TenantOption) -> None:
    """Exempt the tenant for a year from now, and register the numbers of the application."""

    async def act(applications: Applications, tenant_id: UUID) -> Application:
        return await applications.approve(actor(), tenant_id, await _current(applications, tenant_id))

    _run(tenant, act)


@app.command()
def refuse(tenant: TenantOption, reason: Annotated[str, typer.Option(help="Why; the tenant reads it.")]) -> None:
    """Refuse the application; an exemption goes on."""

    async def act(applications: Applications, tenant_id: UUID) -> Application:
        return await applications.refuse(actor(), tenant_id, await _current(applications, tenant_id), reason)

    _run(tenant, act)


@app.command()
def review() -> None:
    """Applications of all tenants that wait for a decision, newest first; at most 1,000."""

    async def act(platform: Platform) -> tuple[Application, ...]:
        return (await _applications(platform).review(limit=1_000)).items

    heading = ("TENANT", "APPLICATION", "ROUTE", "SINCE")
    table(heading, ((one.tenant_id, one.id, one.route, one.created_at) for one in on_platform(act)))


async def _current(applications: Applications, tenant_id: UUID) -> UUID:
    """Raises NotFound."""
    found = (await applications.standing(tenant_id)).application
    if found is None:
        raise NotFound("the tenant has no application")
    return found.id


def _applications(platform: Platform) -> Applications:
    return Applications(platform.db, platform.keyring, platform.clock)


def _content(file: Path) -> bytes:
    """Raises InvalidRequest."""
    try:
        return file.read_bytes()
    except OSError:
        raise InvalidRequest("the file cannot be read") from None


def _run(tenant: str, action: Callable[[Applications, UUID], Awaitable[Application]]) -> None:
    async def act(platform: Platform) -> Application:
        return await action(_applications(platform), (await platform.access.get_tenant(tenant)).id)

    fields(_lines(on_platform(act)))


def _lines(one: Application) -> list[tuple[str, object]]:
    """What an operator decides by is shown whole."""
    company = one.company
    return [
        ("application", one.id),
        ("route", one.route),
        ("status", one.status),
        ("reason", one.reason),
        ("company", company.company if company else None),
        ("business number", company.business_number if company else None),
        ("corporate number", company.corporate_number if company else None),
        ("representative", company.representative if company else None),
        ("address", company.address if company else None),
        ("numbers", len(company.numbers) if company else None),
        ("certificate", one.certificate.id if one.certificate else None),
    ]
