"""Brings to the newest key version what stands outside the two numbers of a binding: see vns.bindings.reencryption."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from vns.bindings.rules import last_caller_context, member_context
from vns.crypto.rules import KeyRing, version_of
from vns.routing.blocks import block_context
from vns.routing.service import hook_context
from vns.rulebook.sealing import sealed_context
from vns.storage.database import Database

BATCH: Final = 500  # rows looked at per transaction; more where several belong to one id

_BEFORE_ALL = UUID(int=0)
_AFTER = "id > $1 order by id fetch first $2 rows with ties"


@dataclass(frozen=True, slots=True)
class Place:
    """Where ciphertexts stand. `select` is completed by _AFTER; `update` changes one only if it still is as read."""

    select: str
    update: str
    context: Callable[[asyncpg.Record], bytes]


def _sealed(table: str) -> Place:
    """The number inside a rules document."""
    return Place(
        f"select id, decode(rules #>> '{{fallback_number,sealed}}', 'base64') as blob from {table} "  # noqa: S608
        "where rules ? 'fallback_number' and",
        f"update {table} set rules = jsonb_set(rules, '{{fallback_number,sealed}}', "  # noqa: S608 - a table of ours
        "to_jsonb(translate(encode($3, 'base64'), E'\\n', ''))) "
        "where id = $1 and decode(rules #>> '{fallback_number,sealed}', 'base64') = $2",
        lambda row: sealed_context(row["id"]),
    )


_PLACES: Final = (
    Place(
        "select id, last_caller as blob from bindings where last_caller is not null and",
        "update bindings set last_caller = $3 where id = $1 and last_caller = $2",
        lambda row: last_caller_context(row["id"]),
    ),
    Place(
        "select id, party, number as blob from (select binding_id as id, party, number from binding_members) m where",
        "update binding_members set number = $3 where binding_id = $1 and number = $2",
        lambda row: member_context(row["id"], row["party"]),
    ),
    Place(
        "select id, scope, party, number as blob from blocked_parties where",
        "update blocked_parties set number = $3 where id = $1 and number = $2",
        lambda row: block_context(row["scope"], row["party"]),
    ),
    Place(
        "select id, secret as blob from (select tenant_id as id, secret from intercept_hooks) h where",
        "update intercept_hooks set secret = $3 where tenant_id = $1 and secret = $2",
        lambda row: hook_context(row["id"]),
    ),
    _sealed("bindings"),
    _sealed("pools"),
)


async def reencrypt_rules_once(db: Database, keyring: KeyRing) -> int:
    """Walk over all of them once, and return how many were not of the newest version and now are.

    Raises UnknownKeyVersion, DecryptionFailed where one cannot be read: then nothing of its batch is changed.
    """
    return sum([await walk(db, keyring, place) for place in _PLACES])


async def walk(db: Database, keyring: KeyRing, place: Place, *, one_by_one: bool = False) -> int:
    """How many of one place were not of the newest version and now are.

    `one_by_one`: each in a transaction of its own, for rows of which others lock many in an order that nobody knows.
    """
    renewed, after = 0, _BEFORE_ALL
    while True:
        async with db.connection() if one_by_one else db.transaction() as connection:
            rows = await connection.fetch(f"{place.select} {_AFTER}", after, BATCH)
            for row in rows:
                if version_of(row["blob"]) != keyring.newest:
                    context = place.context(row)
                    anew = keyring.encrypt(keyring.decrypt(row["blob"], context=context), context=context)
                    done = await connection.execute(place.update, row["id"], row["blob"], anew)
                    renewed += done == "UPDATE 1"
        if len(rows) < BATCH:
            return renewed
        after = rows[-1]["id"]
