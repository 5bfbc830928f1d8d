"""How the simulated SMSC behaves: accounts, number ranges, and the faults it is asked to have."""

import fnmatch
import json
import tomllib
from enum import Enum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from sms_relay.links.smpp.text import Alphabet


class ReceiptTiming(Enum):
    NORMAL = "normal"  # after the submit response
    EARLY = "early"  # before it
    MISSING = "missing"
    DUPLICATE = "duplicate"  # twice


class ReceiptForm(Enum):
    BOTH = "both"
    TEXT = "text"
    TLV = "tlv"


class IdFormat(Enum):
    HEX = "hex"
    HEX_UPPER = "HEX"
    DECIMAL = "decimal"
    PADDED = "padded"  # decimal with leading zeros

    def write(self, number: int) -> str:
        return {
            IdFormat.HEX: f"{number:x}",
            IdFormat.HEX_UPPER: f"{number:X}",
            IdFormat.DECIMAL: str(number),
            IdFormat.PADDED: f"{number:020d}",
        }[self]


class FaultKind(Enum):
    CUT = "cut"  # the connection is torn after `start` PDUs
    SWALLOW = "swallow"  # after `start` submits, `count` more are not answered, then the connection closes
    SILENT = "silent"  # after `start` PDUs the connection stays open and nothing is said any more


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Frozen):
    """What happens to texts whose destination matches (`*`, `?` as in file names). The first match counts."""

    destination: str = "*"
    receipt: ReceiptTiming = ReceiptTiming.NORMAL
    receipt_delay: float = Field(default=0.0, ge=0)
    receipt_form: ReceiptForm = ReceiptForm.BOTH
    stat: str = "DELIVRD"
    err: str = "000"
    status: int = Field(default=0, ge=0)
    response_delay: float = Field(default=0.0, ge=0)


class Fault(_Frozen):
    """Something that goes wrong with connections of the platform's account, `times` times in all."""

    kind: FaultKind
    start: int = Field(default=0, ge=0)
    count: int = Field(default=1, ge=1)
    times: int = Field(default=1, ge=1)
    taken: bool = False  # SWALLOW: the texts were delivered all the same, only the answers were lost


class Settings(_Frozen):
    """The whole of it. `accounts`: further system ids with their passwords, for handsets."""

    accounts: dict[str, str] = Field(default_factory=dict, repr=False)
    platform_prefixes: tuple[str, ...] = ()
    platform_ranges: tuple[tuple[str, str], ...] = ()
    throttle_per_second: int = Field(default=0, ge=0)
    response_ids: IdFormat = IdFormat.HEX
    receipt_ids: IdFormat | None = None
    default_alphabet: Alphabet = Alphabet.CP949
    deliver_window: int = Field(default=50, ge=1)
    deliver_timeout: float = Field(default=30.0, gt=0)
    retry_seconds: float = Field(default=1.0, gt=0)
    rules: tuple[Rule, ...] = ()
    faults: tuple[Fault, ...] = ()

    def rule_for(self, destination: str) -> Rule:
        for rule in self.rules:
            if fnmatch.fnmatchcase(destination, rule.destination):
                return rule
        return _ORDINARY

    def is_platform_number(self, number: str) -> bool:
        """Whether a text to this number is one from a handset to a virtual number."""
        if number.startswith(self.platform_prefixes):
            return True
        return any(len(number) == len(first) and first <= number <= last for first, last in self.platform_ranges)


_ORDINARY = Rule()


def load(file: Path) -> Settings:
    """Reads a settings file, TOML or JSON by its suffix. Raises pydantic's ValidationError for what it does
    not know.
    """
    text = file.read_text(encoding="utf-8")
    return Settings.model_validate(json.loads(text) if file.suffix == ".json" else tomllib.loads(text))
