"""Settings of the text relay, read from the environment (`VNS_…`)."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from sms_relay.links.interface import Carrier
from sms_relay.links.smpp.config import SmppLinkConfig


class RelaySettings(BaseSettings):
    """One SMPP link is described by the `smpp_*` settings; several by `smpp_links`, which stand alone."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    smpp_url: str = Field(
        default="smpp://vns:vnspass@127.0.0.1:2775",
        description="The SMSC: `smpp://id:password@host:port`, `smpps://` for TLS.",
        repr=False,
    )
    smpp_window: int = Field(
        default=50, ge=1, le=10_000, description="Submits on their way without an answer, at most."
    )
    smpp_rate: float = Field(
        default=0, ge=0, description="Submits a second agreed with the carrier; 0 = as fast as it answers."
    )
    smpp_carrier: Carrier = Field(
        default=Carrier.SKT, description="The carrier behind the link: SKT, KTF, LGT or ETC (RSLT_NET)."
    )
    smpp_data_coding: int = Field(
        default=0x0E, ge=0, le=255, description="data_coding under which the SMSC takes EUC-KR text."
    )
    smpp_parts_file: Path | None = Field(
        default=None,
        description="SQLite file for parts of long incoming texts until all have come; none = memory.",
    )
    smpp_links: list[SmppLinkConfig] = Field(
        default=[],
        description="Several links, as a JSON list of objects with url, name, carrier, window, rate, …",
    )

    def links(self) -> tuple[SmppLinkConfig, ...]:
        """Every link to be run, at least one. Names are distinct."""
        if not self.smpp_links:
            return (
                SmppLinkConfig(
                    url=self.smpp_url,
                    window=self.smpp_window,
                    rate=self.smpp_rate,
                    carrier=self.smpp_carrier,
                    data_coding=self.smpp_data_coding,
                    parts_file=self.smpp_parts_file,
                ),
            )
        names = [link.name for link in self.smpp_links]
        if len(set(names)) != len(names):
            raise ValueError("two entries of VNS_SMPP_LINKS have the same name")
        return tuple(self.smpp_links)
