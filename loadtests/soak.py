"""`bin/bench soak`: many calls, one after another: who was connected to whom, what the records say, and the memory.

The platform is `bin/up`. Each phone's log is compared with the bindings and with the call detail records, number by
number; the memory of each part is looked at all the time. Its part of docs/reliability.md is written by it.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from loadtests.call_load import Load, Run
from loadtests.call_stand import Numbers, free_port
from loadtests.one_machine import OneMachine, one_machine, say
from loadtests.report import RELIABILITY, Raw, Result, write_part
from vns.numbering.rules import key_of
from vns.storage.database import Database

CALLS, QUICK_CALLS = 20_000, 2_000
RATE = 40  # calls a second
PARTS = 20  # looks at the memory
ONE_WAY, PAIRS = 600, 300
SETTLE_SECONDS = 150.0
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Way:
    """One way to call: what is dialled by whom, and what the called phone is to see."""

    vn: str
    caller: str
    target: str
    shown: str


def run(quick: bool) -> Result:
    """About 10 minutes, quick 2."""
    wanted = QUICK_CALLS if quick else CALLS
    with one_machine() as at, TemporaryDirectory(prefix="vns-soak-") as name:
        ways = _ways(at)
        load = Load(Path(name), asterisk=at.sip_port, trunk=at.trunk_port)
        with load.phone():
            numbers = [(way.vn, way.caller) for way in ways]
            runs, memory = _soak(at, load, numbers, wanted)
            open_records = _settle(at)
        compared = _compare(at, ways, _made(numbers, wanted), load.connections())
    # the first fifth is when caches fill and pools of memory are laid out
    begin = {part: median(sizes[len(sizes) // 5 :][:3]) for part, sizes in memory.items()}
    growth = {part: median(sizes[-3:]) / begin[part] - 1 for part, sizes in memory.items()}
    result = Result(
        keys={
            "calls": sum(one.successes + one.failures for one in runs),
            "failed": sum(one.failures for one in runs),
            "wrong_connections": compared[0],
            "cdr_differences": compared[1] + open_records,
            "most_memory_growth": max(growth.values()),
        },
        raw={
            "rate": RATE,
            "retransmissions": sum(one.retransmissions for one in runs),
            "setup p99, highest of a part (ms)": max(one.p99 for one in runs),
            **{f"memory of {part} (MiB)": _megabytes(sizes) for part, sizes in memory.items()},
            **{f"growth of {part}": round(value, 3) for part, value in growth.items()},
        },
    )
    if not quick:
        write_part("soak", _page(result), page=RELIABILITY)
    return result


def _ways(at: OneMachine) -> list[Way]:
    """One-way numbers called by somebody, and pairs in both directions; nobody is in two bindings."""
    customers = [f"0102{number:07}" for number in range(ONE_WAY)]
    made = at.allocate([{"mode": "one_way", "real_number": one, "service": "050"} for one in customers])
    ways = []
    for customer, binding in zip(customers, made, strict=True):
        caller = customer.replace("0102", "0103", 1)
        ways.append(Way(binding["virtual_number"], caller, customer, caller))
    sides = [(f"0104{number:07}", f"0105{number:07}") for number in range(PAIRS)]
    made = at.allocate(
        [{"mode": "bidirectional", "real_number": one, "peer_number": other, "service": "070"} for one, other in sides]
    )
    for (one, other), binding in zip(sides, made, strict=True):
        vn = binding["virtual_number"]
        ways += [Way(vn, one, other, vn), Way(vn, other, one, vn)]
    return ways


def _soak(at: OneMachine, load: Load, numbers: Numbers, wanted: int) -> tuple[list[Run], dict[str, list[float]]]:
    runs: list[Run] = []
    memory: dict[str, list[float]] = {}
    size = wanted // PARTS
    for start in range(0, wanted, size):
        runs.append(load.run(_turned(numbers, start), RATE, size / RATE, free_port()))
        for part, resident in at.memory().items():
            memory.setdefault(part, []).append(float(resident))
        say(f"{start + size} calls: p99 {runs[-1].p99:.0f} ms, {runs[-1].failures} failed")
    return runs, memory


def _turned(numbers: Numbers, start: int) -> Numbers:
    """So that call number `start` is the first: each part goes on where the one before it stopped."""
    place = start % len(numbers)
    return numbers[place:] + numbers[:place]


def _made(numbers: Numbers, wanted: int) -> Counter[tuple[str, str]]:
    """How often each number was called by whom."""
    rounds, rest = divmod(wanted, len(numbers))
    return Counter({pair: rounds + (place < rest) for place, pair in enumerate(numbers)})


def _megabytes(sizes: list[float]) -> dict[str, Raw]:
    return {
        "median": round(median(sizes) / MEBIBYTE, 1),
        "lowest": round(min(sizes) / MEBIBYTE, 1),
        "highest": round(max(sizes) / MEBIBYTE, 1),
    }


def _compare(
    at: OneMachine, ways: list[Way], made: Counter[tuple[str, str]], heard: Counter[tuple[str, str]]
) -> tuple[int, int]:
    """Wrong connections; and by how many calls the records differ from what the phone saw."""
    expected = {(way.target, way.shown): way for way in ways}
    by_vn: Counter[int] = Counter()
    wrong = 0
    for pair, count in heard.items():
        if (way := expected.get(pair)) is None:
            wrong += count
            continue
        by_vn[key_of(way.vn)] += count
        wrong += max(0, count - made[way.vn, way.caller])

    async def ask() -> Counter[int]:
        db = await Database.open(at.database_url, size=2)
        try:
            async with db.connection() as connection:
                rows = await connection.fetch(
                    "select vn, count(*) as n from calls where result = 'answered' and ended_at is not null group by vn"
                )
        finally:
            await db.close()
        return Counter({row["vn"]: row["n"] for row in rows})

    records = asyncio.run(ask())
    return wrong, sum(abs(by_vn[vn] - records[vn]) for vn in set(by_vn) | set(records))


def _settle(at: OneMachine) -> int:
    """Wait until every call has its end in the records; how many have none even then."""

    async def ask() -> int:
        db = await Database.open(at.database_url, size=2)
        try:
            async with db.connection() as connection:
                return int(await connection.fetchval("select count(*) from calls where ended_at is null"))
        finally:
            await db.close()

    deadline = time.monotonic() + SETTLE_SECONDS
    while (waiting := asyncio.run(ask())) and time.monotonic() < deadline:
        time.sleep(1)
    return waiting


def _page(result: Result) -> str:
    lines = [
        "## Many calls",
        "",
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `bin/bench soak`: `bin/up` on one machine, {RATE} calls a second of",
        f"300 ms, {ONE_WAY} one-way numbers and {PAIRS} pairs called in both directions. Wrong connections: the called",
        "phone saw a caller that is not its own, or more calls than were made to it. Differences: calls that the phone",
        "and the records count differently, number by number. Growth: of resident memory since the first fifth.",
        "",
        "| measured | value |",
        "|---|---|",
        *(f"| `{name}` | {value:,.4g} |" for name, value in result.keys.items() if isinstance(value, float)),
        *(f"| `{name}` | {value:,} |" for name, value in result.keys.items() if isinstance(value, int)),
    ]
    for what, value in result.raw.items():
        if isinstance(value, dict):
            lines.append(f"| {what}, lowest to highest | {value['lowest']} to {value['highest']} |")
        else:
            lines.append(f"| {what} | {value} |")
    return "\n".join(lines)
