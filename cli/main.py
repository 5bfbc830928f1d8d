"""The `vns` command."""

import typer

from cli import (
    asterisk,
    audit,
    bindings,
    blocks,
    callers,
    hooks,
    keys,
    npro,
    pools,
    registry,
    rules,
    sender,
    sender_exemption,
    sender_manager,
    tenants,
    users,
)
from cli.load import ANY_ARGUMENTS, load
from cli.route import route
from cli.settings_table import settings

# An unexpected error is shown without the values of variables: numbers and keys are among them.
app = typer.Typer(
    name="vns",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Safe numbers: pools, bindings, tenants, keys, and why a call goes where it goes.",
)
app.add_typer(tenants.app, name="tenant")
app.add_typer(keys.app, name="keys")
app.add_typer(pools.app, name="pool")
app.add_typer(bindings.app, name="binding")
app.add_typer(blocks.app, name="block")
app.add_typer(callers.app, name="caller")
app.add_typer(audit.app, name="audit")
app.add_typer(asterisk.app, name="asterisk")
app.add_typer(npro.app, name="npro")
app.add_typer(sender.app, name="sender")
app.add_typer(users.app, name="user")
tenants.app.add_typer(hooks.app, name="hook")
pools.app.command("set-rules")(rules.set_pool_rules)
bindings.app.command("set-rules")(rules.set_binding_rules)
registry.add_to(sender.app)
sender_manager.add_to(sender.app)
sender_exemption.add_to(sender.app)
app.command()(route)
app.command()(settings)

app.command(context_settings=ANY_ARGUMENTS)(load)


if __name__ == "__main__":
    app()
