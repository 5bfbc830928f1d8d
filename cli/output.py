"""Plain text for people and for `grep`: columns under a heading, or names with their values."""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

import typer

_VISIBLE = "�"  # stands for what would move the cursor or change the terminal: references are written by tenants


def table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows in columns as wide as their widest cell."""
    cells = [list(heading), *([text(value) for value in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        line = "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """One `name  value` a line."""
    kept = list(pairs)
    width = max(len(name) for name, _ in kept)
    for name, value in kept:
        typer.echo(f"{name:{width}}  {text(value)}".rstrip())


def compact(document: dict[str, object] | None) -> str | None:
    """A document on one line."""
    return None if document is None else json.dumps(document, ensure_ascii=False, sort_keys=True)


def text(value: object) -> str:
    """A value as it is shown; `-` for nothing."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, frozenset | tuple | list):
        return text(",".join(sorted(str(item) for item in value)))
    return "".join(letter if letter.isprintable() else _VISIBLE for letter in str(value))


def _width(cell: str) -> int:
    """Columns on a terminal: Korean letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in cell)
