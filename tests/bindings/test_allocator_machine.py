"""The allocator and the decision against a model, over random histories on a real PostgreSQL.

The model knows nothing of SQL: it keeps what was acknowledged and works out who must be connected to whom. After every
step each number is asked for by each party, and the database is asked whether the invariants hold.
"""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.core_world import World, open_world
from vns.bindings.life import sweep_overdue
from vns.bindings.rules import Binding, BindingChange
from vns.errors import Conflict, PairInUse, PoolExhausted, SameParty, VirtualNumberInUse
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import FOREVER, Mode, Service
from vns.routing.rules import Reason, Refuse

PARTIES = [f"010{n}{n}{n}{n}000{n}" for n in range(1, 6)]
QUARANTINE = 100  # seconds
SAFE, VOIP = range(50420000000, 50420000003), range(7081000000, 7081000003)

parties = st.sampled_from(PARTIES)
lives = st.sampled_from([None, 60, 150])


@dataclass
class Known:
    """What was acknowledged of one binding. `seats`: until when each party's place on the number is taken."""

    id: UUID
    vn: int
    real: str
    peer: str | None
    ttl: int | None
    ends_at: datetime
    over: bool = False

    @property
    def parties(self) -> set[str]:
        return {self.real} | ({self.peer} if self.peer else set())


@dataclass
class Seat:
    binding: Known
    rests_until: datetime


@dataclass
class Number:
    """A number as the model sees it: its exclusive binding, or the seats of its pairs."""

    exclusive: Known | None = None
    seats: dict[str, Seat] = field(default_factory=dict)


def rest(end: datetime) -> datetime:
    return FOREVER if end >= FOREVER else end + timedelta(seconds=QUARANTINE)


