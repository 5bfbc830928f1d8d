"""npro.conf: every key does what docs/npro.md says, and what makes no sense is refused by its name."""

import itertools
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sms_relay.agent.limits import QuietHours
from sms_relay.agent.retention import Kept, sweep
from sms_relay.agent.store import OrderBy
from sms_relay.links.interface import Carrier
from sms_relay.links.mm7.config import Mm7LinkConfig
from sms_relay.npro.codes import ResultCode
from sms_relay.standalone import conf as module
from sms_relay.standalone.conf import Conf, build
from sms_relay.standalone.errors import ConfRefused
from sms_relay.standalone.jdbc import translate
from sms_relay.standalone.keys import KEYS, Key, Standing, markdown
from sms_relay.standalone.lines import parse, read
from sms_relay.standalone.program import GaveUp, give_up
from sms_relay.standalone.values import Values

DOCUMENT = Path(__file__).parents[2] / "docs" / "npro.md"
LEAST = {
    "sms_ip": "10.0.0.1",
    "smsg_id": "shop",
    "smsg_pwd": "secret",
    "db_name": "MYSQL",
    "db_url": "jdbc:mysql://127.0.0.1:3306/sms?useSSL=false",
    "db_userid": "npro",
}
POSTGRES = {"db_name": "POSTGRESQL", "db_url": "jdbc:postgresql://db/sms"}

MM7 = {"vns_mm7_url": "http://vasp:pw@10.0.0.2:8080/mm7"}


def mm7(conf: Conf) -> Mm7LinkConfig:
    assert conf.mm7 is not None
    return conf.mm7


