"""`vns user`: the accounts of people who log in to the console."""

from datetime import datetime
from typing import Annotated

import typer

from cli.output import fields, table
from cli.running import Platform, actor, on_platform
from vns.numbering.rules import parse
from vns.users.rules import IssuedPassword, NewUser, Role, User
from vns.users.service import Users

app = typer.Typer(no_args_is_help=True, help="People who log in to the console.")

Login = Annotated[str, typer.Argument(help="The account's login.")]


def _users(platform: Platform) -> Users:
    return Users(platform.db, platform.keyring, platform.clock)


@app.command()
def add(
    login: Login,
    tenant: Annotated[str, typer.Option(help="Code or id of its tenant.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
    name: Annotated[str, typer.Option(help="Name of the person.")],
    mobile: Annotated[str, typer.Option(help="Where codes are sent.")],
    born: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Birth date.")] = None,
) -> None:
    """Make an account. Its temporary password is shown this one time."""

    async def act(platform: Platform) -> IssuedPassword:
        found = await platform.access.get_tenant(tenant)
        birth_date = born.date() if born else None
        new = NewUser(login=login, role=role, name=name, mobile=parse(mobile), birth_date=birth_date)
        return await _users(platform).create(actor(), found, new)

    _show(on_platform(act))


@app.command()
def reset(login: Login) -> None:
    """Another temporary password; its sessions and a lock end."""

    async def act(platform: Platform) -> IssuedPassword:
        users = _users(platform)
        return await users.reset_password(actor(), (await users.by_login(login)).id)

    _show(on_platform(act))


@app.command()
def unlock(login: Login) -> None:
    """End the lock that wrong passwords or codes have led to."""

    async def act(platform: Platform) -> None:
        users = _users(platform)
        await users.unlock(actor(), (await users.by_login(login)).id)

    on_platform(act)
    typer.echo(f"{login} may log in again")


@app.command("list")
def list_(tenant: Annotated[str, typer.Argument(help="Code or id of a tenant.")]) -> None:
    """The accounts of a tenant."""

    async def act(platform: Platform) -> list[User]:
        found = await platform.access.get_tenant(tenant)
        return list(await _users(platform).of_tenant(found.id))

    table(
        ("LOGIN", "ROLE", "NAME", "MOBILE", "LOCKED_UNTIL", "CREATED"),
        (
            (user.login, user.role, user.name, user.mobile_masked, user.locked_until, user.created_at)
            for user in on_platform(act)
        ),
    )


def _show(issued: IssuedPassword) -> None:
    fields([("login", issued.user.login), ("temporary password", issued.password)])
