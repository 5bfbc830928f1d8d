"""What a person reads off a telephone, for tests."""

import json

from vns.crypto.rules import KeyRing
from vns.messages.rules import cipher_context
from vns.storage.database import Database


async def last_code(db: Database, keyring: KeyRing) -> tuple[str, str]:
    """Who was sent the last code, and the code."""
    async with db.connection() as connection:
        row = await connection.fetchrow("select id, envelope from messages order by id desc limit 1")
    sent = json.loads(keyring.decrypt(row["envelope"], context=cipher_context(row["id"])))
    return sent["to"], next(word for word in sent["text"].split() if word.isdigit() and len(word) == 6)
