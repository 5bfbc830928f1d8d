"""Settings of the hooks, read from the environment (`VNS_…`): whoever asks them reads these."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class HookSettings(BaseSettings):
    """What bridges and relay need to agree on."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    hooks_private: bool = Field(
        default=False,
        description="Whether hooks may lie at private and loopback addresses. Tenants choose them: with this on, they "
        "can have the platform call servers of your own network.",
    )
