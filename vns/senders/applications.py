"""Applications for an exemption from the draft to the decision; each act is journalled in its own transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.crypto.rules import KeyRing
from vns.errors import Conflict, InvalidApplication, NotFound, QuotaExceeded
from vns.senders import application_queries as queries
from vns.senders import queries as sender_queries
from vns.senders.bulk import Fault
from vns.senders.documents import sealed, shown_document
from vns.senders.exemption_rules import (
    MAX_NUMBERS,
    Application,
    ApplicationStatus,
    Company,
    Route,
    check_rows,
    checked,
    details_context,
)
from vns.senders.exemptions import Exemption, Exemptions, end_approved, shown_exemption
from vns.senders.rules import check_reason
from vns.senders.service import Senders
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.pages import Page, last_id, page_of, page_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A tenant's exemption, also one that is over, and its application: the one under way, else the approved one."""

    exemption: Exemption | None
    application: Application | None


class Applications:
    """A tenant has one under way at most, beside the one that was approved. `approve`, `refuse` and `review` are for
    operators."""

    def __init__(self, db: Database, keyring: KeyRing, clock: Clock) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock
        self._senders = Senders(db, keyring, clock)
        self._exemptions = Exemptions(db, clock)

    async def standing(self, tenant_id: UUID) -> Standing:
        async with self._db.connection() as connection:
            exemption = await connection.fetchrow(queries.EXEMPTION, tenant_id)
            row = await connection.fetchrow(queries.OPEN, tenant_id)
            row = row or await connection.fetchrow(queries.APPROVED, tenant_id)
            application = await self._shown(connection, row) if row else None
        return Standing(exemption=shown_exemption(exemption) if exemption else None, application=application)

    async def write(self, actor: str, tenant_id: UUID, company: Company) -> Application:
        """A draft by the route `integration`, in place of what was gathered before.

        Raises InvalidApplication, QuotaExceeded, and Conflict while an operator has one before him.
        """
        given = checked(company)
        async with self._db.transaction() as connection:
            given = replace(given, numbers=await self._judged(connection, tenant_id, given.numbers))
            row = await self._open(connection, tenant_id, Route.INTEGRATION)
            sealed_details = self._keyring.encrypt(given.as_json(), context=details_context(row["id"]))
            written = await connection.fetchrow(queries.SET_DETAILS, row["id"], sealed_details)
            await connection.execute(queries.ERASE_OTHER_CERTIFICATES, row["id"], None)
            await self._note(connection, actor, "sender.exemption_drafted", written, {"numbers": len(given.numbers)})
            return await self._shown(connection, written)

    async def _judged(self, connection: asyncpg.Connection, tenant_id: UUID, texts: Sequence[str]) -> tuple[str, ...]:
        """Their digits. Raises InvalidApplication, QuotaExceeded. Numbers that are registered already are welcome."""
        if not 1 <= len(texts) <= MAX_NUMBERS:
            raise InvalidApplication(f"an application names 1 to {MAX_NUMBERS} numbers", field="numbers")
        rows = await self._senders.judge_in(connection, tenant_id, texts)
        check_rows([row.place for row in rows if row.fault in (Fault.MALFORMED, Fault.DUPLICATE)])
        if any(row.fault is Fault.OVER_QUOTA for row in rows):
            raise QuotaExceeded("more numbers than the tenant may register: name fewer, or ask for a higher limit")
        return tuple(dict.fromkeys(row.number.digits for row in rows if row.number))

    async def upload(self, actor: str, tenant_id: UUID, content: bytes) -> Application:
        """A draft by the route `carrier`: a copy of the registration certificate, in place of what was there before.

        Raises InvalidDocument, and Conflict while an operator has one before him.
        """
        paper = await sealed(self._keyring, content)
        async with self._db.transaction() as connection:
            row = await self._open(connection, tenant_id, Route.CARRIER)
            await connection.execute(
                queries.INSERT_CERTIFICATE,
                paper.id,
                tenant_id,
                row["id"],
                paper.media_type,
                paper.size,
                paper.wrapped_key,
                paper.content,
                self._clock.now(),
            )
            drafted = await connection.fetchrow(queries.SET_CERTIFICATE, row["id"], paper.id)
            await connection.execute(queries.ERASE_OTHER_CERTIFICATES, row["id"], paper.id)
            data: journal.Data = {"document": str(paper.id), "media_type": paper.media_type.value}
            await self._note(connection, actor, "sender.exemption_drafted", drafted, data)
            return await self._shown(connection, drafted)

    async def renew(self, actor: str, tenant_id: UUID) -> Application:
        """A draft with what was approved, to be changed and submitted; the exemption goes on meanwhile.

        Raises NotFound without an approved one, and Conflict where one is under way, or for a carrier, who renews with
        another copy of the certificate.
        """
        async with self._db.transaction() as connection:
            await connection.execute(sender_queries.LOCK_TENANT, str(tenant_id))
            former = await connection.fetchrow(queries.APPROVED, tenant_id)
            if former is None:
                raise NotFound("the tenant has no approved application")
            if former["details"] is None:
                raise Conflict("a carrier renews with another copy of its registration certificate: upload it")
            if await connection.fetchrow(queries.OPEN, tenant_id) is not None:
                raise Conflict("an application is under way already")
            row = await self._insert(connection, tenant_id, Route.INTEGRATION)
            details = self._keyring.decrypt(former["details"], context=details_context(former["id"]))
            copied = self._keyring.encrypt(details, context=details_context(row["id"]))
            drafted = await connection.fetchrow(queries.SET_DETAILS, row["id"], copied)
            await self._note(connection, actor, "sender.exemption_drafted", drafted, {"renews": str(former["id"])})
            return await self._shown(connection, drafted)

    async def submit(self, actor: str, tenant_id: UUID) -> Application:
        """Ask an operator to decide. Raises NotFound, and Conflict where he was asked."""
        async with self._db.transaction() as connection:
            row = await _under_way(connection, tenant_id)
            if row["status"] == ApplicationStatus.WAITING:
                raise Conflict("an operator has the application already")
            waiting = await connection.fetchrow(queries.SUBMIT, row["id"])
            shown = await self._shown(connection, waiting)
            data: journal.Data = {}
            if shown.company is not None:
                numbers = len(shown.company.numbers)
                data = {"business_number": shown.company.business_number_masked, "numbers": numbers}
            await self._note(connection, actor, "sender.exemption_submitted", waiting, data)
            return shown

    async def withdraw(self, actor: str, tenant_id: UUID) -> None:
        """End the one under way and erase it; an exemption goes on. Raises NotFound."""
        async with self._db.transaction() as connection:
            row = await _under_way(connection, tenant_id)
            await connection.execute(queries.END, row["id"])
            await connection.execute(queries.ERASE_OTHER_CERTIFICATES, row["id"], None)
            await self._note(connection, actor, "sender.exemption_withdrawn", row)

    async def approve(self, actor: str, tenant_id: UUID, application_id: UUID) -> Application:
        """For a year from now: its numbers are registered where they are not yet, and proven as those that wait are.

        Raises NotFound, also where another is there now, Conflict for one that does not wait, QuotaExceeded.
        """
        now = self._clock.now()
        async with self._db.transaction() as connection:
            await connection.execute(sender_queries.LOCK_TENANT, str(tenant_id))  # before many rows: see Exemptions
            row = await _waiting(connection, tenant_id, application_id)
            application = await self._shown(connection, row)
            if application.company is not None:
                await self._judged(connection, tenant_id, application.company.numbers)
                await self._senders.register_missing_in(connection, actor, tenant_id, application.company.numbers)
            await end_approved(connection, tenant_id)
            approved = await connection.fetchrow(queries.APPROVE, row["id"], now)
            proof = f"application {row['id']}"
            granted = await self._exemptions.grant_in(connection, actor, tenant_id, application.route, proof)
            data: journal.Data = {"ends_at": granted.ends_at.isoformat()}
            await self._note(connection, actor, "sender.exemption_approved", approved, data)
            return await self._shown(connection, approved)

    async def refuse(self, actor: str, tenant_id: UUID, application_id: UUID, reason: str) -> Application:
        """An exemption that is in force goes on. Raises NotFound, InvalidRequest, Conflict for one that waits not."""
        check_reason(reason)
        async with self._db.transaction() as connection:
            row = await _waiting(connection, tenant_id, application_id)
            refused = await connection.fetchrow(queries.REFUSE, row["id"], reason, self._clock.now())
            await self._note(connection, actor, "sender.exemption_refused", refused, {"reason": reason})
            return await self._shown(connection, refused)

    async def review(self, *, cursor: str | None = None, limit: int = 100) -> Page[Application]:
        """For operators: those of all tenants that wait, newest first. Raises InvalidRequest."""
        size = page_size(limit)
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.REVIEW, last_id(cursor), size + 1)
            papers = await _certificates(connection, rows)
        return page_of(rows, size, lambda row: self._with(row, papers))

    async def _open(self, connection: asyncpg.Connection, tenant_id: UUID, route: Route) -> asyncpg.Record:
        """The one under way, or a new one. Raises Conflict while an operator has it."""
        await connection.execute(sender_queries.LOCK_TENANT, str(tenant_id))
        row = await connection.fetchrow(queries.LOCK_OPEN, tenant_id)
        if row is not None and row["status"] == ApplicationStatus.WAITING:
            raise Conflict("an operator has the application: withdraw it to change it")
        return row or await self._insert(connection, tenant_id, route)

    async def _insert(self, connection: asyncpg.Connection, tenant_id: UUID, route: Route) -> asyncpg.Record:
        row: asyncpg.Record = await connection.fetchrow(
            queries.INSERT, uuids.uuid7(), tenant_id, route, None, self._clock.now()
        )
        return row

    async def _shown(self, connection: asyncpg.Connection, row: asyncpg.Record) -> Application:
        return self._with(row, await _certificates(connection, [row]))

    def _with(self, row: asyncpg.Record, papers: Sequence[asyncpg.Record]) -> Application:
        details = row["details"]
        return Application(
            id=row["id"],
            tenant_id=row["tenant_id"],
            route=Route(row["route"]),
            status=ApplicationStatus(row["status"]),
            company=Company.from_json(self._keyring.decrypt(details, context=details_context(row["id"])))
            if details
            else None,
            certificate=next((shown_document(paper) for paper in papers if paper["id"] == row["certificate_id"]), None),
            reason=row["reason"],
            decided_at=row["decided_at"],
            created_at=row["created_at"],
        )

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
            data={"route": row["route"], **(data or {})},
        )
        await journal.append(connection, [entry])


async def _under_way(connection: asyncpg.Connection, tenant_id: UUID) -> asyncpg.Record:
    """Raises NotFound."""
    row = await connection.fetchrow(queries.LOCK_OPEN, tenant_id)
    if row is None:
        raise NotFound("the tenant has no application under way")
    return row


async def _waiting(connection: asyncpg.Connection, tenant_id: UUID, application_id: UUID) -> asyncpg.Record:
    """Raises NotFound, also where the one under way is another, and Conflict."""
    row = await _under_way(connection, tenant_id)
    if row["id"] != application_id:
        raise NotFound("the tenant has no such application under way")
    if row["status"] != ApplicationStatus.WAITING:
        raise Conflict("the application does not wait for a decision")
    return row


async def _certificates(connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> Sequence[asyncpg.Record]:
    wanted = [row["certificate_id"] for row in rows if row["certificate_id"]]
    found: Sequence[asyncpg.Record] = await connection.fetch(queries.CERTIFICATES, wanted) if wanted else ()
    return found
