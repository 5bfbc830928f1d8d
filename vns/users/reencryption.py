"""Brings what accounts hold of people to the newest key version."""

from typing import Final

from vns.crypto.rules import KeyRing
from vns.routing.reencryption import Place, walk
from vns.storage.database import Database
from vns.users.service import context_of

_PLACES: Final = (
    Place(
        "select id, mobile as blob from users where",
        "update users set mobile = $3 where id = $1 and mobile = $2",
        lambda row: context_of(row["id"], "mobile"),
    ),
    Place(
        "select id, birth_date as blob from users where birth_date is not null and",
        "update users set birth_date = $3 where id = $1 and birth_date = $2",
        lambda row: context_of(row["id"], "birth"),
    ),
)


async def reencrypt_users_once(db: Database, keyring: KeyRing) -> int:
    """How many were not of the newest version and now are.

    Raises UnknownKeyVersion, DecryptionFailed where one cannot be read: then nothing of its batch is changed.
    """
    return sum([await walk(db, keyring, place) for place in _PLACES])
