"""An npro.conf as the settings of this program."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pydantic import ValidationError
from sqlalchemy import CHAR, URL, Column, DateTime, Integer, Numeric, String
from sqlalchemy.types import TypeEngine

from sms_relay.agent.admission import Limits
from sms_relay.agent.contents import Folders
from sms_relay.agent.limits import MINUTES_A_DAY, QuietHours
from sms_relay.agent.retention import Kept
from sms_relay.agent.service import AgentConfig
from sms_relay.agent.store import OrderBy
from sms_relay.links.interface import Carrier
from sms_relay.links.mm7.config import Mm7LinkConfig
from sms_relay.links.smpp.config import SmppLinkConfig
from sms_relay.npro.codes import ResultCode
from sms_relay.npro.tables import OwnColumns, TableNames, Tables
from sms_relay.standalone.errors import ConfRefused, Refusal
from sms_relay.standalone.jdbc import backend_of, check_kind, served, translate
from sms_relay.standalone.keys import KEYS, Standing
from sms_relay.standalone.values import Values

MOST_OWN: Final = 10
MM7_LISTEN: Final = ("127.0.0.1", 2780)
BATCH_SECONDS: Final = 60.0
LEVELS: Final = {"DEBUG": 10, "INFO": 20, "WARN": 30, "WARNING": 30, "ERROR": 40, "FATAL": 50, "OFF": 60}
_CHARSETS: Final = frozenset({"euc-kr", "euckr", "euc_kr", "ms949", "cp949", "ksc5601", "utf-8", "utf8", "utf8mb4"})
_DRIVERS: Final = {
    "mysql": ("mysql", "mariadb"),
    "mariadb": ("mysql", "mariadb"),
    "postgresql": ("postgresql",),
    "oracle": ("oracle",),
    "mssql": ("sqlserver", "jtds"),
    "sqlserver": ("sqlserver", "jtds"),
    "tibero": ("tibero", "tmax"),
}
_NAME = re.compile(r"[A-Za-z_]\w{0,59}", re.ASCII)
_TYPE = re.compile(
    r"(INT|INTEGER|NUMBER|NUMERIC|CHAR|VARCHAR2?|DATE|DATETIME|TIMESTAMP)(?:\s*\((\d{1,4})\))?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """Levels are those of `logging`; 60 is above all of them. `days`: for how long files are kept."""

    folder: Path | None
    days: int
    console: int
    system: int
    send: int
    receive: int
    other: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conf:
    """Everything the program is told. `life`: how long it goes on without link or database, None = for ever.

    `listen`: address and port where the MMSC of `mm7` delivers its reports.
    """

    database: URL
    names: TableNames
    own: OwnColumns
    link: SmppLinkConfig
    mm7: Mm7LinkConfig | None
    listen: tuple[str, int]
    agent: AgentConfig
    log: LogConfig
    kept: tuple[Kept, ...]
    life: timedelta | None
    notice: tuple[str, int] | None
    error_codes: Mapping[str, ResultCode]
    remarks: tuple[str, ...]


def build(lines: Mapping[str, str]) -> Conf:
    """Raises ConfRefused."""
    values = Values(lines)
    link = _link(values)
    mm7 = _mm7(values)
    names = _names(values)
    own = _own(values)
    database = _database(values, names)
    life = values.number("npro_life_time", 0, 0, 525_600)
    return Conf(
        database=database,
        names=names,
        own=own,
        link=link,
        mm7=mm7,
        listen=_address(values, "vns_mm7_listen") or MM7_LISTEN,
        agent=_agent(values, link.window + (mm7.window if mm7 else 0), own),
        log=_log(values),
        kept=_kept(values),
        life=timedelta(minutes=life) if life else None,
        notice=_address(values, "vns_notice_address"),
        error_codes=_error_codes(values),
        remarks=_remarks(values),
    )


def _link(values: Values) -> SmppLinkConfig:
    scheme = "smpps" if values.switch("npro_sign", default=False) else "smpp"
    host, port = values.needed("sms_ip"), values.whole("sms_port", 2775, 1, 65_535)
    account, password = quote(values.needed("smsg_id"), safe=""), quote(values.needed("smsg_pwd"), safe="")
    authority = values.text("vns_tls_ca")
    try:
        return SmppLinkConfig(
            url=f"{scheme}://{account}:{password}@{f'[{host}]' if ':' in host else host}:{port}",
            carrier=values.choice("vns_carrier", {one.value: one for one in Carrier}, Carrier.OTHER),
            window=values.whole("vns_window", 50, 1, 10_000),
            rate=values.number("vns_rate", 0, 0, 100_000),
            data_coding=values.whole("vns_data_coding", 14, 0, 255),
            enquire_interval=values.number("ping_term", 30, 1, 3600),
            ucs2=values.switch("vns_ucs2", default=True),
            tls_ca=Path(authority) if authority else None,
        )
    except ValidationError as error:
        told = "; ".join(problem["msg"] for problem in error.errors(include_input=False, include_url=False))
        raise ConfRefused(Refusal.BAD_VALUE, f"sms_ip, smsg_id, smsg_pwd: {told}") from None


def _mm7(values: Values) -> Mm7LinkConfig | None:
    url = values.text("vns_mm7_url")
    authority = values.text("vns_tls_ca")
    settings: dict[str, Any] = {
        "carrier": values.choice("vns_carrier", {one.value: one for one in Carrier}, Carrier.OTHER),
        "vasp_id": values.text("vns_mm7_vasp_id") or "",
        "vas_id": values.text("vns_mm7_vas_id") or "",
        "service_code": values.text("vns_mm7_service_code") or "",
        "window": values.whole("vns_mm7_window", 10, 1, 1_000),
        "tls_ca": Path(authority) if authority else None,
    }
    if url is None:
        return None
    try:
        return Mm7LinkConfig(url=url, **settings)
    except ValidationError as error:
        told = "; ".join(problem["msg"] for problem in error.errors(include_input=False, include_url=False))
        raise ConfRefused(Refusal.BAD_VALUE, f"vns_mm7_url: {told}") from None


def _database(values: Values, names: TableNames) -> URL:
    kind = check_kind(values.needed("db_name"))
    driver = (values.text("db_driver") or "").lower()
    if driver and not any(word in driver for word in _DRIVERS[kind]):
        raise ConfRefused(Refusal.BAD_VALUE, f"db_driver is none for db_name {kind.upper()}")
    charset = values.text("db_charset")
    if charset is not None and charset.lower() not in _CHARSETS:
        raise values.bad("db_charset", "EUC-KR, MS949 or UTF-8")
    url = translate(values.needed("db_url"), values.needed("db_userid"), values.text("db_password") or "")
    if url.get_backend_name() != backend_of(kind):
        raise ConfRefused(Refusal.BAD_VALUE, f"db_url is of another make than db_name {kind.upper()}")
    if not served(url):
        raise ConfRefused(
            Refusal.NOT_SERVED,
            f"db_name {kind.upper()}: tables and statements for it exist, a driver and tests with a server do not",
        )
    if (names.data_sequence or names.contents_sequence) and url.get_backend_name() != "postgresql":
        raise ConfRefused(Refusal.BAD_VALUE, "db_sequence_name: this make of database counts without a sequence")
    return url


def _names(values: Values) -> TableNames:
    tables = {"MSG_DATA": "data", "MSG_LOG": "log", "MMS_CONTENTS_INFO": "contents", "MSG_SPAM": "spam"}
    sequences = {"MSG_DATA": "data_sequence", "MMS_CONTENTS_INFO": "contents_sequence"}
    sequences |= {f"{table}_SEQ": field for table, field in sequences.items()}
    given: dict[str, Any] = {}
    for stem, known in (("db_table_name", tables), ("db_sequence_name", sequences)):
        for table, name in values.named(stem).items():
            if table not in known:
                raise ConfRefused(Refusal.UNKNOWN, f"{stem}.{table}: X is one of {', '.join(known)}")
            if not _NAME.fullmatch(name):
                raise values.bad(f"{stem}.{table}", "a name of letters, digits and _")
            given[known[table]] = name
    monthly = values.choice(
        "npro_logmakemode", {"MONTH": True, "1": True, "SINGLE": False, "0": False}, TableNames().monthly
    )
    return TableNames(**given, monthly=monthly)


def _own(values: Values) -> OwnColumns:
    most = values.whole("db_max_count", 0, 0, MOST_OWN)
    fields, indexes = values.numbered("db_field"), values.numbered("db_index")
    if max(len(fields), len(indexes)) > most:
        raise ConfRefused(Refusal.BAD_VALUE, f"db_max_count allows {most} columns and {most} indexes, more are given")
    columns = [_column(values, f"db_field.{at}", text) for at, text in fields.items()]
    known = {column.name.upper() for column in Tables(TableNames()).data.columns}
    if known & {column.name.upper() for column in columns}:
        raise ConfRefused(Refusal.BAD_VALUE, "db_field names a column that MSG_DATA has anyway")
    there = known | {column.name.upper() for column in columns}
    named = {at: [name.strip() for name in text.split(",")] for at, text in indexes.items()}
    for at, wanted in named.items():
        if any(name.upper() not in there for name in wanted):
            raise values.bad(f"db_index.{at}", "columns of MSG_DATA or of db_field, with commas between")
    return OwnColumns(columns=columns, indexes=list(named.values()))


def _column(values: Values, key: str, text: str) -> Column[Any]:
    name, _, kind = text.partition(" ")
    found = _TYPE.fullmatch(kind.strip())
    if not _NAME.fullmatch(name) or not found:
        raise values.bad(key, "NAME TYPE with INT, NUMBER(n), CHAR(n), VARCHAR(n) or DATE")
    return Column(name, _type(found[1].upper(), int(found[2] or 0)))


def _type(kind: str, size: int) -> TypeEngine[Any]:
    if kind in {"INT", "INTEGER"}:
        return Integer()
    if kind in {"NUMBER", "NUMERIC"}:
        return Numeric(size or 11, 0)
    if kind == "CHAR":
        return CHAR(size or 1)
    return String(size or 255) if kind.startswith("VARCHAR") else DateTime()


def _agent(values: Values, window: int, own: OwnColumns) -> AgentConfig:
    term = values.number("tran_term", 1, 0.01, 3600)
    at_once = values.choice("npro_logmode", {"REALTIME": True, "1": True, "BATCH": False, "0": False}, True)
    kept_in_place = [values.switch(key, default=False) for key in ("db_nomove", "db_nobatch")]
    return AgentConfig(
        window=window,
        poll_seconds=term,
        before=timedelta(hours=values.number("before_time", 3, 0, 8760)),
        send_again=values.switch("vns_send_again", default=True),
        record_life=timedelta(hours=values.number("record_life_time", 72, 0.01, 8760)),
        mover_seconds=term if at_once else BATCH_SECONDS,
        ping_seconds=values.number("db_ping_term", 10, 0.1, 3600),
        send=values.switch("sender_switch", default=True),
        receive=values.switch("receiver_switch", default=True),
        move=not any(kept_in_place),
        limits=_limits(values),
        folders=Folders.of(_folder(values, "sknfile_path"), _folder(values, "barcode_files_path")),
        order=_order(values, own),
    )


def _limits(values: Values) -> Limits:
    reload = 60 * values.number("spam_reload_term", 10, 0.001, 1440)
    return Limits(
        quiet=_quiet(values),
        word=values.text("include_word"),
        daily=values.whole("duplicate_phone_count", 0, 0, 1_000_000) or None,
        spam_seconds=reload if values.switch("spam_switch", default=False) else None,
    )


def _quiet(values: Values) -> QuietHours | None:
    begin, end = values.minute("limit_begin"), values.minute("limit_end")
    if (begin is None) != (end is None):
        raise ConfRefused(Refusal.MISSING, "limit_begin and limit_end need each other")
    if begin is None or end is None or begin == end:
        return None
    return QuietHours(begin=begin % MINUTES_A_DAY, end=end)


def _order(values: Values, own: OwnColumns) -> tuple[OrderBy, ...]:
    text = values.text("db_orderby")
    if text is None:
        return ()
    there = {column.name.upper() for column in (*Tables(TableNames()).data.columns, *own.columns)}
    found: list[OrderBy] = []
    for part in re.sub(r"^\s*order\s+by\s+", "", text, flags=re.IGNORECASE).split(","):
        name, _, direction = part.strip().partition(" ")
        if name.upper() not in there or direction.strip().upper() not in {"", "ASC", "DESC"}:
            raise values.bad("db_orderby", "columns of MSG_DATA, each with ASC or DESC, with commas between")
        found.append(OrderBy(name, descending=direction.strip().upper() == "DESC"))
    return tuple(found)


def _log(values: Values) -> LogConfig:
    folder = values.text("log_path")
    return LogConfig(
        folder=Path(folder) if folder else None,
        days=values.whole("log_file_life_time", 30, 1, 36_500),
        console=values.choice("consol_log_level", LEVELS, 20),
        system=values.choice("system_log_level", LEVELS, 20),
        send=values.choice("send_log_level", LEVELS, 20),
        receive=values.choice("recv_log_level", LEVELS, 20),
        other=values.choice("info_log_level", LEVELS, 20),
    )


def _kept(values: Values) -> tuple[Kept, ...]:
    found: list[Kept] = []
    for path_key, life_key in (
        ("sknfile_path", "skn_file_life_time"),
        ("barcode_files_path", "barcode_file_life_time"),
    ):
        folder, days = values.text(path_key), values.number(life_key, 0, 0, 36_500)
        if folder and days:
            found.append(Kept(folder=Path(folder), days=days))
    return tuple(found)


def _folder(values: Values, key: str) -> Path | None:
    folder = values.text(key)
    return Path(folder) if folder else None


def _address(values: Values, key: str) -> tuple[str, int] | None:
    text = values.text(key)
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    try:
        address = ip_address(host.strip("[]"))
        number = int(port)
    except ValueError:
        raise values.bad(key, "an IP address and a port, as 127.0.0.1:9999") from None
    if not 0 < number < 65_536:
        raise values.bad(key, "an IP address and a port, as 127.0.0.1:9999")
    return str(address), number


def _error_codes(values: Values) -> dict[str, ResultCode]:
    """Without leading zeros, as links hand them on. None of them can mean success."""
    known = {code.value: code for code in ResultCode if code is not ResultCode.SUCCESS}
    found: dict[str, ResultCode] = {}
    for pair in filter(None, (values.text("vns_error_codes") or "").split(",")):
        code, _, meaning = (piece.strip() for piece in pair.partition(":"))
        if not code or meaning not in known:
            raise values.bad("vns_error_codes", "pairs of error code and RSLT_CODE2, as 12:C, 21:B")
        found[code.lstrip("0")] = known[meaning]
    return found


def _remarks(values: Values) -> tuple[str, ...]:
    idle = (key for key in KEYS if key.standing is Standing.WITHOUT_EFFECT)
    return tuple(f"{key.name} has no effect here: {key.meaning}" for key in idle if values.text(key.name))
