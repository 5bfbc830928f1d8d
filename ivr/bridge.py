"""One bridge: answers Asterisk's questions, and sees to it that every call gets its record and its end."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ivr.agi.question import Questions
from ivr.agi.server import AgiServer
from ivr.ami.listener import Listener
from ivr.ami.reconcile import CatchUp, Vanished
from ivr.ami.records import RecordsFolder
from ivr.ami.supervisor import AmiSupervisor
from ivr.ami.termination import Termination
from ivr.settings import IvrSettings
from vns.calls.service import Calls
from vns.crypto.rules import KeyRing
from vns.errors import Unavailable
from vns.routing.service import Router
from vns.settings import Settings
from vns.storage.clock import Clock
from vns.storage.database import Database

log = logging.getLogger(__name__)

ROUTE = "question"
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds between attempts to reach the database at the start


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """A running bridge. `port`: where it answers questions."""

    name: str
    port: int
    ami: AmiSupervisor
    calls: Calls
    termination: Termination


@asynccontextmanager
async def running(
    name: str, port: int, *, core: Settings, ivr: IvrSettings, clock: Clock | None = None
) -> AsyncIterator[Bridge]:
    """Start everything; on leaving, end it. Raises OSError when the port is taken.

    The question port opens once the database answers: until then Asterisk asks the next bridge at once.
    """
    clock = clock or Clock()
    db = await _database(core)
    try:
        calls = Calls(db, Router(KeyRing.load(core.keys_file)), clock)
        questions = Questions(
            calls,
            clock,
            bridge=name,
            deadline=ivr.question_deadline_seconds,
            at_once=ivr.questions_at_once,
        )
        ami = AmiSupervisor(ivr.ami_url)
        termination = Termination(core.database_url, ami, calls)
        ami.on_ready = termination.wake
        server = AgiServer(ROUTE, questions.answer)
        async with asyncio.TaskGroup() as tasks:
            owned = [
                tasks.create_task(work)
                for work in (
                    ami.run(),
                    termination.run(),
                    Listener(ami.events, calls, bridge=name).run(),
                    CatchUp(RecordsFolder(ivr.call_records_dir), calls, clock).run(),
                    Vanished(ami, calls, clock, bridge=name).run(),
                )
            ]
            try:
                taken = await server.start(ivr.agi_host, port)
                log.info("bridge %s answers questions", name)
                yield Bridge(name=name, port=taken, ami=ami, calls=calls, termination=termination)
            finally:
                await server.close()
                for task in owned:
                    task.cancel()
    finally:
        await db.close()


async def _database(core: Settings) -> Database:
    """Wait for PostgreSQL: the parts of one machine start together."""
    pause = FIRST_PAUSE
    while True:
        try:
            return await Database.open(core.database_url, size=core.database_pool_size)
        except Unavailable:
            log.warning("PostgreSQL does not answer yet")
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
