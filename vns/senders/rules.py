"""Which numbers may be registered as senders, and the states of one. Pure."""

import re
import secrets
import tomllib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final
from uuid import UUID

from vns.errors import InvalidNumber, InvalidRequest
from vns.numbering.rules import NumberKind, PhoneNumber, parse

CODE_LIVES: Final = timedelta(minutes=5)
MOST_TRIES: Final = 5
MAX_LABEL: Final = 100  # characters
MAX_SENDERS: Final = 100_000  # numbers of one tenant
MAX_VALID_DAYS: Final = 3_650
_FEWEST, _MOST = 8, 12  # digits


class Status(StrEnum):
    WAITING = "waiting"  # 인증대기
    VERIFIED = "verified"  # 인증완료
    FAILED = "failed"  # 인증실패
    EXPIRED = "expired"  # was verified; never stored: it follows from the time
    REMOVED = "removed"


class Method(StrEnum):
    """How a number was proven."""

    CALL = "call"
    SMS = "sms"
    DOCUMENT = "document"
    LISTED = "listed"  # the tenant's policy asks for no proof of each
    EXEMPT = "exempt"  # the tenant has an exemption
    MANAGER = "manager"  # the tenant's approved manager, for all that were chosen


class Proof(StrEnum):
    """What a tenant's numbers need before they count."""

    REQUIRED = "required"
    LISTED = "listed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`valid_days`: how long a proof holds."""

    proof: Proof = Proof.REQUIRED
    max_numbers: int = 30
    valid_days: int = 365
    allow_050: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderNumber:
    """A registered number. `number` is whole, for its own tenant alone; None: removed. The repr is bare."""

    id: UUID
    tenant_id: UUID
    number: str | None
    masked: str
    label: str
    status: Status
    method: Method | None
    reason: str | None
    verified_at: datetime | None
    expires_at: datetime | None
    created_at: datetime

    def __repr__(self) -> str:
        return f"SenderNumber({self.id}, {self.status})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of `numbers.toml`."""

    kind: NumberKind
    lengths: tuple[int, ...]
    since: date = date.min
    until: date = date.max
    prefixes: tuple[str, ...] = ()
    if_050: bool = False

    def fits(self, number: PhoneNumber, on: date, *, allow_050: bool) -> bool:
        return (
            self.since <= on <= self.until
            and number.kind is self.kind
            and len(number.digits) in self.lengths
            and (not self.prefixes or number.digits.startswith(self.prefixes))
            and (allow_050 or not self.if_050)
        )


def _load() -> tuple[tuple[Rule, ...], re.Pattern[str]]:
    with (Path(__file__).parent / "numbers.toml").open("rb") as file:
        stored = tomllib.load(file)
    rules = tuple(
        Rule(
            **{
                **row,
                "kind": NumberKind(row["kind"]),
                "lengths": tuple(row["lengths"]),
                "prefixes": tuple(row.get("prefixes", ())),
            }
        )
        for row in stored["rule"]
    )
    return rules, re.compile("|".join(f"(?:{run}){{2,}}" for run in stored["undialable"]["runs"]))


RULES, _UNDIALABLE = _load()


def sender_number(text: str, on: date, *, allow_050: bool = False) -> PhoneNumber:
    """The number that `text` means, if it may be a sender on that day. Raises InvalidNumber, never with the number."""
    number = parse(text, on=on)
    if not _FEWEST <= len(number.digits) <= _MOST:
        raise InvalidNumber("a sender number has 8 to 12 digits")
    if not any(rule.fits(number, on, allow_050=allow_050) for rule in RULES):
        raise InvalidNumber("numbers of this kind cannot be senders")
    if _UNDIALABLE.fullmatch(number.hyphenated.partition("-")[2].replace("-", "")):
        raise InvalidNumber("nobody can dial this number")
    return number


def status_at(stored: Status, expires_at: datetime | None, now: datetime) -> Status:
    """What a stored state means at `now`: a proof ends by itself."""
    over = stored is Status.VERIFIED and expires_at is not None and expires_at <= now
    return Status.EXPIRED if over else stored


def check_reason(reason: str) -> None:
    """Raises InvalidRequest."""
    if not 1 <= len(reason) <= 500:
        raise InvalidRequest("a reason has 1 to 500 characters")


def new_code() -> str:
    return f"{secrets.randbelow(10**6):06}"


def code_text(code: str) -> str:
    """One SMS."""
    return f"[발신번호 등록] 인증번호 {code} (5분 안에 입력해 주세요)"


def manager_text(code: str) -> str:
    """One SMS."""
    return f"[발신번호 담당자 지정] 인증번호 {code} (5분 안에 입력해 주세요)"


def selection_text(code: str, numbers: int) -> str:
    """One SMS: a manager learns how many numbers the code proves."""
    return f"[발신번호 {numbers}개 선택 인증] 인증번호 {code} (5분 안에 입력해 주세요)"
