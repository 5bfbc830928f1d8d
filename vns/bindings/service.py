"""What tenants do with bindings: allocate, look up, change, release."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

import asyncpg

from vns.access.rules import Principal
from vns.bindings import queries
from vns.bindings.allocation import AnswerJustStored, Batch, Item, Render
from vns.bindings.change import Changer
from vns.bindings.collector import Collector
from vns.bindings.life import cut_calls, end_live, mark_to_cut
from vns.bindings.numbers import NumberJustNamed
from vns.bindings.records import binding_of, end_shown
from vns.bindings.rules import (
    MAX_KEY,
    MAX_REFERENCE,
    Allocation,
    AllocationRequest,
    Binding,
    BindingChange,
    Status,
    check_request,
    current_status,
    request_fingerprint,
)
from vns.crypto.rules import KeyRing
from vns.errors import AmbiguousReference, InvalidRequest, NotFound, Unavailable, VnsError
from vns.numbering.rules import digits_of
from vns.pools.rules import check_text
from vns.rulebook.documents import changed
from vns.rulebook.sealing import seal
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.pages import Page, last_id, page_of, page_size
from vns.storage.revocation import COPIES_OVER, Revocations

MAX_BATCH = 1000
TRIES = 5  # of a batch that met another transaction

Answer = TypeVar("Answer")
Given = UUID | str | int  # what a release names: an id, a reference, a virtual number's key

_MET_ANOTHER = (
    AnswerJustStored,
    NumberJustNamed,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
    asyncpg.ForeignKeyViolationError,
)


@dataclass(frozen=True, slots=True)
class ReleaseOutcome:
    """What became of one id, reference or number that was to be released."""

    given: str
    released: tuple[Binding, ...]
    error: VnsError | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """All that a courier may know."""

    reference: str
    vn: int
    status: Status
    expires_at: datetime | None
    extension: str | None = None  # to be dialled after the number


class Bindings:
    """Opens the transactions. `render` makes the body that an Idempotency-Key stores; it masks real numbers."""

    def __init__(
        self, db: Database, keyring: KeyRing, clock: Clock, *, render: Render, copies: Revocations | None = None
    ) -> None:
        """`copies`: what bridges may have copied is taken back before a change is acknowledged. None: nobody copies."""
        self._db = db
        self._keyring = keyring
        self._clock = clock
        self._render = render
        self._copies = copies
        self._collector = Collector[Item, Allocation](self._allocate_apart)

    async def close(self) -> None:
        """Let allocations under way finish."""
        await self._collector.close()

    async def allocate(
        self, principal: Principal, request: AllocationRequest, idempotency_key: str | None = None
    ) -> Allocation:
        """One binding. Durable once this returns.

        Raises what check_request, choose_pools and the taking of numbers raise, QuotaExceeded, IdempotencyMismatch.
        """
        item = self._item(principal, request, idempotency_key)
        distinct = (principal.tenant_id, idempotency_key) if idempotency_key is not None else None
        return await self._collector.ask(item, distinct=distinct)

    async def allocate_many(
        self, principal: Principal, requests: Sequence[AllocationRequest]
    ) -> list[Allocation | VnsError]:
        """Up to MAX_BATCH bindings in one transaction; each has its own answer or error."""
        if len(requests) > MAX_BATCH:
            raise InvalidRequest(f"at most {MAX_BATCH} items")
        prepared: list[Item | VnsError] = []
        for request in requests:
            try:
                prepared.append(self._item(principal, request, None))
            except VnsError as error:
                prepared.append(error)
        good = [item for item in prepared if isinstance(item, Item)]
        answers = iter(await self._allocate_together(good) if good else [])
        return [next(answers) if isinstance(item, Item) else item for item in prepared]

    def _item(self, principal: Principal, request: AllocationRequest, key: str | None) -> Item:
        check_request(request, self._clock.now())
        check_text("Idempotency-Key", key, MAX_KEY)
        item = Item(
            principal=principal,
            request=request,
            key=key,
            fingerprint=request_fingerprint(request, self._keyring.index) if key is not None else b"",
            real_index=self._keyring.index(request.real_number.digits),
            peer_index=self._keyring.index(request.peer_number.digits) if request.peer_number else None,
            member_indexes=tuple(self._keyring.index(member.digits) for member in request.members),
        )
        if request.rules:
            item.rules = changed(None, request.rules, partial(seal, self._keyring, item.id))
        return item

    async def _allocate_apart(self, items: Sequence[Item]) -> Sequence[Allocation | Exception]:
        """A batch of strangers: when it fails as a whole, everybody is served alone, so that none spoils another's."""
        try:
            return await self._allocate_together(items)
        except (VnsError, OSError, TimeoutError):
            raise
        except Exception:
            if len(items) == 1:
                raise
        return [await self._allocate_alone(item) for item in items]

    async def _allocate_alone(self, item: Item) -> Allocation | Exception:
        try:
            return (await self._allocate_together([item]))[0]
        except Exception as error:  # noqa: BLE001 - it is raised to the one who asked
            return error

    async def _allocate_together(self, items: Sequence[Item]) -> list[Allocation | VnsError]:
        async def work(connection: asyncpg.Connection) -> list[Allocation | VnsError]:
            for item in items:
                item.answer, item.placed, item.twin_of = None, None, None
            return await Batch(connection, self._keyring, self._render, self._clock.now(), items).run()

        return await self._transact(work)

    async def _transact(self, work: Callable[[asyncpg.Connection], Awaitable[Answer]]) -> Answer:
        """Do `work` in a transaction; one that met another is rolled back and done again. Raises Unavailable."""
        for _ in range(TRIES):
            try:
                async with self._db.transaction() as connection:
                    return await work(connection)
            except _MET_ANOTHER as error:
                met = error
        raise Unavailable("too many others wanted the same at the same time") from met

    async def get(self, principal: Principal, binding_id: UUID) -> Binding:
        """Raises NotFound, for another tenant's binding too."""
        async with self._db.connection() as connection:
            row = await connection.fetchrow(queries.SELECT_ONE, binding_id, principal.tenant_id)
        if row is None:
            raise NotFound("no such binding")
        return binding_of(row, self._keyring, self._clock.now())

    async def find(
        self,
        principal: Principal,
        *,
        reference: str | None = None,
        virtual_number: int | None = None,
        status: Status | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Binding]:
        """The tenant's bindings, newest first. Raises InvalidRequest for a cursor that is none."""
        now = self._clock.now()
        check_text("reference", reference, MAX_REFERENCE)
        conditions, values = _conditions(principal.tenant_id, reference, virtual_number, cursor)
        if status is not None:
            conditions.append(_status_condition(status, values, now))
        size = page_size(limit)
        values.append(size + 1)
        statement = f"{queries.SELECT_PAGE} {' and '.join(conditions)} order by id desc limit ${len(values)}"
        async with self._db.connection() as connection:
            rows = await connection.fetch(statement, *values)
        return page_of(rows, size, lambda row: binding_of(row, self._keyring, now))

    async def change(self, principal: Principal, binding_id: UUID, change: BindingChange) -> Binding:
        """Raises what Changer.apply raises."""

        async def work(connection: asyncpg.Connection) -> None:
            now = self._clock.now()
            row = await Changer(connection, self._keyring, now).apply(principal.tenant_id, binding_id, change)
            entry = journal.Entry(
                at=now,
                tenant_id=row["tenant_id"],
                actor=principal.actor,
                event="binding.changed",
                subject=binding_id,
            )
            await journal.append(connection, [entry])

        await self._transact(work)
        binding = await self.get(principal, binding_id)
        await self._take_back([binding], self._clock.now())
        return binding

    async def release(self, principal: Principal, binding_id: UUID, *, terminate_calls: bool = False) -> Binding:
        """Once this returns, the number connects nobody. Idempotent. Raises NotFound."""

        async def work(connection: asyncpg.Connection) -> Binding:
            now = self._clock.now()
            row = await connection.fetchrow(queries.SELECT_ONE, binding_id, principal.tenant_id)
            if row is None:
                raise NotFound("no such binding")
            if terminate_calls:
                await mark_to_cut(connection, [binding_id], now)
            for ended in await end_live(connection, [binding_id], Status.RELEASED, now, principal.actor):
                row = ended
            if terminate_calls:
                await cut_calls(connection, [binding_id], now)
            return binding_of(row, self._keyring, now)

        binding = await self._transact(work)
        await self._take_back([binding], binding.ended_at or self._clock.now())
        return binding

    async def _take_back(self, bindings: Iterable[Binding], changed_at: datetime) -> None:
        """Raises Unavailable: the change stands, but a copy from before may be left."""
        if self._copies is not None:
            vns = {vn for binding in bindings for vn in (binding.vn, binding.peer_vn) if vn is not None}
            await self._copies.revoke(vns, changed_at=changed_at)

    async def release_many(
        self,
        principal: Principal,
        *,
        ids: Sequence[UUID] = (),
        references: Sequence[str] = (),
        virtual_numbers: Sequence[int] = (),
        terminate_calls: bool = False,
    ) -> list[ReleaseOutcome]:
        """All live matches of this tenant, in one transaction; one outcome for each id, reference or number given."""
        if len(ids) + len(references) + len(virtual_numbers) > MAX_BATCH:
            raise InvalidRequest(f"at most {MAX_BATCH} items")
        for reference in references:
            check_text("reference", reference, MAX_REFERENCE)
        just_ended: list[asyncpg.Record] = []

        async def work(connection: asyncpg.Connection) -> list[ReleaseOutcome]:
            now = self._clock.now()
            just_ended.clear()
            live = await _live_matches(connection, principal.tenant_id, ids, references, virtual_numbers, now)
            everything = sorted({binding_id for found in live.values() for binding_id in found})
            if terminate_calls:
                await mark_to_cut(connection, everything, now)
            await end_live(connection, everything, Status.RELEASED, now, principal.actor)
            if terminate_calls:
                await cut_calls(connection, everything, now)
            rows = await connection.fetch(queries.EXISTING_IDS, principal.tenant_id, everything)
            ended = {row["id"]: binding_of(row, self._keyring, now) for row in rows}
            given: list[Given] = [*ids, *references, *virtual_numbers]  # in their order, and each as often as it came
            # what an earlier request ended, and may not have been able to take back
            just_ended.extend(
                await connection.fetch(
                    queries.ENDED_SINCE,
                    principal.tenant_id,
                    list(ids),
                    list(references),
                    list(virtual_numbers),
                    now - COPIES_OVER,
                )
                if self._copies is not None
                else []
            )
            return [_release_outcome(what, live.get(what), ended) for what in given]

        outcomes = await self._transact(work)
        if self._copies is not None:
            vns = {vn for row in just_ended for vn in (row["vn"], row["peer_vn"]) if vn is not None}
            await self._copies.revoke(vns, changed_at=self._clock.now())
        return outcomes

    async def deliveries(
        self, principal: Principal, references: Sequence[str], *, tenant: str | None = None
    ) -> list[Delivery | VnsError]:
        """For each waybill the live safe number among the malls that the courier serves, else the last one."""
        if len(references) > MAX_BATCH:
            raise InvalidRequest(f"at most {MAX_BATCH} items")
        for text in (*references, tenant):
            check_text("reference and tenant", text, MAX_REFERENCE)
        now = self._clock.now()
        async with self._db.connection() as connection:
            malls = list(principal.mall_ids)
            if tenant is not None:
                named = await connection.fetchval(queries.MALL_BY_CODE, tenant)
                malls = [mall for mall in malls if mall == named]
            rows = await connection.fetch(queries.DELIVERIES, list(set(references)), malls, now)
        found: dict[str, list[asyncpg.Record]] = {}
        for row in rows:
            found.setdefault(row["reference"], []).append(row)
        return [_delivery(reference, found.get(reference, []), now) for reference in references]


