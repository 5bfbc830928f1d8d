"""What a bridge does while PostgreSQL does not answer: connect known numbers by their copies, and write it down.

PostgreSQL decides as long as it answers. A question that it leaves open for HEDGE seconds, or that it cannot take, is
decided by the copy of the number's facts, if there is one; from then on questions go to the copies at once, until
PostgreSQL has answered again. What was connected is appended to a file of the bridge's own (pseudonyms and masks, as
in the records) and moved into the records as soon as there is a database.
"""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

import asyncpg

from vns.calls import queries
from vns.calls.rules import DIRECTION_OF, recorded_vn
from vns.calls.service import Attempt, Begun, Calls
from vns.errors import Unavailable
from vns.routing.copies import Copies
from vns.routing.rules import Connect, Target
from vns.routing.service import Routed, Router
from vns.storage.database import Database

log = logging.getLogger(__name__)

HEDGE: Final = 0.7  # seconds after which a copy may answer in PostgreSQL's place
HICCUP: Final = 3.0  # seconds in which a question without a copy still waits for PostgreSQL
PROBE_EVERY: Final = 0.5  # seconds
PROBE_TIMEOUT: Final = 2.0  # seconds
MOST_AT_ONCE: Final = 500  # rows

Decided = Callable[[Begun], None]
"""Told what was decided about a call. Raises nothing."""

# Everything that may come out of a connection that PostgreSQL has left.
_AWAY = (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedCall:
    """The begin of one call that was connected by a copy. Holds no number of a party."""

    id: UUID
    tenant_id: UUID
    binding_id: UUID
    vn: int
    direction: str
    from_index: bytes | None
    from_masked: str | None
    to_index: bytes | None
    to_masked: str | None
    arrived_at: datetime
    bridge: str
    channel: str

    @classmethod
    def of(cls, attempt: Attempt, routed: Routed) -> Self:
        """Of a call that is to be connected. Raises ValueError for another."""
        caller, decision = attempt.question.caller, routed.decision
        if not isinstance(decision, Connect):
            raise ValueError("only what a copy connects is written down")  # noqa: TRY004 - of a Decision
        return cls(
            id=attempt.call_id,
            tenant_id=decision.tenant_id,
            binding_id=decision.binding_id,
            vn=recorded_vn(attempt.dialled),
            direction=DIRECTION_OF[decision.target].value,
            from_index=routed.from_index,
            from_masked=caller.masked if caller else None,
            to_index=routed.to_index,
            to_masked=routed.targets[0].masked if len(routed.targets) == 1 else None,
            arrived_at=attempt.question.at,
            bridge=attempt.bridge,
            channel=attempt.channel,
        )

    def line(self) -> str:
        return json.dumps(asdict(self), default=_text, separators=(",", ":"))

    @classmethod
    def parse(cls, line: str) -> Self:
        """Raises ValueError for a line that was cut in the middle."""
        try:
            found: dict[str, Any] = json.loads(line)
            for name in ("id", "tenant_id", "binding_id"):
                found[name] = UUID(found[name])
            for name in ("from_index", "to_index"):
                found[name] = bytes.fromhex(found[name]) if found[name] is not None else None
            found["arrived_at"] = datetime.fromisoformat(found["arrived_at"])
            return cls(**found)
        except (KeyError, TypeError) as error:
            raise ValueError("not the begin of a call") from error


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


class Spool:
    """The file of one bridge. A line is written before the caller is connected, and goes once it is a record."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when the folder cannot be made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def append(self, call: CopiedCall) -> None:
        """Raises OSError."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, (call.line() + "\n").encode())
        finally:
            os.close(file)

    def read(self) -> tuple[list[CopiedCall], int]:
        """What is waiting, and how many bytes it takes."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return [], 0
        content = content[: content.rfind(b"\n") + 1]  # a line may be under way
        calls = []
        for line in content.decode(errors="replace").splitlines():
            try:
                calls.append(CopiedCall.parse(line))
            except ValueError:
                log.warning("a begun call was not written down whole")
        return calls, len(content)

    def drop(self, size: int) -> None:
        """Forget the first `size` bytes; what came later stays."""
        rest = self._path.read_bytes()[size:]
        if rest:
            beside = self._path.with_suffix(".new")
            beside.write_bytes(rest)
            beside.replace(self._path)
        else:
            self._path.unlink()


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

    def __init__(
        self, calls: Calls, router: Router, copies: Copies, db: Database, spool: Spool, *, hedge: float = HEDGE
    ) -> None:
        self._calls = calls
        self._router = router
        self._copies = copies
        self._db = db
        self._spool = spool
        self._hedge = hedge
        self._away_since: float | None = None
        self._waiting = True  # lines of an earlier life

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
        except _AWAY as error:
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
        self._copies.keep(attempt.question, begun.routed.facts)

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
        self._waiting = True
        self._spool.append(CopiedCall.of(attempt, routed))
        self._calls.note(attempt, routed)
        decided(Begun(call_id=attempt.call_id, routed=routed))

    async def run(self) -> None:
        """Until cancelled: notice that PostgreSQL is back, and move what was written down into the records."""
        while True:
            try:
                if not self.calm:
                    await self.probe()
                if self._waiting:
                    await self.hand_in()
            except _AWAY:
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

    async def hand_in(self) -> int:
        """Write what waits into the records; how many calls. Raises Unavailable."""
        self._waiting = False
        found, size = await asyncio.to_thread(self._spool.read)
        calls = list({call.id: call for call in found}.values())  # one was asked about twice: the last answer holds
        if not size:
            return 0
        try:
            for start in range(0, len(calls), MOST_AT_ONCE):
                await self._record(calls[start : start + MOST_AT_ONCE])
        except _AWAY as error:
            self._waiting = True
            log.warning("%d calls that copies connected wait for their records: %s", len(calls), type(error).__name__)
            raise
        except asyncio.CancelledError:
            self._waiting = True
            raise
        self._spool.drop(size)
        log.info("%d calls that copies connected are in the records", len(calls))
        return len(calls)

    async def _record(self, calls: Sequence[CopiedCall]) -> None:
        columns = [list(column) for column in zip(*(tuple(asdict(call).values()) for call in calls), strict=True)]
        async with self._db.connection() as connection:
            await connection.execute(queries.INSERT_COPIED, *columns)
