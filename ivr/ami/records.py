"""The line that Asterisk's hang-up handler writes about each call: what it holds, and where to find it afterwards.

It stands in `<day>.csv` (UTC) of the records folder. Beside such lines the file holds notes that a call was answered;
beside the file each bridge keeps how far it has read.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Self
from urllib.parse import quote
from uuid import UUID

from ivr.callids import arrival_of, call_id_of
from vns.calls.rules import NO_NUMBER, CallOutcome, HangupBy, Result, cause_of, result_of
from vns.numbering.plan import LONGEST
from vns.numbering.rules import key_of
from vns.routing.rules import Reason

CLEARED = 16  # Q.850: normal clearing
FIELDS = 12

_DAY: Final = re.compile(r"[0-9]{8}")
_KEPT: Final = re.compile(rb"([0-9]{8}) ([0-9]{1,18})\n")  # a Position


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerNote:
    """A call was answered, and its binding ends with it. Counts when Asterisk dies before it can write the record."""

    call_id: UUID
    at: datetime

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """None: the line is no such note. Raises ValueError."""
        word, _, rest = line.partition("|")
        if word != "answered":
            return None
        unique_id, _, at = rest.partition("|")
        return cls(call_id=call_id_of(unique_id), at=_time(at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Whose end a record tells: enough for a bridge that leaves the call to another."""

    call_id: UUID
    ended_at: datetime
    bridge: str

    @classmethod
    def parse(cls, line: str) -> Self:
        """Raises ValueError."""
        parts = line.split("|", 3)
        if len(parts) < 4:
            raise ValueError(f"a record has {FIELDS} fields")
        return cls(call_id=call_id_of(parts[0]), ended_at=_time(parts[1]), bridge=parts[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One ended call in Asterisk's words; durations in milliseconds, None where there was nothing to time.

    `answered_ms`: since the caller's channel was up. `answered_at`: the target's answer, where the platform itself had
    answered the caller before, to ask for digits.
    `bridge` '': no bridge answered. `reason` '': it was not refused, or hung up before.
    """

    unique_id: str
    ended_at: datetime
    bridge: str
    reason: Reason | None
    dial_status: str
    cause: int
    dialled_at: datetime | None
    rang_after_ms: int | None
    answered_ms: int | None
    answered_at: datetime | None
    hangup_by: HangupBy
    vn: int

    @classmethod
    def parse(cls, line: str) -> Self:
        """Raises ValueError."""
        parts = line.split("|")
        if len(parts) != FIELDS:
            raise ValueError(f"a record has {FIELDS} fields")
        unique_id, ended, bridge, reason, status, cause, dialled, rang, answered = parts[:9]
        channel, source, vn = parts[9:]
        call_id_of(unique_id)
        up, _, answered_at = answered.partition("@")
        return cls(
            unique_id=unique_id,
            ended_at=_time(ended),
            bridge=bridge,
            reason=Reason(reason) if reason else None,
            dial_status=status,
            cause=int(cause or 0),
            dialled_at=_time(dialled) if dialled else None,
            rang_after_ms=_number(rang),
            answered_ms=_number(up),
            answered_at=_time(answered_at) if answered_at else None,
            hangup_by=_hung_up_by(channel, source),
            vn=_dialled(vn),
        )

    def outcome(self) -> CallOutcome:
        """What the platform makes of it."""
        result = self._result()
        ringing_at = answered_at = None
        if self.dialled_at is not None and self.rang_after_ms is not None:
            ringing_at = self.dialled_at + timedelta(milliseconds=self.rang_after_ms)
        if result is Result.ANSWERED and self.answered_at is not None:
            answered_at = self.answered_at
        elif result is Result.ANSWERED and self.answered_ms is not None:
            answered_at = self.ended_at - timedelta(milliseconds=self.answered_ms)
        cause = cause_of(result)
        return CallOutcome(
            call_id=call_id_of(self.unique_id),
            channel=self.unique_id,
            bridge=self.bridge,
            result=result,
            cause=cause if cause is not None else self.cause or CLEARED,
            hangup_by=self._hangup_by(result),
            ended_at=self.ended_at,
            ringing_at=ringing_at,
            answered_at=answered_at,
            vn=self.vn,
            arrived_at=min(arrival_of(self.unique_id), self.ended_at) if self.unasked else None,
        )

    @property
    def unasked(self) -> bool:
        """No decision stands behind this record, so it may be the only trace of the call."""
        return not self.bridge or self.reason is Reason.OVERLOAD

    def _result(self) -> Result:
        if self.reason is not None:
            return result_of(self.reason)
        return Result.ANSWERED if self.dial_status == "ANSWER" else Result.CANCELLED

    def _hangup_by(self, result: Result) -> HangupBy:
        if result is Result.BUSY:
            return HangupBy.CALLEE
        return self.hangup_by


def _hung_up_by(channel: str, source: str) -> HangupBy:
    """`source`: the channel that hung up first, or the word of the dialplan or of an action that did."""
    if source == channel:
        return HangupBy.CALLER
    return HangupBy.CALLEE if source.startswith("PJSIP/") else HangupBy.PLATFORM


def _dialled(text: str) -> int:
    """NO_NUMBER also for what is longer than any number: a caller may dial what no column takes."""
    return key_of(text) if text and len(text) <= LONGEST else NO_NUMBER


def _time(text: str) -> datetime:
    """Seconds since 1970 with a fraction, as Asterisk writes them. Raises ValueError."""
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("a time that no clock shows") from error


def _number(text: str) -> int | None:
    return int(text) if text else None


@dataclass(frozen=True, slots=True)
class Position:
    """How far the records have been read: name of the day's file, and byte within it."""

    day: str
    offset: int


BEGINNING: Final = Position("", 0)  # before every day


class Part(NamedTuple):
    """Lines that were read at once. `position`: where they end. `at_end`: nothing stood behind them.

    A folder that is not there has no end: what Asterisk wrote is somewhere else.
    """

    lines: list[str]
    position: Position
    at_end: bool


class RecordsFolder:
    """Reads on where it stopped; a file that does not exist yet is empty."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, now: datetime) -> Position:
        """From the day before, for who keeps no position: what happened while no bridge ran is found again."""
        return Position(f"{now - timedelta(days=1):%Y%m%d}", 0)

    def kept(self, bridge: str, now: datetime) -> Position:
        """What that bridge gave to `keep`; BEGINNING if there is nothing, or nothing that makes sense."""
        try:
            found = _KEPT.fullmatch(self._position_file(bridge).read_bytes())
        except OSError:
            return BEGINNING
        if found is None:
            return BEGINNING
        position = Position(found[1].decode(), int(found[2]))
        # Of days to come it would wait for years. Asterisk's clock may be a little ahead of this one.
        return position if position.day <= f"{now + timedelta(days=1):%Y%m%d}" else BEGINNING

    def keep(self, bridge: str, position: Position) -> None:
        """Where that bridge starts to read next time. Raises OSError, and then what was kept before stays."""
        file = self._position_file(bridge)
        beside = file.with_name(f"{file.name}.new")
        beside.write_text(f"{position.day} {position.offset}\n")
        beside.replace(file)

    def read(self, position: Position, *, at_most: int = 2_000_000) -> Part:
        """Complete lines after `position`, about `at_most` bytes of them.

        A file in which no line begins at `position`, or that ends before, is another than was read: it is read from its
        start. Raises OSError.
        """
        try:
            days = [day for day in self._days() if day >= position.day]
        except FileNotFoundError:
            return Part([], position, at_end=False)
        at_end = True
        for day in days:
            with (self.path / f"{day}.csv").open("rb") as file:
                offset = _go_to(file, position.offset if day == position.day else 0)
                data = file.read(at_most)
            at_end = len(data) < at_most and day == days[-1]
            complete = data[: data.rfind(b"\n") + 1]
            position = Position(day, offset + len(complete))
            if complete:
                return Part(complete.decode("utf-8", "replace").splitlines(), position, at_end)
        return Part([], position, at_end)

    def remove_before(self, day: datetime) -> None:
        """Old files: PostgreSQL has kept what they tell. And positions of bridges that are gone. Raises OSError."""
        for name in self._days():
            if name < f"{day:%Y%m%d}":
                (self.path / f"{name}.csv").unlink(missing_ok=True)
        for file in (*self.path.glob("*.read"), *self.path.glob("*.read.new")):
            with suppress(FileNotFoundError):  # another bridge removes them too
                if file.stat().st_mtime < day.timestamp():
                    file.unlink()

    def _days(self) -> list[str]:
        """Of the files that there are, in order. Raises OSError, unlike `glob` also where it may not look."""
        found = (path.stem for path in self.path.iterdir() if path.suffix == ".csv")
        return sorted(day for day in found if _DAY.fullmatch(day))

    def _position_file(self, bridge: str) -> Path:
        """Quoted: a bridge may be called anything, also what is no name of a file."""
        return self.path / f"{quote(bridge, safe='')}.read"


def _go_to(file: BinaryIO, offset: int) -> int:
    """Whether to `offset` or, where no line begins there, to the start."""
    if offset:
        file.seek(offset - 1)
        if file.read(1) != b"\n":
            offset = 0
    file.seek(offset)
    return offset
