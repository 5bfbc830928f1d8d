"""Logging in: password, then the code that was sent to the mobile, then a session with a token of its own."""

import hmac
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.crypto.rules import KeyRing
from vns.errors import (
    AccountLocked,
    CallerIdNotProven,
    CodeOver,
    Forbidden,
    InvalidNumber,
    RateLimited,
    WrongCode,
    WrongCredentials,
)
from vns.messages import queries as message_queries
from vns.messages.records import NewMessage, insert
from vns.messages.rules import Envelope, Kind, Status
from vns.numbering.rules import parse
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.users import queries
from vns.users.passwords import fits
from vns.users.rules import (
    CODE_LIVES,
    CODES_WITHIN,
    IDLE,
    LOCKED_FOR,
    MOST_CODES,
    MOST_TRIES,
    SESSION_LIVES,
    Pending,
    Session,
    User,
    code_text,
    new_code,
    new_token,
    token_hash,
)
from vns.users.service import ACTOR, context_of, user_of

SEEN_EVERY: Final = timedelta(minutes=1)  # between two notes that a session is in use
SENT_AS: Final = "platform"


class Sessions:
    """Logins and sessions of one installation. `sender`: the number that codes come from, proven as any sender is."""

    def __init__(self, db: Database, keyring: KeyRing, clock: Clock, *, sender: str | None) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock
        self._sender = sender

    async def begin(self, login: str, password: str) -> Pending:
        """Check the password and send a code.

        Raises WrongCredentials, AccountLocked, Forbidden for a suspended tenant, RateLimited for too many codes, and
        CallerIdNotProven where there is no number to send from.
        """
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.BY_LOGIN, login.lower())
        right = await fits(password, row["password_hash"] if row else None)
        if row is None:
            raise WrongCredentials("no such login, or another password")
        if not right:
            await self._count_failure(row["id"])
            raise WrongCredentials("no such login, or another password")
        if row["tenant_status"] != "active":
            raise Forbidden("the tenant is suspended")
        return await self._send_code(user_of(row, self._keyring), row["mobile"])

    async def again(self, token: str) -> Pending:
        """Send another code to whoever has given the right password a moment ago; the former one is over.

        Raises CodeOver for a login that was not begun, or too long ago, and what `begin` raises.
        """
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.PENDING, token_hash(token))
        if row is None or row["code_hash"] is None or row["requested_at"] < self._clock.now() - CODES_WITHIN:
            raise CodeOver("begin again with the password")
        pending = await self._send_code(user_of(row, self._keyring), row["mobile"])
        async with self._db.connection() as connection:
            await connection.execute(queries.USE_CODE, token_hash(token))
        return pending

    async def pending(self, token: str) -> Pending | None:
        """The login that `token` belongs to, while its code may be entered."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.PENDING, token_hash(token))
        if row is None or row["code_hash"] is None:
            return None
        return Pending(token=token, mobile_masked=row["mobile_masked"], expires_at=row["expires_at"])

    async def _send_code(self, user: User, mobile: bytes) -> Pending:
        now, token, code = self._clock.now(), new_token(), new_code()
        digits = self._keyring.decrypt(mobile, context=context_of(user.id, "mobile"))
        async with self._db.transaction() as connection:
            await self._check_lock(connection, user.id, now)
            if await connection.fetchval(queries.COUNT_CODES, user.id, now - CODES_WITHIN) >= MOST_CODES:
                raise RateLimited("too many codes were asked for", retry_after=int(CODES_WITHIN.total_seconds()))
            await connection.execute(
                queries.INSERT_CODE, token_hash(token), user.id, self._code_hash(token, code), now, now + CODE_LIVES
            )
            await self._send(connection, user, digits, code_text(code), now)
        return Pending(token=token, mobile_masked=user.mobile_masked, expires_at=now + CODE_LIVES)

    async def _send(self, connection: asyncpg.Connection, user: User, to: str, text: str, now: datetime) -> None:
        """Raises CallerIdNotProven: a code that cannot be sent is none."""
        try:
            sender = parse(self._sender or "")
        except InvalidNumber:
            raise CallerIdNotProven("VNS_VERIFICATION_CALLER_ID names no number to send codes from") from None
        message_id = uuids.uuid7()
        message = NewMessage(
            id=message_id,
            tenant_id=user.tenant_id,
            binding_id=None,
            vn=sender.key,
            from_index=None,
            to_index=self._keyring.index(to),
            from_masked=None,
            to_masked=user.mobile_masked,
            status=Status.QUEUED,
            reason=None,
            code=None,
            kind=Kind.SMS,
            envelope=Envelope(to=to, sender=sender.digits, text=text),
            fingerprint=self._keyring.index(f"login code\0{message_id}"),
            session=SENT_AS,
            at=now,
        )
        (recorded,) = await insert(connection, self._keyring, [message])
        if recorded.message.envelope is None:
            raise CallerIdNotProven("the number that codes are sent from has no proof on file, or no texts left today")
        await connection.execute(message_queries.NOTIFY)

    async def finish(self, token: str, code: str) -> Session:
        """The code, and a session begins. Raises WrongCode, CodeOver, AccountLocked."""
        now, wrong = self._clock.now(), False
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(queries.LOCK_CODE, token_hash(token))
            if row is None or row["code_hash"] is None or row["expires_at"] <= now or row["tries"] >= MOST_TRIES:
                raise CodeOver("the code is over: ask for another")
            await self._check_lock(connection, row["user_id"], now)
            if hmac.compare_digest(row["code_hash"], self._code_hash(token, code)):
                await connection.execute(queries.USE_CODE, token_hash(token))
                return await self._begun(connection, row["user_id"], now)
            await connection.execute(queries.COUNT_TRY, token_hash(token))
            wrong = True
        if wrong:
            await self._count_failure(row["user_id"])
        raise WrongCode("another code was sent")

    async def _begun(self, connection: asyncpg.Connection, user_id: UUID, now: datetime) -> Session:
        token = new_token()
        await connection.execute(queries.INSERT_SESSION, token_hash(token), user_id, now, now + SESSION_LIVES)
        await connection.execute(queries.UNLOCK, user_id)
        user = user_of(await connection.fetchrow(queries.SELECT, user_id), self._keyring)
        await self._note(connection, "user.login", user.tenant_id, user_id, now)
        return Session(user=user, token=token)

    async def session(self, token: str) -> Session | None:
        """Whose session this is; None: nobody's, or over."""
        now, hashed = self._clock.now(), token_hash(token)
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.SESSION, hashed, now, now - IDLE)
            if row is None:
                return None
            if row["seen_at"] <= now - SEEN_EVERY:
                await connection.execute(queries.SEEN, hashed, now)
        return Session(user=user_of(row, self._keyring))

    async def end(self, token: str) -> None:
        """Log out; idempotent."""
        async with self._db.connection() as connection:
            await connection.execute(queries.END_SESSION, token_hash(token))

    async def _check_lock(self, connection: asyncpg.Connection, user_id: UUID, now: datetime) -> None:
        """Raises AccountLocked."""
        row = await connection.fetchrow(queries.LOCK, user_id)
        if row["locked_until"] is not None and row["locked_until"] > now:
            raise AccountLocked("too many wrong passwords or codes")

    async def _count_failure(self, user_id: UUID) -> None:
        """A wrong password or code. The last of MOST_TRIES locks the account. Raises AccountLocked while it is."""
        now = self._clock.now()
        async with self._db.transaction() as connection:
            await self._check_lock(connection, user_id, now)
            row = await connection.fetchrow(queries.COUNT_FAILURE, user_id)
            locked = row["failures"] >= MOST_TRIES
            if locked:
                await connection.execute(queries.LOCK_ACCOUNT, user_id, now + LOCKED_FOR)
                await self._note(connection, "user.locked", row["tenant_id"], user_id, now)
        if locked:
            raise AccountLocked("too many wrong passwords or codes")

    async def _note(
        self, connection: asyncpg.Connection, event: str, tenant_id: UUID, user_id: UUID, at: datetime
    ) -> None:
        entry = journal.Entry(at=at, tenant_id=tenant_id, actor=f"{ACTOR}{user_id}", event=event, subject=user_id)
        await journal.append(connection, [entry])

    def _code_hash(self, token: str, code: str) -> bytes:
        """Six digits are soon tried out: only holders of the key ring can tell which they are."""
        return self._keyring.sign("login code", f"{token}\0{code}".encode())
