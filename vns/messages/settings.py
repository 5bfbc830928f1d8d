"""Settings of texts, for whoever records some, read from the environment (`VNS_…`)."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from vns.messages.rules import Unencodable
from vns.messages.senders import DAILY_LIMIT


class MessageSettings(BaseSettings):
    """What may be sent, and how it is written."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    unencodable: Unencodable = Field(
        default=Unencodable.TRANSLITERATE,
        description="Characters that MS949 lacks: `transliterate`, or `ucs2` to send such a text as it is.",
    )
    sender_daily_limit: int = Field(
        default=DAILY_LIMIT,
        ge=0,
        le=1_000_000,
        description="Texts that tenants may send from one ordinary line on one day in Korea; 0 = no limit. "
        "Texts relayed between people are not counted, and representative numbers have no limit.",
    )
