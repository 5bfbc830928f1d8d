"""The list of callers who are flagged, stopped or trusted. It stands in PostgreSQL; the decision reads it there."""

from datetime import datetime, timedelta
from uuid import UUID

from vns.abuse import queries
from vns.abuse.rules import CallerFlag, FlagReason, FlagStatus, Policy
from vns.crypto.rules import KeyRing
from vns.errors import NotFound
from vns.numbering.rules import PhoneNumber
from vns.pools.rules import FOREVER
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database

LONGEST_LIST = 1_000


class CallerFlags:
    """Opens the transactions. Callers are known by blind index and shown masked."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    async def flag(
        self, party: bytes, masked: str, reason: FlagReason, status: FlagStatus, counted: int, until: datetime
    ) -> bool:
        """Put a caller on the list, with a journal row; False where it stands there already. Raises Unavailable."""
        now = self._clock.now()
        async with self._db.transaction() as connection:
            written = await connection.fetchval(queries.FLAG, party, masked, reason, status, counted, now, until)
            if written is not None:
                data: journal.Data = {"caller": masked, "reason": reason, "counted": counted}
                entry = journal.Entry(at=now, tenant_id=None, actor="platform", event=f"caller.{status}", data=data)
                await journal.append(connection, [entry])
        return written is not None

    async def decide(
        self, actor: str, keyring: KeyRing, caller: PhoneNumber, status: FlagStatus, until: datetime | None = None
    ) -> None:
        """The operator's word about a caller, for ever without `until`. Raises Unavailable."""
        now = self._clock.now()
        async with self._db.transaction() as connection:
            await connection.execute(
                queries.DECIDE, keyring.index(caller.digits), caller.masked, status, now, until or FOREVER
            )
            entry = journal.Entry(
                at=now, tenant_id=None, actor=actor, event=f"caller.{status}", data={"caller": caller.masked}
            )
            await journal.append(connection, [entry])

    async def clear(self, actor: str, keyring: KeyRing, caller: PhoneNumber) -> None:
        """Take a caller off the list. Raises NotFound, Unavailable."""
        async with self._db.transaction() as connection:
            masked = await connection.fetchval(queries.CLEAR, keyring.index(caller.digits))
            if masked is None:
                raise NotFound("the caller is not on the list")
            entry = journal.Entry(
                at=self._clock.now(), tenant_id=None, actor=actor, event="caller.cleared", data={"caller": masked}
            )
            await journal.append(connection, [entry])

    async def list(self) -> list[CallerFlag]:
        """The newest LONGEST_LIST flags that still run."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.LIST, self._clock.now(), LONGEST_LIST)
        return [
            CallerFlag(
                masked=row["masked"],
                reason=FlagReason(row["reason"]),
                status=FlagStatus(row["status"]),
                counted=row["counted"],
                flagged_at=row["flagged_at"],
                until=row["until"],
            )
            for row in rows
        ]

    async def trusted(self) -> frozenset[bytes]:
        """Blind indexes of callers whom no rule touches."""
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.TRUSTED, self._clock.now())
        return frozenset(row["party"] for row in rows)

    async def flag_far_reaching(self, policy: Policy) -> int:
        """Flag, or stop, callers who were connected to too many bindings; how many are new. Raises Unavailable.

        Reads a day of calls: for the worker, every few minutes.
        """
        if not policy.reach_customers:
            return 0
        now = self._clock.now()
        since = now - policy.reach_window
        status = FlagStatus.STOPPED if policy.reach_stops else FlagStatus.FLAGGED
        until = now + (policy.reach_stop if policy.reach_stops else policy.reach_window)
        async with self._db.connection() as connection:
            rows = await connection.fetch(queries.REACHED_MANY, _first_id(since), since, policy.reach_customers)
        new = 0
        for row in rows:
            new += await self.flag(row["party"], row["masked"], FlagReason.REACH, status, row["reached"], until)
        return new

    async def clear_over(self) -> None:
        """Forget whose time is over."""
        async with self._db.connection() as connection:
            await connection.execute(queries.CLEAR_OVER, self._clock.now())


def _first_id(since: datetime) -> UUID:
    """The lowest UUID of version 7 of that time. A call's id is made from Asterisk's clock, in seconds; the margin is
    for the time between the channel and the question."""
    margin = timedelta(minutes=5)
    return UUID(int=int((since - margin).timestamp() * 1000) << 80)
