"""Brings a database to the newest schema. Alembic keeps count; each step is a file of plain SQL."""

from pathlib import Path

from alembic import command
from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database_url: str) -> None:
    """Apply what is missing, in one transaction. Safe to call again, and from several processes at a time."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = database_url
    command.upgrade(config, "head")
