"""A call's id, made from Asterisk's unique id of the caller's channel.

Both bridges and whoever reads Asterisk's own record afterwards come to the same id without asking one another.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

IDS_KEPT = 4_096  # the id of one call is asked for when it begins, and several times as it ends

_UNIQUE_ID = re.compile(r"(?:([\w.-]*)-)?(\d{9,11})\.(\d+)")


@lru_cache(maxsize=IDS_KEPT)
def call_id_of(unique_id: str) -> UUID:
    """A UUID of version 7. `unique_id` is `<system name>-<seconds>.<counter>`; ids of one second stay in order.

    The rest of the id is a hash of the whole text, so that two systems never share one. Raises ValueError.
    """
    seconds, counter = _parts(unique_id)
    stamp = seconds * 1_000 + counter % 1_000
    tail = int.from_bytes(blake2b(unique_id.encode(), digest_size=10).digest(), "big")
    value = (stamp << 80) | tail
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)


def arrival_of(unique_id: str) -> datetime:
    """When the channel was made, to the second. Raises ValueError."""
    return datetime.fromtimestamp(_parts(unique_id)[0], UTC)


def system_of(unique_id: str) -> str:
    """The name of the Asterisk that made the channel; '' where it has none, or that is no unique id."""
    found = _UNIQUE_ID.fullmatch(unique_id)
    return (found[1] or "") if found is not None else ""


def _parts(unique_id: str) -> tuple[int, int]:
    found = _UNIQUE_ID.fullmatch(unique_id)
    if found is None:
        raise ValueError("not a unique id of Asterisk's")
    return int(found[2]), int(found[3])
