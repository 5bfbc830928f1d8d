"""Verification calls from the request to the result. A bridge makes them; who asked looks here how they went."""

from datetime import datetime
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.crypto.rules import KeyRing
from vns.errors import CallerIdNotProven, CallUnderWay, InvalidNumber, NotFound, NumberNotMappable, RateLimited
from vns.numbering.rules import PhoneNumber, digits_of, mappable, parse
from vns.pools.rules import Pool
from vns.pools.service import load_pools
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.verifications import queries
from vns.verifications.rules import (
    ATTEMPTS,
    CLAIM,
    DAY,
    NOTICE,
    WAITS,
    Claim,
    Failure,
    Limits,
    Outcome,
    Status,
    VerificationCall,
    check_code,
)
from vns.verifications.settings import VerificationSettings


class Verifications:
    """The verification calls of one installation."""

    def __init__(
        self, db: Database, keyring: KeyRing, clock: Clock, settings: VerificationSettings | None = None
    ) -> None:
        """`settings` are needed by those who ask for calls, not by those who make them."""
        self._db = db
        self._keyring = keyring
        self._clock = clock
        self._settings = settings or VerificationSettings()

    async def request(
        self, actor: str, number: PhoneNumber, code: str, *, tenant_id: UUID | None = None
    ) -> VerificationCall:
        """Ask for one call to `number` that speaks `code`; bridges are told at once.

        Raises NumberNotMappable for emergency, special, premium and virtual numbers, InvalidRequest for a code that is
        none, CallerIdNotProven, CallUnderWay, RateLimited.
        """
        check_code(code)
        mappable(number)
        now = self._clock.now()
        call_id, index = uuids.uuid7(), self._keyring.index(number.digits)
        async with self._db.transaction() as connection:
            pools = await load_pools(connection)
            caller_id = _proven(self._settings.verification_caller_id, pools, now)
            if any(number.key in pool for pool in pools):
                raise NumberNotMappable("a virtual number of the platform cannot be called")
            await connection.execute(queries.LOCK_NUMBER, index)
            await self._check_limits(connection, index)
            try:
                row = await connection.fetchrow(
                    queries.INSERT,
                    call_id,
                    tenant_id,
                    self._keyring.encrypt(number.digits, context=context_of(call_id, "number")),
                    index,
                    number.masked,
                    self._keyring.encrypt(code, context=context_of(call_id, "code")),
                    caller_id.key,
                    now,
                    now + WAITS,
                )
            except asyncpg.UniqueViolationError as error:
                raise CallUnderWay("this number is being called already") from error
            call = _call(row)
            await journal.append(
                connection,
                [
                    journal.Entry(
                        at=now,
                        tenant_id=tenant_id,
                        actor=actor,
                        event="verification.requested",
                        subject=call_id,
                        data={"number": call.number_masked},
                    )
                ],
            )
            await connection.execute(queries.NOTIFY, NOTICE)
        return call

    async def _check_limits(self, connection: asyncpg.Connection, index: bytes) -> None:
        now = self._clock.now()
        rows = await connection.fetch(queries.ASKED_SINCE, index, now - DAY)
        limits = Limits(self._settings.verification_calls_per_ten_minutes, self._settings.verification_calls_per_day)
        wait = limits.wait([row["requested_at"] for row in rows], now)
        if wait is not None:
            raise RateLimited("this number has been called too often", retry_after=wait)

    async def get(self, call_id: UUID) -> VerificationCall:
        """Raises NotFound."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.SELECT, call_id)
        if row is None:
            raise NotFound("no such verification call")
        return _call(row)

    async def last(self, tenant_id: UUID, number: PhoneNumber, since: datetime) -> VerificationCall | None:
        """The newest call to `number` that the tenant has asked for since then."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.LAST, tenant_id, self._keyring.index(number.digits), since)
        return _call(row) if row else None

    async def claim(self, bridge: str) -> Claim | None:
        """The next call that `bridge` is to make, for itself alone during CLAIM; None: there is nothing to do.

        A call whose number is proven no more since it was asked for is not made: it expires.
        """
        now = self._clock.now()
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.CLAIM, bridge, now, now + CLAIM, ATTEMPTS)
        if row is None:
            return None
        return Claim(
            id=row["id"],
            attempt=row["attempts"],
            number=self._keyring.decrypt(row["number"], context=context_of(row["id"], "number")),
            code=self._keyring.decrypt(row["code"], context=context_of(row["id"], "code")),
            caller_id=digits_of(row["caller_id"]),
        )

    async def finish(self, bridge: str, outcome: Outcome) -> bool:
        """Write how an attempt ended, and erase number and code. False: it was known, or is another attempt's."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(
                queries.FINISH,
                outcome.id,
                outcome.attempt,
                outcome.failure,
                outcome.spoken,
                outcome.answered_at,
                outcome.ended_at,
            )
            if row is None:
                return False
            await journal.append(connection, [_ended(row, f"bridge:{bridge}")])
        return True

    async def expire(self, bridge: str) -> int:
        """End what nobody carried out in time; how many."""
        async with self._db.transaction() as connection:
            rows = await connection.fetch(queries.EXPIRE, self._clock.now(), ATTEMPTS)
            await journal.append(connection, [_ended(row, f"bridge:{bridge}") for row in rows])
        return len(rows)


def _proven(configured: str | None, pools: list[Pool], now: datetime) -> PhoneNumber:
    """The number to present. Raises CallerIdNotProven."""
    if configured is None:
        raise CallerIdNotProven("VNS_VERIFICATION_CALLER_ID names no number to present")
    try:
        number = parse(configured)
    except InvalidNumber:
        raise CallerIdNotProven("VNS_VERIFICATION_CALLER_ID is not a phone number") from None
    if not any(number.key in pool and pool.may_be_shown(now) for pool in pools):
        raise CallerIdNotProven("VNS_VERIFICATION_CALLER_ID is in no pool that has a proof on file")
    return number


def context_of(call_id: UUID, column: str) -> bytes:
    """What an encrypted column is tied to."""
    return f"verification_calls:{call_id}:{column}".encode()


def _ended(row: asyncpg.Record, actor: str) -> journal.Entry:
    return journal.Entry(
        at=row["ended_at"],
        tenant_id=row["tenant_id"],
        actor=actor,
        event="verification.ended",
        subject=row["id"],
        data={
            "number": row["number_masked"],
            "status": row["status"],
            "reason": row["reason"],
            "spoken": row["spoken"],
            "attempts": row["attempts"],
        },
    )


def _call(row: asyncpg.Record) -> VerificationCall:
    return VerificationCall(
        id=row["id"],
        tenant_id=row["tenant_id"],
        number_masked=row["number_masked"],
        caller_id=row["caller_id"],
        status=Status(row["status"]),
        reason=Failure(row["reason"]) if row["reason"] else None,
        spoken=row["spoken"],
        attempts=row["attempts"],
        requested_at=row["requested_at"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
    )
