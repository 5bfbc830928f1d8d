"""What people of these tests log in with, and the codes that they are sent."""

import re

from vns.crypto.rules import KeyRing
from vns.messages.rules import cipher_context
from vns.storage.database import Database

SENDER = "07080000019"
MOBILE = "010-7777-8888"
PASSWORD = "green-apple-42"


async def sent_code(db: Database, keyring: KeyRing) -> str:
    """The six digits of the last text that the platform wrote by itself."""
    async with db.connection() as connection:
        row = await connection.fetchrow(
            "select id, envelope from messages where session = 'platform' and envelope is not null"
            " order by id desc limit 1"
        )
    assert row is not None, "no code was sent"
    sealed = keyring.decrypt(row["envelope"], context=cipher_context(row["id"]))
    found = re.search(r"\b(\d{6})\b", sealed)
    assert found is not None
    return found[1]
