"""Why a configuration is refused."""

from enum import Enum


class Refusal(Enum):
    """Stable codes: scripts may rely on them."""

    UNREADABLE = "conf_unreadable"
    BAD_LINE = "conf_bad_line"
    TWICE = "conf_key_twice"
    UNKNOWN = "conf_key_unknown"
    MISSING = "conf_key_missing"
    BAD_VALUE = "conf_bad_value"
    NOT_SERVED = "conf_database_not_served"


class ConfRefused(Exception):
    """The agent does not start. The message names the key and what to change, and holds no value but a database's kind:
    passwords are among them.
    """

    def __init__(self, code: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