EFFECTS: list[tuple[str, dict[str, str], Callable[[Conf], object], object]] = [
    ("sms_ip", {"sms_ip": "10.0.0.9"}, lambda c: c.link.host, "10.0.0.9"),
    ("sms_port", {"sms_port": "5016"}, lambda c: c.link.port, 5016),
    ("smsg_id", {"smsg_id": "a@b"}, lambda c: c.link.system_id, "a@b"),
    ("smsg_pwd", {"smsg_pwd": "p:/w"}, lambda c: c.link.password, "p:/w"),
    ("npro_sign", {"npro_sign": "ON"}, lambda c: c.link.tls, True),
    ("ping_term", {"ping_term": "45"}, lambda c: c.link.enquire_interval, 45),
    ("db_name", POSTGRES, lambda c: c.database.get_backend_name(), "postgresql"),
    (
        "db_url",
        {"db_url": "jdbc:mariadb://db.example/x"},
        lambda c: (c.database.host, c.database.database),
        ("db.example", "x"),
    ),
    ("db_userid", {"db_userid": "me"}, lambda c: c.database.username, "me"),
    ("db_password", {"db_password": "p w"}, lambda c: c.database.password, "p w"),
    ("db_table_name.X", {"db_table_name.msg_log": "sent"}, lambda c: c.names.log, "sent"),
    ("db_sequence_name.X", {**POSTGRES, "db_sequence_name.MSG_DATA": "s"}, lambda c: c.names.data_sequence, "s"),
    ("db_max_count", {"db_max_count": "1", "db_field1": "SHOP INT"}, lambda c: len(c.own.columns), 1),
    ("db_field.N", {"db_max_count": "9", "db_field.2": "S CHAR(3)"}, lambda c: str(c.own.columns[0].type), "CHAR(3)"),
    (
        "db_index.N",
        {"db_max_count": "9", "db_index.1": "CALL_TO, USERDATA"},
        lambda c: c.own.indexes,
        [["CALL_TO", "USERDATA"]],
    ),
    (
        "db_orderby",
        {"db_orderby": "USERDATA DESC, MSG_SEQ"},
        lambda c: c.agent.order,
        (OrderBy("USERDATA", descending=True), OrderBy("MSG_SEQ")),
    ),
    ("db_ping_term", {"db_ping_term": "3"}, lambda c: c.agent.ping_seconds, 3),
    ("tran_term", {"tran_term": "5"}, lambda c: c.agent.poll_seconds, 5),
    ("sender_switch", {"sender_switch": "off"}, lambda c: c.agent.send, False),
    ("receiver_switch", {"receiver_switch": "OFF"}, lambda c: c.agent.receive, False),
    ("spam_switch", {"spam_switch": "ON"}, lambda c: c.agent.limits.spam_seconds, 600),
    ("spam_reload_term", {"spam_switch": "ON", "spam_reload_term": "2"}, lambda c: c.agent.limits.spam_seconds, 120),
    ("include_word", {"include_word": "(광고)"}, lambda c: c.agent.limits.word, "(광고)"),
    ("duplicate_phone_count", {"duplicate_phone_count": "4"}, lambda c: c.agent.limits.daily, 4),
    (
        "limit_begin",
        {"limit_begin": "2130", "limit_end": "0800"},
        lambda c: c.agent.limits.quiet,
        QuietHours(begin=1290, end=480),
    ),
    (
        "limit_end",
        {"limit_begin": "100", "limit_end": "2400"},
        lambda c: c.agent.limits.quiet,
        QuietHours(begin=60, end=1440),
    ),
    ("before_time", {"before_time": "12"}, lambda c: c.agent.before, timedelta(hours=12)),
    ("record_life_time", {"record_life_time": "24"}, lambda c: c.agent.record_life, timedelta(hours=24)),
    ("npro_life_time", {"npro_life_time": "30"}, lambda c: c.life, timedelta(minutes=30)),
    ("npro_logmode", {"npro_logmode": "BATCH"}, lambda c: c.agent.mover_seconds, 60),
    ("npro_logmakemode", {"npro_logmakemode": "SINGLE"}, lambda c: c.names.monthly, False),
    ("db_nomove", {"db_nomove": "ON"}, lambda c: c.agent.move, False),
    ("db_nobatch", {"db_nobatch": "Y"}, lambda c: c.agent.move, False),
    ("log_path", {"log_path": "logs"}, lambda c: c.log.folder, Path("logs")),
    ("log_file_life_time", {"log_file_life_time": "7"}, lambda c: c.log.days, 7),
    ("consol_log_level", {"consol_log_level": "OFF"}, lambda c: c.log.console, 60),
    ("system_log_level", {"system_log_level": "WARN"}, lambda c: c.log.system, 30),
    ("send_log_level", {"send_log_level": "DEBUG"}, lambda c: c.log.send, 10),
    ("recv_log_level", {"recv_log_level": "ERROR"}, lambda c: c.log.receive, 40),
    ("info_log_level", {"info_log_level": "ERROR"}, lambda c: c.log.other, 40),
    (
        "sknfile_path",
        {"sknfile_path": "s", "skn_file_life_time": "2"},
        lambda c: c.kept,
        (Kept(folder=Path("s"), days=2),),
    ),
    ("skn_file_life_time", {"sknfile_path": "s", "skn_file_life_time": "9"}, lambda c: c.kept[0].days, 9),
    (
        "barcode_files_path",
        {"barcode_files_path": "b", "barcode_file_life_time": "1"},
        lambda c: c.kept[0].folder,
        Path("b"),
    ),
    ("barcode_file_life_time", {"barcode_files_path": "b", "barcode_file_life_time": "1"}, lambda c: c.kept[0].days, 1),
    ("vns_notice_address", {"vns_notice_address": "127.0.0.1:99"}, lambda c: c.notice, ("127.0.0.1", 99)),
    ("vns_carrier", {"vns_carrier": "KTF"}, lambda c: c.link.carrier, Carrier.KTF),
    ("vns_window", {"vns_window": "7"}, lambda c: (c.link.window, c.agent.window), (7, 7)),
    ("vns_rate", {"vns_rate": "12.5"}, lambda c: c.link.rate, 12.5),
    ("vns_data_coding", {"vns_data_coding": "0"}, lambda c: c.link.data_coding, 0),
    (
        "vns_error_codes",
        {"vns_error_codes": "012:C, 7:b"},
        lambda c: c.error_codes,
        {"12": ResultCode.POWERED_OFF, "7": ResultCode.HANDSET_TROUBLE},
    ),
    ("vns_send_again", {"vns_send_again": "OFF"}, lambda c: c.agent.send_again, False),
    ("vns_ucs2", {"vns_ucs2": "OFF"}, lambda c: c.link.ucs2, False),
    ("vns_tls_ca", {"vns_tls_ca": "ca.pem"}, lambda c: c.link.tls_ca, Path("ca.pem")),
    ("vns_mm7_url", MM7, lambda c: c.mm7 and (c.mm7.target, c.mm7.user), ("http://10.0.0.2:8080/mm7", "vasp")),
    ("vns_mm7_listen", {**MM7, "vns_mm7_listen": "127.0.0.9:81"}, lambda c: c.listen, ("127.0.0.9", 81)),
    ("vns_mm7_vasp_id", {**MM7, "vns_mm7_vasp_id": "V"}, lambda c: mm7(c).vasp_id, "V"),
    ("vns_mm7_vas_id", {**MM7, "vns_mm7_vas_id": "S"}, lambda c: mm7(c).vas_id, "S"),
    ("vns_mm7_service_code", {**MM7, "vns_mm7_service_code": "C"}, lambda c: mm7(c).service_code, "C"),
    ("vns_mm7_window", {**MM7, "vns_mm7_window": "7"}, lambda c: (mm7(c).window, c.agent.window), (7, 57)),
    ("que_path", {"que_path": "/q"}, lambda c: c.remarks[0].startswith("que_path has no effect"), True),
    ("temp_path", {"temp_path": "/t"}, lambda c: len(c.remarks), 1),
]


