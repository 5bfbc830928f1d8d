"""Sender numbers from their registration to their removal; each act is journalled in its own transaction."""

import hmac
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.crypto.rules import KeyRing
from vns.errors import CodeOver, Conflict, InvalidRequest, ManagerNeeded, NotFound, QuotaExceeded, WrongCode
from vns.numbering.rules import NumberKind, PhoneNumber, parse
from vns.rulebook.opening import KOREA
from vns.senders import queries
from vns.senders.bulk import Fault, Row, judged
from vns.senders.rules import (
    CODE_LIVES,
    MAX_LABEL,
    MAX_SENDERS,
    MAX_VALID_DAYS,
    MOST_TRIES,
    Method,
    Policy,
    Proof,
    SenderNumber,
    Status,
    check_reason,
    sender_number,
    status_at,
)
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.pages import MAX_PAGE, Page, last_id, page_of, page_size


class Senders:
    """The registry of one installation. Whatever is another tenant's is NotFound."""

    def __init__(self, db: Database, keyring: KeyRing, clock: Clock) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock

    async def policy(self, tenant_id: UUID) -> Policy:
        async with self._db.connection() as connection:
            return await self.policy_in(connection, tenant_id)

    async def policy_in(self, connection: asyncpg.Connection, tenant_id: UUID) -> Policy:
        """Within a transaction of the caller's."""
        row = await connection.fetchrow(queries.POLICY, tenant_id)
        if row is None:
            return Policy()
        return Policy(**{**dict(row), "proof": Proof(row["proof"])})

    async def offers_bulk(self, tenant_id: UUID) -> bool:
        """Whether many may be registered at once: they count as they are, or a manager proves them."""
        async with self._db.connection() as connection:
            return await self._offers_bulk(connection, tenant_id, await self.policy_in(connection, tenant_id))

    async def _offers_bulk(self, connection: asyncpg.Connection, tenant_id: UUID, policy: Policy) -> bool:
        if policy.proof is Proof.LISTED:
            return True
        offered: bool = await connection.fetchval(queries.BULK_OFFERED, tenant_id, self._clock.now())
        return offered

    async def set_policy(self, actor: str, tenant_id: UUID, policy: Policy) -> None:
        """Raises InvalidRequest."""
        if not 0 <= policy.max_numbers <= MAX_SENDERS or not 1 <= policy.valid_days <= MAX_VALID_DAYS:
            raise InvalidRequest(
                f"a tenant has 0 to {MAX_SENDERS} sender numbers, proven for 1 to {MAX_VALID_DAYS} days"
            )
        async with self._db.transaction() as connection:
            await connection.execute(
                queries.SET_POLICY, tenant_id, policy.proof, policy.max_numbers, policy.valid_days, policy.allow_050
            )
            data: journal.Data = {
                "proof": policy.proof.value,
                "max_numbers": policy.max_numbers,
                "valid_days": policy.valid_days,
                "allow_050": policy.allow_050,
            }
            await self._note(connection, actor, "sender.policy_set", tenant_id, None, data)

    async def count(self, tenant_id: UUID) -> int:
        async with self._db.connection() as connection:
            found: int = await connection.fetchval(queries.COUNT, tenant_id)
        return found

    async def register(self, actor: str, tenant_id: UUID, text: str, *, label: str = "") -> SenderNumber:
        """One number. Raises InvalidNumber, InvalidRequest, Conflict if it is there already, QuotaExceeded."""
        if len(label) > MAX_LABEL:
            raise InvalidRequest(f"a label has at most {MAX_LABEL} characters")
        async with self._db.transaction() as connection:
            policy = await self.policy_in(connection, tenant_id)
            number = sender_number(text, self._today(), allow_050=policy.allow_050)
            row = (await self._judge(connection, tenant_id, policy, [number.digits]))[0]
            if row.fault is Fault.REGISTERED:
                raise Conflict("the number is registered already")
            if row.fault is Fault.OVER_QUOTA:
                raise QuotaExceeded(f"{policy.max_numbers} sender numbers are allowed, and as many are registered")
            return (await self._insert(connection, actor, tenant_id, policy, [number], label))[0]

    async def check(self, tenant_id: UUID, texts: Sequence[str]) -> list[Row]:
        """Which rows of a file cannot be registered. Changes nothing. Raises ManagerNeeded."""
        async with self._db.connection() as connection:
            policy = await self._bulk_policy(connection, tenant_id)
            return await self._judge(connection, tenant_id, policy, texts, lock=False)

    async def register_all(self, actor: str, tenant_id: UUID, texts: Sequence[str]) -> list[Row]:
        """All, if every row is clean; otherwise nothing, and the rows say why. Raises ManagerNeeded."""
        async with self._db.transaction() as connection:
            policy = await self._bulk_policy(connection, tenant_id)
            rows = await self._judge(connection, tenant_id, policy, texts)
            if all(row.fault is None for row in rows):
                numbers = [row.number for row in rows if row.number]
                await self._insert(connection, actor, tenant_id, policy, numbers, "")
        return rows

    async def judge_in(self, connection: asyncpg.Connection, tenant_id: UUID, texts: Sequence[str]) -> list[Row]:
        """Which of many cannot be registered, whoever registers them. Within a transaction of the caller's."""
        return await self._judge(connection, tenant_id, await self.policy_in(connection, tenant_id), texts)

    async def register_missing_in(
        self, connection: asyncpg.Connection, actor: str, tenant_id: UUID, texts: Sequence[str]
    ) -> None:
        """Those that `judge_in` finds nothing wrong with; what is registered stays as it is. Within a transaction."""
        policy = await self.policy_in(connection, tenant_id)
        rows = await self._judge(connection, tenant_id, policy, texts)
        numbers = [row.number for row in rows if row.number and row.fault is None]
        await self._insert(connection, actor, tenant_id, policy, numbers, "")

    async def _bulk_policy(self, connection: asyncpg.Connection, tenant_id: UUID) -> Policy:
        policy = await self.policy_in(connection, tenant_id)
        if not await self._offers_bulk(connection, tenant_id, policy):
            raise ManagerNeeded("many numbers at once are for tenants with an approved manager")
        return policy

    async def _judge(
        self,
        connection: asyncpg.Connection,
        tenant_id: UUID,
        policy: Policy,
        texts: Sequence[str],
        *,
        lock: bool = True,
    ) -> list[Row]:
        if lock:
            await connection.execute(queries.LOCK_TENANT, str(tenant_id))
        today = self._today()
        by_itself = judged(texts, registered=(), room=len(texts), on=today, allow_050=policy.allow_050)
        digits = {self._keyring.index(row.number.digits): row.number.digits for row in by_itself if row.number}
        found = await connection.fetch(queries.REGISTERED, tenant_id, list(digits))
        registered = {digits[row["number_index"]] for row in found}
        room = max(0, policy.max_numbers - await connection.fetchval(queries.COUNT, tenant_id))
        return judged(texts, registered=registered, room=room, on=today, allow_050=policy.allow_050)

    async def _insert(
        self,
        connection: asyncpg.Connection,
        actor: str,
        tenant_id: UUID,
        policy: Policy,
        numbers: Sequence[PhoneNumber],
        label: str,
    ) -> list[SenderNumber]:
        now, listed = self._clock.now(), policy.proof is Proof.LISTED
        exempt_until = await connection.fetchval(queries.EXEMPT_UNTIL, tenant_id, now)
        status = Status.VERIFIED if listed or exempt_until else Status.WAITING
        proof: tuple[str | None, datetime | None, datetime | None] = (None, None, None)
        if listed:
            proof = (Method.LISTED.value, now, now + timedelta(days=policy.valid_days))
        elif exempt_until:
            proof = (Method.EXEMPT.value, now, exempt_until)
        values = []
        for number in numbers:
            own = uuids.uuid7()
            sealed = self._keyring.encrypt(number.digits, context=number_context(own))
            index = self._keyring.index(number.digits)
            values.append((own, tenant_id, sealed, index, number.masked, label, status.value, *proof, now))
        rows = await connection.fetch(queries.INSERT, *map(list, zip(*values, strict=True))) if values else []
        for row in rows:
            data: journal.Data = {"number": row["number_masked"], "status": row["status"]}
            await self._note(connection, actor, "sender.registered", tenant_id, row["id"], data)
        return [self.shown(row) for row in rows]

    async def get(self, tenant_id: UUID, sender_id: UUID) -> SenderNumber:
        """Raises NotFound."""
        async with self._db.connection() as connection:
            return self.shown(_found(await connection.fetchrow(queries.SELECT, tenant_id, sender_id)))

    async def list(
        self,
        tenant_id: UUID,
        *,
        number: PhoneNumber | None = None,
        cursor: str | None = None,
        limit: int = 100,
        oldest_first: bool = False,
    ) -> Page[SenderNumber]:
        """Newest first, unless told. Raises InvalidRequest for a cursor that is none."""
        size, index = page_size(limit), self._keyring.index(number.digits) if number else None
        statement = queries.LIST_OLDEST if oldest_first else queries.LIST
        async with self._db.connection() as connection:
            rows = await connection.fetch(statement, tenant_id, index, last_id(cursor), size + 1)
        return page_of(rows, size, self.shown)

    async def code_until(self, tenant_id: UUID, sender_id: UUID) -> datetime | None:
        """Until when the code that was sent last is taken; None: there is none that is."""
        async with self._db.connection() as connection:
            until: datetime | None = await connection.fetchval(
                queries.CODE_UNTIL, tenant_id, sender_id, self._clock.now(), MOST_TRIES
            )
        return until

    async def expect_code(self, actor: str, tenant_id: UUID, sender_id: UUID, code: str) -> SenderNumber:
        """`code` is on its way to the number; it proves it within CODE_LIVES. Raises NotFound."""
        async with self._db.transaction() as connection:
            return await self.expect_code_in(connection, actor, tenant_id, sender_id, code)

    async def expect_code_in(
        self, connection: asyncpg.Connection, actor: str, tenant_id: UUID, sender_id: UUID, code: str
    ) -> SenderNumber:
        """Within a transaction of the caller's, which sends the code as well: both happen, or neither."""
        row = _found(await connection.fetchrow(queries.LOCK, tenant_id, sender_id))
        until = self._clock.now() + CODE_LIVES
        await connection.execute(queries.SET_CODE, sender_id, self._code_hash(sender_id, code), until)
        await self._note(connection, actor, "sender.code_sent", tenant_id, sender_id)
        return self.shown(row)

    async def confirm(self, actor: str, tenant_id: UUID, sender_id: UUID, code: str) -> SenderNumber:
        """Raises NotFound, CodeOver, and WrongCode, after MOST_TRIES of which the code is over."""
        now = self._clock.now()
        async with self._db.transaction() as connection:
            row = _found(await connection.fetchrow(queries.LOCK, tenant_id, sender_id))
            over = row["code_hash"] is None or row["code_expires_at"] <= now or row["code_tries"] >= MOST_TRIES
            right = not over and hmac.compare_digest(row["code_hash"], self._code_hash(sender_id, code))
            if right:
                digits = self._keyring.decrypt(row["number"], context=number_context(sender_id))
                method = Method.SMS if parse(digits).kind is NumberKind.MOBILE else Method.CALL
                return await self._verify(connection, actor, row, method, None)
            if not over:
                await connection.execute(queries.COUNT_TRY, sender_id)  # committed: the error comes after
        if over:
            raise CodeOver("the code is over: ask for another")
        raise WrongCode("another code was sent")

    async def approve(self, actor: str, tenant_id: UUID, sender_id: UUID, proof: str) -> SenderNumber:
        """An operator has seen the certificate; `proof`: where it is filed. Raises NotFound, InvalidRequest."""
        check_reason(proof)
        async with self._db.transaction() as connection:
            row = _found(await connection.fetchrow(queries.LOCK, tenant_id, sender_id))
            return await self._verify(connection, actor, row, Method.DOCUMENT, proof)

    async def reject(self, actor: str, tenant_id: UUID, sender_id: UUID, reason: str) -> SenderNumber:
        """Also takes a proof away, at once. Raises NotFound, InvalidRequest."""
        check_reason(reason)
        async with self._db.transaction() as connection:
            _found(await connection.fetchrow(queries.LOCK, tenant_id, sender_id))
            row = await connection.fetchrow(queries.FAIL, sender_id, reason)
            await self._note(connection, actor, "sender.rejected", tenant_id, sender_id, {"reason": reason})
        return self.shown(row)

    async def export(self, actor: str, tenant_id: UUID) -> Sequence[SenderNumber]:
        """All of a tenant's, newest first; journalled, since they leave whole."""
        found, cursor = tuple[SenderNumber, ...](), None
        while True:
            page = await self.list(tenant_id, cursor=cursor, limit=MAX_PAGE)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        async with self._db.transaction() as connection:
            await self._note(connection, actor, "sender.exported", tenant_id, None, {"numbers": len(found)})
        return found

    async def remove(self, actor: str, tenant_id: UUID, sender_id: UUID) -> None:
        """Erases the number and its documents; no text shows it from now on. Raises NotFound."""
        async with self._db.transaction() as connection:
            row = _found(await connection.fetchrow(queries.LOCK, tenant_id, sender_id))
            await connection.execute(queries.REMOVE, sender_id)
            await connection.execute(queries.ERASE_DOCUMENTS, sender_id)
            data: journal.Data = {"number": row["number_masked"]}
            await self._note(connection, actor, "sender.removed", tenant_id, sender_id, data)

    async def _verify(
        self, connection: asyncpg.Connection, actor: str, row: asyncpg.Record, method: Method, proof: str | None
    ) -> SenderNumber:
        now, policy = self._clock.now(), await self.policy_in(connection, row["tenant_id"])
        until = now + timedelta(days=policy.valid_days)
        verified = await connection.fetchrow(queries.VERIFY, row["id"], method, proof, now, until)
        await self._note(
            connection, actor, "sender.verified", row["tenant_id"], row["id"], {"method": method.value, "proof": proof}
        )
        return self.shown(verified)

    def _today(self) -> date:
        return self._clock.now().astimezone(KOREA).date()

    def _code_hash(self, sender_id: UUID, code: str) -> bytes:
        return self._keyring.sign("sender code", f"{sender_id}:{code}".encode())

    def shown(self, row: asyncpg.Record) -> SenderNumber:
        """A row of the registry, opened."""
        sealed = row["number"]
        return SenderNumber(
            id=row["id"],
            tenant_id=row["tenant_id"],
            number=self._keyring.decrypt(sealed, context=number_context(row["id"])) if sealed else None,
            masked=row["number_masked"],
            label=row["label"],
            status=status_at(Status(row["status"]), row["expires_at"], self._clock.now()),
            method=Method(row["method"]) if row["method"] else None,
            reason=row["reason"],
            verified_at=row["verified_at"],
            expires_at=row["expires_at"],
            created_at=row["created_at"],
        )

    async def _note(
        self,
        connection: asyncpg.Connection,
        actor: str,
        event: str,
        tenant_id: UUID,
        subject: UUID | None,
        data: journal.Data | None = None,
    ) -> None:
        entry = journal.Entry(
            at=self._clock.now(), tenant_id=tenant_id, actor=actor, event=event, subject=subject, data=data or {}
        )
        await journal.append(connection, [entry])


def number_context(sender_id: UUID) -> bytes:
    """What a number is encrypted for."""
    return f"sender_numbers:{sender_id}:number".encode()


def _found(row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:
        raise NotFound("no such sender number")
    return row
