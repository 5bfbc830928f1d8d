"""How many calls a second an Asterisk is given. Pure; times in seconds.

An Asterisk that gets more calls than it carries does each step of all of them later and later, until the networks
around it give up. No bridge can see that coming: questions come and answers go at once all the while. So whoever runs
it says how many it carries, and the others are turned away before they cost anything.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    filled_at: float
    calls: float


class CallRate:
    """One bridge's, of all Asterisks that ask it; they are told apart by their names. Bursts of a second may pass."""

    def __init__(self, most: int) -> None:
        """`most`: calls a second of each Asterisk; 0: any number."""
        self._most = most
        self._buckets: dict[str, _Bucket] = {}

    @property
    def is_limited(self) -> bool:
        """Whether any call may be one too many."""
        return self._most > 0

    def exceeded(self, asterisk: str, now: float) -> bool:
        """Whether the call that is asked about now is one too many; one that is not counts."""
        if not self.is_limited:
            return False
        bucket = self._buckets.setdefault(asterisk, _Bucket(now, self._most))
        bucket.calls = min(self._most, bucket.calls + (now - bucket.filled_at) * self._most)
        bucket.filled_at = now
        if bucket.calls < 1:
            return True
        bucket.calls -= 1
        return False
