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
    EXCLUSIVE_MODES,
    PLAIN_MODES,
    Allocation,
    AllocationRequest,
    Binding,
    CallerId,
    Channel,
    Ring,
    Side,
    Status,
    absolute_end,
    cipher_context,
    effective_end,
    end_of_quarantine,
    lock_key,
    member_context,
)
from vns.crypto.rules import KeyRing
from vns.errors import (
    IdempotencyMismatch,
    InvalidRequest,
    ModeNotSupported,
    NotFound,
    NumberNotMappable,
    PairInUse,
    PoolExhausted,
    QuotaExceeded,
    VnsError,
)
from vns.numbering.rules import digits_of
from vns.pools.rules import DEFAULT_MODES, FOREVER, ManagedBy, Mode, Pool
from vns.pools.service import load_pools, open_pools
from vns.rulebook.documents import Document, shown

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
    member_indexes: tuple[bytes, ...] = ()
    answer: Allocation | VnsError | None = None
    pools: tuple[Pool, ...] = ()
    peer_pools: tuple[Pool, ...] = ()  # per_side: for the number that the real one dials
    placed: Taken | None = None
    rules: Document | None = None  # as they are stored
    twin_of: "Item | None" = None  # an earlier item of the batch that `ensure`s the same binding

    @property
    def tenant_id(self) -> UUID:
        return self.principal.tenant_id

    @property
    def parties(self) -> tuple[bytes, ...]:
        if self.peer_index is not None:
            return (self.real_index, self.peer_index)
        return (self.real_index, *self.member_indexes)

    @property
    def pair(self) -> Pair:
        return Pair(binding_id=self.id, tenant_id=self.tenant_id, mode=self.request.mode, parties=self.parties)


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
            item.answer = _error_of(item, pools, self._now)
        await self._answer_ensured()
        await self._check_quotas()
        await self._check_subscribers()
        await self._place_named()
        await self._place_exclusive()
        await self._place_others()
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
            row = await self._live_same(item)
            if row is not None:
                binding = binding_of(row, self._keyring, self._now)
                item.answer = Allocation(binding=binding, created=False)

    async def _live_same(self, item: Item) -> asyncpg.Record | None:
        request, named = item.request, item.request.reference is not None
        if request.mode is Mode.GROUP:
            return await self._connection.fetchrow(
                queries.SELECT_SAME_LIVE_GROUP if named else queries.SELECT_SAME_LIVE_GROUP_WITHOUT_REFERENCE,
                item.tenant_id,
                request.reference,
                item.real_index,
                sorted(item.member_indexes),
                self._now,
            )
        return await self._connection.fetchrow(
            queries.SELECT_SAME_LIVE if named else queries.SELECT_SAME_LIVE_WITHOUT_REFERENCE,
            item.tenant_id,
            request.reference,
            request.mode,
            item.real_index,
            item.peer_index,
            self._now,
        )

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
        """Numbers for all items that want one alone and do not name it, pool by pool."""
        groups: dict[tuple[UUID, ...], list[Item]] = {}
        for item in self._open_items():
            if item.request.mode in EXCLUSIVE_MODES and item.request.virtual_number is None:
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

    async def _check_subscribers(self) -> None:
        """A subscriber calls out with one number, also within a batch."""
        seen: set[bytes] = set()
        for item in self._open_items():
            if item.request.mode is not Mode.OUTBOUND:
                continue
            try:
                if item.real_index in seen:
                    raise PairInUse("the subscriber is in this batch already")
                await self._numbers.release_subscriber(item.pair)
                seen.add(item.real_index)
            except VnsError as error:
                item.answer = error

    async def _place_named(self) -> None:
        """Before all others, lest one of them is given a number that is named; rows are locked in one order."""
        named = [item for item in self._open_items() if item.request.virtual_number or item.request.peer_virtual_number]
        for item in sorted(named, key=lambda item: item.request.virtual_number or 0):
            await self._place(item)

    async def _place_others(self) -> None:
        for item in self._open_items():
            await self._place(item)

    async def _place(self, item: Item) -> None:
        try:
            if item.request.mode in PLAIN_MODES:
                item.placed = await self._number_for(item)
                return
            async with self._connection.transaction():  # what takes several places takes all of them or none
                item.placed = await self._number_for(item)
        except VnsError as error:
            item.answer = error

    async def _number_for(self, item: Item) -> Taken:
        request, numbers, pair = item.request, self._numbers, item.pair

        def free_at(pool: Pool) -> datetime:
            return self._free_at(item, pool)

        match request.mode:
            case Mode.PER_SIDE:
                sides = (item.pools, request.virtual_number), (item.peer_pools, request.peer_virtual_number)
                return await numbers.seat_sides(sides, pair, free_at)
            case Mode.EXTENSION:
                return await numbers.take_extension(
                    item.pools, request.virtual_number, pair, request.extension, free_at
                )
            case Mode.BIDIRECTIONAL | Mode.GROUP:
                return await numbers.seat_pair(item.pools, request.virtual_number, pair, free_at)
            case _:  # without a name they have been placed together
                return await numbers.take_named(item.pools[0], request.virtual_number or 0, pair)

    def _ends_at(self, item: Item, pool: Pool) -> datetime:
        return effective_end(item.request.expires_at, _ttl(item.request, pool), self._now)

    def _free_at(self, item: Item, pool: Pool) -> datetime:
        return end_of_quarantine(self._ends_at(item, pool), pool.quarantine_seconds)

    async def _write(self) -> None:
        await self._numbers.close_previous()
        written = [(item, item.placed) for item in self._items if item.answer is None and item.placed is not None]
        if not written:
            return
        plain = [self._row(item, placed) for item, placed in written if item.request.mode in PLAIN_MODES]
        others = [
            (*self._row(item, placed), placed.peer_vn, placed.extension, _ring(item.request))
            for item, placed in written
            if item.request.mode not in PLAIN_MODES
        ]
        for statement, rows in ((queries.WRITE_ALLOCATIONS, plain), (queries.WRITE_MODES, others)):
            if rows:
                await self._connection.execute(statement, *map(list, zip(*rows, strict=True)), self._now)
        await self._write_members([item for item, _ in written if item.member_indexes])
        await self._write_rules([item for item, _ in written if item.rules is not None])
        for item, placed in written:
            item.answer = Allocation(binding=self._binding(item, placed), created=True)

    async def _write_members(self, items: Sequence[Item]) -> None:
        rows = [
            (item.id, position, self._keyring.encrypt(member.digits, context=member_context(item.id, party)), party)
            for item in items
            for position, (member, party) in enumerate(zip(item.request.members, item.member_indexes, strict=True))
        ]
        if rows:
            await self._connection.execute(queries.INSERT_MEMBERS, *map(list, zip(*rows, strict=True)))

    async def _write_rules(self, items: Sequence[Item]) -> None:
        if items:
            columns = [item.id for item in items], [item.rules for item in items]
            await self._connection.execute(queries.SET_RULES, *columns)

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
            rules=shown(item.rules),
            peer_vn=placed.peer_vn,
            extension=placed.extension,
            members_masked=tuple(member.masked for member in request.members) or None,
            ring=_ring(request),
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


