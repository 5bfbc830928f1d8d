"""Pools as JSON."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field

from api.routes.rules import RulesIn, RulesOut
from api.wire import Digits, In, Name, Number, Out, Time
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import (
    ManagedBy,
    Mode,
    NewPool,
    Pool,
    PoolChange,
    PoolCounts,
    Proof,
    Service,
    default_sms_proof,
    range_of,
)
from vns.rulebook.documents import checked

MAX_HELD: Final = 1_000  # numbers locked, reserved or freed by one request
MAX_INTEGER: Final = 2_147_483_647

Modes = Annotated[list[Mode], Field(min_length=1, max_length=len(Mode))]
SmsProof = Annotated[Name, Field(description="Where the proof that these numbers may send texts is filed.")]
VoiceProof = Annotated[
    Name,
    Field(
        description="Where the proof that these numbers may be shown on calls is filed. Without one, calls that would "
        "show such a number show none; `sms_sender_proof` proves calls too where nothing else does."
    ),
]
VoiceProofUntil = Annotated[Time, Field(description="When that proof ends, at that instant; by default never.")]
Quarantine = Annotated[
    int,
    Field(strict=True, ge=0, le=MAX_INTEGER, description="Seconds that a number rests after its binding."),
]
Ttl = Annotated[int, Field(strict=True, ge=1, le=MAX_INTEGER, description="Sliding expiry of bindings that name none.")]
LowWater = Annotated[
    int,
    Field(strict=True, ge=0, le=MAX_INTEGER, description="Fewer free numbers than this: event `pool.low`."),
]
Withdrawn = Annotated[list[Proof], Field(max_length=len(Proof))]
Numbers = Annotated[list[Number], Field(max_length=MAX_HELD)]


class NewPoolIn(In):
    """A range of virtual numbers, both ends inside."""

    name: Name
    service: Service
    first: Number
    last: Number
    owner_id: UUID | None = Field(default=None, description="Its only tenant; null: open to all.")
    modes: Modes | None = Field(default=None, description="By default what carriers let the service do.")
    sms_sender_proof: SmsProof | None = Field(
        default=None,
        description="Where the proof that these numbers may send texts is filed. 070 and 1877 have one by default, "
        "unless this or `voice_proof` is in the body, null too.",
    )
    voice_proof: VoiceProof | None = None
    voice_proof_until: VoiceProofUntil | None = None
    quarantine_seconds: Quarantine = 604_800
    default_ttl_seconds: Ttl | None = None
    low_water: LowWater | None = Field(default=None, description="By default one percent of the pool.")
    managed_by: ManagedBy = Field(
        default=ManagedBy.PLATFORM, description="`customer`: numbers are only given out by name, by their owner."
    )
    rules: RulesIn | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "safe-1", "service": "050", "first": "0504-1000-0000", "last": "0504-1099-9999"}]
        }
    )

    def new_pool(self) -> NewPool:
        """The same for the core. Raises InvalidNumber, InvalidRequest."""
        first, last = range_of(self.service, self.first, self.last)
        silent = not self.model_fields_set & {"sms_sender_proof", "voice_proof"}
        return NewPool(
            name=self.name,
            service=self.service,
            first=first,
            last=last,
            owner_id=self.owner_id,
            modes=frozenset(self.modes) if self.modes is not None else None,
            sms_sender_proof=default_sms_proof(self.service) if silent else self.sms_sender_proof,
            voice_proof=self.voice_proof,
            voice_proof_until=self.voice_proof_until,
            quarantine_seconds=self.quarantine_seconds,
            default_ttl_seconds=self.default_ttl_seconds,
            low_water=self.low_water,
            managed_by=self.managed_by,
            rules=checked(self.rules) if self.rules is not None else None,
        )


class ChangedPool(In):
    """What may be changed; a field that is left out stays as it is."""

    name: Name | None = None
    modes: Modes | None = None
    sms_sender_proof: SmsProof | None = None
    voice_proof: VoiceProof | None = None
    voice_proof_until: VoiceProofUntil | None = None
    withdraw_proofs: Withdrawn = Field(
        default=[], description="Proofs that hold no more, from the next call or text on."
    )
    quarantine_seconds: Quarantine | None = None
    default_ttl_seconds: Ttl | None = None
    low_water: LowWater | None = None
    locked: Annotated[bool, Field(strict=True)] | None = Field(default=None, description="No new bindings.")
    managed_by: ManagedBy | None = None
    lock: Numbers = Field(default=[], description="Numbers not to be given out; live bindings go on.")
    reserve: Numbers = Field(default=[], description="Numbers to be given out by name only.")
    unhold: Numbers = Field(default=[], description="Numbers that are neither locked nor reserved any more.")
    rules: RulesIn | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"quarantine_seconds": 1209600}]})

    def change(self) -> PoolChange:
        """The same for the core. Raises InvalidNumber."""
        return PoolChange(
            name=self.name,
            modes=frozenset(self.modes) if self.modes is not None else None,
            sms_sender_proof=self.sms_sender_proof,
            voice_proof=self.voice_proof,
            voice_proof_until=self.voice_proof_until,
            withdraw_proofs=frozenset(self.withdraw_proofs),
            quarantine_seconds=self.quarantine_seconds,
            default_ttl_seconds=self.default_ttl_seconds,
            low_water=self.low_water,
            locked=self.locked,
            lock=_keys(self.lock),
            reserve=_keys(self.reserve),
            unhold=_keys(self.unhold),
            managed_by=self.managed_by,
            rules=checked(self.rules) if self.rules is not None else None,
        )


def _keys(numbers: list[str]) -> tuple[int, ...]:
    return tuple(parse(number).key for number in numbers)


class Counts(Out):
    """How many numbers are in which state."""

    total: int
    free: int
    live: int
    quarantined: int
    locked: int


_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019a0000-0000-7000-8000-000000000001",
    "name": "safe-1",
    "service": "050",
    "first": "050410000000",
    "last": "050410999999",
    "owner_id": None,
    "modes": ["extension", "one_way"],
    "sms_sender_proof": None,
    "voice_proof": "allotment of 2029-11-01",
    "voice_proof_until": None,
    "quarantine_seconds": 604800,
    "default_ttl_seconds": None,
    "low_water": 10000,
    "locked": False,
    "managed_by": "platform",
    "rules": None,
    "created_at": "2030-01-01T00:00:00Z",
    "counts": {"total": 1000000, "free": 999990, "live": 8, "quarantined": 2, "locked": 0},
}


class PoolOut(Out):
    """A pool and how full it is."""

    id: UUID
    name: str
    service: Service
    first: Digits
    last: Digits
    owner_id: UUID | None
    modes: list[Mode]
    sms_sender_proof: str | None
    voice_proof: str | None
    voice_proof_until: datetime | None
    quarantine_seconds: int
    default_ttl_seconds: int | None
    low_water: int
    locked: bool
    managed_by: ManagedBy
    rules: RulesOut | None = Field(description="What holds for bindings whose own rules say nothing.")
    created_at: datetime
    counts: Counts

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    @classmethod
    def of(cls, pool: Pool, counts: PoolCounts) -> "PoolOut":
        return cls(
            id=pool.id,
            name=pool.name,
            service=pool.service,
            first=digits_of(pool.first),
            last=digits_of(pool.last),
            owner_id=pool.owner_id,
            modes=sorted(pool.modes),
            sms_sender_proof=pool.sms_sender_proof,
            voice_proof=pool.voice_proof,
            voice_proof_until=pool.voice_proof_until,
            quarantine_seconds=pool.quarantine_seconds,
            default_ttl_seconds=pool.default_ttl_seconds,
            low_water=pool.low_water,
            locked=pool.locked,
            managed_by=pool.managed_by,
            rules=pool.rules,
            created_at=pool.created_at,
            counts=Counts(
                total=counts.total,
                free=counts.free,
                live=counts.live,
                quarantined=counts.quarantined,
                locked=counts.locked,
            ),
        )


class PoolPage(Out):
    items: list[PoolOut]
    next_cursor: None = Field(description="Pools are few: there is one page.")
