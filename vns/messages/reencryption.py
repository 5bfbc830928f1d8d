"""Brings texts that are still to be sent, or whose result is awaited, to the newest key version."""

from typing import Final

from vns.crypto.rules import KeyRing
from vns.messages.rules import cipher_context, picture_context
from vns.routing.reencryption import Place, walk
from vns.storage.database import Database

# The states are those of the index of open messages: of all the others the envelope is erased.
_ENVELOPES: Final = Place(
    "select id, envelope as blob from messages where status in ('received', 'queued', 'sent')"
    " and envelope is not null and",
    "update messages set envelope = $3 where id = $1 and envelope = $2",
    lambda row: cipher_context(row["id"]),
)

_PICTURES: Final = Place(
    "select id, position, blob from (select message_id as id, position, content as blob from message_pictures) p where",
    "update message_pictures set content = $3 where message_id = $1 and content = $2",
    lambda row: picture_context(row["id"], row["position"]),
)


async def reencrypt_messages_once(db: Database, keyring: KeyRing) -> int:
    """How many were not of the newest version and now are; one that becomes final in between is passed over.

    Raises UnknownKeyVersion, DecryptionFailed where one cannot be read.
    """
    return sum([await walk(db, keyring, place, one_by_one=True) for place in (_ENVELOPES, _PICTURES)])
