"""`vns sender`: the registry of the numbers that tenants may show as senders."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from cli.output import fields, table
from cli.running import Platform, actor, fail, on_platform
from vns.errors import InvalidRequest
from vns.senders.accounts import Account, Accounts
from vns.senders.bulk import Row, cells_of
from vns.senders.documents import Documents
from vns.senders.evidence import Document
from vns.senders.exemption_rules import Route
from vns.senders.exemptions import Exemption, Exemptions
from vns.senders.proving import Proving
from vns.senders.rules import Policy, Proof, SenderNumber
from vns.senders.service import Senders

TenantOption = Annotated[str, typer.Option("--tenant", help="The tenant's code or id.")]
AccountArgument = Annotated[str, typer.Argument(help="The account's tenant, by code or id.", metavar="ACCOUNT")]
SenderArgument = Annotated[UUID, typer.Argument(help="The sender number's id.")]


def add_to(app: typer.Typer) -> None:
    """The commands stand beside `vns sender call`."""
    app.command("list")(list_)
    for command in (
        register,
        bulk,
        verify,
        confirm,
        approve,
        reject,
        remove,
        policy,
        upload,
        documents,
        document,
        review,
        accounts,
        account_add,
        account_remove,
        exempt,
        unexempt,
    ):
        app.command()(command)


def list_(tenant: TenantOption) -> None:
    """A tenant's sender numbers, newest first, masked."""

    async def act(platform: Platform) -> tuple[list[SenderNumber], int]:
        senders, tenant_id = _senders(platform), await _tenant(platform, tenant)
        found, cursor = list[SenderNumber](), None
        while True:
            page = await senders.list(tenant_id, cursor=cursor, limit=1_000)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found, (await senders.policy(tenant_id)).max_numbers

    found, allowed = on_platform(act)
    heading = ("SENDER", "NUMBER", "STATUS", "METHOD", "EXPIRES", "REGISTERED", "REASON")
    table(
        heading,
        ((one.id, one.masked, one.status, one.method, one.expires_at, one.created_at, one.reason) for one in found),
    )
    typer.echo(f"registered {len(found)} of {allowed} allowed", err=True)


def register(
    number: Annotated[str, typer.Argument(help="The number.")],
    tenant: TenantOption,
    label: Annotated[str, typer.Option(help="What it is, for people.")] = "",
) -> None:
    """Register one number; it waits for its proof, unless the tenant's policy lists numbers at once."""
    _run(tenant, lambda senders, tenant_id: senders.register(actor(), tenant_id, number, label=label))


def bulk(
    file: Annotated[Path, typer.Argument(help=".xls, .xlsx or text: one number a line, or in column A.", exists=True)],
    tenant: TenantOption,
    check: Annotated[bool, typer.Option("--check", help="Only tell what is wrong.")] = False,
) -> None:
    """Register all numbers of a file, or none: every row must be right first."""

    async def act(platform: Platform) -> list[Row]:
        senders, tenant_id = _senders(platform), await _tenant(platform, tenant)
        try:
            cells = cells_of(file.read_bytes())
        except OSError:
            raise InvalidRequest("the file cannot be read") from None
        if check:
            return await senders.check(tenant_id, cells)
        return await senders.register_all(actor(), tenant_id, cells)

    rows = on_platform(act)
    wrong = [row for row in rows if row.fault]
    if wrong:
        table(("ROW", "FAULT"), ((row.place, row.fault) for row in wrong))
        fail("invalid_request", f"{len(wrong)} of {len(rows)} rows cannot be registered; nothing was")
    typer.echo(f"{len(rows)} rows are right" if check else f"registered {len(rows)} numbers")


def verify(sender: SenderArgument, tenant: TenantOption) -> None:
    """Send the number a code: by text to a mobile, by a call to any other."""

    async def act(platform: Platform) -> SenderNumber:
        tenant_id = await _tenant(platform, tenant)
        return await Proving(platform.db, platform.keyring, platform.clock).start(actor(), tenant_id, sender)

    _show(on_platform(act))


def confirm(
    sender: SenderArgument, code: Annotated[str, typer.Argument(help="What was heard or read.")], tenant: TenantOption
) -> None:
    """Prove a number by the code it was sent."""
    _run(tenant, lambda senders, tenant_id: senders.confirm(actor(), tenant_id, sender, code))


def approve(
    sender: SenderArgument,
    tenant: TenantOption,
    proof: Annotated[str, typer.Option(help="Where the certificate of subscription is filed.")],
) -> None:
    """Let a number count as proven by its certificate, from now on."""
    _run(tenant, lambda senders, tenant_id: senders.approve(actor(), tenant_id, sender, proof))


def reject(
    sender: SenderArgument, tenant: TenantOption, reason: Annotated[str, typer.Option(help="Why; the tenant reads it.")]
) -> None:
    """Refuse a number, or take its proof away, at once."""
    _run(tenant, lambda senders, tenant_id: senders.reject(actor(), tenant_id, sender, reason))


def upload(
    sender: SenderArgument,
    file: Annotated[Path, typer.Argument(help="PDF, JPEG or PNG.", exists=True)],
    tenant: TenantOption,
) -> None:
    """Add a certificate to a number, for an operator to decide on."""

    async def act(platform: Platform) -> Document:
        try:
            content = file.read_bytes()
        except OSError:
            raise InvalidRequest("the file cannot be read") from None
        return await _documents(platform).upload(actor(), await _tenant(platform, tenant), sender, content)

    made = on_platform(act)
    fields([("document", made.id), ("media type", made.media_type), ("bytes", made.size)])


