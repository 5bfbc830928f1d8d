"""`bin/bench calls`: what the platform adds to a call, against a bare `Dial` on the same Asterisk.

Both ways go through one Asterisk, one trunk and one phone; only the dialplan differs: a call from one address is one
`Dial`, a call from the other is the platform's whole way, with its own PostgreSQL (fsync on) and Redis, and two
bridges as processes.
"""

import asyncio
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from loadtests import processor_time
from loadtests.call_load import Run
from loadtests.call_stand import BARE, Stand, say, stand
from loadtests.report import Raw, Result, spread
from vns.numbering.rules import digits_of
from vns.storage.database import Database

FIRST_RATE = 40
BEGUN_AT = 12  # the rung (116/s) that is tried first, of those from FIRST_RATE on; where it does not hold, the foot
STEP = 1.1
HIGHEST_RATE = 600
RESTING = 0.05  # processor seconds in a second
LEFTOVERS_SECONDS = 33.0  # a little more than 64 * T1, RFC 3261: as long as SIP keeps what an overload has left
SETTLE_SECONDS = 60.0  # for the last records to be written


def run(quick: bool) -> Result:
    """The keys of the benchmark, for `bin/bench`. Minutes: about 7 when quick, else 45 at most."""
    seconds, pairs = (6.0, 3) if quick else (20.0, 5)
    with ExitStack() as stack:
        at = stack.enter_context(stand())
        stack.enter_context(at.load.phone())
        _warm_up(at)
        before, seen_before = _state(at), at.load.connections()
        measured: list[Run] = []
        knees = _knees(at, seconds, 1 if quick else 3, measured)
        at.begin_anew()
        _warm_up(at)
        half = max(FIRST_RATE // 2, int(median(knees[BARE]) / 2))
        spent: dict[str, list[dict[str, float]]] = {BARE: [], "ours": []}
        at_40 = _side_by_side(at, FIRST_RATE, seconds, pairs, measured, spent)
        at_half = _side_by_side(at, half, seconds, pairs, measured, spent)
        _settle(at)
        compared = _compare(at, before, seen_before)
    return Result(
        keys={
            "knee_ratio": median(knees["ours"]) / median(knees[BARE]),
            "added_median_ms": median(ours.median - bare.median for bare, ours in at_half),
            "calls": sum(one.successes for one in measured),
            "failed": sum(ours.failures for _, ours in at_40 + at_half),
            "wrong_connections": compared.wrong,
            "cdr_differences": compared.differences,
        },
        raw={
            "knee, bare Dial (calls/s)": spread(knees[BARE]),
            "knee, ours (calls/s)": spread(knees["ours"]),
            **_spreads(f"at {FIRST_RATE}/s", at_40),
            **_spreads("at half the bare knee", at_half),
            **_processor_spreads(spent),
            "half the bare knee (calls/s)": half,
            "calls given up above the knee": compared.given_up,
            "seconds of a rung": seconds,
            "bridges": 2,
            "fsync": "on",
        },
    )


def _spreads(where: str, pairs: list[tuple[Run, Run]]) -> dict[str, Raw]:
    return {
        f"{where}: bare, median (ms)": spread([bare.median for bare, _ in pairs]),
        f"{where}: ours, median (ms)": spread([ours.median for _, ours in pairs]),
        f"{where}: bare, p99 (ms)": spread([bare.p99 for bare, _ in pairs]),
        f"{where}: ours, p99 (ms)": spread([ours.p99 for _, ours in pairs]),
    }


def _processor_spreads(spent: dict[str, list[dict[str, float]]]) -> dict[str, Raw]:
    """Of each part that a call costs more than a hundredth of a millisecond."""
    found: dict[str, Raw] = {}
    for name, runs in spent.items():
        for part in ("Asterisk", "bridges", "PostgreSQL", "Redis"):
            values = [run.get(part, 0.0) for run in runs]
            if max(values) >= 0.01:
                found[f"processor time of a call: {name}, {part} (ms)"] = spread(values)
    return found


def _knees(at: Stand, seconds: float, rounds: int, measured: list[Run]) -> dict[str, list[int]]:
    """Each in an Asterisk of its own, and each way first in turn: what is freed after an overload stays scattered over
    gigabytes, and a call costs that Asterisk up to a third more from then on."""
    found: dict[str, list[int]] = {BARE: [], "ours": []}
    for turn in range(rounds):
        for name in (BARE, "ours") if turn % 2 == 0 else ("ours", BARE):
            at.begin_anew()
            _warm_up(at)
            found[name].append(_knee(at, name, seconds, measured))
    return found


def _warm_up(at: Stand) -> None:
    say("warming up")
    for name in (BARE, "ours"):
        at.run(name, FIRST_RATE, 3.0)
    _settle(at)


def _knee(at: Stand, name: str, seconds: float, measured: list[Run]) -> int:
    """The highest rung of the ladder that holds: four rungs at a time upwards, then each one.

    There a rung that fails is tried once more, so that a neighbour on the machine does not decide.
    """
    rungs = [FIRST_RATE]
    while rungs[-1] < HIGHEST_RATE:
        rungs.append(int(rungs[-1] * STEP))

    def holds(place: int) -> bool:
        one = at.run(name, rungs[place], seconds)
        if name == "ours":
            measured.append(one)
        say(
            f"{name} {one.rate}/s: median {one.median:.1f} ms, p99 {one.p99:.1f} ms, "
            f"{one.failures} failed, {one.retransmissions} retransmitted"
        )
        if not one.holds:
            _drain()
        return one.holds

    best = BEGUN_AT if holds(BEGUN_AT) else 0
    while best + 4 < len(rungs) and holds(best + 4):
        best += 4
    while best + 1 < len(rungs) and (holds(best + 1) or holds(best + 1)):
        best += 1
    return rungs[best]


def _drain() -> None:
    """Until Asterisk has nothing left of a rung above the knee, or for a minute more.

    For half a minute it has callers' repetitions to answer and then, all at once, calls to give up: rungs that begin
    in between were seen to fail at rates that hold before and after.
    """
    time.sleep(LEFTOVERS_SECONDS)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        before = processor_time.spent()["Asterisk"]
        time.sleep(1)
        if processor_time.spent()["Asterisk"] - before < RESTING:
            return


def _side_by_side(
    at: Stand, rate: int, seconds: float, count: int, measured: list[Run], spent: dict[str, list[dict[str, float]]]
) -> list[tuple[Run, Run]]:
    """`count` pairs; each way is first in turn. `spent` gets the processor time of each run."""

    def one(name: str) -> Run:
        before = processor_time.spent()
        made = at.run(name, rate, seconds)
        if made.successes:
            spent[name].append(processor_time.per_call(before, processor_time.spent(), made.successes))
        return made

    pairs = []
    for turn in range(count):
        if turn % 2 == 0:
            bare, ours = one(BARE), one("ours")
        else:
            ours, bare = one("ours"), one(BARE)
        measured.append(ours)
        say(f"{rate}/s: bare {bare.median:.2f} ms, ours {ours.median:.2f} ms at the median")
        pairs.append((bare, ours))
    return pairs


@dataclass(frozen=True)
class Compared:
    wrong: int
    differences: int
    given_up: int  # in runs far above the knee


@dataclass(frozen=True)
class Records:
    """Calls without an end, and those with one, by virtual number."""

    open: int
    answered: Counter[str]
    given_up: Counter[str]


def _compare(at: Stand, before: Records, seen_before: Counter[tuple[str, str]]) -> Compared:
    """The phone's log against whom each caller was bound to, and against the records, number by number."""
    by_vn: Counter[str] = Counter()
    wrong = 0
    for pair, count in (at.load.connections() - seen_before).items():
        if pair in at.expected:
            by_vn[at.expected[pair]] += count
        elif pair[1] not in {caller for _, caller in at.bare}:
            wrong += count
    now = _state(at)
    answered, given_up = now.answered - before.answered, now.given_up - before.given_up
    return Compared(wrong, differences(by_vn, answered, given_up) + now.open, given_up.total())


def differences(seen: Counter[str], answered: Counter[str], given_up: Counter[str]) -> int:
    """How many calls of the phone's log have no record, or the other way round; each counted by virtual number.

    A call that is given up while the phone picks up, by the caller or by Asterisk, may be in the phone's log or not.
    """
    return sum(
        max(answered[vn] - seen[vn], seen[vn] - answered[vn] - given_up[vn], 0) for vn in set(seen) | set(answered)
    )


def _state(at: Stand) -> Records:
    async def ask() -> Records:
        db = await Database.open(at.database_url, size=2)
        try:
            async with db.connection() as connection:
                rows = await connection.fetch(
                    """select vn, count(*) filter (where result = 'answered') as answered,
                              count(*) filter (where result in ('cancelled', 'unreachable')) as given_up
                         from calls where ended_at is not null group by vn"""
                )
                waiting = await connection.fetchval("select count(*) from calls where ended_at is null")
        finally:
            await db.close()
        return Records(
            int(waiting),
            Counter({digits_of(row["vn"]): row["answered"] for row in rows}),
            Counter({digits_of(row["vn"]): row["given_up"] for row in rows}),
        )

    return asyncio.run(ask())


def _settle(at: Stand) -> None:
    """Until every call has its end, or long enough to count the rest as missing."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while _state(at).open and time.monotonic() < deadline:
        time.sleep(0.5)
