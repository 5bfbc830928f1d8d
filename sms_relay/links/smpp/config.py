"""What one SMPP link is told: address and account, sizes, times, and the habits of its SMSC."""

from enum import Enum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sms_relay.links.interface import Carrier
from sms_relay.links.smpp.receipts import IdNotation
from sms_relay.links.smpp.text import Alphabet

DEFAULT_PORT = 2775
Seconds = Annotated[float, Field(gt=0, le=3600)]


class LongText(Enum):
    """How a text that does not fit one message is sent."""

    UDH = "udh"  # parts with a user data header, joined by the handset
    SAR = "sar"  # parts numbered by sar_* parameters, joined by the SMSC or the handset
    PAYLOAD = "payload"  # one submit_sm with message_payload, divided by the SMSC


class SmppLinkConfig(BaseModel):
    """One link. Times are in seconds; `url` is `smpp://id:password@host:port`, or `smpps://` for TLS."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "smpp"
    url: str = Field(repr=False)
    carrier: Carrier = Carrier.OTHER
    system_type: str = ""
    tls_ca: Path | None = None

    window: int = Field(default=50, ge=1, le=10_000)
    rate: float = Field(default=0, ge=0, le=100_000)
    incoming_limit: int = Field(default=1_000, ge=1, le=100_000)
    throttle_retries: int = Field(default=5, ge=0, le=100)
    throttle_pause: Seconds = 0.5

    connect_timeout: Seconds = 10
    response_timeout: Seconds = 30
    enquire_interval: Seconds = 30
    handler_timeout: Seconds = 20
    receipt_hold: Seconds = 5
    backoff_first: Seconds = 0.5
    backoff_most: Seconds = 30
    stable_after: Seconds = 10

    data_coding: int = Field(default=0x0E, ge=0, le=255)
    alphabet: Alphabet = Alphabet.CP949
    default_alphabet: Alphabet = Alphabet.CP949
    ucs2: bool = True
    single_max: int = Field(default=140, ge=16, le=254)
    long_text: LongText = LongText.UDH
    source_ton: int = Field(default=0, ge=0, le=255)
    source_npi: int = Field(default=0, ge=0, le=255)
    dest_ton: int = Field(default=0, ge=0, le=255)
    dest_npi: int = Field(default=0, ge=0, le=255)

    response_ids: IdNotation = IdNotation.AS_IS
    receipt_ids: IdNotation = IdNotation.AS_IS
    parameter_ids: IdNotation | None = None
    utc_offset_minutes: int = Field(default=540, ge=-720, le=840)

    parts_file: Path | None = None
    parts_timeout: float = Field(default=300, gt=0, le=86_400)
    parts_limit: int = Field(default=10_000, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        split = urlsplit(self.url)
        if split.scheme not in ("smpp", "smpps") or not split.hostname or split.username is None:
            raise ValueError("an SMPP address looks like smpp://id:password@host:port (smpps:// for TLS)")
        if len(self.system_id.encode()) > 15 or len(self.password.encode()) > 8:
            raise ValueError("SMPP allows 15 bytes of system id and 8 of password")
        return self

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or DEFAULT_PORT

    @property
    def tls(self) -> bool:
        return urlsplit(self.url).scheme == "smpps"

    @property
    def system_id(self) -> str:
        return unquote(urlsplit(self.url).username or "")

    @property
    def password(self) -> str:
        return unquote(urlsplit(self.url).password or "")
