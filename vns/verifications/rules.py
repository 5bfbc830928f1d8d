"""What a verification call is, and how long each part of it may take. Pure."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from vns.errors import InvalidRequest

CODE_DIGITS: Final = 6  # of a code that the platform makes
NOTICE: Final = "vns_verify"  # the channel of PostgreSQL's notices

TIMES_SPOKEN: Final = 2
ATTEMPTS: Final = 2  # at most: a call that somebody has heard is never made again
LONGEST_RING: Final = timedelta(seconds=40)
LONGEST_TALK: Final = timedelta(seconds=60)
CLAIM: Final = LONGEST_RING + LONGEST_TALK + timedelta(seconds=20)
"""How long a bridge has a call for itself: longer than any call takes, so that nobody is called twice at once."""
WAITS: Final = timedelta(minutes=5)
"""A request that no bridge has taken by then is not carried out any more: nobody waits for the code."""

TEN_MINUTES: Final = timedelta(minutes=10)
DAY: Final = timedelta(days=1)

_CODE = re.compile(r"[0-9]{4,8}", re.ASCII)


class Status(StrEnum):
    QUEUED = "queued"
    CALLING = "calling"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        return self in {Status.COMPLETED, Status.FAILED}


class Failure(StrEnum):
    """Why the code was not heard."""

    BUSY = "busy"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    HUNG_UP_EARLY = "hung_up_early"  # before the code had been spoken once
    EXPIRED = "expired"  # no bridge made the call, or none learned what became of it


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationCall:
    """A request and what became of it. `spoken`: how often the whole code was heard, 0 to 2."""

    id: UUID
    tenant_id: UUID | None
    number_masked: str
    caller_id: int
    status: Status
    reason: Failure | None
    spoken: int
    attempts: int
    requested_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Claim:
    """A call that a bridge is to make now. Holds the number and the code in clear: never to be logged or kept."""

    id: UUID
    attempt: int
    number: str
    code: str
    caller_id: str

    def __repr__(self) -> str:
        return f"Claim({self.id}, attempt {self.attempt})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one attempt. `failure` None: the code was heard `spoken` times, at least once."""

    id: UUID
    attempt: int
    ended_at: datetime
    failure: Failure | None
    spoken: int = 0
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls that one number gets."""

    per_ten_minutes: int
    per_day: int

    def wait(self, earlier: list[datetime], now: datetime) -> int | None:
        """Seconds until one more call is allowed, None: now. `earlier`: when calls of the last day were asked for."""
        waits = []
        for most, span in ((self.per_ten_minutes, TEN_MINUTES), (self.per_day, DAY)):
            counted = sorted(at for at in earlier if at > now - span)
            if len(counted) >= most:
                waits.append(counted[len(counted) - most] + span - now)
        return max(1, round(max(waits).total_seconds())) if waits else None


def new_code() -> str:
    """A code that nobody can foresee."""
    return "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS))


def check_code(code: str) -> None:
    """Raises InvalidRequest."""
    if not _CODE.fullmatch(code):
        raise InvalidRequest("a code has 4 to 8 digits")
