"""Settings of the voice side, read from the environment (`VNS_…`): bridges and generated configuration share them."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.functional_validators import BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ivr.nodes import ONLY, Node, nodes_of


def _ports(value: object) -> object:
    """`4573,4574` as an environment variable spells it."""
    return tuple(int(part) for part in value.split(",")) if isinstance(value, str) else value


def _paths(value: object) -> object:
    """`/one,/two` as an environment variable spells it."""
    return tuple(Path(part) for part in value.split(",") if part) if isinstance(value, str) else value


def _words(value: object) -> object:
    """`one,two` as an environment variable spells it."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class IvrSettings(BaseSettings):
    """What Asterisk's configuration and the bridges need to agree on."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    ami_url: str = Field(
        default="ami://vns:vns@127.0.0.1:5038",
        repr=False,
        description="Asterisk's manager interface, with user and secret.",
    )
    ami_urls: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        default=(),
        repr=False,
        description="Of several Asterisks: the manager interface and the system name of each, "
        "`ami://user:secret@host:port/name`, comma-separated. Unset: the one of VNS_AMI_URL.",
    )
    agi_host: str = Field(default="127.0.0.1", description="Address that the bridges listen on for questions.")
    agi_ports: Annotated[tuple[int, ...], NoDecode, BeforeValidator(_ports)] = Field(
        default=(4573, 4574),
        min_length=1,
        description="FastAGI ports of the bridges, in the order in which Asterisk tries them.",
    )
    agi_bridges: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        default=(),
        description="Where bridges on several machines are asked, `address:port`, comma-separated. "
        "Unset: VNS_AGI_PORTS at VNS_AGI_HOST.",
    )
    agi_timeout_seconds: int = Field(
        default=3, ge=1, le=10, description="After this long without an answer Asterisk tries the next bridge."
    )
    sip_address: str = Field(default="127.0.0.1", description="Address of Asterisk's SIP and RTP sockets.")
    sip_port: int = Field(default=5060, description="Port of Asterisk's SIP socket.")
    sip_trunk: str = Field(
        default="127.0.0.1:5090",
        description="The carrier's SIP peer, `address:port`. Calls are taken from this address, whatever the port.",
    )
    sip_transport: Literal["udp", "tcp", "tls"] = Field(
        default="udp", description="How the trunk's signalling travels, in both directions: udp, tcp or tls."
    )
    sip_tls_certificate: Path | None = Field(
        default=None, description="With tls: PEM file of Asterisk's certificate, and of those between it and the root."
    )
    sip_tls_key: Path | None = Field(default=None, description="With tls: PEM file of the certificate's private key.")
    sip_tls_ca: Path | None = Field(
        default=None,
        description="With tls: PEM file of the roots that the carrier's certificate is checked against. "
        "Unset: encrypted, but whoever answers at VNS_SIP_TRUNK is taken for the carrier.",
    )
    sip_tls_mutual: bool = Field(
        default=False, description="With tls: calls are taken only from a carrier that shows a certificate, too."
    )
    sip_media_encryption: Literal["none", "sdes"] = Field(
        default="none", description="sdes: SRTP with keys in the SDP, and no call without; needs tls."
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
    call_records_dirs: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_paths)] = Field(
        default=(),
        description="The same of each of several Asterisks, comma-separated, in the order of VNS_AMI_URLS.",
    )
    asterisk_prompts_dirs: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_paths)] = Field(
        default=(),
        description="Prompts folder of each Asterisk, comma-separated, in which bridges put tenants' prompts. "
        "Unset: `prompts` beside each folder of call records.",
    )
    standby_dir: Path = Field(
        default=Path("var/dev/standby"),
        description="Folder in which bridges write down that calls have begun, until PostgreSQL has it.",
    )
    question_deadline_seconds: float = Field(
        default=2.0, gt=0, description="A bridge answers `overload` when a decision takes longer."
    )
    questions_at_once: int = Field(
        default=256, ge=1, description="Further questions at the same time are answered `overload` at once."
    )
    calls_a_second: int = Field(
        default=0,
        ge=0,
        description="Most calls a second of each Asterisk; further ones are answered `overload` at once. 0: any "
        "number. `bin/bench calls` tells what a machine carries.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _ = self.nodes
        if self.sip_transport == "tls" and (self.sip_tls_certificate is None or self.sip_tls_key is None):
            raise ValueError("VNS_SIP_TRANSPORT=tls needs VNS_SIP_TLS_CERTIFICATE and VNS_SIP_TLS_KEY")
        if self.sip_media_encryption == "sdes" and self.sip_transport != "tls":
            raise ValueError("VNS_SIP_MEDIA_ENCRYPTION=sdes needs VNS_SIP_TRANSPORT=tls: the SDP holds the keys")
        if self.sip_tls_mutual and self.sip_tls_ca is None:
            raise ValueError("VNS_SIP_TLS_MUTUAL needs VNS_SIP_TLS_CA, against which a certificate is checked")
        return self

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The Asterisks of this installation. Raises ValueError."""
        return nodes_of(self.ami_urls or (self.ami_url,), self.call_records_dirs or (self.call_records_dir,))

    def node(self, name: str | None) -> tuple[int, Node]:
        """One Asterisk and its place among all; `name` None: the only one. Raises ValueError if there is none such."""
        nodes = self.nodes
        if len(nodes) == 1 and (name is None or nodes[0].name in {None, name}):
            return 0, nodes[0]
        names = [node.name or ONLY for node in nodes]
        if name not in names:
            raise ValueError(f"VNS_AMI_URLS names {', '.join(names)}: say which one this is")
        return names.index(name), nodes[names.index(name)]

    @property
    def bridges(self) -> tuple[str, ...]:
        """`address:port` of each bridge, in the order in which they are asked."""
        return self.agi_bridges or tuple(f"{self.agi_host}:{port}" for port in self.agi_ports)

    @property
    def prompt_folders(self) -> tuple[Path, ...]:
        """Where a PromptLibrary puts its files."""
        return self.asterisk_prompts_dirs or tuple(node.prompts for node in self.nodes)


def split_address(text: str) -> tuple[str, int]:
    """Address and port of `address:port`; 5060 where no port is given. Raises ValueError."""
    address, colon, port = text.rpartition(":")
    return (address, int(port)) if colon else (text, 5060)
