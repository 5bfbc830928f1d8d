"""Copies of the facts of calls, for the time in which PostgreSQL does not answer (docs/staying-up.md).

Copied is the row by which a call was connected, sealed with the key ring; the decision is taken anew by the same
function for every call, so that ends, hours and blocks of the row hold. Not copied is what a row alone cannot decide:
bindings that one call ends, that have a hook or a limit of calls at a time, extensions and subscribers.
"""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from vns.bindings.rules import Channel, Status
from vns.crypto.errors import DecryptionFailed, UnknownKeyVersion
from vns.crypto.rules import KeyRing
from vns.errors import Unavailable
from vns.pools.rules import Mode
from vns.routing import queries
from vns.routing.rules import NumberUse, Question
from vns.routing.service import NOBODY, FactsRow, Router
from vns.rulebook.documents import read
from vns.storage.clock import Clock
from vns.storage.copies import CopyStore, Epoch, Kept
from vns.storage.database import Database
from vns.storage.revocation import CLOSED_AT, LOOK_EVERY, OPEN, REOPENED_AFTER, TRUSTED_FOR

log = logging.getLogger(__name__)

ANYBODY: Final = b"*"  # the field of an exclusive number's copy that holds for every caller
FLUSH_EVERY: Final = 0.5  # seconds
FORGETS_EVERY: Final = timedelta(seconds=30)  # between looks at whether Redis keeps things on disk
MOST_WAITING: Final = 10_000  # calls whose copies wait for Redis; the oldest are given up
CONFIRM_AFTER: Final = timedelta(seconds=20)  # from the read on that a copy stems from, which is new enough till then
NEWEST_EVERY: Final = timedelta(seconds=20)  # between looks at which bindings are the newest
ASKED_AT_ONCE: Final = 200  # copies that Redis is asked about in one command
AT_ONCE: Final = 20  # rows confirmed in one statement: sealing more would hold calls up
BETWEEN: Final = 0.03  # seconds between two such statements: 5,000 rows take some ten seconds
MOST_SINGLY: Final = 100  # rows in one round that have rules or blocks, and are read one by one

_NEVER: Final = datetime.min.replace(tzinfo=UTC)

_COPIED_MODES = frozenset({Mode.ONE_WAY, Mode.BIDIRECTIONAL, Mode.PER_SIDE, Mode.GROUP})


_Seat = tuple[int, bytes]
"""Number and caller; NOBODY where its copy is the same for every caller."""


@dataclass(frozen=True, slots=True)
class _Noted:
    """A row as it was read, from `read_at` on, for one number and caller."""

    vn: int
    caller: bytes
    facts: FactsRow
    read_at: datetime


