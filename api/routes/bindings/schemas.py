"""Bindings as JSON."""

import json
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from api.problems import Problem
from api.routes.rules import RulesIn, RulesOut
from api.wire import Cursor, Digits, In, Masked, Name, Number, Out, PageSize, Reference, Time, moment
from vns.bindings.rules import (
    BOTH_CHANNELS,
    MAX_MEMBERS,
    AllocationRequest,
    Binding,
    BindingChange,
    CallerId,
    Channel,
    Ring,
    Status,
)
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import Mode, Service
from vns.rulebook.documents import checked

MAX_BATCH: Final = 1_000
MAX_TTL: Final = 2_147_483_647  # seconds, as PostgreSQL's integer holds them

Channels = Annotated[list[Channel], Field(min_length=1, max_length=2, description="What the binding is for.")]
Seconds = Annotated[int, Field(strict=True, ge=1, le=MAX_TTL)]
Extension = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,8}$")]
Flag = Annotated[bool, Field(strict=True)]
IdempotencyKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"),
    Field(description="The same key within 24 hours gets the same answer again.", examples=["order-640123456789"]),
]

_ONE_WAY_EXAMPLE: Final[dict[str, Any]] = {
    "mode": "one_way",
    "real_number": "010-1234-5678",
    "service": "050",
    "reference": "640123456789",
    "ttl_seconds": 1209600,
}
_PAIR_EXAMPLE: Final[dict[str, Any]] = {
    "mode": "bidirectional",
    "real_number": "010-1234-5678",
    "peer_number": "010-8765-4321",
    "service": "070",
    "expires_at": "2099-12-31T15:00:00Z",
}


_SIDES_EXAMPLE: Final[dict[str, Any]] = {
    "mode": "per_side",
    "real_number": "010-1234-5678",
    "peer_number": "010-8765-4321",
    "service": "070",
}
_EXTENSION_EXAMPLE: Final[dict[str, Any]] = {
    "mode": "extension",
    "real_number": "010-1234-5678",
    "service": "050",
    "reference": "640123456790",
}
_GROUP_EXAMPLE: Final[dict[str, Any]] = {
    "mode": "group",
    "real_number": "010-1234-5678",
    "members": ["02-555-1000", "010-8765-4321"],
    "ring": "order",
    "service": "070",
}
_OUTBOUND_EXAMPLE: Final[dict[str, Any]] = {
    "mode": "outbound",
    "real_number": "010-8765-4321",
    "service": "1877",
    "purpose": "support",
}
_EXAMPLES: Final[list[Any]] = [
    _ONE_WAY_EXAMPLE,
    _PAIR_EXAMPLE,
    _SIDES_EXAMPLE,
    _EXTENSION_EXAMPLE,
    _GROUP_EXAMPLE,
    _OUTBOUND_EXAMPLE,
]

Members = Annotated[list[Number], Field(min_length=1, max_length=MAX_MEMBERS)]


