"""The result codes of the tables: RSLT_CODE2 as customers know it, and RSLT_CODE, ours, which says why in
detail.

RSLT_CODE2 values differ by case only (`a`, `A`). They are compared here, in Python, never in SQL: a
customer's table may have a
collation that takes both for the same.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum

RECEIPT_BASE = 30_000
SUBMIT_BASE = 20_000
MM7_BASE = 40_000

MOST_DETAIL = 2**31 - 1
"""The largest number that RSLT_CODE holds."""

UNKNOWN_STATUS = 0xFF  # ESME_RUNKNOWNERR


class State(IntEnum):
    """CUR_STATE."""

    REQUESTED = 0
    SENDING = 1
    SENT = 2
    DONE = 3


class MessageType(IntEnum):
    """MSG_TYPE."""

    SMS = 4
    URL = 5
    MMS = 6
    BARCODE = 7


class ResultCode(Enum):
    """RSLT_CODE2."""

    SUCCESS = "0"
    TIMEOUT = "1"
    WRONG_NUMBER = "2"
    BUSY = "A"
    SHADOW_AREA = "B"
    POWERED_OFF = "C"
    HANDSET_FULL = "D"
    SUSPENDED = "a"
    HANDSET_TROUBLE = "b"
    REFUSED_BY_RECIPIENT = "c"
    OTHER = "d"
    SMSC_FORMAT = "e"
    GATEWAY_FORMAT = "f"
    UNSUPPORTED_BY_HANDSET = "g"
    NOT_CALLABLE = "h"
    DELETED_OR_SENDER_UNREGISTERED = "i"
    QUEUE_FULL = "j"
    SPAM_BY_CARRIER = "k"
    DO_NOT_DISTURB = "l"
    SPAM_BY_GATEWAY = "m"
    LIMIT_OR_RECIPIENT_BLOCKED = "n"
    TOO_LONG = "o"
    BAD_NUMBER = "p"
    BAD_FIELD_OR_DUPLICATE = "q"
    SENDER_BLOCKED = "r"
    TEXT_BLOCKED = "s"
    SEVERAL_BLOCKS = "t"
    NO_BARCODE = "u"
    WORD_MISSING = "w"
    NO_CONTENT = "x"
    DAILY_COUNT = "y"
    ANY_OTHER = "z"


class Detail(IntEnum):
    """RSLT_CODE where the agent itself speaks.

    SUBMIT_BASE + SMPP command_status, MM7_BASE + MM7 StatusCode: the carrier refused the submit.
    SENT_AGAIN stands in a row that is due once more after a submit of which nobody knows, and beside the success that
    follows: the recipient may have the message twice.
    RECEIPT_BASE + error code (or 0): from the carrier's receipt or delivery report.
    """

    DELIVERED = 0
    NO_RECIPIENT = 101
    BAD_RECIPIENT = 102
    BAD_SENDER = 103
    NO_TEXT = 104
    SMS_TOO_LONG = 105
    BODY_TOO_LONG = 106
    UNKNOWN_TYPE = 107
    NO_MULTIMEDIA_LINK_FOR_BARCODE = 108
    NO_MULTIMEDIA_LINK_FOR_FILES = 109
    NO_CONTENT = 110
    TOO_LATE = 111
    NOT_ENCODABLE = 112
    LINK_FOUND_TOO_LONG = 113
    LINK_FOUND_BAD_NUMBER = 114
    NO_BARCODE = 115
    BAD_URL = 116
    FILE_NOT_FOUND = 117
    FILE_TOO_LARGE = 118
    FILE_UNSUITABLE = 119
    NOTHING_FOR_CARRIER = 120
    NO_DATE = 121
    TEXT_BLOCKED = 201
    RECIPIENT_BLOCKED = 202
    SENDER_BLOCKED = 203
    SEVERAL_BLOCKS = 204
    WORD_MISSING = 205
    DAILY_COUNT = 206
    DUPLICATE_KEY = 207
    OUTCOME_LOST_BY_RESTART = 901
    OUTCOME_LOST_ON_LINK = 902
    LINK_REFUSED = 903
    SENT_AGAIN = 904
    AGENT_FAILED = 905
    ANSWER_NOT_HELD = 906


OUTCOME_UNKNOWN = frozenset({Detail.OUTCOME_LOST_BY_RESTART, Detail.OUTCOME_LOST_ON_LINK, Detail.ANSWER_NOT_HELD})
"""The message may or may not have been sent. It is reported (`z`); sent again it is once at most, before that."""

NO_NET = "ETC"
"""RSLT_NET of whatever did not succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What is written into a row when it is final. `at`: Korean local time, naive, whole seconds."""

    code: ResultCode
    detail: int
    at: datetime
    net: str = NO_NET


SUBMIT_RESULTS: dict[int, ResultCode] = {
    0x00000001: ResultCode.TOO_LONG,  # ESME_RINVMSGLEN
    0x00000002: ResultCode.SMSC_FORMAT,  # ESME_RINVCMDLEN
    0x0000000A: ResultCode.DELETED_OR_SENDER_UNREGISTERED,  # ESME_RINVSRCADR
    0x0000000B: ResultCode.WRONG_NUMBER,  # ESME_RINVDSTADR
    0x00000014: ResultCode.QUEUE_FULL,  # ESME_RMSGQFUL
    0x00000048: ResultCode.DELETED_OR_SENDER_UNREGISTERED,  # ESME_RINVSRCTON
    0x00000049: ResultCode.DELETED_OR_SENDER_UNREGISTERED,  # ESME_RINVSRCNPI
    0x00000050: ResultCode.WRONG_NUMBER,  # ESME_RINVDSTTON
    0x00000051: ResultCode.WRONG_NUMBER,  # ESME_RINVDSTNPI
    0x00000058: ResultCode.QUEUE_FULL,  # ESME_RTHROTTLED
}
"""SMPP 3.4 command_status of a refused submit_sm; whatever is not here is `e`, the carrier's format error."""

