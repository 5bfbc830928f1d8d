"""Settings of the core, read from the environment (`VNS_…`). Every part adds its own class beside its code."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What every process that touches the core needs."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    database_url: str = Field(
        default="postgresql://vns@127.0.0.1:54320/vns",
        description="The platform's PostgreSQL, the only truth.",
    )
    redis_url: str = Field(
        default="redis://127.0.0.1:63790/0",
        description="Redis: rate limits, and copies for the time without PostgreSQL; it may be lost at any time.",
    )
    keys_file: Path = Field(
        default=Path("var/dev/keys.json"),
        description="The key ring: versions of the encryption key and the blind-index key.",
    )
    database_pool_size: int = Field(default=8, ge=2, le=200, description="PostgreSQL connections per process.")
    log_level: str = Field(default="INFO", description="Log level of every process.")