class Copies:
    """One bridge's: what it keeps, confirms, and finds again. `keep` makes nobody wait; `run` is its owner's task."""

    def __init__(
        self,
        db: Database,
        store: CopyStore,
        router: Router,
        clock: Clock,
        *,
        confirm_every: float = 5.0,
        confirm_most: int = 5_000,
        newest: int = 2_000,
    ) -> None:
        """What was asked about lately (`confirm_most` at the most) and the `newest` bindings are read again once their
        copies are CONFIRM_AFTER old, so that none ends while PostgreSQL is well; `confirm_every` seconds is looked
        which are."""
        self._db = db
        self._store = store
        self._router = router
        self._clock = clock
        self._confirm_every = confirm_every
        self._confirm_most = confirm_most
        self._newest = newest
        self._noted: list[_Noted] = []
        self._asked: OrderedDict[_Seat, None] = OrderedDict()
        self._new: list[_Seat] = []
        self._look_at_newest = _NEVER
        self._new_until: dict[_Seat, datetime] = {}  # copies in Redis, whoever keeps them
        self._left_until: dict[_Seat, datetime] = {}  # without a copy
        self._ruled: dict[_Seat, None] = {}  # to be read one by one
        self._seals: OrderedDict[tuple[int, bytes], tuple[FactsRow, bytes]] = OrderedDict()
        self._epoch: Epoch | None = None
        self._forgets = False
        self._ask_redis_at = _NEVER
        self._open_until: datetime | None = None
        self._stopped: frozenset[bytes] = frozenset()

    # -- keeping --------------------------------------------------------------------------------------------

    def keep(self, question: Question, facts: FactsRow | None) -> None:
        """What a call was connected by. Nothing but a note is made of it here: the caller waits."""
        if facts is not None and question.vn is not None and question.channel is Channel.VOICE:
            self._noted.append(
                _Noted(question.vn, self._router.pseudonym(question.caller) or NOBODY, facts, question.at)
            )

    def _remember(self, seat: _Seat) -> None:
        """To be read again before the lease is over."""
        self._asked[seat] = None
        self._asked.move_to_end(seat)
        while len(self._asked) > self._confirm_most:
            self._asked.popitem(last=False)

    def _is_kept(self, seat: _Seat, one: _Noted) -> bool:
        """Whether this bridge or another has kept the same a moment ago: a message to Redis less for most calls."""
        known = self._seals.get((one.vn, field_of(one.facts, one.caller)))
        return known is not None and known[0] == one.facts and _is_later(self._new_until.get(seat), one.read_at)

    def _sealed(self, noted: _Noted) -> Kept:
        """Of a row that is as it was the ciphertext is kept: nothing in it says until when it holds."""
        field = field_of(noted.facts, noted.caller)
        known = self._seals.get((noted.vn, field))
        if known is not None and known[0] == noted.facts:
            sealed = known[1]
        else:
            sealed = seal(self._router.keyring, noted.vn, field, noted.facts)
            self._seals[noted.vn, field] = (noted.facts, sealed)
            while len(self._seals) > self._confirm_most + self._newest:
                self._seals.popitem(last=False)
        return Kept(vn=noted.vn, field=field, sealed=sealed, read_at=noted.read_at)

    def is_open(self, now: datetime) -> bool:
        """Whether what is read from `now` on is kept."""
        return (
            self._epoch is not None
            and self._epoch.known_at < now
            and self._open_until is not None
            and now < self._open_until
        )

    async def run(self) -> None:
        """Until cancelled. Whatever does not answer, copies end and nobody is served longer than a lease."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_on())
            tasks.create_task(self._confirm_on())

    async def _keep_on(self) -> None:
        loop = asyncio.get_running_loop()
        look_at = 0.0
        while True:
            with _given_up():
                if loop.time() >= look_at:
                    look_at = loop.time() + LOOK_EVERY.total_seconds()
                    await self.look()
                await self.flush()
            await asyncio.sleep(FLUSH_EVERY)

    async def _confirm_on(self) -> None:
        """Slowly, beside the rest: a burst of it would hold callers up."""
        while True:
            with _given_up():
                await self.confirm()
            is_open = self.is_open(self._clock.now())
            await asyncio.sleep(self._confirm_every if is_open else LOOK_EVERY.total_seconds())

    async def look(self) -> None:
        """Whether copies may be kept now: PostgreSQL says they are open, and Redis forgets. Raises Unavailable."""
        now = self._clock.now()
        async with self._db.connection() as connection:
            closed_at = await connection.fetchval(CLOSED_AT)
            stopped = await connection.fetch(queries.STOPPED_CALLERS, now)
        self._stopped = frozenset(row["party"] for row in stopped)
        if closed_at is not None:
            # what was read until they are open again may be older than a change that needed no Redis
            self._open_until = self._epoch = None
            if now - closed_at > REOPENED_AFTER and await self._store.forgets():
                async with self._db.connection() as connection:
                    await connection.execute(OPEN, now - REOPENED_AFTER)
            return
        if now >= self._ask_redis_at:
            self._open_until = None
            self._forgets = await self._store.forgets()
            self._ask_redis_at = now + FORGETS_EVERY
            if not self._forgets:
                log.warning(
                    "Redis keeps its contents on disk, drops some when it is full, or hides it: no copies for an outage"
                )
        if not self._forgets:
            return
        value = await self._store.epoch()
        if self._epoch is None or value != self._epoch.value:
            self._epoch = Epoch(value=value, known_at=self._clock.now())
            self._new_until = {}
        self._open_until = now + TRUSTED_FOR

    async def flush(self) -> None:
        """Send what was noted. Raises Unavailable, and then that is given up: it would soon be too old."""
        noted, self._noted = self._noted[-MOST_WAITING:], []
        fresh: list[_Noted] = []
        for one in noted:
            if not copyable(one.facts):
                continue
            seat = _seat_of(one)
            self._remember(seat)
            if self.is_open(one.read_at) and not self._is_kept(seat, one):
                fresh.append(one)
        await self._send(fresh)

    async def _send(self, noted: Sequence[_Noted]) -> None:
        """Raises Unavailable."""
        epoch = self._epoch
        if not noted or epoch is None:
            return
        kept = await self._store.keep(epoch, [self._sealed(one) for one in noted], self._clock.now())
        if epoch is not self._epoch:  # a look has come in between, and knows more
            return
        if kept is None:
            self._epoch = None  # somebody took everything back, or Redis was emptied
            return
        for one, is_kept in zip(noted, kept, strict=True):
            if is_kept:
                self._new_until[_seat_of(one)] = one.read_at + CONFIRM_AFTER

    async def confirm(self) -> None:
        """Read again what is due, what was asked about last first, and keep it anew. Raises Unavailable.

        What another bridge has kept meanwhile need not be read by this one.
        """
        now = self._clock.now()
        if not self.is_open(now):
            return
        if now >= self._look_at_newest:
            async with self._db.connection() as connection:
                newest = await connection.fetch(queries.NEWEST_SEATS, self._newest)
            self._new = [(row["vn"], row["party"] or NOBODY) for row in newest]
            self._look_at_newest = now + NEWEST_EVERY
        seats = list(dict.fromkeys([*reversed(self._asked), *self._new]))
        for known in (self._new_until, self._left_until, self._ruled):
            for seat in known.keys() - seats:
                del known[seat]
        due = [
            seat
            for seat in seats
            if not (_is_later(self._new_until.get(seat), now) or _is_later(self._left_until.get(seat), now))
        ]
        left = await self._renew([seat for seat in due if seat not in self._ruled], MOST_SINGLY)
        ruled = [seat for seat in due if seat in self._ruled]
        ruled.sort(key=lambda seat: self._new_until.get(seat, _NEVER))  # each gets its turn, however many there are
        await self._renew(ruled[:left], left)

    async def _renew(self, seats: Sequence[_Seat], singly: int) -> int:
        """How many rows may still be read one by one in this round."""
        for start in range(0, len(seats), ASKED_AT_ONCE):
            missing = await self._not_kept_by_others(seats[start : start + ASKED_AT_ONCE])
            for at in range(0, len(missing), AT_ONCE):
                singly -= await self._confirm(missing[at : at + AT_ONCE], singly)
                await asyncio.sleep(BETWEEN)
        return singly

    async def _not_kept_by_others(self, seats: Sequence[_Seat]) -> list[_Seat]:
        """Those of `seats` of which Redis holds no copy that is new enough."""
        now, left = self._clock.now(), []
        copies = [(vn, ANYBODY if caller == NOBODY else caller) for vn, caller in seats]
        for seat, read_at in zip(seats, await self._store.reads(copies, now), strict=True):
            if read_at is None or read_at + CONFIRM_AFTER <= now:
                left.append(seat)
            else:
                self._new_until[seat] = read_at + CONFIRM_AFTER
        return left

    async def _confirm(self, seats: Sequence[_Seat], singly: int) -> int:
        """How many had to be read one by one, at most `singly`: the others of that kind are left for a while."""
        now, read = self._clock.now(), 0
        kept: list[_Noted] = []
        async with self._db.connection() as connection:
            numbers, callers = [vn for vn, _ in seats], [caller for _, caller in seats]
            rows = await connection.fetch(queries.FACTS_OF_MANY, numbers, callers, now)
            for (vn, caller), row in zip(seats, rows, strict=True):
                facts: FactsRow = row
                self._ruled.pop((vn, caller), None)
                if row["more"]:
                    if caller == NOBODY:  # its copies are for each caller who has called
                        self._left_until[vn, caller] = now + CONFIRM_AFTER
                        continue
                    self._ruled[vn, caller] = None
                    if read == singly:
                        continue
                    read += 1
                    facts = await connection.fetchrow(queries.ALL_FACTS, vn, caller, now, None, None, None, None)
                if not copyable(facts):
                    self._asked.pop((vn, caller), None)  # it has ended
                    self._left_until[vn, caller] = now + CONFIRM_AFTER
                elif self.is_open(now):
                    kept.append(_Noted(vn, caller, facts, now))
        await self._send(kept)
        return read

    # -- finding --------------------------------------------------------------------------------------------

    async def recall(self, question: Question) -> FactsRow | None:
        """The facts of a call as they were known at most a lease ago; None where nothing is. Raises Unavailable."""
        if question.vn is None or question.digits is not None:
            return None
        now = self._clock.now()
        caller = self._router.pseudonym(question.caller)
        fields = [ANYBODY] if caller is None else [caller, ANYBODY]
        for found in await self._store.find(question.vn, fields, now):
            facts = opened(self._router.keyring, question.vn, found.field, found.sealed)
            if facts is not None:
                return {**facts, "caller_stopped": caller in self._stopped}
        return None


@contextmanager
def _given_up() -> Iterator[None]:
    """What does not answer now is asked again in the next round."""
    try:
        yield
    except (Unavailable, asyncpg.PostgresError, OSError, TimeoutError) as error:
        log.debug("copies wait: %s", type(error).__name__)


def copyable(facts: FactsRow) -> bool:
    """Whether the row alone decides every call that it is found for."""
    if facts["id"] is None or facts["vn"] is None or facts["status"] != Status.ACTIVE or facts["expire_after_call"]:
        return False
    if Mode(facts["mode"]) not in _COPIED_MODES or facts["kind"] == NumberUse.EXTENSION:
        return False
    if not facts.get("all_told", False):
        return True
    rules = read(facts["rules"]).over(read(facts["pool_rules"]))
    return facts["hook_url"] is None and rules.concurrent_calls is None


def field_of(facts: FactsRow, caller: bytes) -> bytes:
    """An exclusive number without rules is the same for every caller; all else is about one."""
    anybody = facts["kind"] == NumberUse.EXCLUSIVE and not facts.get("all_told", False) and not facts["caller_stopped"]
    return ANYBODY if anybody else caller


def _seat_of(noted: _Noted) -> _Seat:
    """What is confirmed for it."""
    return noted.vn, NOBODY if field_of(noted.facts, noted.caller) == ANYBODY else noted.caller


def _is_later(until: datetime | None, now: datetime) -> bool:
    return until is not None and now < until


def seal(keyring: KeyRing, vn: int, field: bytes, facts: FactsRow) -> bytes:
    """Encrypted, and good for this number and field only."""
    return keyring.encrypt(json.dumps(dict(facts), default=_packed, separators=(",", ":")), context=_context(vn, field))


def opened(keyring: KeyRing, vn: int, field: bytes, sealed: bytes) -> FactsRow | None:
    """None for what this platform has not sealed, or not for this place."""
    try:
        text = keyring.decrypt(sealed, context=_context(vn, field))
    except (DecryptionFailed, UnknownKeyVersion):
        log.warning("a copy in Redis is not one of ours")
        return None
    facts: FactsRow = json.loads(text, object_hook=_unpacked)
    return facts


def _context(vn: int, field: bytes) -> bytes:
    # 2: rows that tell until when the number is proven; what an older version has sealed is none of ours
    return b"copy2:" + vn.to_bytes(8, "big") + field


def _packed(value: object) -> dict[str, str]:
    match value:
        case bytes():
            return {"$b": value.hex()}
        case UUID():
            return {"$u": str(value)}
        case datetime():
            return {"$t": value.isoformat()}
    raise TypeError(f"no column of the facts is a {type(value).__name__}")


def _unpacked(found: dict[str, Any]) -> Any:
    if len(found) == 1:
        [(kind, text)] = found.items()
        if kind == "$b":
            return bytes.fromhex(text)
        if kind == "$u":
            return UUID(text)
        if kind == "$t":
            return datetime.fromisoformat(text)
    return found
