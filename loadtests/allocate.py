"""`allocate`: allocations and look-ups over HTTP against the floors of the same machine in the same run.

Floors: pgbench with one statement that picks, marks and inserts; the same statement behind a plain FastAPI handler; a
FastAPI route that does nothing. Ours does all that an allocation is (authentication, rules, encryption, blind index,
journal) and answers it durably: fsync is on for everybody.
"""

import asyncio
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from loadtests import bench_servers
from loadtests.http_load import Measured, Order, measure
from loadtests.plain_handler import LEASE, TABLES
from loadtests.report import Result, spread
from local.postgres import PostgresServer
from vns.access.rules import NewTenant, TenantKind
from vns.access.service import Access
from vns.crypto.rules import KeyRing
from vns.pools.rules import NewPool, Service
from vns.pools.service import Pools
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.migrate import upgrade

WORKERS = 2
CONNECTIONS = 32
POOL = (50_410_000_000, 50_410_999_999)
REFERENCES = 20_000  # bindings that look-ups are made for
BATCH = 1_000
ROUNDS = 3
SECONDS, QUICK_SECONDS = 12.0, 4.0
SHARE = 0.7  # of the capacity, for the latency
ACTOR = "bench"

_TPS = re.compile(r"tps = ([0-9.]+)")


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Everything that runs, ready to be measured."""

    place: Path
    server: PostgresServer
    floor_port: int
    api_port: int
    mall_key: str
    courier_key: str
    seconds: float


@contextmanager
def ground(seconds: float) -> Iterator[Ground]:
    with ExitStack() as stack:
        place = stack.enter_context(bench_servers.folder())
        server = stack.enter_context(bench_servers.postgres(place))
        for database in ("floor", "vns"):
            server.query(f"create database {database}")
        _tell("seeding")
        _reset_floor(server)
        keys_file = place / "keys.json"
        KeyRing.generate(keys_file)
        url = server.url("vns")
        upgrade(url)
        mall_key, courier_key = asyncio.run(_seed(url))
        floor_port = stack.enter_context(bench_servers.floor_handler(place, server.url("floor")))
        api_port = bench_servers.free_port()
        environment = {"VNS_DATABASE_URL": url, "VNS_KEYS_FILE": str(keys_file)}
        for number in range(WORKERS):
            stack.enter_context(bench_servers.api(place, api_port, environment, str(number)))
        yield Ground(
            place=place,
            server=server,
            floor_port=floor_port,
            api_port=api_port,
            mall_key=mall_key,
            courier_key=courier_key,
            seconds=seconds,
        )


async def _seed(url: str) -> tuple[str, str]:
    """A pool of a million numbers, a mall and its courier; their keys."""
    database, clock = await Database.open(url), Clock()
    access, pools = Access(database, clock), Pools(database, clock)
    await access.create_tenant(ACTOR, NewTenant(code="mall", name="Mall", kind=TenantKind.MALL))
    await access.create_tenant(ACTOR, NewTenant(code="courier", name="Courier", kind=TenantKind.COURIER))
    await access.grant_lookup(ACTOR, courier="courier", mall="mall")
    await pools.create(ACTOR, NewPool(name="safe", service=Service.PERSONAL, first=POOL[0], last=POOL[1]))
    keys = [(await access.issue_key(ACTOR, tenant)).secret for tenant in ("mall", "courier")]
    await database.close()
    return keys[0], keys[1]


def _reset_floor(server: PostgresServer) -> None:
    """A million free numbers again."""

    async def run() -> None:
        connection = await asyncpg.connect(server.url("floor"))
        for statement in TABLES.split(";\n"):
            if statement.strip():
                await connection.execute(statement)
        await connection.execute("checkpoint")
        await connection.close()

    asyncio.run(run())


def _pgbench(at: Ground) -> float:
    """Transactions a second: 8 clients, 2 threads, prepared."""
    _reset_floor(at.server)
    script = at.place / "lease.sql"
    script.write_text(LEASE.replace("\n", " ") + ";\n")
    command = [str(at.server.binaries / "pgbench"), "-n", "-M", "prepared", "-c", "8", "-j", "2"]
    command += ["-T", str(round(at.seconds)), "-f", str(script), "-h", "127.0.0.1", "-p", str(at.server.port)]
    done = subprocess.run(
        [*command, "-U", "postgres", "floor"],
        env={"PGPASSWORD": at.server.password, "PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=at.seconds + 60,
        check=True,
    )
    found = _TPS.search(done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench said nothing of tps:\n{done.stdout}")
    return float(found[1])


class Rounds:
    """Runs everything in turn, and keeps what was seen."""

    def __init__(self, at: Ground) -> None:
        self._at = at
        self._next = 0
        self.seen: dict[str, list[float]] = {}
        self.workings: dict[str, Callable[[], float]] = {
            "pgbench": lambda: _pgbench(at),
            "plain_handler": self._plain,
            "allocate": self._allocate,
            "empty_route": self._empty,
            "look_up": self._look_up,
            "batch": self._batch,
            "p99_ms_at_70": self._latency,
        }

    def run(self, rounds: int) -> None:
        self._fill()
        for number in range(rounds):
            for name, work in self.workings.items():
                value = work()
                self.seen.setdefault(name, []).append(value)
                _tell(f"round {number + 1}: {name} {value:,.1f}")

    def median(self, name: str) -> float:
        return statistics.median(self.seen[name])

    def _fill(self) -> None:
        """Bindings to look up, W-0 to W-19999."""
        batches = REFERENCES // BATCH
        order = self._order("batch", self._at.api_port, connections=1, seconds=60, count=BATCH, requests=batches)
        done = measure(order)
        if done.errors or done.numbers != REFERENCES:
            raise RuntimeError("the bindings to look up could not be made")
        self._next = REFERENCES

    def _order(self, kind: str, port: int, **fields: float | int | str) -> Order:
        given = {"connections": CONNECTIONS, "seconds": self._at.seconds, "key": self._at.mall_key, **fields}
        return Order(kind=kind, port=port, **given)  # type: ignore[arg-type]  # each field has its own type

    def _measured(self, order: Order) -> Measured:
        done = measure(order)
        if done.errors or not done.answers:
            raise RuntimeError(f"{order.kind}: {done.errors} errors, {done.answers} answers")
        return done

    def _numbers_from(self, items: int) -> int:
        """Running numbers that no earlier run has used."""
        first, self._next = self._next, self._next + items
        return first

    def _plain(self) -> float:
        _reset_floor(self._at.server)
        return self._measured(self._order("plain", self._at.floor_port)).rate

    def _empty(self) -> float:
        return self._measured(self._order("empty", self._at.floor_port)).rate

    def _allocate(self) -> float:
        done = self._measured(self._order("allocate", self._at.api_port, first=self._numbers_from(1_000_000)))
        _unique(done)
        return done.rate

    def _look_up(self) -> float:
        order = self._order("look_up", self._at.api_port, key=self._at.courier_key, count=REFERENCES)
        return self._measured(order).rate

    def _batch(self) -> float:
        first = self._numbers_from(1_000_000) // BATCH
        done = self._measured(self._order("batch", self._at.api_port, connections=4, count=BATCH, first=first))
        _unique(done)
        return done.rate * BATCH

    def _latency(self) -> float:
        rate = SHARE * self.seen["allocate"][-1]
        first = self._numbers_from(1_000_000)
        done = self._measured(self._order("allocate", self._at.api_port, rate=rate, first=first))
        return done.latencies_ms[2]


def _unique(done: Measured) -> None:
    if done.numbers != done.distinct_numbers:
        raise RuntimeError(f"{done.numbers - done.distinct_numbers} virtual numbers were given out twice")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(quick: bool) -> Result:
    """Raises RuntimeError when anything went wrong: a benchmark of errors is none."""
    load = os.getloadavg()[0]  # of others: a busy machine measures itself
    with ground(QUICK_SECONDS if quick else SECONDS) as at:
        rounds = Rounds(at)
        rounds.run(ROUNDS)
    ours = rounds.median("allocate")
    return Result(
        keys={
            "vs_plain_handler": ours / rounds.median("plain_handler"),
            "vs_pgbench": ours / rounds.median("pgbench"),
            "lookup_vs_empty_route": rounds.median("look_up") / rounds.median("empty_route"),
            "batch_per_s": rounds.median("batch"),
            "p99_ms_at_70": rounds.median("p99_ms_at_70"),
        },
        raw={
            **{name: spread(values) for name, values in rounds.seen.items()},
            "api_workers": WORKERS,
            "floor_workers": 1,
            "connections": CONNECTIONS,
            "load average before the run": load,
            "seconds": at.seconds,
            "client": "loadtests/wire_client.py in one process, the same for all",
        },
    )
