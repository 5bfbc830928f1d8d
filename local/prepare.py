"""`python -m local.prepare`: schema and key ring, before the parts start. Safe to run again."""

import sys
from pathlib import Path

from vns.crypto.rules import KeyRing
from vns.errors import VnsError
from vns.settings import Settings
from vns.storage.migrate import upgrade


def prepare_core(database_url: str, keys_file: Path) -> None:
    """Bring the database to the newest schema; make the key ring where there is none yet."""
    upgrade(database_url)
    if not keys_file.exists():
        keys_file.parent.mkdir(parents=True, exist_ok=True)
        KeyRing.generate(keys_file)


def main() -> None:
    settings = Settings()
    try:
        prepare_core(settings.database_url, settings.keys_file)
    except VnsError as problem:
        sys.exit(f"cannot prepare: {problem}")


if __name__ == "__main__":
    main()
