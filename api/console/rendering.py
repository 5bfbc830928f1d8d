"""From templates to pages: what all templates may use, and how numbers and times are shown."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.console import words
from api.console.permissions import May
from vns.numbering.rules import digits_of, hyphenate

KST: Final = ZoneInfo("Asia/Seoul")


def kst(value: datetime | None, form: str = "%Y-%m-%d %H:%M:%S") -> Markup:
    """A moment in Korean time, readable for machines too; a dash where there is none."""
    if value is None:
        return Markup("–")
    iso = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return Markup('<time datetime="{}">{}</time>').format(iso, value.astimezone(KST).strftime(form))


def day(value: datetime | date | None) -> Markup:
    """The day of a moment in Korea, or a day as it is."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return Markup("<time>{}</time>").format(value.isoformat())
    return kst(value, "%Y-%m-%d")


def virtual_number(key: int | None) -> str:
    """A virtual number for people; it is nobody's secret."""
    return hyphenate(digits_of(key)) if key else "–"


def typed_number(digits: str) -> str:
    return hyphenate(digits)


def word(value: object, table: Mapping[str, str]) -> str:
    """The Korean of `value`; what has none is shown as it is."""
    return table.get(str(value), str(value)) if value is not None else "–"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(str(files("api.console") / "templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        kst=kst, day=day, vn=virtual_number, hyphenated=typed_number, word=word, step=words.step, error=words.error_text
    )
    made.globals.update(words=words, May=May)
    return made


ENVIRONMENT: Final = _environment()


def rendered(template: str, context: Mapping[str, object]) -> str:
    return ENVIRONMENT.get_template(template).render(context)