def _release_outcome(given: Given, live: Sequence[UUID] | None, ended: Mapping[UUID, Binding]) -> ReleaseOutcome:
    """`live` None: nothing of the tenant was ever known by what was given."""
    return ReleaseOutcome(
        given=digits_of(given) if isinstance(given, int) else str(given),
        released=tuple(ended[binding_id] for binding_id in live or ()),
        error=NotFound("nothing of this tenant matches") if live is None else None,
    )


def _delivery(reference: str, rows: Sequence[asyncpg.Record], now: datetime) -> Delivery | VnsError:
    """`rows`: one for each mall that knows the reference. Two malls' parcels are never guessed between."""
    if not rows:
        return NotFound("no delivery with this reference")
    if len(rows) > 1:
        return AmbiguousReference("several malls know this reference: name one with tenant")
    row = rows[0]
    status = current_status(Status(row["status"]), row["ends_at"], now)
    return Delivery(
        reference=reference,
        vn=row["vn"],
        extension=row["extension"],
        status=status,
        expires_at=end_shown(row, status),
    )


def _conditions(
    tenant_id: UUID, reference: str | None, virtual_number: int | None, cursor: str | None
) -> tuple[list[str], list[object]]:
    values: list[object] = [tenant_id]
    conditions = ["tenant_id = $1"]
    for test, value in (
        ("reference = {}", reference),
        ("(vn = {0} or peer_vn = {0})", virtual_number),
        ("id < {}", last_id(cursor)),
    ):
        if value is not None:
            values.append(value)
            conditions.append(test.format(f"${len(values)}"))
    return conditions, values


