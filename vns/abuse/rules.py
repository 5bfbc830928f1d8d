"""When a caller is too many, a scanner, or somebody who calls everybody's customers. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from vns.routing.rules import Reason

WINDOW = timedelta(minutes=1)  # in which calls are counted against a limit

# Refusals that say: the caller does not know a number that would be for it. `ended` is not one of them: a courier who
# dials yesterday's waybills is no scanner.
MISSES = frozenset({Reason.UNALLOCATED, Reason.NOT_A_PARTY})


class FlagReason(StrEnum):
    """Why a caller is on the list."""

    SCANNING = "scanning"
    REACH = "reach"
    OPERATOR = "operator"


class FlagStatus(StrEnum):
    """`flagged` only tells people; `stopped` reaches nobody; `trusted` is never flagged nor limited."""

    FLAGGED = "flagged"
    STOPPED = "stopped"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is too much. 0 switches a rule off."""

    calls_per_caller: int  # a minute
    calls_per_number: int  # a minute, to one virtual number
    scan_numbers: int  # different virtual numbers that were not for the caller
    scan_window: timedelta
    scan_stop: timedelta  # how long a scanner reaches nobody
    reach_customers: int  # bindings that one caller was connected to
    reach_window: timedelta
    reach_stops: bool  # else it is only flagged
    reach_stop: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerFlag:
    """A caller on the list, by what may be seen of it."""

    masked: str
    reason: FlagReason
    status: FlagStatus
    counted: int  # numbers tried, or customers reached
    flagged_at: datetime
    until: datetime


def window_of(at: datetime) -> int:
    """Number of the minute that `at` lies in, since 1970."""
    return int(at.timestamp() // WINDOW.total_seconds())
