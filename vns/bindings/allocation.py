"""One transaction that allocates a batch of bindings. An item that cannot be served gets its error and spoils no other.

Order inside the transaction, the same for every batch so that batches never wait for one another in a ring:
locks on parties (sorted) → stored answers → live duplicates (`ensure`) → numbers → rows → stored answers.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import uuid_utils.compat as uuids

from vns.access.rules import Principal
from vns.bindings import queries
from vns.bindings.numbers import Pair, Taken, TakenNumbers
from vns.bindings.records import binding_of
from vns.bindings.rules import (
    DEFAULT_SERVICE,
    FOREVER,
    Allocation,
    AllocationRequest,
    Binding,
    CallerId,
    Side,
    Status,
    absolute_end,
    cipher_context,
    effective_end,
    end_of_quarantine,
    lock_key,
)
from vns.crypto.rules import KeyRing
from vns.errors import (
    IdempotencyMismatch,
    InvalidRequest,
    ModeNotSupported,
    NotFound,
    NumberNotMappable,
    PoolExhausted,
    QuotaExceeded,
    VnsError,
)
from vns.numbering.rules import digits_of
from vns.pools.rules import DEFAULT_MODES, Mode, Pool
from vns.pools.service import load_pools, open_pools

ANSWERS_KEPT = timedelta(hours=24)

Render = Callable[[Binding], str]


class AnswerJustStored(Exception):
    """Another transaction used one of the batch's idempotency keys meanwhile: roll back and run the batch again."""


@dataclass(slots=True, kw_only=True)
class Item:
    """One request on its way through the batch, with its numbers encrypted and indexed once."""

    principal: Principal
    request: AllocationRequest
    key: str | None = None
    fingerprint: bytes = b""
    id: UUID = field(default_factory=uuids.uuid7)
    real_index: bytes = b""
    peer_index: bytes | None = None
    answer: Allocation | VnsError | None = None
    pools: tuple[Pool, ...] = ()
    placed: Taken | None = None
    twin_of: "Item | None" = None  # an earlier item of the batch that `ensure`s the same binding

    @property
    def tenant_id(self) -> UUID:
        return self.principal.tenant_id

    @property
    def parties(self) -> tuple[bytes, ...]:
        return (self.real_index,) if self.peer_index is None else (self.real_index, self.peer_index)