def _status_condition(status: Status, values: list[object], now: datetime) -> str:
    """A binding whose end has passed counts as expired whether or not the worker has written so."""
    if status in (Status.ACTIVE, Status.EXPIRED):
        values.append(now)
        overdue = f"ends_at <= ${len(values)}"
        if status is Status.ACTIVE:
            return f"status = 'active' and not {overdue}"
        return f"(status = 'expired' or (status = 'active' and {overdue}))"
    values.append(status)
    return f"status = ${len(values)}"


async def _live_matches(
    connection: asyncpg.Connection,
    tenant_id: UUID,
    ids: Sequence[UUID],
    references: Sequence[str],
    virtual_numbers: Sequence[int],
    now: datetime,
) -> dict[Given, list[UUID]]:
    """By what was given: the bindings to end, none where all have ended already; what nobody knows is left out."""
    live: dict[Given, list[UUID]] = {}
    for row in await connection.fetch(queries.EXISTING_IDS, tenant_id, list(ids)):
        live[row["id"]] = [row["id"]]
    for row in await connection.fetch(queries.KNOWN_REFERENCES, tenant_id, list(references)):
        live[row["reference"]] = []
    for row in await connection.fetch(queries.KNOWN_VNS, tenant_id, list(virtual_numbers)):
        live[row["vn"]] = []
    for row in await connection.fetch(queries.LIVE_BY_REFERENCES, tenant_id, list(references), now):
        live[row["given"]].append(row["id"])
    for row in await connection.fetch(queries.LIVE_BY_VNS, tenant_id, list(virtual_numbers), now):
        live[row["given"]].append(row["id"])
    return live
