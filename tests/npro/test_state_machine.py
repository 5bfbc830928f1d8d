"""Whatever happens in whatever order, crashes too: a row is in one place, in one known state, submitted once, or twice
where nobody can know of the first time and the row says so.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from sms_relay.agent.checks import refusal
from sms_relay.agent.mover import TableMover
from sms_relay.agent.store import Accepted, Doubtful, Ended, Outcome, PartResult, Returned, Store
from sms_relay.npro.codes import Detail, Result, ResultCode
from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock

ALLOWED = {(0, 1), (1, 0), (1, 2), (1, 3), (2, 3), (2, 2), (0, 0), (1, 1), (3, 3)}
NOON = datetime(2026, 5, 4, 12, 0, 0)  # noqa: DTZ001 - Korean local time

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(1, 4)),
        st.tuples(st.just("take"), st.integers(1, 5)),
        st.tuples(st.just("take"), st.integers(1, 5)),
        st.tuples(st.just("accepted"), st.integers(1, 3)),
        st.tuples(st.sampled_from(["ended", "returned", "doubtful", "unsure take", "move"]), st.just(0)),
        st.tuples(st.just("success"), st.integers(0, 9)),
        st.tuples(st.just("failure"), st.integers(0, 9)),
        st.tuples(st.sampled_from(["repeated receipt", "crash", "crash, and again"]), st.just(0)),
    ),
    min_size=10,
    max_size=25,
)


class Noon(KoreanClock):
    def now(self) -> datetime:
        return NOON


@dataclass
class World:
    """What a process knows, and what the outside has seen."""

    database: NproDatabase
    store: Store
    mover: TableMover
    taken: list[int] = field(default_factory=list)
    may_be_sent: dict[int, int] = field(default_factory=dict)  # how often take gave the row out and kept it
    doubted: set[int] = field(default_factory=set)  # to be submitted once more
    awaiting: list[str] = field(default_factory=list)
    told: list[PartResult] = field(default_factory=list)
    ids: int = 0
    before: dict[int, tuple[int, str | None]] = field(default_factory=dict)

    async def act(self, action: str, number: int) -> None:
        match action:
            case "insert":
                values = {"CUR_STATE": 0, "CALL_TO": "01012345678", "SMS_TXT": "글", "MSG_TYPE": 4}
                async with self.database.transaction() as connection:
                    await connection.execute(insert(self.database.tables.data), [values] * number)
            case "take":
                await self.take(number)
            case "unsure take":  # committed, but the answer got lost
                await self.store.take(2)
                await self.store.give_back(self.taken)
            case "move":
                await self.mover.move_once()
            case "crash" | "crash, and again":
                again = action != "crash"
                await self.store.recover(refusal(Detail.OUTCOME_LOST_BY_RESTART, NOON), again=again)
                self.doubted.update(self.taken if again else ())
                self.taken.clear()
            case "accepted" | "ended" | "returned" | "doubtful" if self.taken:
                await self.store.record([self.outcome(action, self.taken.pop(0), number)])
            case "success" | "failure" if self.awaiting:
                code = ResultCode.SUCCESS if action == "success" else ResultCode.POWERED_OFF
                await self.tell(self.awaiting.pop(number % len(self.awaiting)), code)
            case "repeated receipt" if self.told:
                await self.store.apply([self.told[-1], self.told[0]])

    async def take(self, number: int) -> None:
        for row in await self.store.take(number):
            self.taken.append(row.seq)
            self.may_be_sent[row.seq] = self.may_be_sent.get(row.seq, 0) + 1

    def outcome(self, action: str, seq: int, parts: int) -> Outcome:
        if action == "returned":
            self.may_be_sent[seq] -= 1
            return Returned(seq=seq)
        if action == "doubtful":
            self.doubted.add(seq)
            return Doubtful(seq=seq, result=refusal(Detail.OUTCOME_LOST_ON_LINK, NOON))
        if action == "ended":
            return Ended(seq=seq, result=refusal(Detail.NO_TEXT, NOON))
        ids = tuple(f"{seq}/{part}" for part in range(parts))
        self.awaiting += ids
        return Accepted(seq=seq, link="l", message_ids=ids)

    async def tell(self, message_id: str, code: ResultCode) -> None:
        result = PartResult(link="l", message_id=message_id, result=Result(code=code, detail=0, at=NOON))
        self.told.append(result)
        await self.store.apply([result])

    async def check(self) -> None:
        tables = self.database.tables
        async with self.database.transaction() as connection:
            rows: list[Any] = [*await connection.execute(select(tables.data))]
            in_table = {row.MSG_SEQ for row in rows}
            for name in await self.database.existing_logs(connection):
                rows += await connection.execute(select(tables.log(name)))
            queued = set((await connection.execute(select(tables.queue.columns["MSG_SEQ"]))).scalars())
            awaited = set((await connection.execute(select(tables.part.columns["MSG_SEQ"]))).scalars())
        now = {row.MSG_SEQ: (row.CUR_STATE, row.RSLT_CODE2) for row in rows}
        details = {row.MSG_SEQ: row.RSLT_CODE for row in rows}
        assert len(now) == len(rows), "a row is in two places"
        assert self.before.keys() <= now.keys(), "a row is lost"
        for seq, (state, code) in now.items():
            earlier, earlier_code = self.before.get(seq, (0, None))
            assert (earlier, state) in ALLOWED or (earlier == 0 and state in {1, 3})
            assert (code is not None) == (state == 3)
            assert earlier != 3 or earlier_code == code, "a result has changed"
            assert self.may_be_sent.get(seq, 0) <= 1 + (seq in self.doubted), "a row was given out too often"
            if self.may_be_sent.get(seq, 0) > 1:
                assert state < 3 or code != "0" or details[seq] == Detail.SENT_AGAIN, "nobody is told"
            assert (state == 1) == (seq in queued)
            assert (state == 2) == (seq in awaited)
            assert state == 3 or seq in in_table
        self.before = now


async def emptied(database: NproDatabase) -> World:
    tables = database.tables
    async with database.transaction() as connection:
        names = await database.existing_logs(connection)
        for table in (tables.data, tables.queue, tables.part, *map(tables.log, names)):
            await connection.execute(delete(table))
    clock = Noon()
    mover = TableMover(database, clock, poll_seconds=1, record_life=timedelta(hours=72), on_duty=lambda: True)
    return World(database, Store(database, clock), mover)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
async def test_any_history_keeps_every_row_in_one_known_state(
    database: NproDatabase, actions: list[tuple[str, int]]
) -> None:
    world = await emptied(database)
    await world.act("insert", 3)
    for action, number in actions:
        await world.act(action, number)
        await world.check()
