"""Who logs in and how: accounts, roles, passwords, codes, sessions. Pure but for chance."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from vns.errors import InvalidRequest
from vns.numbering.rules import NumberKind, PhoneNumber
from vns.pools.rules import check_text

CODE_DIGITS: Final = 6
CODE_LIVES: Final = timedelta(minutes=5)  # then it has to be asked for again
MOST_TRIES: Final = 5  # of a password or of a code, before the account is locked
MOST_CODES: Final = 5  # texts within CODES_WITHIN for one account
CODES_WITHIN: Final = timedelta(minutes=10)
LOCKED_FOR: Final = timedelta(minutes=30)
IDLE: Final = timedelta(minutes=30)  # after which a session is over
SESSION_LIVES: Final = timedelta(hours=10)  # however busy it is
MIN_PASSWORD: Final = 10  # characters
MAX_PASSWORD: Final = 128
MAX_NAME: Final = 100

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{2,39}")
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz"  # without those that look like digits
_DIGITS: Final = "23456789"


class Role(StrEnum):
    """What somebody is in the console; what that allows is the console's to say."""

    OPERATOR = "operator"
    MALL_ADMIN = "mall_admin"
    MALL_USER = "mall_user"
    SENDER_MANAGER = "sender_manager"
    READ_ONLY = "read_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account. `name`, `birth_date`, `mobile_masked`: of the person who is responsible for it."""

    id: UUID
    tenant_id: UUID
    login: str
    role: Role
    name: str
    birth_date: date | None
    mobile_masked: str
    must_change_password: bool
    locked_until: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NewUser:
    """Its repr is bare: the mobile is a real number."""

    login: str
    role: Role
    name: str
    mobile: PhoneNumber
    birth_date: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedPassword:
    """The one time a temporary password is seen. Its repr hides it."""

    user: User
    password: str

    def __repr__(self) -> str:
        return f"IssuedPassword({self.user.login})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A login between password and code. `token`: known to this browser alone. `expires_at`: of the code."""

    token: str
    mobile_masked: str
    expires_at: datetime

    def __repr__(self) -> str:
        return "Pending(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`token` is set where the session has just begun."""

    user: User
    token: str | None = None

    def __repr__(self) -> str:
        return f"Session({self.user.login})"


def new_token() -> str:
    """256 random bits in base64url."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is stored of a token: SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


def new_code() -> str:
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"


def temporary_password() -> str:
    """Twelve characters that can be read over the telephone; about 57 bits."""
    letters = [secrets.choice(_LETTERS) for _ in range(9)]
    digits = [secrets.choice(_DIGITS) for _ in range(3)]
    mixed = letters + digits
    secrets.SystemRandom().shuffle(mixed)
    return "".join(mixed)


def check_user(new: NewUser) -> None:
    """Raises InvalidRequest."""
    if not _LOGIN.fullmatch(new.login):
        raise InvalidRequest("a login has 3 to 40 of a-z, 0-9, dot, hyphen and underscore")
    check_text("name", new.name, MAX_NAME)
    if new.mobile.kind is not NumberKind.MOBILE:
        raise InvalidRequest("codes are sent to a mobile number")


def check_password(password: str, login: str) -> None:
    """Raises InvalidRequest for one that is too short, too simple, or the login itself."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidRequest(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    kinds = sum(any(map(test, password)) for test in (str.isalpha, str.isdigit, lambda letter: not letter.isalnum()))
    if kinds < 2 or len(set(password)) < 5 or login.lower() in password.lower():
        raise InvalidRequest("a password mixes letters, digits or signs and does not hold the login")


def code_text(code: str) -> str:
    """At most 90 bytes of MS949."""
    return f"[안심번호 콘솔] 인증번호 {code} (5분 안에 입력해 주세요. 타인에게 알려주지 마세요.)"
