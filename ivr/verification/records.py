"""The line that Asterisk writes when an attempt at a verification call is over. Neither number nor code stands in it.

It comes as an event and stands in `verifications/<day>.csv` of the records folder, as with every other call.
"""

from datetime import UTC, datetime
from uuid import UUID

from vns.verifications.rules import TIMES_SPOKEN, Failure, Outcome

FOLDER = "verifications"  # within the records folder
FIELDS = 8

# What Dial says of a call that was not answered, and the Q.850 causes that say more.
_NO_ANSWER, _BUSY = "NOANSWER", "BUSY"
_CAUSES = {"17": Failure.BUSY, "19": Failure.NO_ANSWER, "21": Failure.BUSY}


def outcome_of(line: str) -> Outcome:
    """`id|attempt|ended|answered|times spoken|DIALSTATUS|cause|y if the phone hung up`. Raises ValueError."""
    parts = line.split("|")
    if len(parts) != FIELDS:
        raise ValueError(f"a record of a verification call has {FIELDS} fields")
    call_id, attempt, ended, answered, spoken, status, cause, by_phone = parts
    heard = min(int(spoken or 0), TIMES_SPOKEN)
    return Outcome(
        id=UUID(call_id),
        attempt=int(attempt),
        ended_at=_time(ended),
        answered_at=_time(answered) if answered else None,
        spoken=heard,
        failure=None if heard else _failure(bool(answered), status, cause, by_phone),
    )


def _failure(answered: bool, status: str, cause: str, by_phone: str) -> Failure:
    if answered:
        return Failure.HUNG_UP_EARLY if by_phone else Failure.UNREACHABLE
    if status == _NO_ANSWER:
        return Failure.NO_ANSWER
    return Failure.BUSY if status == _BUSY else _CAUSES.get(cause, Failure.UNREACHABLE)


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(float(text), UTC)
