"""Settings of the text relay, read from the environment (`VNS_…`)."""

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sms_relay.agent.contents import Folders
from sms_relay.agent.retention import Kept
from sms_relay.links.choice import Directory, PortedNumbers, load_ported
from sms_relay.links.interface import Carrier
from sms_relay.links.mm7.config import Mm7LinkConfig
from sms_relay.links.smpp.config import SmppLinkConfig
from sms_relay.npro.codes import ResultCode

MOST_FOLDER = 67  # characters: with the name of a picture, a hundred


class RelaySettings(BaseSettings):
    """One SMPP link is described by the `smpp_*` settings; several by `smpp_links`, which stand alone. MM7 links
    likewise, but that there may be none.
    """

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

    smpp_prefixes: dict[str, Carrier] = Field(
        default={},
        description="Which carrier a recipient's first digits speak for, as a JSON object; the longest prefix counts.",
    )
    smpp_ported_file: Path | None = Field(
        default=None,
        description="Ported numbers, one `number,carrier` a line; goes before the prefixes. Read at the start.",
    )
    smpp_error_codes: dict[Carrier, dict[str, ResultCode]] = Field(
        default={},
        description='What error codes of receipts mean, for each carrier: `{"SKT": {"12": "C"}}` (RSLT_CODE2).',
    )

    mm7_url: str | None = Field(
        default=None,
        description="An MMSC for MMS, LMS and BARCODE rows: `http://id:password@host:port/path`, `https://` for TLS.",
        repr=False,
    )
    mm7_listen: str = Field(
        default="127.0.0.1:2780",
        description="Address and port at which MMSCs deliver their reports, at the path `/mm7/` and the link's name.",
    )
    mm7_carrier: Carrier = Field(
        default=Carrier.SKT, description="The carrier behind the MMSC: SKT, KTF, LGT or ETC (RSLT_NET)."
    )
    mm7_vasp_id: str = Field(default="", description="VASPID; empty = the id in VNS_MM7_URL.")
    mm7_vas_id: str = Field(default="", description="VASID, where the carrier wants one.")
    mm7_service_code: str = Field(default="", description="ServiceCode, where the carrier wants one.")
    mm7_window: int = Field(default=10, ge=1, le=1_000, description="Multimedia messages without an answer, at most.")
    mm7_rate: float = Field(default=0, ge=0, description="Multimedia messages a second; 0 = as fast as it answers.")
    mm7_links: list[Mm7LinkConfig] = Field(
        default=[],
        description="Several MM7 links, as a JSON list of objects with url, name, carrier, window, rate, …",
    )

    @field_validator("mm7_listen")
    @classmethod
    def _address(cls, address: str) -> str:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            raise ValueError("an address and a port, as 127.0.0.1:2780")
        return address

    @field_validator("smpp_prefixes")
    @classmethod
    def _digits(cls, prefixes: dict[str, Carrier]) -> dict[str, Carrier]:
        if not all(prefix.isascii() and prefix.isdigit() for prefix in prefixes):
            raise ValueError("a prefix consists of digits")
        return prefixes

    @field_validator("smpp_error_codes")
    @classmethod
    def _failures(cls, carriers: dict[Carrier, dict[str, ResultCode]]) -> dict[Carrier, dict[str, ResultCode]]:
        """Links hand error codes on without leading zeros. None of them can mean success."""
        if any(code is ResultCode.SUCCESS for codes in carriers.values() for code in codes.values()):
            raise ValueError("an error code cannot mean success")
        return {
            carrier: {code.strip().lstrip("0"): meaning for code, meaning in codes.items()}
            for carrier, codes in carriers.items()
        }

    def directory(self) -> Directory:
        """Raises `BadDirectory` where the file of ported numbers cannot be read."""
        ported = load_ported(self.smpp_ported_file) if self.smpp_ported_file else PortedNumbers()
        return Directory(prefixes=self.smpp_prefixes, ported=ported)

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
        return tuple(
            link if link.parts_file else link.model_copy(update={"parts_file": self.smpp_parts_file})
            for link in self.smpp_links
        )

    def multimedia(self) -> tuple[Mm7LinkConfig, ...]:
        """Every MM7 link; there may be none. No name is that of another link: results are stored under it."""
        found = tuple(self.mm7_links)
        if not found and self.mm7_url:
            found = (
                Mm7LinkConfig(
                    url=self.mm7_url,
                    carrier=self.mm7_carrier,
                    vasp_id=self.mm7_vasp_id,
                    vas_id=self.mm7_vas_id,
                    service_code=self.mm7_service_code,
                    window=self.mm7_window,
                    rate=self.mm7_rate,
                ),
            )
        names = [link.name for link in self.links()] + [link.name for link in found]
        if len(set(names)) != len(names):
            raise ValueError("two links have the same name")
        return found

    def listen(self) -> tuple[str, int]:
        """Where MMSCs deliver their reports."""
        host, _, port = self.mm7_listen.rpartition(":")
        return host.strip("[]"), int(port)


