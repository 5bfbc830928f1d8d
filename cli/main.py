"""The `vns` command."""

import typer

from cli import audit, bindings, keys, npro, pools, tenants
from cli.route import route
from cli.running import not_built
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
app.add_typer(audit.app, name="audit")
app.add_typer(npro.app, name="npro")
app.command()(route)
app.command()(settings)

_ANY_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_ANY_ARGUMENTS)
def load() -> None:
    """Load tests (not built yet)."""
    not_built("vns load")


@app.command(context_settings=_ANY_ARGUMENTS)
def sender() -> None:
    """The registry of sender numbers (not built yet)."""
    not_built("vns sender")


if __name__ == "__main__":
    app()