@pytest.mark.parametrize(("key", "lines", "look", "expected"), EFFECTS, ids=[effect[0] for effect in EFFECTS])
def test_a_key_has_its_effect(
    key: str, lines: dict[str, str], look: Callable[[Conf], object], expected: object
) -> None:
    assert look(build({**LEAST, **lines})) == expected
    without = {name: value for name, value in {**LEAST, **lines}.items() if not _key(key).covers(name)}
    if _key(key).default == "required":
        with pytest.raises(ConfRefused, match=f"{key} is missing"):
            build(without)
    elif key != "db_max_count":
        assert _look(look, without) != expected, "the key makes no difference"


def _key(name: str) -> Key:
    return next(key for key in KEYS if key.name == name)


def _look(look: Callable[[Conf], object], lines: dict[str, str]) -> object:
    try:
        return look(build(lines))
    except (ConfRefused, IndexError):
        return None


def test_every_key_is_read_is_tested_and_stands_in_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Values] = []

    def remembered(lines: dict[str, str]) -> Values:
        made.append(Values(lines))
        return made[0]

    monkeypatch.setattr(module, "Values", remembered)
    build({**LEAST, "db_driver": "com.mysql.jdbc.Driver"})
    names = {key.name for key in KEYS}
    assert made[0].asked == names
    assert {effect[0] for effect in EFFECTS} == names - {key.name for key in KEYS if key.standing is Standing.CHECKED}
    assert markdown() in DOCUMENT.read_text(encoding="utf-8")


REFUSED: list[tuple[dict[str, str], str, str]] = [
    ({"limit_bgin": "2100"}, "conf_key_unknown", "limit_bgin"),
    ({"limit_begin": "2100"}, "conf_key_missing", "limit_end"),
    ({"limit_begin": "2161", "limit_end": "0800"}, "conf_bad_value", "limit_begin"),
    ({"limit_begin": "2401", "limit_end": "0800"}, "conf_bad_value", "limit_begin"),
    ({"sms_port": "x"}, "conf_bad_value", "sms_port"),
    ({"sms_port": "2775.5"}, "conf_bad_value", "sms_port"),
    ({"smsg_pwd": "ninebytes"}, "conf_bad_value", "8 of password"),
    ({"sender_switch": "MAYBE"}, "conf_bad_value", "sender_switch"),
    ({"db_name": "INFORMIX"}, "conf_database_not_served", "INFORMIX"),
    ({"db_name": "SYBASE"}, "conf_database_not_served", "SYBASE"),
    ({"db_name": "DB2"}, "conf_database_not_served", "DB2"),
    ({"db_name": "CUBRID"}, "conf_database_not_served", "CUBRID"),
    ({"db_name": "ORACLE", "db_url": "jdbc:oracle:thin:@db:1521:ORCL"}, "conf_database_not_served", "ORACLE"),
    ({"db_name": "MSSQL", "db_url": "jdbc:sqlserver://db;databaseName=x"}, "conf_database_not_served", "MSSQL"),
    ({"db_name": "TIBERO", "db_url": "jdbc:tibero:thin:@db:8629:tb"}, "conf_database_not_served", "TIBERO"),
    ({"db_name": "ACCESS"}, "conf_bad_value", "db_name"),
    ({"db_name": "POSTGRESQL"}, "conf_bad_value", "db_url"),
    ({"db_driver": "oracle.jdbc.OracleDriver"}, "conf_bad_value", "db_driver"),
    ({"db_charset": "latin1"}, "conf_bad_value", "db_charset"),
    ({"db_url": "mysql://db/x"}, "conf_bad_value", "db_url"),
    ({"db_table_name.MSG_DATEN": "x"}, "conf_key_unknown", "MSG_DATEN"),
    ({"db_table_name.MSG_DATA": "x; drop table y"}, "conf_bad_value", "db_table_name"),
    ({"db_sequence_name.MSG_DATA": "x"}, "conf_bad_value", "db_sequence_name"),
    ({"db_field.1": "SHOP INT"}, "conf_bad_value", "db_max_count"),
    ({"db_max_count": "11"}, "conf_bad_value", "db_max_count"),
    ({"db_max_count": "1", "db_field.1": "SHOP BLOB"}, "conf_bad_value", "db_field.1"),
    ({"db_max_count": "1", "db_field.1": "CALL_TO INT"}, "conf_bad_value", "db_field"),
    ({"db_max_count": "1", "db_index.1": "SHOP"}, "conf_bad_value", "db_index.1"),
    ({"db_orderby": "1; drop table x"}, "conf_bad_value", "db_orderby"),
    ({"vns_notice_address": "localhost:99"}, "conf_bad_value", "vns_notice_address"),
    ({"vns_mm7_url": "http://10.0.0.2/"}, "conf_bad_value", "vns_mm7_url"),
    ({"vns_mm7_listen": "here:80"}, "conf_bad_value", "vns_mm7_listen"),
    ({"vns_error_codes": "12:0"}, "conf_bad_value", "vns_error_codes"),
]


