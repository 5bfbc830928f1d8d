"""Random histories of calls, changes and outages: nobody is connected by what an acknowledged change took away.

The model keeps what was acknowledged. Between a change and its acknowledgement either answer is right.
"""

import asyncio
import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from redis.asyncio import Redis

from tests.core_world import open_world
from tests.standby.parts import scene
from vns.bindings.rules import BindingChange
from vns.errors import Conflict, PoolExhausted, Unavailable
from vns.numbering.rules import digits_of, parse

PEOPLE = [f"010{n}{n}{n}{n}000{n}" for n in range(1, 5)]
Answer = TypeVar("Answer")


@dataclass
class Line:
    """One one-way binding. `may_reach`: whom a call may be connected to; more than one while a change is not
    acknowledged, nobody once its end is."""

    id: UUID
    vn: int
    ends_at: datetime | None
    may_reach: set[str] = field(default_factory=set)


class OutageMachine(RuleBasedStateMachine):
    database_url: str
    redis_url: str
    runner: asyncio.Runner
    lines = Bundle("lines")

    def __init__(self) -> None:
        super().__init__()
        self.by_number: dict[int, list[Line]] = {}
        self.stack = AsyncExitStack()

        async def build() -> None:
            redis = Redis.from_url(self.redis_url)
            await redis.flushall()
            await redis.aclose()
            folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
            self.world = await self.stack.enter_async_context(open_world(self.database_url, folder))
            self.on = await self.stack.enter_async_context(scene(self.world, self.redis_url, folder))
            await self.on.bridge.calm()  # opens them
            await self.on.bridge.calm()
            self.world.clock.move(seconds=3)

        self.run(build())

    def run(self, work: Awaitable[Answer]) -> Answer:
        async def waited() -> Answer:
            return await work

        return self.runner.run(waited())

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.run(wiped(self.database_url))

    @initialize(target=lines)
    def begin(self) -> Any:
        return multiple(*(self.allocate(who, None) for who in PEOPLE[:2]))

    @rule(target=lines, who=st.sampled_from(PEOPLE), life=st.sampled_from([None, 61, 120]))
    def give(self, who: str, life: int | None) -> Line:
        return self.allocate(who, life)

    def allocate(self, who: str, life: int | None) -> Line:
        ends_at = self.world.clock.now() + timedelta(seconds=life) if life else None
        try:
            binding = self.run(self.world.allocate(who, expires_at=ends_at))
        except PoolExhausted:
            return Line(UUID(int=0), 0, None)
        line = Line(binding.id, binding.vn, ends_at, {who})
        self.by_number.setdefault(line.vn, []).append(line)
        return line

    @rule(line=lines, who=st.sampled_from(PEOPLE))
    def change_party(self, line: Line, who: str) -> None:
        before = set(line.may_reach)
        line.may_reach.add(who)
        try:
            self.run(self.on.bindings.change(self.world.mall, line.id, BindingChange(real_number=parse(who))))
        except Unavailable:
            return  # it may be either until somebody asks again
        except Conflict:
            line.may_reach = before
        except Exception as error:  # noqa: BLE001 - over, or no such binding
            assert type(error).__name__ in {"InvalidRequest", "NotFound"}, error
            line.may_reach = before
        else:
            line.may_reach = {who}

    @rule(line=lines)
    def release(self, line: Line) -> None:
        if not line.vn:
            return
        try:
            self.run(self.on.bindings.release(self.world.mall, line.id))
        except Unavailable:
            return
        line.may_reach = set()

    def call(self, line: Line, caller: str) -> None:
        try:
            begun = self.run(self.on.bridge.call(digits_of(line.vn), caller))
        except Unavailable:
            assert not (self.on.bridge.db.reached and self.on.bridge.standby.calm)
            return
        reached = begun.routed.target
        if reached is None:
            return
        now = self.world.clock.now()
        allowed = set[str]()
        for one in self.by_number[line.vn]:
            if one.ends_at is None or now < one.ends_at:
                allowed |= one.may_reach
        assert reached.digits in allowed, (reached.digits, allowed)

    @rule()
    def bridge_sends(self) -> None:
        self._quietly(self.on.bridge.copies.flush())

    @rule(caller=st.sampled_from(PEOPLE), sent=st.booleans())
    def calls_in_good_times(self, caller: str, sent: bool) -> None:
        """The bridge reaches everything, and every number is called. `sent`: its copies have reached Redis."""
        self.on.bridge.db.reached = self.on.bridge.store.reached = True
        for work in (self.on.bridge.standby.probe, self.on.bridge.copies.look):
            self.run(work())
        self.world.clock.move(seconds=3)  # what was changed less than two seconds ago is not copied
        self._call_all(caller)
        if sent:
            self.run(self.on.bridge.copies.flush())

    @rule(caller=st.sampled_from(PEOPLE))
    def calls_in_bad_times(self, caller: str) -> None:
        self.on.bridge.db.reached = False
        self._call_all(caller)

    def _call_all(self, caller: str) -> None:
        for told in list(self.by_number.values()):
            self.call(told[-1], caller)

    @rule()
    def bridge_confirms(self) -> None:
        self._quietly(self.on.bridge.copies.confirm())

    @rule()
    def bridge_notices(self) -> None:
        self._quietly(self.on.bridge.standby.probe())

    @rule(reached=st.booleans())
    def postgresql_for_the_bridge(self, reached: bool) -> None:
        self.on.bridge.db.reached = reached

    @rule(reached=st.booleans())
    def redis_for_the_bridge(self, reached: bool) -> None:
        self.on.bridge.store.reached = reached

    @rule(reached=st.sampled_from([True, True, True, False]))
    def redis_for_the_malls(self, reached: bool) -> None:
        self.on.malls.reached = reached

    @rule(really=st.sampled_from([True, False, False]))
    def redis_is_emptied(self, really: bool) -> None:
        if not really:
            return

        async def empty() -> None:
            redis = Redis.from_url(self.redis_url)
            await redis.flushall()
            await redis.aclose()

        self.run(empty())

    @rule(seconds=st.sampled_from([1, 1, 3, 20, 100]))
    def time_passes(self, seconds: int) -> None:
        """The bridge looks every second as long as it can: what it knows is never older than it may be."""
        self.world.clock.move(seconds=seconds)

    def _quietly(self, work: Awaitable[object]) -> None:
        with suppress(Unavailable):
            self.run(work)


async def wiped(database_url: str) -> None:
    """The next history begins with an empty platform."""
    import asyncpg  # noqa: PLC0415 - only here

    connection = await asyncpg.connect(database_url)
    names = await connection.fetch(
        "select tablename from pg_tables where schemaname = 'public'"
        " and tablename not in ('alembic_version', 'copies_state')"
    )
    await connection.execute("truncate " + ", ".join(row["tablename"] for row in names) + " cascade")
    await connection.execute("update copies_state set closed_at = null")
    await connection.close()


@pytest.mark.slow
def test_nobody_is_connected_by_what_was_taken_away(database_url: str, redis_url: str) -> None:
    with asyncio.Runner() as runner:
        OutageMachine.database_url = database_url
        OutageMachine.redis_url = redis_url
        OutageMachine.runner = runner
        run_state_machine_as_test(
            OutageMachine,
            settings=settings(
                max_examples=50, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
