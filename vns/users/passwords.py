"""argon2id, away from the event loop: a check takes some tens of milliseconds and 64 MiB on purpose."""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER: Final = PasswordHasher()
# Whoever tries a login that nobody has waits as long as for one that somebody has.
_NOBODY: Final = _HASHER.hash("nobody has this password")
_TOGETHER: Final = asyncio.Semaphore(4)  # so many at a time: each takes 64 MiB


async def hashed(password: str) -> str:
    async with _TOGETHER:
        return await asyncio.to_thread(_HASHER.hash, password)


async def fits(password: str, stored: str | None) -> bool:
    """Whether it is the password of that hash. `stored` None: there is no such account."""
    async with _TOGETHER:
        return await asyncio.to_thread(_fits, password, stored)


def _fits(password: str, stored: str | None) -> bool:
    try:
        _HASHER.verify(stored or _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None
