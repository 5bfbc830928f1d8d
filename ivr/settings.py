"""Settings of the voice side, read from the environment (`VNS_…`): bridges and generated configuration share them."""

from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import Field
from pydantic.functional_validators import BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _ports(value: object) -> object:
    """`4573,4574` as an environment variable spells it."""
    return tuple(int(part) for part in value.split(",")) if isinstance(value, str) else value


class IvrSettings(BaseSettings):
    """What Asterisk's configuration and the bridges need to agree on."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    ami_url: str = Field(
        default="ami://vns:vns@127.0.0.1:5038",
        description="Asterisk's manager interface, with user and secret.",
    )
    agi_host: str = Field(default="127.0.0.1", description="Address that the bridges listen on for questions.")
    agi_ports: Annotated[tuple[int, ...], NoDecode, BeforeValidator(_ports)] = Field(
        default=(4573, 4574),
        min_length=1,
        description="FastAGI ports of the bridges, in the order in which Asterisk tries them.",
    )
    agi_timeout_seconds: int = Field(
        default=3, ge=1, le=10, description="After this long without an answer Asterisk tries the next bridge."
    )
    sip_address: str = Field(default="127.0.0.1", description="Address of Asterisk's SIP and RTP sockets.")
    sip_port: int = Field(default=5060, description="UDP port of Asterisk's SIP socket.")
    sip_trunk: str = Field(
        default="127.0.0.1:5090",
        description="The carrier's SIP peer, `address:port`. Calls are taken from this address, whatever the port.",
    )
    rtp_first_port: int = Field(default=10000, description="First UDP port for media.")
    rtp_last_port: int = Field(default=14999, description="Last UDP port for media.")
    ring_timeout_seconds: int = Field(
        default=30, ge=1, le=180, description="How long the target rings before the call ends with no_answer."
    )
    prompts_dir: Path = Field(default=Path("var/prompts"), description="Folder of the spoken prompts, 8 kHz wav files.")
    recordings_dir: Path | None = Field(
        default=None, description="Folder of recordings (`<prompt>.wav`) that replace the synthetic voice."
    )
    call_records_dir: Path = Field(
        default=Path("var/asterisk/srv/vns/records"),
        description="Folder in which Asterisk writes one line for every ended call.",
    )
    question_deadline_seconds: float = Field(
        default=2.0, gt=0, description="A bridge answers `overload` when a decision takes longer."
    )
    questions_at_once: int = Field(
        default=256, ge=1, description="Further questions at the same time are answered `overload` at once."
    )


def split_ami_url(url: str) -> tuple[str, int, str, str]:
    """Host, port, user and secret of `ami://user:secret@host:port`. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "ami" or not parts.hostname or not parts.username or parts.password is None:
        raise ValueError("VNS_AMI_URL is ami://user:secret@host:port")
    return parts.hostname, parts.port or 5038, unquote(parts.username), unquote(parts.password)


def split_address(text: str) -> tuple[str, int]:
    """Address and port of `address:port`; 5060 where no port is given. Raises ValueError."""
    address, colon, port = text.rpartition(":")
    return (address, int(port)) if colon else (text, 5060)
