"""`vns asterisk`: the configuration of an Asterisk that is not the one `bin/up` runs."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from cli.asterisk_trial import tried
from cli.running import FAILED, fail
from ivr.asterisk.configuration import write_configuration
from ivr.asterisk.instance import Instance
from ivr.nodes import NAME
from ivr.settings import IvrSettings
from vns.errors import InvalidRequest, VnsError

app = typer.Typer(no_args_is_help=True, help="The configuration of an Asterisk of your own.")


@app.callback()
def group() -> None:
    """A group, although it has one command so far."""


@app.command()
def config(
    into: Annotated[Path, typer.Option(help="The folder to write; what is there of an earlier one is replaced.")],
    name: Annotated[
        str | None,
        typer.Option(help="Goes before every channel's unique id; of several Asterisks, which one of VNS_AMI_URLS."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="The folder that Asterisk takes for /, where it runs in one; holds DIR.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Load it into a real Asterisk, on spare ports, and tell what it says.")
    ] = False,
) -> None:
    """Write everything that Asterisk reads, from the settings, and say how to start it."""
    try:
        instance = Instance(folder=into.resolve(), root=root.resolve() if root is not None else None)
        settings = _settings()
        _write(instance, settings, name)
        complaints = (
            tried(instance, _of_one(settings, name), lambda trial, spare: _write(trial, spare, name)) if check else None
        )
    except VnsError as error:
        fail(error.code, error.detail)
    typer.echo(" ".join(instance.chroot_command()))
    if complaints is None:
        return
    for line in (*complaints.errors, *complaints.warnings):
        typer.echo(line, err=True)
    typer.echo(f"loaded: {len(complaints.errors)} errors, {len(complaints.warnings)} warnings", err=True)
    if complaints.errors:
        raise typer.Exit(FAILED)


def _settings() -> IvrSettings:
    """Raises InvalidRequest, which names the setting and not its value."""
    try:
        return IvrSettings()
    except ValidationError as error:
        names = ", ".join(
            "VNS_" + str(problem["loc"][0]).upper() if problem["loc"] else problem["msg"].removeprefix("Value error, ")
            for problem in error.errors()
        )
        raise InvalidRequest(f"these settings cannot be used: {names}") from None


def _of_one(settings: IvrSettings, name: str | None) -> IvrSettings:
    """As if there were no other Asterisk. Raises InvalidRequest."""
    try:
        _, node = settings.node(name)
    except ValueError as problem:
        raise InvalidRequest(str(problem)) from problem
    return settings.model_copy(update={"ami_url": node.ami_url, "ami_urls": (), "call_records_dirs": ()})


def _write(instance: Instance, settings: IvrSettings, name: str | None) -> None:
    """Raises InvalidRequest."""
    if name is not None and not NAME.fullmatch(name):
        raise InvalidRequest("a name is 1 to 32 letters, digits and hyphens, and begins with no hyphen")
    try:
        write_configuration(instance, settings, systemname=name)
    except FileNotFoundError as problem:
        if problem.filename is None:
            raise InvalidRequest(
                f"{problem}: where Asterisk runs in a folder of its own, name it by --root"
            ) from problem
        remedy = "; prompts are made by python -m ivr.prompts" if str(problem.filename).endswith(".wav") else ""
        raise InvalidRequest(f"{problem.filename} is missing{remedy}") from problem
    except (ValueError, LookupError, OSError) as problem:
        raise InvalidRequest(f"the configuration cannot be written: {problem}") from problem
