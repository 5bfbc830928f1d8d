"""The account that a fresh platform starts with."""

from pathlib import Path

import pytest

from local.console_account import LOGIN, OWN_NUMBER, seed_console
from local.seed import seed
from vns.crypto.rules import KeyRing
from vns.errors import WrongCredentials
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.users.sessions import Sessions


async def test_who_has_the_credentials_gets_a_code(database_url: str, tmp_path: Path) -> None:
    keyring = KeyRing.generate(tmp_path / "keys.json")
    await seed(database_url, tmp_path)
    password = await seed_console(database_url, tmp_path, tmp_path / "keys.json")
    assert await seed_console(database_url, tmp_path, tmp_path / "keys.json") == password, (
        "the second start changes nothing"
    )
    database = await Database.open(database_url, size=2)
    try:
        sessions = Sessions(database, keyring, Clock(), sender=OWN_NUMBER)
        with pytest.raises(WrongCredentials):
            await sessions.begin(LOGIN, f"{password}x")
        pending = await sessions.begin(LOGIN, password)
        assert pending.mobile_masked == "010-****-0000"
        async with database.connection() as connection:
            row = await connection.fetchrow("select status, vn, envelope from messages")
            held = await connection.fetchval("select hold from numbers where vn = $1", int(OWN_NUMBER))
        assert (row["status"], row["vn"]) == ("queued", int(OWN_NUMBER))
        assert held == "reserved", "nobody else is given the platform's own number"
    finally:
        await database.close()


async def test_lost_credentials_are_made_anew(database_url: str, tmp_path: Path) -> None:
    KeyRing.generate(tmp_path / "keys.json")
    await seed(database_url, tmp_path)
    first = await seed_console(database_url, tmp_path, tmp_path / "keys.json")
    (tmp_path / "secrets" / "console-password").unlink()
    assert await seed_console(database_url, tmp_path, tmp_path / "keys.json") != first
