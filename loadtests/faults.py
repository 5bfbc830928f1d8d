"""`bin/bench faults`: what callers notice when parts of the platform fail during calls. Writes docs/reliability.md.

Each fault happens once, ten seconds into a steady load of calls; the platform is `bin/up`, whose supervisor starts
again what dies.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtests.call_load import Load
from loadtests.call_stand import Numbers, free_port
from loadtests.one_machine import OneMachine, one_machine, say
from loadtests.report import RELIABILITY, Raw, Result, write_part
from loadtests.steady_load import Carried, SteadyLoad
from vns.numbering.rules import key_of
from vns.storage.database import Database

RATE = 20  # calls a second
CALL_SECONDS = 2.0
BINDINGS = 500
BEFORE = 10.0  # seconds of calls before the fault
OUTAGE, QUICK_OUTAGE = 60.0, 15.0  # seconds that a server is away
AFTER, QUICK_AFTER = 40.0, 25.0  # seconds of calls after it is back
SETTLE_SECONDS = 150.0  # for records of calls whose end nobody told


@dataclass(frozen=True)
class Fault:
    """`begin` brings it about; `end` puts right, after the outage, what no supervisor does."""

    name: str
    begin: Callable[[OneMachine], None]
    end: Callable[[OneMachine], None] | None = None


def kill(*words: str) -> Callable[[OneMachine], None]:
    def begin(at: OneMachine) -> None:
        parts = at.parts(*words)
        if not parts:
            raise RuntimeError(f"no part is called {words}")
        for part in parts:
            part.kill()

    return begin


FAULTS = (
    Fault("nothing", lambda _: None),
    Fault("bridge a killed", kill("ivr", "--name", "a")),
    Fault("both bridges killed", kill("ivr", "--name")),
    Fault("Asterisk killed", kill("asterisk")),
    Fault("AMI connections cut", lambda at: at.cut_ami()),
    Fault("AMI connections deaf", lambda at: at.deafen_ami()),
    Fault("PostgreSQL stopped", lambda at: at.postgres.stop(), lambda at: at.postgres.start()),
    Fault("PostgreSQL hung", lambda at: at.postgres.freeze(), lambda at: at.postgres.thaw()),
    Fault("Redis stopped", lambda at: at.redis.stop(), lambda at: at.redis.start()),
    Fault("Redis emptied", lambda at: at.empty_redis()),
    Fault("Redis hung", lambda at: at.redis.freeze(), lambda at: at.redis.thaw()),
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What callers, the called phone and the records say about one fault. Times in seconds since the fault began."""

    fault: str
    outage: float
    calls: int
    lost: int
    lost_before: int
    first_lost: float | None
    last_lost: float | None
    wrong: int
    without_record: int
    open_records: int

    def raw(self) -> dict[str, Raw]:
        return {
            "outage_s": self.outage,
            "calls": self.calls,
            "lost": self.lost,
            "lost_before_the_fault": self.lost_before,
            "first_lost_s": "" if self.first_lost is None else round(self.first_lost, 1),
            "last_lost_s": "" if self.last_lost is None else round(self.last_lost, 1),
            "wrong_connections": self.wrong,
            "without_record": self.without_record,
            "open_records": self.open_records,
        }


def run(quick: bool) -> Result:
    """About 18 minutes, quick 8."""
    outage, after = (QUICK_OUTAGE, QUICK_AFTER) if quick else (OUTAGE, AFTER)
    with _bench() as bench:
        seen = [bench.suffer(fault, outage if fault.end else 0.0, after) for fault in FAULTS]
    if not quick:
        write_part("faults", _page(seen), page=RELIABILITY)
    return Result(
        keys={
            "faults": len(seen),
            "calls": sum(one.calls for one in seen),
            "lost": sum(one.lost for one in seen),
            "wrong_connections": sum(one.wrong for one in seen),
            "without_record": sum(one.without_record + one.open_records for one in seen),
        },
        raw={one.fault: one.raw() for one in seen},
    )


