"""Deliveries as JSON: what a courier sees, and no more."""

import json
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from api.problems import Problem
from api.routes.bindings.schemas import MAX_BATCH
from api.wire import Digits, In, Out, Reference, moment
from vns.bindings.rules import Status
from vns.bindings.service import Delivery
from vns.numbering.rules import digits_of

TenantCode = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$"),
    Field(description="Code of the mall, where several malls use the same waybill.", examples=["demo-mall"]),
]

_EXAMPLE: Final[dict[str, Any]] = {
    "reference": "640123456789",
    "virtual_number": "050412345678",
    "status": "active",
    "expires_at": "2030-01-15T00:00:00Z",
}


class DeliveryOut(Out):
    """The safe number of a delivery: its live binding, else its last."""

    reference: str
    virtual_number: Digits
    status: Status
    expires_at: datetime | None
    extension: str | None = Field(
        default=None, description="To be dialled after the number; left out where the number has none."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})


class DeliveryOptions(In):
    tenant: TenantCode | None = None


class Lookup(In):
    """Up to 1,000 waybills."""

    references: list[Reference] = Field(min_length=1, max_length=MAX_BATCH)
    tenant: TenantCode | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"references": ["640123456789", "640123456790"]}]})


class LookupItem(Out):
    """Either the delivery or why there is none."""

    reference: str
    delivery: DeliveryOut | None = None
    error: Problem | None = None


class LookupOut(Out):
    """One item for each reference, in the same order."""

    items: list[LookupItem]


def render(delivery: Delivery) -> str:
    """The JSON of `DeliveryOut`."""
    shown = {
        "reference": delivery.reference,
        "virtual_number": digits_of(delivery.vn),
        "status": delivery.status,
        "expires_at": moment(delivery.expires_at),
    }
    if delivery.extension is not None:
        shown["extension"] = delivery.extension
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
