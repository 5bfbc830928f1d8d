"""`vns pool set-rules` and `vns binding set-rules`: rules from a file of JSON, merged field by field."""

import json
from typing import Annotated

import typer

from cli.bindings import BindingArgument, bindings_of, owner_of, show_binding
from cli.pools import PoolArgument, show_pool
from cli.running import Platform, actor, on_platform
from vns.access.rules import Principal
from vns.bindings.rules import Binding, BindingChange
from vns.errors import InvalidRules
from vns.pools.rules import Pool, PoolChange
from vns.pools.service import Pools
from vns.rulebook.documents import RulesChange, checked

RulesFile = Annotated[
    typer.FileText, typer.Argument(help="JSON as in docs/rules.md; `-` reads standard input. null takes a field away.")
]


def set_pool_rules(pool: PoolArgument, file: RulesFile) -> None:
    """Change a pool's rules: fields that the file does not name stay as they are."""

    async def act(platform: Platform) -> Pool:
        pools = Pools(platform.db, platform.clock, platform.keyring, platform.copies)
        found = await pools.get(pool)
        return await pools.change(actor(), found.id, PoolChange(rules=_read(file)))

    show_pool(on_platform(act))


def set_binding_rules(binding: BindingArgument, file: RulesFile) -> None:
    """Change a binding's rules: fields that the file does not name stay as they are."""

    async def act(platform: Platform) -> tuple[Principal, Binding]:
        principal = await owner_of(platform, binding)
        async with bindings_of(platform) as bindings:
            return principal, await bindings.change(principal, binding, BindingChange(rules=_read(file)))

    principal, changed = on_platform(act)
    show_binding(principal, changed)


def _read(file: typer.FileText) -> RulesChange:
    """Raises InvalidRules."""
    try:
        document = json.load(file)
    except ValueError as error:
        raise InvalidRules("the file is not JSON") from error
    return checked(document)
