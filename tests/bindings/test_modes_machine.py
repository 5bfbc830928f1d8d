"""All modes on the same few numbers, over random histories on a real PostgreSQL: who reaches whom, asked of a model.

The model knows nothing of SQL. It keeps what was acknowledged: live bindings say who reaches whom, and each place
(number, seat, extension, subscriber) says until when it is taken. After every step everybody dials everything.
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
from vns.errors import InvalidRequest, PairInUse, PoolExhausted, SameParty, VirtualNumberInUse
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import FOREVER, Mode, Service
from vns.routing.rules import Connect

PEOPLE = [f"010{n}{n}{n}{n}000{n}" for n in range(1, 6)]
OUTSIDE = "0212345678"  # somebody whom a subscriber calls
EXTENSIONS = ["11", "22"]
QUARANTINE = 100  # seconds
NUMBERS = range(7081000000, 7081000004)

people = st.sampled_from(PEOPLE)
numbers = st.none() | st.sampled_from(NUMBERS)
teams = st.lists(people, min_size=1, max_size=3, unique=True)
Place = tuple[str, object, object]


@dataclass
class Known:
    """What was acknowledged of one binding."""

    id: UUID
    mode: Mode
    vn: int
    real: str
    ends_at: datetime
    peer: str | None = None
    peer_vn: int | None = None
    extension: str | None = None
    members: list[str] = field(default_factory=list)

    def people(self) -> set[str | None]:
        return {self.real, self.peer, *self.members}

    def places(self) -> set[Place]:
        seat = "seat"
        match self.mode:
            case Mode.ONE_WAY:
                return {("number", self.vn, None)}
            case Mode.OUTBOUND:
                return {("number", self.vn, None), ("subscriber", self.real, None)}
            case Mode.BIDIRECTIONAL:
                return {(seat, self.vn, self.real), (seat, self.vn, self.peer)}
            case Mode.PER_SIDE:
                return {(seat, self.vn, self.peer), (seat, self.peer_vn, self.real)}
            case Mode.GROUP:
                return {(seat, self.vn, one) for one in (self.real, *self.members)}
            case Mode.EXTENSION:
                return {(seat, self.vn, self.real), ("extension", self.vn, self.extension)}

    def reach(self, vn: int | None, caller: str, digits: str | None, dialled: str | None) -> tuple[str, ...] | None:
        """Whom `caller` reaches through this binding, while it is live."""
        found: str | tuple[str, ...] | None
        match self.mode:
            case Mode.OUTBOUND:
                found = dialled if (vn, caller) == (None, self.real) else None
            case Mode.PER_SIDE:
                found = {(self.vn, self.peer): self.real, (self.peer_vn, self.real): self.peer}.get((vn, caller))
            case _ if vn != self.vn:
                found = None
            case Mode.ONE_WAY:
                found = self.real if caller != self.real else None
            case Mode.EXTENSION:
                found = self.real if digits == self.extension and caller != self.real else None
            case Mode.BIDIRECTIONAL:
                found = {self.real: self.peer, self.peer: self.real}.get(caller)
            case _:
                sides: dict[str, str | tuple[str, ...]] = dict.fromkeys(self.members, self.real)
                found = {**sides, self.real: tuple(self.members)}.get(caller)
        return (found,) if isinstance(found, str) else found


def rest(end: datetime) -> datetime:
    return FOREVER if end >= FOREVER else end + timedelta(seconds=QUARANTINE)


class ModesMachine(RuleBasedStateMachine):
    """One pool of four numbers, five people, and a clock."""

    database_url: str
    runner: asyncio.Runner
    bindings = Bundle("bindings")

    def __init__(self) -> None:
        super().__init__()
        self.known: list[Known] = []
        self.taken: dict[Place, tuple[Known, datetime]] = {}
        self.stack = AsyncExitStack()
        self.world: World = self.run(self._open())

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    async def _open(self) -> World:
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        world = await self.stack.enter_async_context(open_world(self.database_url, Path(folder)))
        first, last = digits_of(NUMBERS[0]), digits_of(NUMBERS[-1])
        await world.pool(
            first, last, Service.VOIP, name="all", quarantine_seconds=QUARANTINE, sms_sender_proof="file 9"
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
        return known.ends_at > self.now

    def holder(self, place: Place) -> Known | None:
        """Who has the place, or had it and leaves it to rest."""
        known, until = self.taken.get(place, (None, self.now))
        # a subscriber rests from nothing: a number of its own is what rests
        until = known.ends_at if known is not None and place[0] == "subscriber" else until
        return known if until > self.now else None

    def allocate(self, mode: Mode, real: str, ttl: int | None, vn: int | None, **fields: Any) -> Any:
        if vn is not None:
            fields["vn"] = digits_of(vn)
        try:
            made: Binding = self.run(self.world.allocate(real, mode=mode, pool="all", ttl_seconds=ttl, **fields))
        except (PoolExhausted, PairInUse, SameParty):
            return multiple()
        except VirtualNumberInUse:
            assert vn is not None or "peer_vn" in fields
            return multiple()
        ends_at = FOREVER if ttl is None else self.now + timedelta(seconds=ttl)
        peer, members = fields.get("peer"), list(fields.get("members", ()))
        known = Known(made.id, mode, made.vn, real, ends_at, peer, made.peer_vn, made.extension, members)
        self.take(known, known.places())
        self.known.append(known)
        return known

    def take(self, known: Known, places: set[Place]) -> None:
        """Nobody else's, and not resting but from an ended binding of the same parties."""
        for place in places:
            before = self.holder(place)
            if before is not None:
                assert not self.live(before), place
                assert (before.mode, before.people()) == (known.mode, known.people()), place
        self.one_use(known)
        for place in places:
            self.taken[place] = (known, rest(known.ends_at))

    def one_use(self, known: Known) -> None:
        """A number is one binding's, or has seats of pairs, or extensions: never two of these at a time."""
        for vn in {known.vn, known.peer_vn} - {None}:
            for place in self.taken:
                holder = self.holder(place)
                if place[1] == vn and holder is not None and holder.id != known.id:
                    assert _use(holder.mode) == _use(known.mode) != "exclusive" or not self.live(holder)

    @rule(
        target=bindings,
        real=people,
        ttl=st.sampled_from([None, 60]),
        vn=numbers,
        mode=st.sampled_from(["one_way", "outbound"]),
    )
    def allocate_alone(self, real: str, ttl: int | None, vn: int | None, mode: str) -> Any:
        return self.allocate(Mode(mode), real, ttl, vn)

    @rule(
        target=bindings,
        real=people,
        peer=people,
        ttl=st.sampled_from([None, 60]),
        vn=numbers,
        mode=st.sampled_from(["bidirectional", "per_side"]),
    )
    def allocate_two(self, real: str, peer: str, ttl: int | None, vn: int | None, mode: str) -> Any:
        return self.allocate(Mode(mode), real, ttl, vn, peer=peer)

    @rule(target=bindings, real=people, peer=people, vn=numbers, peer_vn=st.sampled_from(NUMBERS))
    def allocate_sides_by_name(self, real: str, peer: str, vn: int | None, peer_vn: int) -> Any:
        if vn == peer_vn:
            return multiple()
        try:
            return self.allocate(Mode.PER_SIDE, real, None, vn, peer=peer, peer_vn=digits_of(peer_vn))
        except VirtualNumberInUse:
            return multiple()

    @rule(target=bindings, real=people, team=teams, ttl=st.sampled_from([None, 60]), vn=numbers)
    def allocate_team(self, real: str, team: list[str], ttl: int | None, vn: int | None) -> Any:
        return self.allocate(Mode.GROUP, real, ttl, vn, members=team)

    @rule(target=bindings, real=people, ttl=st.sampled_from([None, 60]), vn=numbers, wish=st.sampled_from(EXTENSIONS))
    def allocate_extension(self, real: str, ttl: int | None, vn: int | None, wish: str) -> Any:
        return self.allocate(Mode.EXTENSION, real, ttl, vn, extension=wish)

    @rule(known=consumes(bindings))
    def release(self, known: Known) -> None:
        self.run(self.world.bindings.release(self.world.mall, known.id))
        if self.live(known):
            known.ends_at = self.now
            for place in known.places():  # a party that was replaced rests since then
                self.taken[place] = (known, rest(self.now))

    @rule(known=bindings, real=st.none() | people, peer=st.none() | people, team=st.none() | teams)
    def change(self, known: Known, real: str | None, peer: str | None, team: list[str] | None) -> None:
        two = known.mode in (Mode.BIDIRECTIONAL, Mode.PER_SIDE)
        peer, team = peer if two else None, team if known.mode is Mode.GROUP else None
        if not self.live(known) or (real, peer, team) == (None, None, None):
            return
        wanted = BindingChange(
            real_number=parse(real) if real else None,
            peer_number=parse(peer) if peer else None,
            members=tuple(map(parse, team)) if team else None,
        )
        try:
            self.run(self.world.bindings.change(self.world.mall, known.id, wanted))
        except (PairInUse, SameParty, InvalidRequest):
            return
        before = known.places()
        known.real, known.peer, known.members = real or known.real, peer or known.peer, team or known.members
        new = known.places() - before
        for place in before - known.places():
            if place[0] == "subscriber":
                del self.taken[place]
            else:
                self.taken[place] = (known, rest(self.now))
        for place in new:
            holder = self.holder(place)
            assert holder is None or holder is known, place
            self.taken[place] = (known, rest(known.ends_at))

    @rule(seconds=st.sampled_from([1, 61, 101]))
    def wait(self, seconds: int) -> None:
        self.world.clock.move(seconds=seconds)

    @rule()
    def sweep(self) -> None:
        async def work() -> None:
            async with self.world.db.transaction() as connection:
                await sweep_overdue(connection, self.now)

        self.run(work())

    def expected(self, vn: int | None, caller: str, digits: str | None, dialled: str | None) -> tuple[str, ...] | None:
        found = [
            reached
            for known in self.known
            if self.live(known) and (reached := known.reach(vn, caller, digits, dialled)) is not None
        ]
        assert len(found) <= 1, "the model itself has two ways"
        return found[0] if found else None

    @invariant()
    def everybody_reaches_whom_they_should(self) -> None:
        ways: list[tuple[int | None, str, str | None, str | None]] = []
        for caller in PEOPLE:
            ways.append((None, caller, None, OUTSIDE))
            ways += [(vn, caller, digits, None) for vn in NUMBERS for digits in (None, *EXTENSIONS)]

        async def ask_all() -> list[tuple[str, ...] | None]:
            answers: list[tuple[str, ...] | None] = []
            async with self.world.db.connection() as connection:
                for vn, caller, digits, dialled in ways:
                    question = self.world.question(
                        vn,  # type: ignore[arg-type]  # None: no virtual number
                        caller,
                        digits=digits,
                        dialled=parse(dialled) if dialled else None,
                    )
                    routed = await self.world.router.route(connection, question, connect=False)
                    connects = isinstance(routed.decision, Connect)
                    answers.append(tuple(one.digits for one in routed.targets) if connects else None)
            return answers

        answers = self.run(ask_all())
        for way, answer in zip(ways, answers, strict=True):
            vn, caller, digits, dialled = way
            if digits is not None and self.use(vn) != "extension":
                continue  # nobody is asked for digits there
            assert answer == self.expected(vn, caller, digits, dialled), way

    def use(self, vn: int | None) -> str | None:
        for known in self.known:
            if known.vn == vn and known.mode is Mode.EXTENSION:
                return "extension"
        return None

    @invariant()
    def places_rest_as_long_as_they_should(self) -> None:
        async def ends() -> dict[Place, datetime]:
            async with self.world.db.connection() as connection:
                rows = await connection.fetch(PLACES)
            people_by_index = {self.world.keyring.index(one): one for one in PEOPLE}
            return {
                (row["place"], row["vn"], people_by_index.get(row["party"]) or row["extension"]): row["free_at"]
                for row in rows
            }

        stored = self.run(ends())
        for place, (known, _) in self.taken.items():
            if place[0] != "subscriber" and self.holder(place) is not None:
                assert stored[place] == self.taken[place][1], (place, known.mode)


def _use(mode: Mode) -> str:
    if mode in (Mode.ONE_WAY, Mode.OUTBOUND):
        return "exclusive"
    return "extension" if mode is Mode.EXTENSION else "shared"


PLACES = """
select 'number' as place, vn, null::bytea as party, null as extension, free_at from numbers
 where kind = 'exclusive' and binding_id is not null
union all select 'seat', vn, party, null, free_at from seats
union all select 'extension', vn, null, extension, free_at from extensions
"""


@pytest.mark.slow
def test_all_modes_keep_to_their_model(database_url: str) -> None:
    with asyncio.Runner() as runner:
        ModesMachine.database_url = database_url
        ModesMachine.runner = runner
        run_state_machine_as_test(
            ModesMachine,
            settings=settings(
                max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
