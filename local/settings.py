"""Settings of one machine (`bin/up`): ports, places, and which servers are the operator's own."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LAST_PORT = 65535
ROOT = Path(__file__).resolve().parent.parent


class LocalSettings(BaseSettings):
    """Read from `VNS_…`. A server whose address is given is the operator's own and is not started here."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    run_dir: Path = Field(
        default=Path("var/dev"),
        description="Data, secrets and logs of this platform; relative to the clone.",
    )
    http_port: int = Field(default=8000, ge=1, le=65535, description="Port of the API.")
    sip_port: int = Field(default=5060, ge=1, le=65535, description="Asterisk's SIP port.")
    sip_transport: Literal["udp", "tcp", "tls"] = Field(
        default="udp", description="How the trunk's signalling travels: udp, tcp or tls."
    )
    sip_trunk: str = Field(default="127.0.0.1:5090", description="The trunk peer: address and port.")
    ami_port: int = Field(default=5038, ge=1, le=65535, description="Asterisk's manager port.")
    agi_port_a: int = Field(default=4573, ge=1, le=65535, description="FastAGI port of bridge a.")
    agi_port_b: int = Field(default=4574, ge=1, le=65535, description="FastAGI port of bridge b.")
    smsc_port: int = Field(default=2775, ge=1, le=65535, description="Port of the simulated SMSC.")
    mmsc_port: int = Field(default=2776, ge=1, le=65535, description="Port of the simulated MMSC.")
    pg_port: int = Field(default=54320, ge=1, le=65535, description="Port of the embedded PostgreSQL.")
    redis_port: int = Field(default=63790, ge=1, le=65535, description="Port of the embedded Redis.")
    rtp_first_port: int = Field(default=10000, ge=1024, le=65000, description="First of Asterisk's RTP ports (UDP).")
    rtp_last_port: int = Field(default=14999, ge=1024, le=65535, description="Last of Asterisk's RTP ports (UDP).")

    asterisks: int = Field(
        default=1,
        ge=1,
        le=8,
        description="How many Asterisks run here. The second has VNS_SIP_PORT + 10, VNS_AMI_PORT + 1 and the RTP ports "
        "after those of the first, and so on.",
    )

    database_url: str | None = Field(default=None, description="The operator's own PostgreSQL.", repr=False)
    npro_database_url: str | None = Field(
        default=None, description="The database of MSG_DATA, where it is the operator's own.", repr=False
    )
    redis_url: str | None = Field(default=None, description="The operator's own Redis.", repr=False)
    ami_url: str | None = Field(default=None, description="AMI of the operator's own, running Asterisk.", repr=False)
    ami_urls: str | None = Field(
        default=None, description="The same of several, comma-separated, each with its name.", repr=False
    )
    smpp_url: str | None = Field(
        default=None, description="The SMSC; without it a simulated one is started.", repr=False
    )
    smpp_links: str | None = Field(
        default=None, description="The operator's own SMSC links: with them no MMSC is simulated.", repr=False
    )
    mm7_url: str | None = Field(
        default=None,
        description="The MMSC; without it a simulated one is started beside a simulated SMSC.",
        repr=False,
    )
    mm7_links: str | None = Field(default=None, description="The same of several MMSCs.", repr=False)
    mm7_listen: str = Field(
        default="127.0.0.1:2780", description="Where the relay takes what MMSCs bring; the simulated one is told so."
    )
    asterisk: Path | None = Field(
        default=None, description="An Asterisk program found on the machine, run instead of one of our own."
    )

    @model_validator(mode="after")
    def _from_the_root(self) -> Self:
        self.run_dir = (ROOT / self.run_dir).resolve()
        if self.rtp_first_port >= self.rtp_last_port:
            raise ValueError("VNS_RTP_FIRST_PORT must be below VNS_RTP_LAST_PORT")
        if max(self.voice_ports(self.asterisks - 1)) > LAST_PORT:
            raise ValueError(f"there are no ports for VNS_ASTERISKS={self.asterisks}: lower the first ones")
        return self

    @property
    def needs_postgres(self) -> bool:
        """Whether one of the two databases is the embedded server's."""
        return self.database_url is None or self.npro_database_url is None

    @property
    def runs_asterisk(self) -> bool:
        return self.ami_url is None and self.ami_urls is None

    @property
    def simulates_mmsc(self) -> bool:
        """Real texts and simulated multimedia messages never mix: it comes with the simulated SMSC alone."""
        several = [links for links in (self.smpp_links, self.mm7_links) if links is not None and links.strip() != "[]"]
        return self.smpp_url is None and self.mm7_url is None and not several

    @property
    def mm7_port(self) -> int:
        """Of the relay's door for MMSCs. The relay says what is wrong with an address that holds none."""
        port = self.mm7_listen.rpartition(":")[2]
        return int(port) if port.isdigit() else 0

    def voice_ports(self, place: int) -> tuple[int, int, int, int]:
        """SIP, AMI, first and last RTP port of an Asterisk that runs here; `place`: 0 for the first."""
        width = self.rtp_last_port - self.rtp_first_port + 1
        return (
            self.sip_port + 10 * place,
            self.ami_port + place,
            self.rtp_first_port + width * place,
            self.rtp_last_port + width * place,
        )

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"
