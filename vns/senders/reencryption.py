"""Brings sender numbers, managers, applications and the keys of documents to the newest key version."""

from typing import Final

from vns.crypto.rules import KeyRing
from vns.routing.reencryption import Place, walk
from vns.senders.evidence import key_context
from vns.senders.exemption_rules import details_context
from vns.senders.manager_rules import field_context
from vns.senders.service import number_context
from vns.storage.database import Database


def _of_manager(column: str) -> Place:
    return Place(
        f"select id, {column} as blob from sender_managers where {column} is not null and",  # noqa: S608 - ours
        f"update sender_managers set {column} = $3 where id = $1 and {column} = $2",  # noqa: S608 - ours
        lambda row: field_context(row["id"], column),
    )


_PLACES: Final = (
    Place(
        "select id, number as blob from sender_numbers where number is not null and",
        "update sender_numbers set number = $3 where id = $1 and number = $2",
        lambda row: number_context(row["id"]),
    ),
    Place(
        "select id, wrapped_key as blob from sender_documents where",
        "update sender_documents set wrapped_key = $3 where id = $1 and wrapped_key = $2",
        lambda row: key_context(row["id"]),
    ),
    Place(
        "select id, details as blob from sender_exemption_applications where details is not null and",
        "update sender_exemption_applications set details = $3 where id = $1 and details = $2",
        lambda row: details_context(row["id"]),
    ),
    _of_manager("name"),
    _of_manager("mobile"),
)


async def reencrypt_senders_once(db: Database, keyring: KeyRing) -> int:
    """How many were not of the newest version and now are; a removed one is passed over.

    Raises UnknownKeyVersion, DecryptionFailed where one cannot be read: then nothing of its batch is changed.
    """
    return sum([await walk(db, keyring, place) for place in _PLACES])
