"""Brings numbers and codes of verification calls under way to the newest key version."""

from typing import Final

from vns.crypto.rules import KeyRing
from vns.routing.reencryption import Place, walk
from vns.storage.database import Database
from vns.verifications.service import context_of

_PLACES: Final = (
    Place(
        "select id, number as blob from verification_calls where ended_at is null and",
        "update verification_calls set number = $3 where id = $1 and number = $2",
        lambda row: context_of(row["id"], "number"),
    ),
    Place(
        "select id, code as blob from verification_calls where ended_at is null and",
        "update verification_calls set code = $3 where id = $1 and code = $2",
        lambda row: context_of(row["id"], "code"),
    ),
)


async def reencrypt_verifications_once(db: Database, keyring: KeyRing) -> int:
    """How many were not of the newest version and now are; a call that ends in between is passed over.

    Raises UnknownKeyVersion, DecryptionFailed where one cannot be read.
    """
    return sum([await walk(db, keyring, place, one_by_one=True) for place in _PLACES])
