"""Calls as JSON."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field

from api.wire import Digits, Masked, Out
from vns.calls.rules import NO_NUMBER, Call, Direction, HangupBy, Result
from vns.numbering.rules import digits_of

_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019a0000-0000-7000-8000-000000000002",
    "binding_id": "019a0000-0000-7000-8000-000000000000",
    "virtual_number": "050412345678",
    "direction": "to_real",
    "from": "010-****-4321",
    "to": "010-****-5678",
    "result": "answered",
    "cause": 16,
    "hangup_by": "caller",
    "arrived_at": "2030-01-02T03:04:05Z",
    "ringing_at": "2030-01-02T03:04:06Z",
    "answered_at": "2030-01-02T03:04:11Z",
    "ended_at": "2030-01-02T03:05:00Z",
    "billed_seconds": 49,
    "reconciled": False,
}


class CallOut(Out):
    """A call's record; every attempt has one, refused ones too."""

    id: UUID
    binding_id: UUID | None
    virtual_number: Digits | None = Field(description="Null where what was dialled is no number of this kind.")
    direction: Direction = Field(
        description="Which party was called; `to_fallback`: whoever answers for a binding that has ended."
    )
    caller: Masked | None = Field(serialization_alias="from", description="Null when withheld.")
    callee: Masked | None = Field(serialization_alias="to", description="Null when refused.")
    result: Result = Field(description="`answered`, or the reason why not.")
    cause: int | None = Field(description="Q.850.")
    hangup_by: HangupBy | None
    arrived_at: datetime
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    billed_seconds: int
    reconciled: bool = Field(
        description="The end was found afterwards, in Asterisk's own records or by its having no such call any more."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    @classmethod
    def of(cls, call: Call) -> "CallOut":
        return cls(
            id=call.id,
            binding_id=call.binding_id,
            virtual_number=digits_of(call.vn) if call.vn != NO_NUMBER else None,
            direction=call.direction,
            caller=call.caller,
            callee=call.callee,
            result=call.result,
            cause=call.cause,
            hangup_by=call.hangup_by,
            arrived_at=call.arrived_at,
            ringing_at=call.ringing_at,
            answered_at=call.answered_at,
            ended_at=call.ended_at,
            billed_seconds=call.billed_seconds,
            reconciled=call.reconciled,
        )


class CallPageOut(Out):
    items: list[CallOut]
    next_cursor: str | None = Field(description="For the next page; null on the last.")