class TextSettings(BaseSettings):
    """The NPro tables, the agent that serves them, and the relay. Names of npro.conf are kept where there is one."""

    model_config = SettingsConfigDict(env_prefix="VNS_", extra="ignore")

    npro_database_url: str = Field(
        default="postgresql://vns@127.0.0.1:54320/npro",
        description="The database of MSG_DATA: `postgresql://…` or `mysql://…` (MariaDB), on Korean time.",
        repr=False,
    )
    npro_agent: bool = Field(
        default=True, description="Serve the tables here; off where a vendor's agent serves them, and we only insert."
    )
    sender_switch: bool = Field(default=True, description="The agent sends what is due.")
    receiver_switch: bool = Field(default=True, description="The agent writes results back.")
    db_nomove: bool = Field(default=False, description="Keep finished rows in MSG_DATA.")
    npro_log_monthly: bool = Field(
        default=True, description="MSG_LOG_YYYYMM, one for each month; off: a single MSG_LOG."
    )
    tran_term: float = Field(default=1.0, gt=0, le=3600, description="Seconds between looks for due rows.")
    db_ping_term: float = Field(
        default=10.0, gt=0, le=3600, description="Seconds between signs of life of the agent's lock."
    )
    before_time: float = Field(
        default=3.0, ge=0, description="Hours after which a row reserved for the past is not sent any more."
    )
    send_again: bool = Field(
        default=True,
        description="A text whose submit has no known outcome goes once more, perhaps for the second time; off: it "
        "ends as `unknown`.",
    )
    record_life_time: float = Field(
        default=72.0, gt=0, description="Hours after SENT_DATE: stop waiting for a result and move the row to the log."
    )
    result_life_time: float = Field(
        default=96.0, gt=0, description="Hours after which the relay gives up looking for a row that is nowhere."
    )
    sknfile_path: Path | None = Field(
        default=None, description="Folder of built multimedia packages; none = they are built again after a start."
    )
    skn_file_life_time: float = Field(
        default=7.0, ge=0, description="Days after which files of that folder are deleted; 0 = never."
    )
    barcode_files_path: Path | None = Field(
        default=None, description="Folder of pictures with their barcode (BAR_FILE_NAME); none = they are not kept."
    )
    barcode_file_life_time: float = Field(
        default=7.0, ge=0, description="Days after which files of that folder are deleted; 0 = never."
    )
    mms_files_path: Path | None = Field(
        default=None,
        description="Folder for pictures of relayed messages, the agent's to read; none = an MMSC's are refused.",
    )
    mms_file_life_time: float = Field(
        default=1.0, ge=0, description="Days after the result of a message in which its pictures are erased."
    )
    lms_subject: str = Field(
        default="안심번호 문자", min_length=1, max_length=20, description="MMS_SUBJECT of long texts that are relayed."
    )

    @field_validator("mms_files_path")
    @classmethod
    def _short(cls, folder: Path | None) -> Path | None:
        """FILE_NAME holds a hundred characters."""
        if folder is not None and len(str(folder.absolute())) > MOST_FOLDER:
            raise ValueError(f"a full path of {MOST_FOLDER} characters at most")
        return folder

    def folders(self) -> Folders:
        return Folders.of(self.sknfile_path, self.barcode_files_path)

    def kept(self) -> tuple[Kept, ...]:
        """Folders from which old files are deleted."""
        ages = ((self.sknfile_path, self.skn_file_life_time), (self.barcode_files_path, self.barcode_file_life_time))
        return tuple(Kept(folder=folder, days=days) for folder, days in ages if folder and days)
