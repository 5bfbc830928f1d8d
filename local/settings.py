"""Settings of one machine (`bin/up`): ports, places, and which servers are the operator's own."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class LocalSettings(BaseSettings):
    """Read from `VNS_…`. A server whose address is given is the operator's own and is not started here."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    run_dir: Path = Field(
        default=Path("var/dev"),
        description="Data, secrets and logs of this platform; relative to the clone.",
    )
    http_port: int = Field(default=8000, ge=1, le=65535, description="Port of the API.")
    sip_port: int = Field(default=5060, ge=1, le=65535, description="Asterisk's SIP port (UDP).")
    sip_trunk: str = Field(default="127.0.0.1:5090", description="The trunk peer: address and port.")
    ami_port: int = Field(default=5038, ge=1, le=65535, description="Asterisk's manager port.")
    agi_port_a: int = Field(default=4573, ge=1, le=65535, description="FastAGI port of bridge a.")
    agi_port_b: int = Field(default=4574, ge=1, le=65535, description="FastAGI port of bridge b.")
    smsc_port: int = Field(default=2775, ge=1, le=65535, description="Port of the simulated SMSC.")
    pg_port: int = Field(default=54320, ge=1, le=65535, description="Port of the embedded PostgreSQL.")
    redis_port: int = Field(default=63790, ge=1, le=65535, description="Port of the embedded Redis.")
    rtp_first_port: int = Field(default=10000, ge=1024, le=65000, description="First of Asterisk's RTP ports (UDP).")
    rtp_last_port: int = Field(default=14999, ge=1024, le=65535, description="Last of Asterisk's RTP ports (UDP).")

    database_url: str | None = Field(default=None, description="The operator's own PostgreSQL.", repr=False)
    npro_database_url: str | None = Field(
        default=None, description="The database of MSG_DATA, where it is the operator's own.", repr=False
    )
    redis_url: str | None = Field(default=None, description="The operator's own Redis.", repr=False)
    ami_url: str | None = Field(default=None, description="AMI of the operator's own, running Asterisk.", repr=False)
    smpp_url: str | None = Field(
        default=None, description="The SMSC; without it a simulated one is started.", repr=False
    )
    asterisk: Path | None = Field(
        default=None, description="An Asterisk program found on the machine, run instead of one of our own."
    )

    @model_validator(mode="after")
    def _from_the_root(self) -> Self:
        self.run_dir = (ROOT / self.run_dir).resolve()
        if self.rtp_first_port >= self.rtp_last_port:
            raise ValueError("VNS_RTP_FIRST_PORT must be below VNS_RTP_LAST_PORT")
        return self

    @property
    def needs_postgres(self) -> bool:
        """Whether one of the two databases is the embedded server's."""
        return self.database_url is None or self.npro_database_url is None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"
