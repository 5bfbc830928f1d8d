"""Main: starts Sender, Receiver and TableMover together and starts them again after the database was away."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from sms_relay.agent.admission import Admission, Limits
from sms_relay.agent.checks import refusal
from sms_relay.agent.contents import Contents, Folders
from sms_relay.agent.lock import LockLost, sole_agent, watch
from sms_relay.agent.mover import TableMover
from sms_relay.agent.receiver import ErrorCodes, Receiver
from sms_relay.agent.sender import Sender
from sms_relay.agent.store import OrderBy, Store
from sms_relay.agent.wakeup import Wakeup
from sms_relay.links.choice import Choice, Directory
from sms_relay.links.interface import Link, Receipt
from sms_relay.npro.codes import Detail, ResultCode
from sms_relay.npro.database import NotReachable, NproDatabase, closed_below
from sms_relay.npro.kst import KoreanClock

_log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
DRAIN_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """`window`: texts on their way at a time, over all links. The names of the manual stand in docs/texts.md."""

    window: int = 50
    poll_seconds: float = 1.0
    before: timedelta = timedelta(hours=3)
    send_again: bool = True
    record_life: timedelta = timedelta(hours=72)
    mover_seconds: float = 1.0
    ping_seconds: float = 10.0
    send: bool = True
    receive: bool = True
    move: bool = True
    limits: Limits = field(default_factory=Limits)
    order: tuple[OrderBy, ...] = ()
    folders: Folders = field(default_factory=Folders)


def nobody(_: Sequence[int]) -> None:
    """Nobody wants to hear of results at once."""


class Agent:
    """Give every link `handle_receipt` as its `on_receipt`; keep `run()` alive as a task; `hint()` after an INSERT."""

    def __init__(
        self,
        database: NproDatabase,
        links: Sequence[Link],
        config: AgentConfig,
        clock: KoreanClock,
        *,
        multimedia: Sequence[Link] = (),
        finished: Callable[[Sequence[int]], None] = nobody,
        error_codes: ErrorCodes | None = None,
        directory: Directory | None = None,
        told: Callable[[Mapping[int, ResultCode]], None] | None = None,
    ) -> None:
        """`finished` is told USERDATA of rows that have become final; it may be told too little, never too much.

        `told` is given the codes of rows that a receipt has made final, by MSG_SEQ.
        `directory` says whose customer a recipient is, for the choice among several links.
        `multimedia`: links that take MMS, LMS and BARCODE rows; without any `links` take what they can of those.
        """
        self._database = database
        self._config = config
        self._clock = clock
        self._finished = finished
        self._on_duty = False
        self._store = Store(database, clock, config.order)
        self._admission = Admission(database, config.limits)
        self.sender = Sender(
            self._store,
            Contents(self._store, config.folders),
            Choice(links, directory or Directory()),
            Choice(multimedia, directory or Directory()),
            clock,
            window=config.window,
            poll_seconds=config.poll_seconds,
            before=config.before,
            send_again=config.send_again,
            admission=self._admission,
            on_duty=lambda: self._on_duty,
            finished=finished,
        )
        self.receiver = Receiver(
            self._store,
            clock,
            written=self.sender.written,
            finished=finished,
            error_codes=error_codes or {},
            told=told,
        )
        self.mover = TableMover(
            database,
            clock,
            poll_seconds=config.mover_seconds,
            record_life=config.record_life,
            on_duty=lambda: self._on_duty,
        )

    @property
    def on_duty(self) -> bool:
        """Whether it serves the database now."""
        return self._on_duty

    def hint(self) -> None:
        """There are new rows: look now rather than at the next poll."""
        self.sender.hint.set()

    async def handle_receipt(self, receipt: Receipt) -> None:
        await self.receiver.handle(receipt)

    async def run(self) -> None:
        """Serves the database until cancelled. Raises NotUsable (in a group) when it cannot serve as it is set up."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_lock(), name="agent-lock")
            if self._config.send:
                group.create_task(self.sender.run(), name="sender")
                group.create_task(self._admission.run(), name="spam")
            if self._config.receive:
                group.create_task(self.receiver.run(), name="receiver")
            if self._config.move:
                group.create_task(self.mover.run(), name="mover")

    async def _keep_lock(self) -> None:
        """On duty while the lock is held; after an interruption of the database takes the duty up again."""
        while True:
            try:
                await self._database.prepare(self._clock)
                async with sole_agent(self._database) as connection:
                    await self._recover()
                    await self._admission.reload()
                    self._on_duty = True
                    await watch(connection, self._config.ping_seconds)
            except (NotReachable, LockLost, SQLAlchemyError, OSError, RuntimeError) as error:
                if isinstance(error, RuntimeError) and not closed_below(error):
                    raise
                told = str(error) if isinstance(error, NotReachable | LockLost) else type(error).__name__
                _log.warning("agent: %s; trying again", told)
            finally:
                self._on_duty = False
            await Wakeup().wait(RETRY_SECONDS)

    async def _recover(self) -> None:
        uncertain = refusal(Detail.OUTCOME_LOST_BY_RESTART, self._clock.now())
        again = self._config.send_again
        lost, users = await self._store.recover(uncertain, keep=self.sender.in_flight, again=again)
        if lost:
            what = "sent once more, or reported where they had been" if again else "reported, not sent again"
            _log.warning("%d texts were being submitted when the last run ended: %s", lost, what)
        if users:
            self._finished(users)
        self.sender.hint.set()

    async def stop(self) -> None:
        """Takes no more rows and gives those on their way a moment to get their outcome. Then cancel `run()`."""
        await self.sender.drain(DRAIN_SECONDS)
