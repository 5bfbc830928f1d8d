"""Settings of the command line alone; what it shares with the core is in vns.settings."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CliSettings(BaseSettings):
    """What only the `vns` command reads."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    npro_database_url: str | None = Field(
        default=None, description="The database of MSG_DATA, for `vns npro`.", repr=False
    )
    asterisk: Path | None = Field(
        default=None, description="The Asterisk program that `vns asterisk config --check` loads a configuration into."
    )
