"""The `vns` command of a clone: it works on the platform that `bin/up` runs there, unless told otherwise."""

import os
import sys

from pydantic import ValidationError

from local.settings import LocalSettings

ENVIRONMENT_FILE = "vns.env"  # in the run folder: the settings that `bin/up` gives to its parts, NAME=value


def load_environment() -> None:
    """Take over what `bin/up` wrote, unless the environment names a database. What is set already stays."""
    if "VNS_DATABASE_URL" in os.environ:
        return
    try:
        kept = LocalSettings().run_dir / ENVIRONMENT_FILE
    except ValidationError as problem:
        sys.exit(f"settings: {problem}")
    if not kept.exists():
        return
    for line in kept.read_text().splitlines():
        name, _, value = line.partition("=")
        os.environ.setdefault(name, value)


def main() -> None:
    load_environment()
    from cli.main import app  # noqa: PLC0415 - after the environment is complete: its modules may read settings

    app()
