"""`vns settings`: every setting of every part, as the Markdown of docs/settings.md."""

import importlib
import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final

import typer
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

# Read by name and not imported: this door must not depend on the others, it only writes down what they read.
PARTS: Final = {
    "vns.settings": "The core: every process",
    "vns.abuse.settings": "Against abuse: bridges, worker",
    "vns.recordings.settings": "Recorded calls: bridges, API, worker",
    "vns.messages.settings": "Texts, whoever records some: API, relay",
    "vns.verifications.settings": "Verification calls: whoever asks for one",
    "hooks.settings": "Intercept hooks: bridges, relay",
    "api.settings": "HTTP: `python -m api`",
    "api.console.settings": "The console: pages under /console",
    "ivr.settings": "Calls: `python -m ivr`, Asterisk's configuration",
    "sms_relay.settings": "Texts: `python -m sms_relay`",
    "cli.settings": "The `vns` command",
    "local.settings": "One machine: `bin/up`",
}

_HEAD: Final = """\
# Settings

Read from the environment. Made by `vns settings > docs/settings.md`; a test keeps this file equal to the code.
"""


def settings() -> None:
    """Print the table of all settings in Markdown."""
    typer.echo(markdown(), nl=False)


def markdown() -> str:
    """A heading for each part, a row for each setting."""
    sections = [_HEAD]
    for module, title in PARTS.items():
        for found in _classes(module):
            rows = "\n".join(_row(found, name, field) for name, field in found.model_fields.items())
            sections.append(f"## {title}\n\n| variable | default | meaning |\n|---|---|---|\n{rows}\n")
    return "\n".join(sections)


def _classes(module: str) -> Iterator[type[BaseSettings]]:
    for _, found in inspect.getmembers(importlib.import_module(module), inspect.isclass):
        if issubclass(found, BaseSettings) and found.__module__ == module:
            yield found


def _row(owner: type[BaseSettings], name: str, field: FieldInfo) -> str:
    variable = f"{owner.model_config.get('env_prefix', '')}{name}".upper()
    meaning = " ".join((field.description or "").split()).replace("|", "\\|")
    return f"| `{variable}` | {_default(field)} | {meaning} |"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if field.is_required():
        return "required"
    if value is None or value in ("", [], ()):
        return "–"
    return f"`{_plain(value)}`"


def _plain(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, tuple | list):
        return ",".join(_plain(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
