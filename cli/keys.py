"""`vns keys`: the key ring that real numbers are encrypted with."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.output import fields
from cli.running import Platform, actor, finish, on_platform, read_settings
from vns.bindings.reencryption import reencrypt_once
from vns.crypto.rules import STALE_AFTER, KeyRing
from vns.messages.reencryption import reencrypt_messages_once
from vns.recordings.service import Recordings
from vns.routing.reencryption import reencrypt_rules_once
from vns.senders.reencryption import reencrypt_senders_once
from vns.storage import journal
from vns.users.reencryption import reencrypt_users_once
from vns.verifications.reencryption import reencrypt_verifications_once

app = typer.Typer(no_args_is_help=True, help="The key ring that real numbers are encrypted with.")

SETTLED_AFTER: Final = 2 * STALE_AFTER
"""Seconds after a rotation by which every process encrypts with the new version, and what it had begun is stored."""

RingPath = Annotated[Path | None, typer.Option("--path", help="The file; without it VNS_KEYS_FILE.")]


@app.command()
def generate(path: RingPath = None) -> None:
    """Make a new key ring. Never overwrites one: without its keys stored numbers cannot be read."""

    async def act() -> KeyRing:
        return KeyRing.generate(path or read_settings().keys_file)

    _show(finish(act))


@app.command("list")
def list_(path: RingPath = None) -> None:
    """Versions in the key ring."""

    async def act() -> KeyRing:
        return KeyRing.load(path or read_settings().keys_file)

    _show(finish(act))


@app.command()
def rotate() -> None:
    """Add a version and encrypt what is stored with it, while the platform runs."""
    version, renewed = on_platform(_rotate)
    fields([("newest version", version), ("bindings encrypted anew", renewed)])


async def _rotate(platform: Platform) -> tuple[int, int]:
    """The second walk begins when nobody writes with an older version any more: what it leaves is all new."""
    version = KeyRing.rotate(platform.settings.keys_file)
    await _note(platform, "keys.rotated", {"version": version})
    settled = asyncio.create_task(asyncio.sleep(SETTLED_AFTER))
    renewed = await reencrypt_once(platform.db, platform.keyring)
    await settled
    renewed += await reencrypt_once(platform.db, platform.keyring)
    await reencrypt_rules_once(platform.db, platform.keyring)
    await reencrypt_senders_once(platform.db, platform.keyring)
    await reencrypt_users_once(platform.db, platform.keyring)
    await reencrypt_messages_once(platform.db, platform.keyring)
    await reencrypt_verifications_once(platform.db, platform.keyring)
    await Recordings(platform.db, platform.keyring, platform.clock).rewrap_once()
    await _note(platform, "keys.reencrypted", {"version": version, "bindings": renewed})
    return version, renewed


async def _note(platform: Platform, event: str, data: journal.Data) -> None:
    entry = journal.Entry(at=platform.clock.now(), tenant_id=None, actor=actor(), event=event, data=data)
    async with platform.db.transaction() as connection:
        await journal.append(connection, [entry])


def _show(ring: KeyRing) -> None:
    fields([("file", ring.path), ("versions", ", ".join(map(str, ring.versions))), ("newest", ring.newest)])
