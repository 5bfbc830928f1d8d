"""Every key of npro.conf and what it does here. docs/npro.md shows this table; a test keeps both equal."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Standing(Enum):
    HONOURED = "honoured"
    CHECKED = "checked"  # it must make sense, and changes nothing
    WITHOUT_EFFECT = "no effect"  # accepted, told at the start


@dataclass(frozen=True, slots=True)
class Key:
    """`name` may end in `.X` (a name follows) or `.N` (a number follows, with or without the dot)."""

    name: str
    default: str
    meaning: str
    standing: Standing = Standing.HONOURED

    def covers(self, key: str) -> bool:
        stem = self.name[:-2]
        if self.name.endswith(".X"):
            return re.fullmatch(rf"{re.escape(stem)}\.\w+", key) is not None
        if self.name.endswith(".N"):
            return re.fullmatch(rf"{re.escape(stem)}\.?\d+", key) is not None
        return key == self.name


_SWITCH: Final = "ON or OFF (also Y/N, 1/0, TRUE/FALSE)"

KEYS: Final = (
    Key("sms_ip", "required", "Host of the SMSC: the link speaks SMPP 3.4."),
    Key("sms_port", "2775", "Its port."),
    Key("smsg_id", "required", "system_id of the account, at most 15 bytes."),
    Key("smsg_pwd", "required", "Its password, at most 8 bytes: SMPP has no room for more, longer ones are refused."),
    Key("npro_sign", "OFF", f"SMPP over TLS; the certificate is always checked. {_SWITCH}."),
    Key("ping_term", "30", "Seconds of silence after which enquire_link is sent."),
    Key(
        "db_name",
        "required",
        "MYSQL, MARIADB or POSTGRESQL. ORACLE, MSSQL and TIBERO are understood and refused: no driver "
        "for them is part of this program. SYBASE, DB2, INFORMIX, CUBRID are refused.",
    ),
    Key("db_driver", "–", "A Java class; if given it must be one of the make in db_name.", Standing.CHECKED),
    Key("db_url", "required", "A JDBC URL with one host; options behind `?` or `;` are Java's and are dropped."),
    Key(
        "db_charset",
        "–",
        "EUC-KR, MS949, UTF-8 or a near relative. The connection speaks UTF-8 and the server converts, "
        "into whatever character set the tables have.",
        Standing.CHECKED,
    ),
    Key("db_userid", "required", "The database's user."),
    Key("db_password", "empty", "Its password."),
    Key("db_table_name.X", "X", "Another name for MSG_DATA, MSG_LOG, MMS_CONTENTS_INFO or MSG_SPAM."),
    Key(
        "db_sequence_name.X",
        "–",
        "What the sequence behind MSG_DATA or MMS_CONTENTS_INFO is called, where the agent creates "
        "the table. PostgreSQL only: MariaDB and MySQL count without a sequence, there it is refused.",
    ),
    Key("db_max_count", "0", "How many columns and how many indexes of your own follow, at most 10."),
    Key(
        "db_field.N",
        "–",
        "A column of your own, as `NAME TYPE`: INT, NUMBER(n), CHAR(n), VARCHAR(n), DATE. Added to MSG_DATA and "
        "the logs where it is missing.",
    ),
    Key("db_index.N", "–", "An index of your own: column names with commas between."),
    Key(
        "db_orderby",
        "by time",
        "Order in which due rows are taken: `COLUMN [ASC|DESC], …`. Without an index that fits it costs a "
        "sort at each look.",
    ),
    Key("db_ping_term", "10", "Seconds between signs of life of the session that holds the agent's lock."),
    Key("tran_term", "1", "Seconds between looks at MSG_DATA."),
    Key("sender_switch", "ON", f"Rows are sent. {_SWITCH}."),
    Key("receiver_switch", "ON", "Results are taken and written. OFF: receipts stay with the carrier."),
    Key("spam_switch", "OFF", "MSG_SPAM is obeyed."),
    Key("spam_reload_term", "10", "Minutes between looks at MSG_SPAM."),
    Key("include_word", "–", "Every text must hold this word; without it: `w`."),
    Key("duplicate_phone_count", "0", "Texts a recipient gets a day (Korean date), those beyond: `y`. 0: no limit."),
    Key("limit_begin", "–", "HHMM from which nothing is sent (Korean time), 0000 to 2400."),
    Key("limit_end", "–", "HHMM until which nothing is sent; before limit_begin: on the next day."),
    Key(
        "before_time",
        "3",
        "Hours after REQ_DATE beyond which a row is not sent any more (`z`); quiet hours do not count.",
    ),
    Key("record_life_time", "72", "Hours after SENT_DATE: no result is awaited any more, the row moves."),
    Key(
        "npro_life_time",
        "0",
        "Minutes without gateway or without database after which the program ends with status 3. 0: it never gives up.",
    ),
    Key(
        "npro_logmode",
        "REALTIME",
        "REALTIME (1): finished rows move at the next look (tran_term). BATCH (0): once a minute.",
    ),
    Key("npro_logmakemode", "MONTH", "MONTH (1): MSG_LOG_YYYYMM. SINGLE (0): one MSG_LOG."),
    Key("db_nomove", "OFF", f"Keep finished rows in MSG_DATA. {_SWITCH}."),
    Key("db_nobatch", "OFF", "The same: nothing is moved."),
    Key("log_path", "–", "Folder of npro.log, a file a day. Without it the log goes to standard error only."),
    Key("log_file_life_time", "30", "Days for which its files are kept."),
    Key("consol_log_level", "INFO", "What goes to standard error: DEBUG, INFO, WARN, ERROR, OFF."),
    Key("system_log_level", "INFO", "What goes to npro.log at most."),
    Key("send_log_level", "INFO", "How much the Sender says."),
    Key("recv_log_level", "INFO", "How much the Receiver says."),
    Key("info_log_level", "INFO", "How much the links, the TableMover and the rest say."),
    Key(
        "sknfile_path",
        "–",
        "Folder of built multimedia packages; files older than skn_file_life_time are deleted from it. Without it "
        "nothing is kept beyond the process.",
    ),
    Key("skn_file_life_time", "0", "Days; 0: nothing is deleted."),
    Key(
        "barcode_files_path",
        "–",
        "Folder of pictures with their barcode (BAR_FILE_NAME); files older than barcode_file_life_time are deleted "
        "from it.",
    ),
    Key("barcode_file_life_time", "0", "Days; 0: nothing is deleted."),
    Key(
        "que_path",
        "–",
        "What was taken and has no outcome yet is in the table NPRO_QUEUE, which survives a crash together "
        "with the rows: there are no queue files.",
        Standing.WITHOUT_EFFECT,
    ),
    Key("temp_path", "–", "No temporary files are made.", Standing.WITHOUT_EFFECT),
    Key(
        "vns_notice_address",
        "–",
        "IP address and port (`127.0.0.1:9999`) to which a datagram goes for each result that comes "
        "(2 → 3): MSG_SEQ, a space, RSLT_CODE2.",
    ),
    Key("vns_carrier", "ETC", "The carrier behind the link, for RSLT_NET: SKT, KTF, LGT, ETC."),
    Key("vns_window", "50", "Submits without an answer, at most."),
    Key("vns_rate", "0", "Submits a second agreed with the carrier; 0: as fast as it answers."),
    Key("vns_data_coding", "14", "data_coding under which the SMSC takes EUC-KR text."),
    Key(
        "vns_error_codes",
        "–",
        "What error codes of receipts mean with this carrier, as `12:C, 21:B`: error code, RSLT_CODE2.",
    ),
    Key(
        "vns_send_again",
        "ON",
        "A message whose submit has no known outcome goes once more; delivered, it has RSLT_CODE 904: perhaps twice. "
        "OFF: it ends with `z`.",
    ),
    Key("vns_ucs2", "ON", "Texts that MS949 cannot write go out in UCS-2. OFF: they are refused (`f`)."),
    Key("vns_tls_ca", "–", "File with the certificate authority of SMSC and MMSC, if it is not a well-known one."),
    Key(
        "vns_mm7_url",
        "–",
        "The MMSC as `http://id:password@host:port/path` (`https://` for TLS): LMS, MMS and BARCODE rows go to it by "
        "MM7. Without it LMS goes out in parts over SMPP, and rows with files end with `z`.",
    ),
    Key(
        "vns_mm7_listen",
        "127.0.0.1:2780",
        "IP address and port at which its delivery reports are taken, at the path `/mm7/mm7`, with the same id and "
        "password.",
    ),
    Key("vns_mm7_vasp_id", "the id in vns_mm7_url", "VASPID."),
    Key("vns_mm7_vas_id", "–", "VASID."),
    Key("vns_mm7_service_code", "–", "ServiceCode."),
    Key("vns_mm7_window", "10", "Multimedia messages without an answer, at most."),
)


def markdown() -> str:
    """The table of docs/npro.md."""
    rows = (
        f"| `{key.name}` | {key.standing.value} | {key.default} | {key.meaning.replace('|', chr(92) + '|')} |"
        for key in KEYS
    )
    return "\n".join(("| key | here | default | meaning |", "|---|---|---|---|", *rows)) + "\n"
