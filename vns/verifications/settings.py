"""Settings of verification calls (`VNS_…`): whoever asks for one reads them."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class VerificationSettings(BaseSettings):
    """What the platform shows when it calls by itself, and how often it may call somebody."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    verification_caller_id: str | None = Field(
        default=None,
        description="The number that verification calls present, and codes of logins are sent from: one of a pool that "
        "has a proof on file. Unset: no verification calls, and nobody can log in.",
    )
    verification_calls_per_ten_minutes: int = Field(
        default=3, ge=1, description="Verification calls that one number gets within ten minutes."
    )
    verification_calls_per_day: int = Field(
        default=10, ge=1, description="Verification calls that one number gets within 24 hours."
    )