class NewBinding(In):
    """One binding to allocate."""

    mode: Mode = Field(description="Who can reach whom (docs/modes.md).", examples=["one_way"])
    real_number: Number
    peer_number: Number | None = Field(
        default=None, description="The other party; `bidirectional` and `per_side` need it."
    )
    members: Members | None = Field(default=None, description="The team on the other side of a `group`, in ring order.")
    ring: Ring | None = Field(
        default=None, description="How a `group`'s team is called: in `order` (default) or `all` at once."
    )
    extension: Extension | None = Field(
        default=None, description="Mode `extension`: these digits; by default four that the platform chooses."
    )
    service: Service | None = Field(default=None, description="Kind of virtual number; by default the mode's own.")
    pool: Name | None = Field(default=None, description="A pool's id or name, instead of `service`.")
    virtual_number: Number | None = Field(default=None, description="This very number, and no other.")
    peer_virtual_number: Number | None = Field(
        default=None, description="Mode `per_side`: this very number for `real_number` to dial."
    )
    expires_at: Time | None = Field(default=None, description="Absolute end, at least 60 seconds ahead.")
    ttl_seconds: Seconds | None = Field(
        default=None, description="Sliding end: seconds since the last connected call or text."
    )
    expire_after_call: Flag = Field(default=False, description="The first answered call consumes the binding.")
    reference: Reference | None = None
    channels: Channels = Field(default=[Channel.VOICE, Channel.SMS])
    caller_id: CallerId | None = Field(
        default=None, description="What a one_way target sees: `caller` (default) or the `virtual` number."
    )
    purpose: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")] = Field(
        default="delivery", description="What the customer agreed to."
    )
    rules: RulesIn | None = None
    ensure: Flag = Field(
        default=False,
        description="Answer a live binding of the same reference (or none) and parties instead of a new one.",
    )

    model_config = ConfigDict(json_schema_extra={"examples": _EXAMPLES})

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, fields: object) -> object:
        """Clients made from a schema send null for whatever they do not set."""
        return (
            {name: value for name, value in fields.items() if value is not None} if isinstance(fields, dict) else fields
        )

    def request(self) -> AllocationRequest:
        """The same for the core. Raises InvalidNumber."""
        return AllocationRequest(
            mode=self.mode,
            real_number=parse(self.real_number),
            peer_number=parse(self.peer_number) if self.peer_number is not None else None,
            service=self.service,
            pool=self.pool,
            virtual_number=parse(self.virtual_number).key if self.virtual_number is not None else None,
            peer_virtual_number=parse(self.peer_virtual_number).key if self.peer_virtual_number is not None else None,
            members=tuple(map(parse, self.members or ())),
            ring=self.ring,
            extension=self.extension,
            expires_at=self.expires_at,
            ttl_seconds=self.ttl_seconds,
            expire_after_call=self.expire_after_call,
            reference=self.reference,
            purpose=self.purpose,
            channels=frozenset(self.channels),
            caller_id=self.caller_id,
            rules=checked(self.rules) if self.rules is not None else None,
            ensure=self.ensure,
        )


class ChangedBinding(In):
    """What may be changed; a field that is left out stays as it is. `null` takes an expiry away."""

    real_number: Number | None = None
    peer_number: Number | None = None
    members: Members | None = Field(default=None, description="A whole new team of a `group`, in ring order.")
    add_members: list[Number] = Field(default=[], max_length=MAX_MEMBERS)
    remove_members: list[Number] = Field(default=[], max_length=MAX_MEMBERS)
    ring: Ring | None = None
    expires_at: Time | None = None
    ttl_seconds: Seconds | None = None
    expire_after_call: Flag | None = None
    channels: Channels | None = None
    caller_id: CallerId | None = None
    reference: Reference | None = None
    rules: RulesIn | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"expires_at": "2099-12-31T15:00:00Z"}]})

    def change(self) -> BindingChange:
        """The same for the core. Raises InvalidNumber."""
        given = self.model_fields_set
        return BindingChange(
            real_number=parse(self.real_number) if self.real_number is not None else None,
            peer_number=parse(self.peer_number) if self.peer_number is not None else None,
            members=tuple(map(parse, self.members)) if self.members is not None else None,
            add_members=tuple(map(parse, self.add_members)),
            remove_members=tuple(map(parse, self.remove_members)),
            ring=self.ring,
            expires_at=self.expires_at,
            clear_expires_at="expires_at" in given and self.expires_at is None,
            ttl_seconds=self.ttl_seconds,
            clear_ttl_seconds="ttl_seconds" in given and self.ttl_seconds is None,
            expire_after_call=self.expire_after_call,
            channels=frozenset(self.channels) if self.channels is not None else None,
            caller_id=self.caller_id,
            reference=self.reference,
            rules=checked(self.rules) if self.rules is not None else None,
        )


_BINDING_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019a0000-0000-7000-8000-000000000000",
    "mode": "one_way",
    "status": "active",
    "virtual_number": "050412345678",
    "peer_virtual_number": None,
    "extension": None,
    "real_number": "010-****-5678",
    "peer_number": None,
    "members": None,
    "ring": None,
    "reference": "640123456789",
    "expires_at": "2030-01-15T00:00:00Z",
    "channels": ["voice", "sms"],
    "caller_id": "caller",
    "purpose": "delivery",
    "exposes": ["caller"],
    "rules": None,
    "created_at": "2030-01-01T00:00:00Z",
    "ended_at": None,
}


