"""Settings of recorded calls (`VNS_…`)."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RecordingSettings(BaseSettings):
    """Bridges write, the API reads, the worker erases: all of them see the same folder."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    recording_store_dir: Path = Field(
        default=Path("var/recordings"),
        description="Folder of recorded calls, encrypted. Bridges, API and worker share it.",
    )
    recording_retention_days: int = Field(
        default=90, ge=1, le=3_650, description="Recorded calls are erased after so many days."
    )
    recording_url_seconds: int = Field(
        default=900, ge=10, le=900, description="How long a link to a recorded call works."
    )
