"""A tenant's manager from the designation to its end; each act is journalled in its own transaction."""

import hmac
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.crypto.rules import KeyRing
from vns.errors import CodeOver, Conflict, InvalidRequest, NotFound, WrongCode
from vns.numbering.rules import PhoneNumber, parse
from vns.senders import manager_queries as queries
from vns.senders.documents import sealed, shown_document
from vns.senders.evidence import Paper
from vns.senders.manager_rules import PAPERS, Manager, ManagerStatus, check_name, field_context, manager_mobile
from vns.senders.rules import CODE_LIVES, MOST_TRIES, check_reason, manager_text, new_code
from vns.senders.texting import CodeTexts
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.pages import Page, last_id, page_of, page_size
from vns.verifications.settings import VerificationSettings


class Managers:
    """A tenant has one at most. `approve`, `refuse`, `replace` and `review` are for operators."""

    def __init__(
        self, db: Database, keyring: KeyRing, clock: Clock, settings: VerificationSettings | None = None
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock
        self._texts = CodeTexts(keyring, clock, settings or VerificationSettings())

    async def find(self, tenant_id: UUID) -> Manager | None:
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.CURRENT, tenant_id)
            return await self._shown(connection, row) if row else None

    async def get(self, tenant_id: UUID) -> Manager:
        """Raises NotFound."""
        found = await self.find(tenant_id)
        if found is None:
            raise NotFound("the tenant has no manager")
        return found

    async def designate(self, actor: str, tenant_id: UUID, name: str, mobile: str) -> Manager:
        """Raises InvalidRequest, InvalidNumber, and Conflict where there is one: it must be un-designated first."""
        check_name(name)
        number = manager_mobile(mobile)
        async with self._db.transaction() as connection:
            return await self._insert(connection, actor, tenant_id, name, number)

    async def replace(self, actor: str, tenant_id: UUID, name: str, mobile: str) -> Manager:
        """Another in place of the one there is, who is erased; proof and papers begin anew.

        Raises InvalidRequest, InvalidNumber, NotFound.
        """
        check_name(name)
        number = manager_mobile(mobile)
        async with self._db.transaction() as connection:
            await self._end(connection, actor, await _locked(connection, tenant_id))
            return await self._insert(connection, actor, tenant_id, name, number)

    async def _insert(
        self, connection: asyncpg.Connection, actor: str, tenant_id: UUID, name: str, number: PhoneNumber
    ) -> Manager:
        own = uuids.uuid7()
        row = await connection.fetchrow(
            queries.INSERT,
            own,
            tenant_id,
            self._keyring.encrypt(name, context=field_context(own, "name")),
            self._keyring.encrypt(number.digits, context=field_context(own, "mobile")),
            number.masked,
            self._clock.now(),
        )
        if row is None:
            raise Conflict("the tenant has a manager: un-designate that one first")
        await self._note(connection, actor, "sender.manager_designated", row, {"mobile": number.masked})
        return await self._shown(connection, row)

    async def send_code(self, actor: str, tenant_id: UUID) -> datetime:
        """To the manager's mobile; until when it is taken. A former one is over.

        Raises NotFound, Conflict for a mobile that is proven, RateLimited, CallerIdNotProven.
        """
        code, until = new_code(), self._clock.now() + CODE_LIVES
        async with self._db.transaction() as connection:
            row = await _locked(connection, tenant_id)
            if row["mobile_proven_at"] is not None:
                raise Conflict("the manager's mobile is proven already")
            mobile = parse(self._keyring.decrypt(row["mobile"], context=field_context(row["id"], "mobile")))
            await connection.execute(queries.SET_CODE, row["id"], self._code_hash(row["id"], code), until)
            await self._texts.send(connection, tenant_id, mobile, manager_text(code))
            await self._note(connection, actor, "sender.manager_code_sent", row)
        return until

    async def code_until(self, tenant_id: UUID) -> datetime | None:
        """Until when the code that was sent last is taken; None: there is none that is."""
        async with self._db.connection() as connection:
            until: datetime | None = await connection.fetchval(
                queries.CODE_UNTIL, tenant_id, self._clock.now(), MOST_TRIES
            )
        return until

    async def confirm(self, actor: str, tenant_id: UUID, code: str) -> Manager:
        """Raises NotFound, CodeOver, and WrongCode, after MOST_TRIES of which the code is over."""
        now = self._clock.now()
        async with self._db.transaction() as connection:
            row = await _locked(connection, tenant_id)
            over = row["code_hash"] is None or row["code_expires_at"] <= now or row["code_tries"] >= MOST_TRIES
            if not over and hmac.compare_digest(row["code_hash"], self._code_hash(row["id"], code)):
                proven = await connection.fetchrow(queries.PROVE_MOBILE, row["id"], now)
                await self._note(connection, actor, "sender.manager_mobile_proven", row)
                return await self._shown(connection, proven)
            if not over:
                await connection.execute(queries.COUNT_TRY, row["id"])  # committed: the error comes after
        if over:
            raise CodeOver("the code is over: ask for another")
        raise WrongCode("another code was sent")

    async def upload(self, actor: str, tenant_id: UUID, kind: Paper, content: bytes) -> Manager:
        """In place of a former one of its kind. Raises NotFound, InvalidRequest, InvalidDocument, Conflict.

        Conflict: what an operator has before him, or has approved, is not exchanged.
        """
        if kind not in PAPERS:
            raise InvalidRequest("a manager's papers are a certificate of employment and a power of attorney")
        paper = await sealed(self._keyring, content)
        async with self._db.transaction() as connection:
            row = await _open(connection, tenant_id)
            await connection.execute(
                queries.INSERT_PAPER,
                paper.id,
                tenant_id,
                row["id"],
                kind,
                paper.media_type,
                paper.size,
                paper.wrapped_key,
                paper.content,
                self._clock.now(),
            )
            await connection.execute(queries.SET_PAPER[kind], row["id"], paper.id)
            await connection.execute(queries.DELETE_PAPER, row[f"{kind}_id"])
            data: journal.Data = {"document": str(paper.id), "kind": kind.value, "media_type": paper.media_type.value}
            await self._note(connection, actor, "sender.document_uploaded", row, data)
            return await self._shown(connection, row)

    async def submit(self, actor: str, tenant_id: UUID) -> Manager:
        """Ask an operator to decide. Raises NotFound, and Conflict where something is missing or he was asked."""
        async with self._db.transaction() as connection:
            row = await _open(connection, tenant_id)
            missing = (await self._shown(connection, row)).missing
            if missing:
                raise Conflict(f"before an operator can decide, something has to come: {', '.join(missing)}")
            waiting = await connection.fetchrow(queries.SUBMIT, row["id"])
            await self._note(connection, actor, "sender.manager_submitted", row)
            return await self._shown(connection, waiting)

    async def approve(self, actor: str, tenant_id: UUID, manager_id: UUID) -> Manager:
        """Raises NotFound, also where another is there now, and Conflict for one that is not complete."""
        async with self._db.transaction() as connection:
            row = await _locked(connection, tenant_id, manager_id)
            if row["status"] not in (ManagerStatus.WAITING, ManagerStatus.REFUSED):
                raise Conflict("the manager does not wait for a decision")
            approved = await connection.fetchrow(queries.APPROVE, row["id"], self._clock.now())
            papers = [str(row[f"{kind}_id"]) for kind in PAPERS]
            await self._note(connection, actor, "sender.manager_approved", row, {"documents": papers})
            return await self._shown(connection, approved)

    async def refuse(self, actor: str, tenant_id: UUID, manager_id: UUID, reason: str) -> Manager:
        """Also takes an approval away, at once; what the manager has proven stays proven.

        Raises NotFound, InvalidRequest, and Conflict for one that nobody has submitted.
        """
        check_reason(reason)
        async with self._db.transaction() as connection:
            row = await _locked(connection, tenant_id, manager_id)
            if row["status"] == ManagerStatus.DRAFT:
                raise Conflict("the manager does not wait for a decision")
            refused = await connection.fetchrow(queries.REFUSE, row["id"], reason, self._clock.now())
            await connection.execute(queries.DELETE_SELECTIONS, row["id"])
            await self._note(connection, actor, "sender.manager_refused", row, {"reason": reason})
            return await self._shown(connection, refused)

    async def end(self, actor: str, tenant_id: UUID) -> None:
        """Un-designate, and erase name, mobile and papers; what the manager has proven stays. Raises NotFound."""
        async with self._db.transaction() as connection:
            await self._end(connection, actor, await _locked(connection, tenant_id))

    async def _end(self, connection: asyncpg.Connection, actor: str, row: asyncpg.Record) -> None:
        await connection.execute(queries.END, row["id"])
        await connection.execute(queries.ERASE_PAPERS, row["id"])
        await connection.execute(queries.DELETE_SELECTIONS, row["id"])
        await self._note(connection, actor, "sender.manager_ended", row, {"mobile": row["mobile_masked"]})

    async def review(self, *, cursor: str | None = None, limit: int = 100) -> Page[Manager]:
        """For operators: managers of all tenants that wait, newest first. Raises InvalidRequest."""
        size = page_size(limit)
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.REVIEW, last_id(cursor), size + 1)
            papers = await _papers(connection, rows)
        return page_of(rows, size, lambda row: self._with(row, papers))

    async def _shown(self, connection: asyncpg.Connection, row: asyncpg.Record) -> Manager:
        return self._with(row, await _papers(connection, [row]))

    def _with(self, row: asyncpg.Record, papers: Sequence[asyncpg.Record]) -> Manager:
        return Manager(
            id=row["id"],
            tenant_id=row["tenant_id"],
            name=self._keyring.decrypt(row["name"], context=field_context(row["id"], "name")),
            mobile_masked=row["mobile_masked"],
            status=ManagerStatus(row["status"]),
            reason=row["reason"],
            mobile_proven_at=row["mobile_proven_at"],
            papers=tuple(shown_document(paper) for paper in papers if paper["manager_id"] == row["id"]),
            decided_at=row["decided_at"],
            created_at=row["created_at"],
        )

    def _code_hash(self, manager_id: UUID, code: str) -> bytes:
        return self._keyring.sign("manager code", f"{manager_id}:{code}".encode())

    async def _note(
        self,
        connection: asyncpg.Connection,
        actor: str,
        event: str,
        row: asyncpg.Record,
        data: journal.Data | None = None,
    ) -> None:
        entry = journal.Entry(
            at=self._clock.now(),
            tenant_id=row["tenant_id"],
            actor=actor,
            event=event,
            subject=row["id"],
            data=data or {},
        )
        await journal.append(connection, [entry])


async def _locked(connection: asyncpg.Connection, tenant_id: UUID, manager_id: UUID | None = None) -> asyncpg.Record:
    """Raises NotFound, also where the tenant's manager is another than `manager_id`."""
    row = await connection.fetchrow(queries.LOCK, tenant_id)
    if row is None or manager_id not in (None, row["id"]):
        raise NotFound("the tenant has no such manager")
    return row


async def _open(connection: asyncpg.Connection, tenant_id: UUID) -> asyncpg.Record:
    """One whose papers can still change. Raises NotFound, Conflict."""
    row = await _locked(connection, tenant_id)
    if row["status"] not in (ManagerStatus.DRAFT, ManagerStatus.REFUSED):
        raise Conflict("an operator has the papers, or has approved them")
    return row


async def _papers(connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> Sequence[asyncpg.Record]:
    found: Sequence[asyncpg.Record] = await connection.fetch(queries.PAPERS, [row["id"] for row in rows])
    return found
