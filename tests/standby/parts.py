"""A bridge's parts with switches: PostgreSQL and Redis go away for one process and not for another."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg

from tests.core_world import COURIER, CUSTOMER, MovedClock, World
from vns.bindings.rules import Channel
from vns.bindings.service import Bindings
from vns.calls.begins import BeginFile, Begins
from vns.calls.service import Attempt, Begun, Calls
from vns.calls.standby import Standby
from vns.errors import Unavailable
from vns.numbering.rules import digits_of, parse
from vns.routing.copies import Copies
from vns.routing.rules import Question
from vns.routing.service import Router
from vns.storage.copies import CopyStore, Epoch, Kept
from vns.storage.database import Database
from vns.storage.revocation import Revocations

Answer = TypeVar("Answer")
BEGINS = Path("standby") / "a.jsonl"


class SwitchedStore(CopyStore):
    """A Redis that this process does not reach while `reached` is False."""

    reached = True

    def __init__(self, url: str, *, timeout: float) -> None:
        super().__init__(url, timeout=timeout)
        self.written: list[Kept] = []
        """What was asked to be kept, in order."""

    async def keep(self, epoch: Epoch, copies: Sequence[Kept], now: datetime) -> list[bool] | None:
        self.written += copies
        return await super().keep(epoch, copies, now)

    async def _answered(self, asking: Awaitable[Answer]) -> Answer:
        if not self.reached:
            close = getattr(asking, "close", None)
            if close is not None:
                close()
            raise Unavailable("switched off")
        return await super()._answered(asking)


class SwitchedDatabase(Database):
    """A PostgreSQL that this process does not reach while `reached` is False."""

    reached = True

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        if not self.reached:
            raise Unavailable("switched off")
        async with super().connection() as connection:
            yield connection


@dataclass
class Bridge:
    db: SwitchedDatabase
    store: SwitchedStore
    copies: Copies
    begins: Begins
    calls: Calls
    standby: Standby
    clock: MovedClock

    def attempt(self, dialled: str, caller: str | None, *tried: str) -> Attempt:
        number = parse(dialled)
        question = Question(
            vn=number.key,
            caller=parse(caller) if caller else None,
            channel=Channel.VOICE,
            at=self.clock.now(),
            dialled=number,
            tried=frozenset(tried),
        )
        call_id = uuid4()
        return Attempt(call_id=call_id, dialled=number, question=question, bridge="a", channel=f"vns-{call_id}")

    async def call(self, dialled: str, caller: str | None, *tried: str) -> Begun:
        """What was decided, however long the rest takes. `tried`: whom of a team the call has rung already."""
        told: asyncio.Future[Begun] = asyncio.get_running_loop().create_future()
        deciding = asyncio.create_task(self.standby.begin(self.attempt(dialled, caller, *tried), told.set_result))
        either: list[asyncio.Future[Any]] = [deciding, told]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            return told.result()
        deciding.result()  # raises why
        raise AssertionError("nothing was decided")

    async def calm(self) -> None:
        """One round of its task: look whether copies are open, and send what waits."""
        await self.copies.look()
        await self.copies.flush()


@dataclass
class Scene:
    world: World
    bridge: Bridge
    malls: SwitchedStore
    """The Redis of the API process."""
    bindings: Bindings
    revocations: Revocations


@asynccontextmanager
async def bridge(world: World, redis_url: str, folder: Path) -> AsyncIterator[Bridge]:
    db = await SwitchedDatabase.open(world.db.url, size=4)
    store = SwitchedStore(redis_url, timeout=30)
    router = Router(world.keyring)
    copies = Copies(db, store, router, world.clock)
    begins = Begins(db, BeginFile(folder / BEGINS))
    calls = Calls(db, router, world.clock, begins=begins)
    standby = Standby(calls, router, copies, db, hedge=60)
    try:
        await begins.write_file()  # there is nothing of an earlier life
        yield Bridge(db, store, copies, begins, calls, standby, world.clock)
    finally:
        db.reached = True
        await begins.close()
        await store.close()
        await db.close()


@asynccontextmanager
async def scene(world: World, redis_url: str, folder: Path) -> AsyncIterator[Scene]:
    malls = SwitchedStore(redis_url, timeout=30)
    revocations = Revocations(world.db, malls, world.clock)
    bindings = Bindings(world.db, world.keyring, world.clock, render=lambda _: "", copies=revocations)
    try:
        async with bridge(world, redis_url, folder) as opened:
            yield Scene(world=world, bridge=opened, malls=malls, bindings=bindings, revocations=revocations)
    finally:
        await bindings.close()
        await malls.close()


def target(begun: Begun) -> str | None:
    return begun.routed.target.digits if begun.routed.target else None


async def known(on: Scene, **fields: Any) -> str:
    """A one-way number that was called once while all was well."""
    vn = digits_of((await on.world.allocate(**fields)).vn)
    assert target(await on.bridge.call(vn, COURIER)) == CUSTOMER
    await on.bridge.calm()
    return vn
