"""Brings texts that are still to be sent, or whose result is awaited, to the newest key version."""

from typing import Final

from vns.crypto.rules import KeyRing
from vns.messages.rules import cipher_context
from vns.routing.reencryption import Place, walk
from vns.storage.database import Database

# The states are those of the index of open messages: of all the others the envelope is erased.
_ENVELOPES: Final = Place(
    "select id, envelope as blob from messages where status in ('received', 'queued', 'sent')"
    " and envelope is not null and",
    "update messages set envelope = $3 where id = $1 and envelope = $2",
    lambda row: cipher_context(row["id"]),
)


async def reencrypt_messages_once(db: Database, keyring: KeyRing) -> int:
    """How many were not of the newest version and now are; one that becomes final in between is passed over.

    Raises UnknownKeyVersion, DecryptionFailed where one cannot be read.
    """
    return await walk(db, keyring, _ENVELOPES, one_by_one=True)