@pytest.mark.parametrize(("lines", "code", "told"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_makes_no_sense_is_refused_by_its_name(lines: dict[str, str], code: str, told: str) -> None:
    with pytest.raises(ConfRefused, match=told) as refused:
        build({**LEAST, **lines})
    assert refused.value.code.value == code
    assert "ninebytes" not in refused.value.detail


URLS = [
    ("jdbc:mysql://h/d", "mysql://u:p@h:3306/d"),
    ("jdbc:mariadb://[::1]:3307/d?x=1", "mysql://u:p@[::1]:3307/d"),
    ("jdbc:postgresql://h:5433/d?ssl=true", "postgresql://u:p@h:5433/d"),
    ("jdbc:oracle:thin:@h:1521:ORCL", "oracle://u:p@h:1521/ORCL"),
    ("jdbc:oracle:thin:@//h:1521/svc.example", "oracle://u:p@h:1521?service_name=svc.example"),
    ("jdbc:tibero:thin:@h:8629:tb", "oracle://u:p@h:8629/tb"),
    ("jdbc:sqlserver://h:1500;encrypt=false;databaseName=d", "mssql://u:p@h:1500/d"),
    ("jdbc:jtds:sqlserver://h/d;x=1", "mssql://u:p@h:1433/d"),
]


@pytest.mark.parametrize(("jdbc", "expected"), URLS)
def test_jdbc_urls_are_translated(jdbc: str, expected: str) -> None:
    assert translate(jdbc, "u", "p").render_as_string(hide_password=False) == expected


def test_a_file_in_korean_of_either_encoding(tmp_path: Path) -> None:
    content = "# 발송 설정\n; 주석\n\n  Include_Word = 똠방각하 \nque_path=C:\\npro\\que\n"
    for encoding in ("cp949", "utf-8", "utf-8-sig"):
        path = tmp_path / encoding
        path.write_bytes(content.encode(encoding))
        assert read(path) == {"include_word": "똠방각하", "que_path": "C:\\npro\\que"}
    path.write_bytes(b"\xff\xff")
    for bad in (path, tmp_path / "none"):
        with pytest.raises(ConfRefused):
            read(bad)


@pytest.mark.parametrize("text", ["a", "=b", "a=1\nA=2"])
def test_lines_that_are_none(text: str) -> None:
    with pytest.raises(ConfRefused):
        parse(text)


def test_old_files_go_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "skn"
    folder.mkdir()
    now = time.time()
    for name, days in (("old", 3), ("new", 1)):
        (folder / name).write_text("x")
        os.utime(folder / name, (now - days * 86_400, now - days * 86_400))
    (folder / "inner").mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    assert sweep(Kept(folder=folder, days=2), now) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["inner", "link", "new"]
    assert sweep(Kept(folder=tmp_path / "none", days=2), now) == 0


async def test_what_stays_away_too_long_ends_the_program_and_what_comes_back_does_not() -> None:
    looks = iter([True, False, False, True, False, False, False, True])
    ticks = itertools.count(0, 10)
    with pytest.raises(GaveUp, match="the gateway"):
        await give_up(
            "the gateway", lambda: next(looks), timedelta(seconds=25), look=0.001, clock=lambda: float(next(ticks))
        )
    assert list(looks) == [True]
