"""Many numbers at once (선택 인증): one code to the approved manager's mobile proves all that were chosen."""

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import uuid_utils.compat as uuids

from vns.crypto.rules import KeyRing
from vns.errors import CodeOver, InvalidRequest, ManagerNeeded, NotFound, WrongCode
from vns.numbering.rules import parse
from vns.senders import manager_queries as queries
from vns.senders import queries as sender_queries
from vns.senders.manager_rules import ManagerStatus, field_context
from vns.senders.rules import CODE_LIVES, MOST_TRIES, Method, new_code, selection_text
from vns.senders.service import Senders
from vns.senders.texting import CodeTexts
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.verifications.settings import VerificationSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """`numbers`: how many the code proves; `mobile_masked`: where it was sent."""

    id: UUID
    numbers: int
    mobile_masked: str
    expires_at: datetime


class Selections:
    """Whatever is another tenant's is NotFound."""

    def __init__(
        self, db: Database, keyring: KeyRing, clock: Clock, settings: VerificationSettings | None = None
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._clock = clock
        self._senders = Senders(db, keyring, clock)
        self._texts = CodeTexts(keyring, clock, settings or VerificationSettings())

    async def start(self, actor: str, tenant_id: UUID, sender_ids: Collection[UUID] | None) -> Selection:
        """Send a code for those of `sender_ids` that wait or whose proof is over; None: for all that do.

        Raises ManagerNeeded, NotFound, InvalidRequest where none is left, RateLimited, CallerIdNotProven.
        """
        now, own, code = self._clock.now(), uuids.uuid7(), new_code()
        chosen = sorted(set(sender_ids)) if sender_ids is not None else None
        async with self._db.transaction() as connection:
            manager = await connection.fetchrow(queries.LOCK, tenant_id)
            if manager is None or manager["status"] != ManagerStatus.APPROVED:
                raise ManagerNeeded("numbers are proven together by an approved manager")
            if chosen is not None and await connection.fetchval(queries.KNOWN, tenant_id, chosen) != len(chosen):
                raise NotFound("no such sender number")
            waiting = [row["id"] for row in await connection.fetch(queries.CHOOSABLE, tenant_id, now, chosen)]
            if not waiting:
                raise InvalidRequest("none of the numbers waits for its proof")
            await connection.execute(queries.FORGET_SELECTIONS, tenant_id, now)
            until = now + CODE_LIVES
            code_hash = self._code_hash(own, code)
            await connection.execute(queries.INSERT_SELECTION, own, tenant_id, manager["id"], waiting, code_hash, until)
            mobile = self._keyring.decrypt(manager["mobile"], context=field_context(manager["id"], "mobile"))
            await self._texts.send(connection, tenant_id, parse(mobile), selection_text(code, len(waiting)))
            data: journal.Data = {"manager": str(manager["id"]), "numbers": len(waiting)}
            await journal.append(connection, [self._entry(actor, tenant_id, "sender.selection_sent", own, data)])
        return Selection(id=own, numbers=len(waiting), mobile_masked=manager["mobile_masked"], expires_at=until)

    async def get(self, tenant_id: UUID, selection_id: UUID) -> Selection:
        """Raises NotFound, also for one that was confirmed."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.SELECTION, tenant_id, selection_id)
        if row is None:
            raise NotFound("no such selection")
        return Selection(**dict(row))

    async def confirm(self, actor: str, tenant_id: UUID, selection_id: UUID, code: str) -> int:
        """How many of them are proven now: those that were removed or decided on meanwhile are not.

        Raises NotFound, CodeOver, and WrongCode, after MOST_TRIES of which the code is over.
        """
        now = self._clock.now()
        async with self._db.transaction() as connection:
            await connection.execute(sender_queries.LOCK_TENANT, str(tenant_id))  # before many rows: see Exemptions
            row = await connection.fetchrow(queries.LOCK_SELECTION, tenant_id, selection_id)
            if row is None:
                raise NotFound("no such selection")
            over = row["expires_at"] <= now or row["code_tries"] >= MOST_TRIES
            if not over and hmac.compare_digest(row["code_hash"], self._code_hash(selection_id, code)):
                policy = await self._senders.policy_in(connection, tenant_id)
                until = now + timedelta(days=policy.valid_days)
                proven = await connection.fetch(queries.VERIFY_CHOSEN, tenant_id, now, row["sender_ids"], until)
                await connection.execute(queries.DELETE_SELECTION, selection_id)
                data: journal.Data = {"method": Method.MANAGER.value, "proof": f"manager {row['manager_id']}"}
                await journal.append(
                    connection, [self._entry(actor, tenant_id, "sender.verified", one["id"], data) for one in proven]
                )
                return len(proven)
            if not over:
                await connection.execute(queries.COUNT_SELECTION_TRY, selection_id)  # committed: the error comes after
        if over:
            raise CodeOver("the code is over: choose the numbers again")
        raise WrongCode("another code was sent")

    def _code_hash(self, selection_id: UUID, code: str) -> bytes:
        return self._keyring.sign("selection code", f"{selection_id}:{code}".encode())

    def _entry(self, actor: str, tenant_id: UUID, event: str, subject: UUID, data: journal.Data) -> journal.Entry:
        return journal.Entry(
            at=self._clock.now(), tenant_id=tenant_id, actor=actor, event=event, subject=subject, data=data
        )
