"""One bridge: answers Asterisk's questions, and sees to it that every call gets its record and its end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from hooks.client import HttpInterceptor
from ivr.agi.question import Questions
from ivr.agi.rate import CallRate
from ivr.agi.server import AgiServer
from ivr.ami.reconcile import Vanished
from ivr.ami.records import RecordsFolder
from ivr.ami.strays import Strays
from ivr.ami.supervisor import AmiSupervisor
from ivr.ami.termination import Termination
from ivr.asterisks import Asterisk, Asterisks
from ivr.endings import Endings
from ivr.load import MachineLoad
from ivr.prompts.library import PromptLibrary
from ivr.recording.keeper import RecordingKeeper
from ivr.settings import IvrSettings
from ivr.verification.caller import VerificationCaller
from vns.abuse.flags import CallerFlags
from vns.abuse.settings import AbuseSettings
from vns.abuse.tally import Tally
from vns.abuse.watch import Watch
from vns.calls.begins import BeginFile, Begins
from vns.calls.service import Calls
from vns.calls.standby import Standby
from vns.crypto.rules import KeyRing
from vns.errors import Unavailable
from vns.prompts.service import Prompts
from vns.recordings.service import Recordings
from vns.recordings.settings import RecordingSettings
from vns.routing.copies import Copies
from vns.routing.service import Router
from vns.settings import Settings
from vns.storage.clock import Clock
from vns.storage.copies import CopyStore
from vns.storage.database import Database
from vns.verifications.service import Verifications

log = logging.getLogger(__name__)

ROUTE = "question"
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds between attempts to reach the database at the start


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """A running bridge. `port`: where it answers questions."""

    name: str
    port: int
    asterisks: Asterisks
    calls: Calls
    copies: Copies
    termination: Termination

    @property
    def ami(self) -> AmiSupervisor:
        """The first Asterisk's."""
        return next(iter(self.asterisks)).ami

    async def wait_ready(self) -> None:
        """Until there is a connection to each Asterisk."""
        for asterisk in self.asterisks:
            await asterisk.ami.wait_ready()


@asynccontextmanager
async def running(
    name: str,
    port: int,
    *,
    core: Settings,
    ivr: IvrSettings,
    abuse: AbuseSettings | None = None,
    recording: RecordingSettings | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Bridge]:
    """Start everything; on leaving, end it. Raises OSError when the port is taken, or the name.

    The question port opens once the database answers: until then Asterisk asks the next bridge at once.
    """
    clock = clock or Clock()
    async with AsyncExitStack() as closing:
        db = await _database(core)
        closing.push_async_callback(db.close)
        tally = Tally(core.redis_url)
        closing.push_async_callback(tally.close)
        watch = Watch(CallerFlags(db, clock), tally, (abuse or AbuseSettings()).policy())
        keyring = KeyRing.load(core.keys_file)
        router = Router(keyring)
        interceptor = await closing.enter_async_context(HttpInterceptor())
        begins = Begins(db, BeginFile(ivr.standby_dir / f"{name}.jsonl"))
        closing.push_async_callback(begins.close)
        await begins.own_file()
        load = MachineLoad()
        calls = Calls(db, router, clock, watch, interceptor, begins, gathering=lambda: load.gathering() > 0)
        store = CopyStore(core.redis_url)
        closing.push_async_callback(store.close)
        copies = Copies(db, store, router, clock)
        standby = Standby(calls, router, copies, db)
        library = PromptLibrary(Prompts(db, clock), ivr.prompt_folders)
        questions = Questions(
            standby,
            clock,
            bridge=name,
            deadline=ivr.question_deadline_seconds,
            at_once=ivr.questions_at_once,
            rate=CallRate(ivr.calls_a_second),
            library=library,
        )
        asterisks = Asterisks.of(ivr.nodes)
        termination = Termination(core.database_url, asterisks, calls)
        verifying = VerificationCaller(
            core.database_url,
            asterisks,
            Verifications(db, keyring, clock),
            clock,
            bridge=name,
            ring_seconds=ivr.ring_timeout_seconds,
        )
        recordings = Recordings(db, keyring, clock, recording)
        tokens = [node.question_token for node in ivr.nodes]
        server = AgiServer(ROUTE, questions.answer, tokens=tokens, gathering=load.gathering)
        async with asyncio.TaskGroup() as tasks:
            owned = [
                tasks.create_task(work)
                for work in (
                    load.run(),
                    watch.run(),
                    copies.run(),
                    standby.run(),
                    begins.run(),
                    library.run(),
                    termination.run(),
                    verifying.run(),
                    Strays(asterisks.names, calls, clock, bridge=name).run(),
                    *(
                        part
                        for asterisk in asterisks
                        for part in _supervision(asterisk, calls, recordings, termination, clock, bridge=name)
                    ),
                )
            ]
            try:
                taken = await server.start(ivr.agi_host, port)
                log.info("bridge %s answers questions", name)
                yield Bridge(
                    name=name,
                    port=taken,
                    asterisks=asterisks,
                    calls=calls,
                    copies=copies,
                    termination=termination,
                )
            finally:
                await server.close()
                for task in owned:
                    task.cancel()


def _supervision(
    asterisk: Asterisk, calls: Calls, recordings: Recordings, termination: Termination, clock: Clock, *, bridge: str
) -> list[Coroutine[object, object, None]]:
    """What a bridge does for each Asterisk, until cancelled."""
    node, ami = asterisk.node, asterisk.ami
    ami.on_ready = termination.wake
    endings = Endings(RecordsFolder(node.records), calls, clock, bridge=bridge)
    return [
        ami.run(),
        RecordingKeeper(node.recordings, ami, recordings, bridge=bridge).run(),
        endings.run(),
        Vanished(ami, calls, clock, bridge=bridge, caught_up=lambda: endings.caught_up, name=node.name).run(),
    ]


async def _database(core: Settings) -> Database:
    """Wait for PostgreSQL: the parts of one machine start together."""
    pause = FIRST_PAUSE
    while True:
        try:
            return await Database.open(core.database_url, size=core.database_pool_size, by_key=True)
        except Unavailable:
            log.warning("PostgreSQL does not answer yet")
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
