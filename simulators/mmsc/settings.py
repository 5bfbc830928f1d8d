"""How the simulated MMSC behaves, and the faults it is asked to have."""

import fnmatch
import json
import tomllib
from enum import Enum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class ReportTiming(Enum):
    NORMAL = "normal"  # after the answer to the submit
    EARLY = "early"  # before it
    MISSING = "missing"
    DUPLICATE = "duplicate"  # twice


class FaultKind(Enum):
    CUT = "cut"  # the request is read, then the connection is torn
    SILENT = "silent"  # the request is read, and nothing is said any more
    GARBLED = "garbled"  # the answer is no MM7


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Frozen):
    """What happens to messages whose destination matches (`*`, `?` as in file names). The first match counts."""

    destination: str = "*"
    status: int = Field(default=1000, ge=1000, le=9999)
    http_status: int = Field(default=200, ge=200, le=599)
    response_delay: float = Field(default=0.0, ge=0)
    report: ReportTiming = ReportTiming.NORMAL
    report_delay: float = Field(default=0.0, ge=0)
    mm_status: str = "Retrieved"


class Fault(_Frozen):
    """Something that goes wrong with `times` submits after the first `start`."""

    kind: FaultKind
    start: int = Field(default=0, ge=0)
    times: int = Field(default=1, ge=1)
    taken: bool = False  # the message was delivered all the same, only the answer was lost


class Settings(_Frozen):
    """The whole of it. `retry_seconds`: between tries of a report or message that was not taken.

    `deliver_copies`: how often a message is offered though it was taken, as after an answer that was lost.
    """

    retry_seconds: float = Field(default=1.0, gt=0)
    report_timeout: float = Field(default=30.0, gt=0)
    deliver_in_base64: bool = False
    deliver_copies: int = Field(default=1, ge=1, le=10)
    rules: tuple[Rule, ...] = ()
    faults: tuple[Fault, ...] = ()

    def rule_for(self, destination: str) -> Rule:
        for rule in self.rules:
            if fnmatch.fnmatchcase(destination, rule.destination):
                return rule
        return _ORDINARY

    def fault_of(self, submit: int) -> Fault | None:
        """What goes wrong with submit number `submit`, the first being 0."""
        for fault in self.faults:
            if fault.start <= submit < fault.start + fault.times:
                return fault
        return None


_ORDINARY = Rule()


def load(file: Path) -> Settings:
    """Reads a settings file, TOML or JSON by its suffix. Raises pydantic's ValidationError for what it does
    not know.
    """
    text = file.read_text(encoding="utf-8")
    return Settings.model_validate(json.loads(text) if file.suffix == ".json" else tomllib.loads(text))
