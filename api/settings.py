"""Settings of the HTTP door (`VNS_…`)."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ApiSettings(BaseSettings):
    """What an API process needs beside the core's settings."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    http_host: str = Field(default="127.0.0.1", description="Address that the API listens on.")
    http_port: int = Field(default=8000, ge=0, le=65535, description="Port of the API; several processes may share it.")
    http_max_body_bytes: int = Field(
        default=1_048_576,
        ge=1_024,
        description="Longest request body in bytes; longer ones are answered 413.",
    )
    http_ready_timeout: float = Field(
        default=2.0,
        gt=0,
        le=30,
        description="Seconds in which PostgreSQL must answer for /readyz to say yes.",
    )
    http_statement_timeout: float = Field(
        default=5.0,
        gt=0,
        description="Seconds that a request waits for one statement of PostgreSQL before it is answered 503.",
    )
    http_start_timeout: float = Field(
        default=30.0, gt=0, description="Seconds that a starting API process waits for PostgreSQL."
    )
    redis_timeout: float = Field(
        default=0.25,
        gt=0,
        le=5,
        description="Seconds that a rate limit waits for Redis before the process counts alone.",
    )
    metrics_dir: Path | None = Field(
        default=None,
        description="Folder in which API processes of one port share their counters, so that any of them answers "
        "/metrics for all. Emptied by who starts them. Unset: each process answers for itself.",
    )