class BindingOut(Out):
    """A binding. Real numbers are masked."""

    id: UUID
    mode: Mode
    status: Status
    virtual_number: Digits
    peer_virtual_number: Digits | None = Field(
        description="Mode `per_side`: what `real_number` dials to reach `peer_number`."
    )
    extension: str | None = Field(description="Mode `extension`: what callers dial after the virtual number.")
    real_number: Masked
    peer_number: Masked | None
    members: list[Masked] | None = Field(description="Mode `group`: the team, in ring order.")
    ring: Ring | None
    reference: str | None
    expires_at: datetime | None = Field(description="The effective end as of now, absolute or sliding.")
    channels: list[Channel]
    caller_id: CallerId
    purpose: str
    exposes: list[str] = Field(
        description="Of `caller`, `real_number`, `peer_number`: whose real number the other side will see."
    )
    rules: RulesOut | None = Field(description="The binding's own; its pool's hold where they say nothing.")
    created_at: datetime
    ended_at: datetime | None

    model_config = ConfigDict(json_schema_extra={"examples": [_BINDING_EXAMPLE]})


_CHANNELS: Final = {
    BOTH_CHANNELS: ["voice", "sms"],
    frozenset({Channel.VOICE}): ["voice"],
    frozenset({Channel.SMS}): ["sms"],
}


def render(binding: Binding) -> str:
    """The JSON of `BindingOut`, written directly: it is made within each allocation. A test holds both together."""
    return json.dumps(
        {
            "id": str(binding.id),
            "mode": binding.mode,
            "status": binding.status,
            "virtual_number": digits_of(binding.vn),
            "peer_virtual_number": digits_of(binding.peer_vn) if binding.peer_vn is not None else None,
            "extension": binding.extension,
            "real_number": binding.real_masked,
            "peer_number": binding.peer_masked,
            "members": binding.members_masked,
            "ring": binding.ring,
            "reference": binding.reference,
            "expires_at": moment(binding.expires_at),
            "channels": _CHANNELS[binding.channels],
            "caller_id": binding.caller_id,
            "purpose": binding.purpose,
            "exposes": binding.exposes,
            "rules": binding.rules,
            "created_at": moment(binding.created_at),
            "ended_at": moment(binding.ended_at),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


class NewBindings(In):
    """A batch. Each item is judged on its own."""

    items: list[NewBinding] = Field(min_length=1, max_length=MAX_BATCH)

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_ONE_WAY_EXAMPLE, _PAIR_EXAMPLE]}]})


class RawBatch(In):
    """A batch before its items are looked at: one bad item spoils no other."""

    items: list[Any] = Field(min_length=1, max_length=MAX_BATCH)


class BatchItem(Out):
    """Either the binding or what was wrong with this item."""

    binding: BindingOut | None = None
    error: Problem | None = None


class BatchOut(Out):
    """One item for each that was asked for, in the same order."""

    items: list[BatchItem]


class Release(In):
    """Exactly one of the three lists. Every live binding of yours that matches is released."""

    ids: list[UUID] = Field(default=[], max_length=MAX_BATCH)
    references: list[Reference] = Field(default=[], max_length=MAX_BATCH)
    virtual_numbers: list[Number] = Field(default=[], max_length=MAX_BATCH)
    terminate_calls: Flag = Field(default=False, description="Cut calls in progress too.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"references": ["640123456789", "640123456790"]}]})

    @model_validator(mode="after")
    def _one_list(self) -> "Release":
        if sum(bool(given) for given in (self.ids, self.references, self.virtual_numbers)) != 1:
            raise ValueError("give exactly one of ids, references and virtual_numbers")
        return self


class ReleaseItem(Out):
    """What became of one id, reference or number."""

    given: str = Field(description="As it was asked for; virtual numbers as national digits.")
    bindings: list[BindingOut] = Field(description="The bindings that are released now; none with an error.")
    error: Problem | None = None


class ReleaseOut(Out):
    """One item for each id, reference or number, in the same order."""

    items: list[ReleaseItem]


class BindingFilter(In):
    """Which bindings a list shows; newest first."""

    reference: Reference | None = None
    virtual_number: Number | None = None
    status: Status | None = None
    cursor: Cursor | None = None
    limit: PageSize = 100


class BindingPage(Out):
    items: list[BindingOut]
    next_cursor: str | None = Field(description="For the next page; null on the last.")


class ReleaseOptions(In):
    terminate_calls: bool = Field(default=False, description="Cut calls in progress too.")

    @field_validator("terminate_calls", mode="before")
    @classmethod
    def _plain(cls, value: object) -> object:
        if value not in ("true", "false", True, False):
            raise ValueError("true or false")
        return value in ("true", True)
