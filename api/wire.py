"""Field types that several features share: how numbers, times and references look in JSON."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from vns.bindings.rules import MAX_REFERENCE
from vns.numbering.rules import parse
from vns.storage.pages import HistoryQuery

_MAX_TYPED: Final = 64  # characters of a number as typed
_ONE_LINE: Final = r"^[^\x00-\x1f\x7f]+$"


class In(BaseModel):
    """What comes in: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Out(BaseModel):
    """What goes out."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _text_only(value: object) -> object:
    if not isinstance(value, str) or len(value) < 19 or value[10] not in "Tt ":
        raise ValueError("a time as RFC 3339 text with zone")
    return value


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its zone, as in 2030-01-01T00:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time that no calendar has") from None


Time = Annotated[datetime, BeforeValidator(_text_only), AfterValidator(_in_utc)]
"""A moment as it comes in; in UTC afterwards."""

Number = Annotated[
    str,
    StringConstraints(min_length=1, max_length=_MAX_TYPED),
    Field(
        description="A Korean number. Hyphens, dots, spaces, +82 and full-width digits are understood.",
        examples=["010-1234-5678"],
    ),
]
"""A number as typed; `vns.numbering` says what it means."""

Digits = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[0-9]{3,12}$", "examples": ["050412345678"]})]
"""A virtual number as it goes out: national digits without hyphens."""

Masked = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^[0-9*-]+$", "examples": ["010-****-5678"]})]
"""A real number as it goes out."""

Reference = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_REFERENCE, pattern=_ONE_LINE),
    Field(description="Order or waybill number.", examples=["640123456789"]),
]

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=_ONE_LINE)]

Cursor = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$"),
    Field(description="`next_cursor` of the page before."),
]

PageSize = Annotated[int, Field(ge=1, le=500, description="Items on a page.")]


class HistoryFilter(In):
    """Which calls or messages a list shows; newest first."""

    binding_id: UUID | None = None
    virtual_number: Number | None = None
    since: Time | None = Field(default=None, description="Arrived at this moment or later.")
    until: Time | None = Field(default=None, description="Arrived before this moment.")
    cursor: Cursor | None = None
    limit: PageSize = 100

    def query(self) -> HistoryQuery:
        """Raises InvalidNumber."""
        return HistoryQuery(
            binding_id=self.binding_id,
            virtual_number=parse(self.virtual_number).key if self.virtual_number is not None else None,
            since=self.since,
            until=self.until,
            cursor=self.cursor,
            limit=self.limit,
        )


def moment(value: datetime | None) -> str | None:
    """RFC 3339 in UTC; the core's times are in UTC already."""
    return value.isoformat().replace("+00:00", "Z") if value is not None else None