class Batch:
    """The work on one batch inside the caller's transaction."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        keyring: KeyRing,
        render: Render,
        now: datetime,
        items: Sequence[Item],
    ) -> None:
        self._connection = connection
        self._keyring = keyring
        self._render = render
        self._now = now
        self._items = items
        self._numbers = TakenNumbers(connection, now)

    async def run(self) -> list[Allocation | VnsError]:
        """One answer per item, in order. Raises AnswerJustStored."""
        await self._lock()
        await self._answer_replays()
        pools = await load_pools(self._connection)
        for item in self._open_items():
            item.answer = _error_of(item, pools)
        await self._answer_ensured()
        await self._check_quotas()
        await self._place_named()
        await self._place_exclusive()
        await self._place_pairs()
        await self._write()
        self._answer_twins()
        await self._store_answers()
        return [item.answer or PoolExhausted("no free number") for item in self._items]

    def _open_items(self) -> list[Item]:
        return [item for item in self._items if item.answer is None and item.twin_of is None and item.placed is None]

    async def _lock(self) -> None:
        keys = [key for item in self._items for key in _locks_of(item)]
        if keys:
            await self._connection.execute(queries.LOCK_IN_ORDER, keys)

    async def _answer_replays(self) -> None:
        keyed = {(item.tenant_id, item.key): item for item in self._items if item.key is not None}
        if not keyed:
            return
        rows = await self._connection.fetch(
            queries.SELECT_STORED_ANSWERS,
            [tenant_id for tenant_id, _ in keyed],
            [key for _, key in keyed],
            self._now - ANSWERS_KEPT,
        )
        for row in rows:
            item = keyed[row["tenant_id"], row["key"]]
            if row["request_hash"] != item.fingerprint:
                item.answer = IdempotencyMismatch("the Idempotency-Key was used for another request")
            else:
                item.answer = Allocation(
                    binding=None, created=False, stored_status=row["status"], stored_body=row["body"]
                )

    async def _answer_ensured(self) -> None:
        firsts: dict[tuple[object, ...], Item] = {}
        for item in self._open_items():
            if not item.request.ensure:
                continue
            same = (item.tenant_id, item.request.reference, item.request.mode, frozenset(item.parties))
            if firsts.setdefault(same, item) is not item:
                item.twin_of = firsts[same]
                continue
            named = item.request.reference is not None
            row = await self._connection.fetchrow(
                queries.SELECT_SAME_LIVE if named else queries.SELECT_SAME_LIVE_WITHOUT_REFERENCE,
                item.tenant_id,
                item.request.reference,
                item.request.mode,
                item.real_index,
                item.peer_index,
                self._now,
            )
            if row is not None:
                binding = binding_of(row, self._keyring, self._now)
                item.answer = Allocation(binding=binding, created=False)

    def _answer_twins(self) -> None:
        for item in self._items:
            if item.twin_of is not None:
                answer = item.twin_of.answer
                item.answer = replace(answer, created=False) if isinstance(answer, Allocation) else answer

    async def _check_quotas(self) -> None:
        left: dict[UUID, int] = {}
        for item in self._open_items():
            limit = item.principal.max_live_bindings
            if limit is None:
                continue
            if item.tenant_id not in left:
                live = await self._connection.fetchval(queries.COUNT_LIVE, item.tenant_id, self._now)
                left[item.tenant_id] = limit - live
            left[item.tenant_id] -= 1
            if left[item.tenant_id] < 0:
                item.answer = QuotaExceeded("the tenant's limit of live bindings is reached")

    async def _place_exclusive(self) -> None:
        """Numbers for all one-way items that do not name theirs, pool by pool."""
        groups: dict[tuple[UUID, ...], list[Item]] = {}
        for item in self._open_items():
            if item.request.mode is Mode.ONE_WAY and item.request.virtual_number is None:
                groups.setdefault(tuple(pool.id for pool in item.pools), []).append(item)
        for items in groups.values():
            waiting = items
            for pool in items[0].pools:
                taken = await self._numbers.take(pool, len(waiting))
                for item, number in zip(waiting, taken, strict=False):
                    item.placed = number
                waiting = waiting[len(taken) :]
            for item in waiting:
                item.answer = PoolExhausted("no free number")

    async def _place_named(self) -> None:
        """Before all others, lest one of them is given a number that is named; rows are locked in one order."""
        named = [item for item in self._open_items() if item.request.virtual_number is not None]
        for item in sorted(named, key=lambda item: item.request.virtual_number or 0):
            await (self._seat(item) if item.request.mode is Mode.BIDIRECTIONAL else self._take(item))

    async def _place_pairs(self) -> None:
        for item in self._open_items():
            await self._seat(item)

    async def _take(self, item: Item) -> None:
        key = item.request.virtual_number or 0
        try:
            item.placed = await self._numbers.take_named(item.pools[0], key, item.tenant_id, item.real_index)
        except VnsError as error:
            item.answer = error

    async def _seat(self, item: Item) -> None:
        pair = Pair(binding_id=item.id, tenant_id=item.tenant_id, parties=item.parties)
        try:
            item.placed = await self._numbers.seat_pair(
                item.pools, item.request.virtual_number, pair, lambda pool: self._free_at(item, pool)
            )
        except VnsError as error:
            item.answer = error

    def _ends_at(self, item: Item, pool: Pool) -> datetime:
        return effective_end(item.request.expires_at, _ttl(item.request, pool), self._now)

    def _free_at(self, item: Item, pool: Pool) -> datetime:
        return end_of_quarantine(self._ends_at(item, pool), pool.quarantine_seconds)

    async def _write(self) -> None:
        await self._numbers.close_previous()
        written = [(item, item.placed) for item in self._items if item.answer is None and item.placed is not None]
        if not written:
            return
        rows = [self._row(item, placed) for item, placed in written]
        await self._connection.execute(
            queries.WRITE_ALLOCATIONS, *(list(column) for column in zip(*rows, strict=True)), self._now
        )
        for item, placed in written:
            item.answer = Allocation(binding=self._binding(item, placed), created=True)

    def _row(self, item: Item, placed: Taken) -> tuple[object, ...]:
        request, pool = item.request, placed.pool
        return (
            item.id,
            item.tenant_id,
            pool.id,
            placed.vn,
            str(request.mode),
            self._encrypt(item, Side.REAL, request.real_number.digits),
            item.real_index,
            self._encrypt(item, Side.PEER, request.peer_number.digits) if request.peer_number else None,
            item.peer_index,
            request.reference,
            request.purpose,
            ",".join(sorted(request.channels)),
            str(_caller_id(request)),
            absolute_end(request.expires_at),
            _ttl(request, pool),
            request.expire_after_call,
            self._ends_at(item, pool),
            self._free_at(item, pool),
            item.principal.actor,
            digits_of(placed.vn),
        )

    def _encrypt(self, item: Item, side: Side, digits: str) -> bytes:
        return self._keyring.encrypt(digits, context=cipher_context(item.id, side))

    def _binding(self, item: Item, placed: Taken) -> Binding:
        request = item.request
        ends_at = self._ends_at(item, placed.pool)
        return Binding(
            id=item.id,
            tenant_id=item.tenant_id,
            mode=request.mode,
            status=Status.ACTIVE,
            vn=placed.vn,
            real_masked=request.real_number.masked,
            peer_masked=request.peer_number.masked if request.peer_number else None,
            reference=request.reference,
            purpose=request.purpose,
            expires_at=None if ends_at >= FOREVER else ends_at,
            ttl_seconds=_ttl(request, placed.pool),
            expire_after_call=request.expire_after_call,
            channels=request.channels,
            caller_id=_caller_id(request),
            created_at=self._now,
            ended_at=None,
        )

    async def _store_answers(self) -> None:
        answers = [
            (
                item.tenant_id,
                item.key,
                item.fingerprint,
                201 if answer.created else 200,
                self._render(answer.binding),
            )
            for item in self._items
            if item.key is not None and isinstance(answer := item.answer, Allocation) and answer.binding is not None
        ]
        if not answers:
            return
        columns = (list(column) for column in zip(*answers, strict=True))
        stored = await self._connection.fetch(queries.STORE_ANSWERS, *columns, self._now, self._now - ANSWERS_KEPT)
        if len(stored) < len(answers):
            raise AnswerJustStored


def _error_of(item: Item, pools: Sequence[Pool]) -> VnsError | None:
    """Chooses the pools that may serve the item; the error if there is none, or a party is a VN of ours."""
    for number in (item.request.real_number, item.request.peer_number):
        if number is not None and any(number.key in pool for pool in pools):
            return NumberNotMappable("a party is a virtual number itself")
    try:
        item.pools = tuple(choose_pools(item.request, open_pools(pools, item.tenant_id)))
    except VnsError as error:
        return error
    return None


def choose_pools(request: AllocationRequest, pools: Sequence[Pool]) -> list[Pool]:
    """The pools to try, in order. `pools`: those open to the tenant.

    Raises NotFound (no such pool or number), ModeNotSupported, InvalidRequest, PoolExhausted (all are locked).
    """
    candidates = list(pools)
    if request.virtual_number is not None:
        candidates = [pool for pool in candidates if request.virtual_number in pool]
        if not candidates:
            raise NotFound("virtual_number is in no pool that is open to this tenant")
    if request.pool is not None:
        named = [pool for pool in candidates if request.pool in (str(pool.id), pool.name)]
        if not named:
            raise (
                NotFound("no such pool is open to this tenant")
                if request.virtual_number is None
                else InvalidRequest("virtual_number is not in the pool named")
            )
        candidates = named
    service = request.service
    if service is None and request.pool is None and request.virtual_number is None:
        service = DEFAULT_SERVICE[request.mode]
    if service is not None:
        candidates = [pool for pool in candidates if pool.service is service]
    offering = [pool for pool in candidates if pool.offers(request.mode)]
    if not offering and (candidates or (service is not None and request.mode not in DEFAULT_MODES[service])):
        raise ModeNotSupported(f"mode {request.mode} is not offered by the numbers asked for")
    unlocked = [pool for pool in offering if not pool.locked]
    if not unlocked:
        raise PoolExhausted("no open pool has numbers of this kind")
    return unlocked


def _locks_of(item: Item) -> Iterable[int]:
    """Advisory locks: the parties of a pair, the reference of an `ensure`, the tenant of a limited quota."""
    if item.peer_index is not None:
        yield from (lock_key(item.real_index), lock_key(item.peer_index))
    if item.request.ensure:
        yield hash_lock(item.tenant_id, item.request.reference or max(item.parties).hex())
    if item.principal.max_live_bindings is not None:
        yield hash_lock(item.tenant_id, "quota")


def hash_lock(tenant_id: UUID, text: str) -> int:
    """A lock key that two tenants or texts share by accident only, which costs a wait and nothing else."""
    return lock_key(uuids.uuid5(tenant_id, text).bytes)


def _ttl(request: AllocationRequest, pool: Pool) -> int | None:
    if request.ttl_seconds is None and request.expires_at is None:
        return pool.default_ttl_seconds
    return request.ttl_seconds


def _caller_id(request: AllocationRequest) -> CallerId:
    if request.mode is Mode.BIDIRECTIONAL:
        return CallerId.VIRTUAL
    return request.caller_id or CallerId.CALLER