def _error_of(item: Item, pools: Sequence[Pool], now: datetime) -> VnsError | None:
    """Chooses the pools that may serve the item; the error if there is none, or a party is a VN of ours."""
    for number in (item.request.real_number, item.request.peer_number, *item.request.members):
        if number is not None and any(number.key in pool for pool in pools):
            return NumberNotMappable("a party is a virtual number itself")
    open_to_tenant = open_pools(pools, item.tenant_id)
    try:
        item.pools = tuple(choose_pools(item.request, open_to_tenant, now))
        if item.request.mode is Mode.PER_SIDE:
            other_side = replace(item.request, virtual_number=item.request.peer_virtual_number)
            item.peer_pools = tuple(choose_pools(other_side, open_to_tenant, now))
    except VnsError as error:
        return error
    return None


def choose_pools(request: AllocationRequest, pools: Sequence[Pool], now: datetime) -> list[Pool]:
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
    if request.mode is Mode.OUTBOUND:
        offering = [pool for pool in offering if _may_call_out(pool, request, now)]  # nothing unproven is presented
    if not offering and (candidates or (service is not None and request.mode not in DEFAULT_MODES[service])):
        raise ModeNotSupported(f"mode {request.mode} is not offered by the numbers asked for")
    # numbers that may be shown before those that may not, of the tenant's own and of the operator's
    offering.sort(key=lambda pool: (pool.owner_id is None, not pool.may_be_shown(now)))
    unlocked = [pool for pool in offering if not pool.locked]
    if request.virtual_number is None:
        unlocked = [pool for pool in unlocked if pool.managed_by is ManagedBy.PLATFORM]
        if not unlocked and any(pool.managed_by is ManagedBy.CUSTOMER for pool in offering):
            raise InvalidRequest("numbers of this block are given out by their owner: name a virtual_number")
    if not unlocked:
        raise PoolExhausted("no open pool has numbers of this kind")
    return unlocked


def _may_call_out(pool: Pool, request: AllocationRequest, now: datetime) -> bool:
    """Whether numbers of the pool may be shown on one of the channels at least."""
    voice = Channel.VOICE in request.channels and pool.may_be_shown(now)
    return voice or (Channel.SMS in request.channels and pool.sms_sender_proof is not None)


def _locks_of(item: Item) -> Iterable[int]:
    """Advisory locks: parties (not of one-way numbers), the reference of an `ensure`, the tenant of a limited quota."""
    if item.request.mode is not Mode.ONE_WAY:
        yield from map(lock_key, item.parties)
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
    if request.mode in (Mode.ONE_WAY, Mode.EXTENSION):
        return request.caller_id or CallerId.CALLER
    return CallerId.VIRTUAL


def _ring(request: AllocationRequest) -> Ring | None:
    return request.ring or Ring.ORDER if request.mode is Mode.GROUP else None