class Bench:
    """A platform with bindings, a phone that answers everything, and the load."""

    def __init__(self, at: OneMachine, load: Load, folder: Path, expected: dict[tuple[str, str], str]) -> None:
        self._at = at
        self._phone = load
        self._folder = folder
        self._expected = expected
        self._numbers: Numbers = [(vn, caller) for (_, caller), vn in expected.items()]

    def warm_up(self) -> None:
        """Every number is called once, so that each process knows what it may know."""
        self._load().start("warm-up", len(self._numbers) / RATE).ended()
        self._settle()

    def suffer(self, fault: Fault, outage: float, after: float) -> Seen:
        say(f"{fault.name}: {RATE} calls/s, outage {outage:.0f} s")
        heard, written = self._phone.connections(), self._records()[1]
        running = self._load().start(fault.name.replace(" ", "-"), BEFORE + outage + after)
        running.wait_for(BEFORE)
        began = running.seconds
        fault.begin(self._at)
        if fault.end is not None:
            running.wait_for(began + outage)
            fault.end(self._at)
        carried = running.ended()
        open_records = self._settle()
        seen = self._seen(fault, outage, began, carried, heard, written, open_records)
        say(f"  {seen.lost} of {seen.calls} calls lost, {seen.wrong} wrong, {seen.without_record} without record")
        return seen

    def _load(self) -> SteadyLoad:
        return SteadyLoad(
            self._folder,
            self._numbers,
            asterisk=self._at.sip_port,
            port=free_port(),
            rate=RATE,
            call_seconds=CALL_SECONDS,
        )

    def _seen(
        self,
        fault: Fault,
        outage: float,
        began: float,
        carried: Carried,
        heard: Counter[tuple[str, str]],
        written: Counter[int],
        open_records: int,
    ) -> Seen:
        by_vn: Counter[int] = Counter()
        wrong = 0
        for pair, count in (self._phone.connections() - heard).items():
            if pair in self._expected:
                by_vn[key_of(self._expected[pair])] += count
            else:
                wrong += count
        records = self._records()[1] - written
        after = [at - began for at in carried.lost if at + CALL_SECONDS >= began]
        return Seen(
            fault=fault.name,
            outage=outage,
            calls=carried.calls,
            lost=len(carried.lost),
            lost_before=len(carried.lost) - len(after),
            first_lost=min(after, default=None),
            last_lost=max(after, default=None),
            wrong=wrong,
            without_record=sum((by_vn - records).values()),
            open_records=open_records,
        )

    def _settle(self) -> int:
        """Wait until every call has its end in the records; how many have none even then."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while (waiting := self._records()[0]) and time.monotonic() < deadline:
            time.sleep(1)
        return waiting

    def _records(self) -> tuple[int, Counter[int]]:
        """Calls without an end, and calls with somebody to connect to by virtual number."""

        async def ask() -> tuple[int, Counter[int]]:
            db = await Database.open(self._at.database_url, size=2)
            try:
                async with db.connection() as connection:
                    rows = await connection.fetch(
                        "select vn, count(*) as n from calls where direction <> 'none' group by vn"
                    )
                    waiting = await connection.fetchval("select count(*) from calls where ended_at is null")
            finally:
                await db.close()
            return int(waiting), Counter({row["vn"]: row["n"] for row in rows})

        return asyncio.run(ask())


@contextmanager
def _bench() -> Iterator[Bench]:
    with one_machine() as at, TemporaryDirectory(prefix="vns-faults-") as name:
        folder = Path(name)
        load = Load(folder, asterisk=at.sip_port, trunk=at.trunk_port)
        targets = [f"0102{number:07}" for number in range(BINDINGS)]
        made = at.allocate([{"mode": "one_way", "real_number": target, "service": "050"} for target in targets])
        expected = {
            (target, target.replace("0102", "0103", 1)): binding["virtual_number"]
            for target, binding in zip(targets, made, strict=True)
        }
        with load.phone():
            bench = Bench(at, load, folder, expected)
            bench.warm_up()
            yield bench


_HEAD = """\
## Faults during calls

Measured {day} by `bin/bench faults`, which writes this part: `bin/up` on one machine, {rate} calls a second of
{seconds:.0f} s each to {bindings} numbers; the fault comes {before:.0f} s after the first call.

Lost: the caller's side did not carry the call from its INVITE to its own BYE, because the call was refused or cut.
First and last: when the first and the last of these calls began, in seconds since the fault. Recovery: the last, in
seconds since the end of the outage. Without record: calls that the called phone saw and that no call detail record
tells of, or only one without an end.

| fault | outage | calls | lost | first | last | recovery | wrong connections | without record |
|---|---|---|---|---|---|---|---|---|
"""


def _page(seen: list[Seen]) -> str:
    head = _HEAD.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}", rate=RATE, seconds=CALL_SECONDS, bindings=BINDINGS, before=BEFORE
    )
    return head + "\n".join(f"| {' | '.join(_row(one))} |" for one in seen)


def _row(one: Seen) -> list[str]:
    recovery = None if one.last_lost is None else max(0.0, one.last_lost - one.outage)
    return [
        one.fault,
        f"{one.outage:.0f}",
        str(one.calls),
        str(one.lost),
        *("–" if value is None else f"{value:.1f}" for value in (one.first_lost, one.last_lost, recovery)),
        str(one.wrong),
        str(one.without_record + one.open_records),
    ]