RECEIPT_RESULTS: dict[str, ResultCode] = {
    "DELIVRD": ResultCode.SUCCESS,
    "EXPIRED": ResultCode.TIMEOUT,
    "REJECTD": ResultCode.SPAM_BY_CARRIER,
    "DELETED": ResultCode.DELETED_OR_SENDER_UNREGISTERED,
    "UNDELIV": ResultCode.OTHER,
    "UNKNOWN": ResultCode.ANY_OTHER,
    "REFUSED": ResultCode.REFUSED_BY_RECIPIENT,
    "UNRECOGNISED": ResultCode.UNSUPPORTED_BY_HANDSET,
}
"""`stat:` of a receipt, and what only MM7 tells; whatever is not here is `z`."""

MM7_RESULTS: dict[int, ResultCode] = {
    2001: ResultCode.DELETED_OR_SENDER_UNREGISTERED,  # operation restricted: this sender may not
    2002: ResultCode.WRONG_NUMBER,  # address error
    2003: ResultCode.WRONG_NUMBER,  # address not found
    2004: ResultCode.UNSUPPORTED_BY_HANDSET,  # multimedia content refused
    3002: ResultCode.SPAM_BY_CARRIER,  # message rejected
    4004: ResultCode.SMSC_FORMAT,  # validation error
    4006: ResultCode.QUEUE_FULL,  # service unavailable
}
"""MM7 StatusCode of a refused SubmitReq; any other of the client's errors (2xxx) is `e`, of the server's `z`."""


def submit_result(command_status: int) -> ResultCode:
    return SUBMIT_RESULTS.get(command_status, ResultCode.SMSC_FORMAT)


def submit_detail(command_status: int) -> int:
    """RSLT_CODE of a refused submit: 20000 plus the status. One that the column cannot hold counts as unknown (255)."""
    detail = SUBMIT_BASE + command_status
    return detail if detail <= MOST_DETAIL else SUBMIT_BASE + UNKNOWN_STATUS


def mm7_result(status: int) -> ResultCode:
    general = ResultCode.SMSC_FORMAT if status // 1000 == 2 else ResultCode.ANY_OTHER
    return MM7_RESULTS.get(status, general)


def receipt_result(state: str, error_code: str, by_error: "dict[str, ResultCode] | None" = None) -> ResultCode:
    """`by_error`: what this carrier's own error codes mean; they refine every state but success."""
    general = RECEIPT_RESULTS.get(state, ResultCode.ANY_OTHER)
    if general is ResultCode.SUCCESS or not by_error:
        return general
    return by_error.get(error_code, general)


def receipt_detail(code: ResultCode, error_code: str) -> int:
    """RSLT_CODE of a receipt: 0 on success, else 30000 plus the carrier's error code where that is a number
    below 10000.
    """
    if code is ResultCode.SUCCESS:
        return int(Detail.DELIVERED)
    return RECEIPT_BASE + (
        int(error_code) if error_code.isascii() and error_code.isdigit() and len(error_code) <= 4 else 0
    )