def documents(sender: SenderArgument, tenant: TenantOption) -> None:
    """The certificates of a number."""

    async def act(platform: Platform) -> tuple[Document, ...]:
        return await _documents(platform).list(await _tenant(platform, tenant), sender)

    found = on_platform(act)
    heading = ("DOCUMENT", "KIND", "BYTES", "UPLOADED")
    table(heading, ((one.id, one.media_type, one.size, one.created_at) for one in found))


def document(
    own: Annotated[UUID, typer.Argument(help="The document's id.", metavar="DOCUMENT")],
    file: Annotated[Path, typer.Argument(help="Where to write it; never over a file that is there.")],
    tenant: TenantOption,
) -> None:
    """Write a certificate to a file, to be read before the decision; journalled."""

    async def act(platform: Platform) -> bytes:
        return (await _documents(platform).read(actor(), await _tenant(platform, tenant), own))[1]

    content = on_platform(act)
    try:
        with file.open("xb") as target:
            target.write(content)
    except OSError:
        fail("invalid_request", "the file is there already, or cannot be written")
    typer.echo(f"{len(content)} bytes written")


def review() -> None:
    """Numbers of all tenants that wait for the decision on a certificate, newest first; at most 1,000."""

    async def act(platform: Platform) -> tuple[SenderNumber, ...]:
        return (await _documents(platform).review(limit=1_000)).items

    found = on_platform(act)
    heading = ("SENDER", "TENANT", "NUMBER", "REGISTERED")
    table(heading, ((one.id, one.tenant_id, one.masked, one.created_at) for one in found))


def accounts(tenant: TenantOption) -> None:
    """The accounts that may show the numbers this tenant has proven."""

    async def act(platform: Platform) -> tuple[Account, ...]:
        return await Accounts(platform.db, platform.clock).list(await _tenant(platform, tenant))

    table(("ACCOUNT", "NAME", "SINCE"), ((one.code, one.name, one.created_at) for one in on_platform(act)))


def account_add(account: AccountArgument, tenant: TenantOption) -> None:
    """Put a tenant under another as its account."""

    async def act(platform: Platform) -> None:
        administrator, own = await _tenant(platform, tenant), await _tenant(platform, account)
        await Accounts(platform.db, platform.clock).put(actor(), administrator, own)

    on_platform(act)
    typer.echo(f"{account} may show the numbers of {tenant}")


def account_remove(account: AccountArgument, tenant: TenantOption) -> None:
    """Take an account out; it shows the numbers no more."""

    async def act(platform: Platform) -> None:
        administrator, own = await _tenant(platform, tenant), await _tenant(platform, account)
        await Accounts(platform.db, platform.clock).remove(actor(), administrator, own)

    on_platform(act)
    typer.echo(f"{account} may not show the numbers of {tenant}")


def exempt(
    tenant: TenantOption,
    route: Annotated[Route, typer.Option(help="`integration`: approved by the agency; `carrier`: a registered one.")],
    proof: Annotated[str, typer.Option(help="Where the application or certificate is filed.")],
) -> None:
    """Let a tenant's numbers count without a proof of each, for a year from now; again: renews it."""

    async def act(platform: Platform) -> Exemption:
        exemptions = Exemptions(platform.db, platform.clock)
        return await exemptions.grant(actor(), await _tenant(platform, tenant), route, proof)

    made = on_platform(act)
    fields([("route", made.route), ("ends", made.ends_at)])


def unexempt(tenant: TenantOption) -> None:
    """End an exemption at once; what it alone has proven waits again."""

    async def act(platform: Platform) -> None:
        await Exemptions(platform.db, platform.clock).revoke(actor(), await _tenant(platform, tenant))

    on_platform(act)
    typer.echo("the exemption has ended")


def remove(sender: SenderArgument, tenant: TenantOption) -> None:
    """Take a number out and erase it."""

    async def act(platform: Platform) -> None:
        await _senders(platform).remove(actor(), await _tenant(platform, tenant), sender)

    on_platform(act)
    typer.echo(f"removed {sender}")


def policy(
    tenant: TenantOption,
    proof: Annotated[Proof, typer.Option(help="`required`: of each number; `listed`: they count at once.")] = (
        Proof.REQUIRED
    ),
    max_numbers: Annotated[int, typer.Option(help="How many numbers are allowed.", min=0)] = 30,
    valid_days: Annotated[int, typer.Option(help="How long a proof holds.", min=1)] = 365,
    allow_050: Annotated[bool, typer.Option("--allow-050", help="Its carriers take a 050 as sender.")] = False,
) -> None:
    """Set what a tenant's sender numbers need; what is left out becomes the default."""
    wanted = Policy(proof=proof, max_numbers=max_numbers, valid_days=valid_days, allow_050=allow_050)

    async def act(platform: Platform) -> None:
        await _senders(platform).set_policy(actor(), await _tenant(platform, tenant), wanted)

    on_platform(act)
    names = ("proof", "max_numbers", "valid_days", "allow_050")
    fields([(name, getattr(wanted, name)) for name in names])


def _documents(platform: Platform) -> Documents:
    return Documents(platform.db, platform.keyring, platform.clock)


def _senders(platform: Platform) -> Senders:
    return Senders(platform.db, platform.keyring, platform.clock)


async def _tenant(platform: Platform, tenant: str) -> UUID:
    return (await platform.access.get_tenant(tenant)).id


def _run(tenant: str, action: Callable[[Senders, UUID], Awaitable[SenderNumber]]) -> None:
    async def act(platform: Platform) -> SenderNumber:
        return await action(_senders(platform), await _tenant(platform, tenant))

    _show(on_platform(act))


def _show(one: SenderNumber) -> None:
    names = ("id", "number", "status", "method", "reason", "expires_at")
    fields(list(zip(names, (one.id, one.masked, one.status, one.method, one.reason, one.expires_at), strict=True)))