class AllocatorMachine(RuleBasedStateMachine):
    """Two pools of three numbers, five people, and a clock."""

    database_url: str
    runner: asyncio.Runner
    bindings = Bundle("bindings")

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[int, Number] = {vn: Number() for vn in (*SAFE, *VOIP)}
        self.stack = AsyncExitStack()
        self.world: World = self.run(self._open())

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    async def _open(self) -> World:
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        world = await self.stack.enter_async_context(open_world(self.database_url, Path(folder)))
        for service, keys in ((Service.PERSONAL, SAFE), (Service.VOIP, VOIP)):
            await world.pool(
                digits_of(keys[0]), digits_of(keys[-1]), service, name=f"m{service}", quarantine_seconds=QUARANTINE
            )
        return world

    def teardown(self) -> None:
        async def clear() -> None:
            async with self.world.db.connection() as connection:
                await connection.execute("truncate tenants cascade")
                await connection.execute("truncate journal, journal_seals, calls, messages, message_pictures")

        self.run(clear())
        self.run(self.stack.aclose())

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    def live(self, known: Known) -> bool:
        return not known.over and known.ends_at > self.now

    def free_for_one(self, vn: int) -> bool:
        number = self.numbers[vn]
        if number.exclusive is not None and rest(number.exclusive.ends_at) > self.now:
            return False
        return all(seat.rests_until <= self.now for seat in number.seats.values())

    def free_for_pair(self, vn: int, *pair: str) -> bool:
        number = self.numbers[vn]
        if number.exclusive is not None and rest(number.exclusive.ends_at) > self.now:
            return False
        return all(number.seats[party].rests_until <= self.now for party in pair if party in number.seats)

    def learn(self, binding: Binding, real: str, peer: str | None, ttl: int | None) -> Known:
        ends_at = FOREVER if ttl is None else self.now + timedelta(seconds=ttl)
        known = Known(binding.id, binding.vn, real, peer, ttl, ends_at)
        number = self.numbers[binding.vn]
        if peer is None:
            number.exclusive, number.seats = known, {}
        else:
            number.exclusive = None
            number.seats |= {party: Seat(known, rest(ends_at)) for party in known.parties}
        return known

    @rule(target=bindings, real=parties, ttl=lives, pool=st.sampled_from(["m050", "m070"]))
    def allocate(self, real: str, ttl: int | None, pool: str) -> Any:
        keys = SAFE if pool == "m050" else VOIP
        free = [vn for vn in keys if self.free_for_one(vn)]
        try:
            binding = self.run(self.world.allocate(real, pool=pool, ttl_seconds=ttl))
        except PoolExhausted:
            assert not free
            return multiple()
        assert binding.vn in free
        return self.learn(binding, real, None, ttl)

    @rule(target=bindings, real=parties, peer=parties, ttl=lives)
    def allocate_pair(self, real: str, peer: str, ttl: int | None) -> Any:
        free = [vn for vn in VOIP if self.free_for_pair(vn, real, peer)]
        try:
            binding = self.run(self.world.pair(real, peer, pool="m070", ttl_seconds=ttl))
        except PoolExhausted:
            assert not free
            return multiple()
        except SameParty:
            assert real == peer
            return multiple()
        assert binding.vn in free
        return self.learn(binding, real, peer, ttl)

    @rule(target=bindings, vn=st.sampled_from([*SAFE, *VOIP]), real=parties, peer=st.none() | parties, ttl=lives)
    def allocate_named(self, vn: int, real: str, peer: str | None, ttl: int | None) -> Any:
        if peer == real or (peer is not None and vn in SAFE):
            return multiple()
        free = self.free_for_one(vn) if peer is None else self.free_for_pair(vn, real, peer)
        fields: dict[str, Any] = {"mode": Mode.BIDIRECTIONAL, "peer": peer} if peer else {}
        try:
            binding = self.run(self.world.allocate(real, vn=digits_of(vn), ttl_seconds=ttl, **fields))
        except Conflict as error:
            assert isinstance(error, VirtualNumberInUse if peer is None else (VirtualNumberInUse, PairInUse))
            assert not free
            return multiple()
        assert binding.vn == vn
        assert free or self.revived(vn, real, peer)
        return self.learn(binding, real, peer, ttl)

    def revived(self, vn: int, real: str, peer: str | None) -> bool:
        """Whether the number rested from an ended binding of the very same parties."""
        number = self.numbers[vn]
        if peer is None:
            before = number.exclusive
            return before is not None and not self.live(before) and before.real == real
        held = [number.seats[party] for party in (real, peer) if party in number.seats]
        held = [seat for seat in held if seat.rests_until > self.now]
        return all(not self.live(seat.binding) and seat.binding.parties == {real, peer} for seat in held)

    @rule(known=consumes(bindings))
    def release(self, known: Known) -> None:
        self.run(self.world.bindings.release(self.world.mall, known.id))
        if self.live(known):
            known.ends_at = self.now
            for party in known.parties:
                seat = self.numbers[known.vn].seats.get(party)
                if seat is not None and seat.binding is known:
                    seat.rests_until = rest(self.now)
        known.over = True

    @rule(known=bindings, party=parties)
    def change_real(self, known: Known, party: str) -> None:
        if not self.live(known) or party in known.parties:
            return
        seats = self.numbers[known.vn].seats
        free = known.peer is None or party not in seats or seats[party].rests_until <= self.now
        change = BindingChange(real_number=parse(party))
        try:
            self.run(self.world.bindings.change(self.world.mall, known.id, change))
        except PairInUse:
            assert not free
            return
        assert free
        if known.peer is not None:
            seats[known.real].rests_until = rest(self.now)
            seats[party] = Seat(known, rest(known.ends_at))
        known.real = party

    @rule(seconds=st.sampled_from([1, 30, 61, 100, 151]))
    def wait(self, seconds: int) -> None:
        self.world.clock.move(seconds=seconds)

    @rule()
    def sweep(self) -> None:
        async def work() -> None:
            async with self.world.db.transaction() as connection:
                await sweep_overdue(connection, self.now)

        self.run(work())

    @rule(dialled=bindings, caller=parties)
    def call(self, dialled: Known, caller: str) -> None:
        """A connected decision moves a sliding end; the checks after every step see whether it moved rightly."""
        vn = dialled.vn
        routed = self.run(self.world.ask(vn, caller))
        if isinstance(routed.decision, Refuse):
            return
        known = self.live_binding(vn, caller)
        assert known is not None
        if known.ttl is not None:
            known.ends_at = self.now + timedelta(seconds=known.ttl)
            for party in known.parties & set(self.numbers[vn].seats):
                self.numbers[vn].seats[party].rests_until = rest(known.ends_at)

    def live_binding(self, vn: int, caller: str) -> Known | None:
        number = self.numbers[vn]
        known = number.exclusive or (number.seats[caller].binding if caller in number.seats else None)
        return known if known is not None and self.live(known) else None

    def expected(self, vn: int, caller: str) -> str | Reason:
        number = self.numbers[vn]
        if number.exclusive is not None:
            known = number.exclusive
            if self.live(known):
                return Reason.NOT_ALLOWED if known.real == caller else known.real
            return Reason.ENDED if rest(known.ends_at) > self.now else Reason.UNALLOCATED
        if caller in number.seats:
            known = number.seats[caller].binding
            if not self.live(known) or caller not in known.parties:
                return Reason.ENDED
            return (known.parties - {caller}).pop()
        resting = any(seat.rests_until > self.now for seat in number.seats.values())
        return Reason.NOT_A_PARTY if resting else Reason.UNALLOCATED

    @invariant()
    def everybody_reaches_whom_they_should(self) -> None:
        async def ask_all() -> dict[tuple[int, str], str | Reason]:
            answers: dict[tuple[int, str], str | Reason] = {}
            async with self.world.db.connection() as connection:
                for vn in self.numbers:
                    for caller in PARTIES:
                        routed = await self.world.router.route(
                            connection, self.world.question(vn, caller), connect=False
                        )
                        target = routed.target.digits if routed.target else ""
                        refusal = routed.decision
                        answers[vn, caller] = refusal.reason if isinstance(refusal, Refuse) else target
            return answers

        answers = self.run(ask_all())
        assert answers == {(vn, caller): self.expected(vn, caller) for vn in self.numbers for caller in PARTIES}

    @invariant()
    def the_database_holds_the_invariants(self) -> None:
        async def violations() -> list[Any]:
            async with self.world.db.connection() as connection:
                return await connection.fetch(TWICE_LIVE, self.now)  # type: ignore[no-any-return]

        assert not self.run(violations())

    @invariant()
    def quarantines_end_when_they_should(self) -> None:
        """Seen in the tables: a number given out too early would take a rare history to show otherwise."""

        async def ends() -> dict[tuple[int, bytes | None], datetime]:
            async with self.world.db.connection() as connection:
                rows = await connection.fetch(QUARANTINES)
            return {(row["vn"], row["party"]): row["free_at"] for row in rows}

        expected: dict[tuple[int, bytes | None], datetime] = {}
        for vn, number in self.numbers.items():
            if number.exclusive is not None:
                expected[vn, None] = rest(number.exclusive.ends_at)
            for party, seat in number.seats.items():
                expected[vn, self.world.keyring.index(party)] = seat.rests_until
        assert self.run(ends()) == expected


QUARANTINES = """
select vn, null as party, free_at from numbers where kind = 'exclusive' and binding_id is not null
union all select vn, party, free_at from seats
"""

# Invariant 1 in SQL, from the bindings alone: what shares a number with a live binding that it must not share it with.
TWICE_LIVE = """
select a.vn from bindings a join bindings b on b.vn = a.vn and b.id <> a.id
where a.status = 'active' and a.ends_at > $1 and b.status = 'active' and b.ends_at > $1
  and (a.mode = 'one_way' or b.mode = 'one_way'
       or a.real_index in (b.real_index, b.peer_index) or a.peer_index in (b.real_index, b.peer_index))
"""


@pytest.mark.slow
def test_the_allocator_keeps_to_its_model(database_url: str) -> None:
    with asyncio.Runner() as runner:
        AllocatorMachine.database_url = database_url
        AllocatorMachine.runner = runner
        run_state_machine_as_test(
            AllocatorMachine,
            settings=settings(
                max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
