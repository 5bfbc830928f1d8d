"""An agent with a scripted link, and rows as customers insert them, for the tests of the agent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import insert, select

from sms_relay.agent.service import Agent, AgentConfig
from sms_relay.links.interface import (
    Carrier,
    IncomingHandler,
    Outgoing,
    Receipt,
    ReceiptHandler,
    ReceiptState,
    SubmitOutcome,
    SubmitStatus,
)
from sms_relay.npro.codes import ResultCode
from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock

Submit = Callable[[Outgoing], Awaitable[SubmitOutcome]]
Shown = tuple[int, str | None, int | None, str | None]
FAST = AgentConfig(window=8, poll_seconds=0.02, mover_seconds=0.02, ping_seconds=0.2, move=False)


class ScriptedLink:
    """Answers each submit as `answer` says; takes everything unless told otherwise."""

    on_incoming: IncomingHandler | None = None
    on_receipt: ReceiptHandler | None = None
    name = "scripted"
    window = 8
    carrier = Carrier.LGT

    def __init__(self, answer: Submit | None = None) -> None:
        self.sent: list[Outgoing] = []
        self.connected = True
        self._answer = answer or self.take

    async def take(self, outgoing: Outgoing) -> SubmitOutcome:
        return SubmitOutcome(status=SubmitStatus.ACCEPTED, message_ids=(f"id-{outgoing.id}",))

    async def submit(self, outgoing: Outgoing) -> SubmitOutcome:
        self.sent.append(outgoing)
        return await self._answer(outgoing)

    async def run(self) -> None:
        await asyncio.Event().wait()


@asynccontextmanager
async def running(
    database: NproDatabase,
    link: ScriptedLink,
    config: AgentConfig = FAST,
    clock: KoreanClock | None = None,
    told: Callable[[Mapping[int, ResultCode]], None] | None = None,
) -> AsyncIterator[Agent]:
    agent = Agent(database, [link], config, clock or KoreanClock(), told=told)
    task = asyncio.create_task(agent.run())
    try:
        yield agent
        assert not task.done(), "the agent ended by itself"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def key_of(inserted: Any) -> int:
    return int(inserted[0])


async def add(database: NproDatabase, **columns: object) -> int:
    values = {"CUR_STATE": 0, "CALL_TO": "01012345678", "CALL_FROM": "07012345678", "SMS_TXT": "안녕", "MSG_TYPE": 4}
    async with database.transaction() as connection:
        done = await connection.execute(insert(database.tables.data), {**values, **columns})
        return key_of(done.inserted_primary_key)


async def row(database: NproDatabase, seq: int) -> Shown | None:
    data = database.tables.data
    async with database.transaction() as connection:
        found = (await connection.execute(select(data).where(data.c.MSG_SEQ.in_([seq])))).one_or_none()
    return None if found is None else (found.CUR_STATE, found.RSLT_CODE2, found.RSLT_CODE, found.RSLT_NET)


async def becomes(database: NproDatabase, seq: int, *expected: Shown | None) -> None:
    """Asks again until the row looks as expected; the time limit is the failure."""
    seen: Shown | None = None
    try:
        async with asyncio.timeout(20):
            while True:
                seen = await row(database, seq)
                if seen in expected:
                    return
    except TimeoutError:
        pytest.fail(f"row {seq} stayed {seen}, expected {expected}")


def receipt(message_id: str, state: ReceiptState = ReceiptState.DELIVERED, error: str = "") -> Receipt:
    return Receipt(
        message_id=message_id, state=state, error_code=error, carrier=Carrier.LGT, done_at=None, link="scripted"
    )


SENT = (2, None, None, None)
