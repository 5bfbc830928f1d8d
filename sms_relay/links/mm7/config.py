"""What one MM7 link is told: address and account, sizes, times."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sms_relay.links.interface import Carrier

NAMESPACE = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-6-MM7-1-4"
VERSION = "6.8.0"
Seconds = Annotated[float, Field(gt=0, le=3600)]


class Mm7LinkConfig(BaseModel):
    """One link. Times are in seconds; `url` is `http://id:password@host:port/path`, or `https://`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="mm7", pattern=r"^[A-Za-z0-9._-]{1,40}$")
    url: str = Field(repr=False)
    carrier: Carrier = Carrier.OTHER
    tls_ca: Path | None = None
    vasp_id: str = ""
    vas_id: str = ""
    service_code: str = ""
    namespace: str = NAMESPACE
    version: str = VERSION

    window: int = Field(default=10, ge=1, le=1_000)
    rate: float = Field(default=0, ge=0, le=100_000)
    busy_retries: int = Field(default=5, ge=0, le=100)
    busy_pause: Seconds = 0.5

    connect_timeout: Seconds = 10
    response_timeout: Seconds = 60
    check_interval: Seconds = 30
    handler_timeout: Seconds = 20
    report_hold: Seconds = 5
    backoff_first: Seconds = 0.5
    backoff_most: Seconds = 30

    @model_validator(mode="after")
    def _usable(self) -> Self:
        split = urlsplit(self.url)
        if split.scheme not in ("http", "https") or not split.hostname or not split.username or split.fragment:
            raise ValueError("an MM7 address looks like http://id:password@host:port/path (https:// for TLS)")
        if ":" in self.user:
            raise ValueError("an id of HTTP holds no colon")
        return self

    @property
    def target(self) -> str:
        """The address without the account."""
        split = urlsplit(self.url)
        return split._replace(netloc=split.netloc.rpartition("@")[2], path=split.path or "/").geturl()

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or (443 if self.tls else 80)

    @property
    def tls(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def user(self) -> str:
        return unquote(urlsplit(self.url).username or "")

    @property
    def password(self) -> str:
        return unquote(urlsplit(self.url).password or "")
