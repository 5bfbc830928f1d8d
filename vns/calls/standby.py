"""What a bridge does while PostgreSQL does not answer: connect known numbers by their copies, and write it down.

PostgreSQL decides as long as it answers. A question that it leaves open for HEDGE seconds, or that it cannot take, is
decided by the copy of the number's facts, if there is one; from then on questions go to the copies at once, until
PostgreSQL has answered again. That the call has begun is kept as ever, until there is a database (vns.calls.begins).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from vns.calls.service import Attempt, Begun, Calls
from vns.errors import Unavailable
from vns.routing.copies import Copies
from vns.routing.rules import Connect, Target
from vns.routing.service import Routed, Router
from vns.storage.database import AWAY, Database

log = logging.getLogger(__name__)

HEDGE: Final = 0.7  # seconds after which a copy may answer in PostgreSQL's place
HICCUP: Final = 3.0  # seconds in which a question without a copy still waits for PostgreSQL
PROBE_EVERY: Final = 0.5  # seconds
PROBE_TIMEOUT: Final = 2.0  # seconds

Decided = Callable[[Begun], None]
"""Told what was decided about a call. Raises nothing."""


class _Hedge:
    """Beside one question to PostgreSQL: looks for a copy after a while, and ends the question if that connects."""

    def __init__(
        self,
        seconds: float,
        asking: "asyncio.Task[object]",
        recall: Callable[[], Awaitable[Routed | None]],
        connect: Callable[[Routed], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._asking = asking
        self._recall = recall
        self._connect = connect
        self._trying: asyncio.Task[None] | None = None
        self._waiting = self._loop.call_later(seconds, self._start)
        self.helped = False

    def _start(self) -> None:
        self._trying = self._loop.create_task(self._try())

    async def _try(self) -> None:
        try:
            routed = await self._recall()
            if routed is None or self._asking.cancelling():  # nobody waits any more for one that is being cancelled
                return
            self._connect(routed)
        except Exception as error:  # noqa: BLE001 - the question itself may still be answered
            log.error("no call can be connected by a copy: %s", type(error).__name__)  # noqa: TRY400 - may hold a number
            return
        self.helped = True
        self._asking.cancel()

    def end(self) -> None:
        """Before anything else can be decided: what is tried is given up before it helps."""
        self._waiting.cancel()
        if self._trying is not None:
            self._trying.cancel()


class Standby:
    """Answers for `Calls.begin`, also while PostgreSQL is away. `run` is its owner's task."""

    def __init__(self, calls: Calls, router: Router, copies: Copies, db: Database, *, hedge: float = HEDGE) -> None:
        self._calls = calls
        self._router = router
        self._copies = copies
        self._db = db
        self._hedge = hedge
        self._away_since: float | None = None

    async def begin(self, attempt: Attempt, decided: Decided) -> None:
        """As `Calls.begin`, in a task of its own: `decided` is told once, and at once, what was decided.

        Where a copy has answered, the task is cancelled, but may take longer to end: a PostgreSQL that stands still
        holds that up, too. Raises Unavailable where neither PostgreSQL nor a copy answers.
        """
        if self._away_since is not None:
            if await self._by_copy(attempt, decided):
                return
            if asyncio.get_running_loop().time() - self._away_since > HICCUP:
                raise Unavailable("PostgreSQL does not answer, and the number is not known here")
        asking = asyncio.current_task()
        assert asking is not None  # noqa: S101 - whoever awaits is a task

        def in_its_place(routed: Routed) -> None:
            self._connect(attempt, routed, decided)
            self._note_away("no answer in time")

        hedge = _Hedge(self._hedge, asking, partial(self._recalled, attempt), in_its_place)
        try:
            begun = await self._calls.begin(attempt)
        except AWAY as error:
            hedge.end()
            if hedge.helped:
                return
            self._note_away(type(error).__name__)
            if not await self._by_copy(attempt, decided):
                raise
            return
        finally:
            hedge.end()
        decided(begun)
        # in a turn of its own: whoever carries the answer out is before it in the queue
        asyncio.get_running_loop().call_soon(self._follow_up, attempt, begun)

    def _follow_up(self, attempt: Attempt, begun: Begun) -> None:
        try:
            if begun.counts:
                self._calls.note(attempt, begun.routed)
            self._copies.keep(attempt.question, begun.routed.facts)
        except Exception as error:  # noqa: BLE001 - the event loop would log the arguments, and with them numbers
            log.error("call %s does not count, or is not copied: %s", attempt.channel, type(error).__name__)  # noqa: TRY400

    def _note_away(self, why: str) -> None:
        if self._away_since is None:
            log.warning("PostgreSQL is away (%s): known numbers are connected by their copies", why)
            self._away_since = asyncio.get_running_loop().time()

    async def _by_copy(self, attempt: Attempt, decided: Decided) -> bool:
        """False where no copy connects the call."""
        routed = await self._recalled(attempt)
        if routed is not None:
            self._connect(attempt, routed, decided)
        return routed is not None

    async def _recalled(self, attempt: Attempt) -> Routed | None:
        """A Connect by a copy. None where it says anything else: what is not known now is no reason to turn a caller
        away for good."""
        if self._calls.over_limit(attempt) is not None:
            return None
        try:
            facts = await self._copies.recall(attempt.question)
        except Unavailable:
            return None
        if facts is None:
            return None
        routed = self._router.route_copied(attempt.question, facts)
        decision = routed.decision
        return routed if isinstance(decision, Connect) and decision.target is not Target.FALLBACK else None

    def _connect(self, attempt: Attempt, routed: Routed, decided: Decided) -> None:
        """Waits for nothing, so that no answer of PostgreSQL's comes in between what is written down and told.

        Raises OSError.
        """
        if not routed.nobody_left:  # else the record is that of who was rung
            self._calls.begins.append(self._calls.begin_of(attempt, routed, from_copy=True))
        decided(Begun(call_id=attempt.call_id, routed=routed))
        self._calls.note(attempt, routed)

    async def run(self) -> None:
        """Until cancelled: notice that PostgreSQL is back."""
        while True:
            try:
                if not self.calm:
                    await self.probe()
            except AWAY:
                pass
            await asyncio.sleep(PROBE_EVERY)

    @property
    def calm(self) -> bool:
        """Whether questions go to PostgreSQL."""
        return self._away_since is None

    async def probe(self) -> None:
        """Questions go to PostgreSQL again if it answers. Raises Unavailable, TimeoutError."""
        async with asyncio.timeout(PROBE_TIMEOUT), self._db.connection() as connection:
            await connection.execute("select 1")
        if not self.calm:
            log.warning("PostgreSQL answers again")
        self._away_since = None
