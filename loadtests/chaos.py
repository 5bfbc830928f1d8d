"""`chaos`: texts while SMSC, relay and databases are killed at random and links are cut between submit and response.

Every text ends exactly once; none is lost; one that was submitted twice, or twice without a known outcome, is
reported as such. Run with the tables on PostgreSQL and, a fifth as many, on MariaDB; everybody syncs to disk. What the
checker can find is shown by planting each kind of breach into what the run left behind.
"""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT

from loadtests import bench_servers, text_history
from loadtests.killable import Killable, mariadb
from loadtests.report import Result
from loadtests.texts_ours import Ground, prepare
from loadtests.texts_peers import Peer
from local.children import tied
from local.postgres import PostgresServer
from local.postgres import prepare as prepare_postgres
from sms_relay.relay.results import SENT_AGAIN
from vns.crypto.rules import KeyRing

TEXTS, QUICK_TEXTS = 50_000, 10_000
MARIADB_SHARE = 5
MO_WINDOW = 100
PAUSE, QUICK_PAUSE = (1.0, 4.0), (0.3, 1.5)  # seconds between two faults
SETTLE_SECONDS = 420.0  # the relay looks for what has no hint once a minute at the latest
RECOVERY_SECONDS = 60.0
SEED = 20261125


@dataclass
class Stand:
    """Everything that can be killed."""

    ground: Ground
    postgres: Killable
    relay: Killable
    state: Path
    npro_server: Killable
    port: int = field(default_factory=bench_servers.free_port)
    smsc: Peer = field(init=False)
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.start_smsc()

    def start_smsc(self) -> None:
        self.smsc = Peer("loadtests.texts_smsc", "--state", str(self.state), "--port", str(self.port))

    def close_smsc(self) -> None:
        self.smsc.close()

    def kill_smsc(self) -> None:
        self.smsc.kill()
        time.sleep(random.uniform(0, 1))
        self.start_smsc()

    def kill_relay(self) -> None:
        self.relay.kill()
        self.relay.start()

    def kill_postgres(self) -> None:
        self.postgres.kill()
        time.sleep(random.uniform(0, 1))
        self.postgres.start()

    def kill_tables(self) -> None:
        self.npro_server.kill()
        self.npro_server.start()

    def cut(self, *, keep: bool) -> None:
        """After some submits more: the carrier took the last of them (`keep`), or it did not; nobody is told."""
        self.smsc.order("cut", after=random.randint(1, 200), keep=keep)

    def cut_taken(self) -> None:
        self.cut(keep=True)

    def cut_not_taken(self) -> None:
        self.cut(keep=False)

    def fault(self, name: str) -> None:
        acts: dict[str, Callable[[], None]] = {
            "SMSC killed": self.kill_smsc,
            "relay and agent killed": self.kill_relay,
            "PostgreSQL killed": self.kill_postgres,
            "database of the tables killed": self.kill_tables,
            "link cut, text taken": self.cut_taken,
            "link cut, text not taken": self.cut_not_taken,
        }
        acts[name]()
        self.done[name] += 1


FAULTS = (
    "SMSC killed",
    "relay and agent killed",
    "PostgreSQL killed",
    "link cut, text taken",
    "link cut, text not taken",
)


@contextmanager
def stand(place: Path, *, on_mariadb: bool) -> Iterator[Stand]:
    with ExitStack() as stack:
        server = prepare_postgres(place / "run", bench_servers.free_port())
        postgres = _postgres(server, place)
        postgres.start()
        stack.callback(postgres.kill)
        tables = stack.enter_context(mariadb(place)) if on_mariadb else None
        ground = prepare(place, server, npro_url=tables.url if tables else None)
        at = Stand(
            ground=ground,
            postgres=postgres,
            relay=Killable(lambda: [], place / "relay.log", lambda: True),
            state=place / "smsc.state",
            npro_server=tables.server if tables else postgres,
        )
        stack.callback(at.close_smsc)
        environment = {**ground.environment(at.smsc), "VNS_LOG_LEVEL": "ERROR", "VNS_DB_PING_TERM": "1"}
        at.relay.command = lambda: bench_servers.with_environment([sys.executable, "-m", "sms_relay"], environment)
        at.relay.start()
        stack.callback(at.relay.stop)
        yield at


def _postgres(server: PostgresServer, place: Path) -> Killable:
    def command() -> list[str]:
        return tied(server.command(), account=server.account, death_signal=SIGINT)

    return Killable(command, place / "postgres.log", server.answers, cwd="/")


def history_of(
    at: Stand, texts: int, faults: tuple[str, ...], chance: random.Random, pause: tuple[float, float]
) -> text_history.History:
    """Runs `texts` through all of the faults, each at least once, until nothing moves any more."""
    order = {"first": 0, "count": texts, "window": MO_WINDOW, "pairs": at.ground.pairs}
    at.smsc.order("flood", **order)
    turn = 0
    while turn < len(faults) or _progress(at) < texts:
        before = _progress(at)
        time.sleep(chance.uniform(*pause))
        name = faults[turn % len(faults)] if turn < len(faults) else chance.choice(faults)
        turn += 1
        at.fault(name)
        _tell(f"{_progress(at):,} of {texts:,} texts submitted; {name}")
        _until_some_moved(at, before, texts)
    _settle(at, texts)
    at.smsc.order("numbers")
    submits: dict[int, int] = dict(at.smsc.event("numbers")["submits"])
    keyring = KeyRing.load(at.ground.place / "keys.json")
    places = text_history.Places(
        database_url=at.ground.database_url, npro_url=at.ground.npro_url, keyring=keyring, pairs=at.ground.pairs
    )
    return asyncio.run(text_history.read(places, texts, submits, at.smsc.state()["misdelivered"]))


def _until_some_moved(at: Stand, before: int, texts: int) -> None:
    """Faults that come faster than everything starts again would only show that nothing works then."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while _progress(at) <= min(before, texts - 1) and time.monotonic() < deadline:
        time.sleep(0.1)


def _progress(at: Stand) -> int:
    """Texts that have left, or have ended otherwise."""
    return max(int(at.smsc.state()["distinct"]), sum(_ended(at).values()))


def _ended(at: Stand) -> Counter[str]:
    found = at.ground.server.query("select status, count(*) from messages group by 1", database="vns")
    counts = Counter({status: int(n) for status, _, n in (line.partition("|") for line in found.splitlines())})
    return Counter({status: n for status, n in counts.items() if status not in {"queued", "sent", "received"}})


def _settle(at: Stand, texts: int) -> None:
    """Until every text has ended and every row is in its log; what then has not is for the checker."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        if sum(_ended(at).values()) >= texts and asyncio.run(_left(at)) == 0:
            return
        time.sleep(0.5)


async def _left(at: Stand) -> int:
    return len((await text_history.tables(at.ground.npro_url))[1])


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(quick: bool) -> Result:
    """About two minutes when quick, ten otherwise."""
    load = os.getloadavg()[0]
    texts = QUICK_TEXTS if quick else TEXTS
    raw: dict[str, float | int | str] = {"seed": SEED, "load average before the run": load}
    violations, planted, planted_found, rounds = 0, 0, 0, 0
    for make, count in (("PostgreSQL", texts), ("MariaDB", texts // MARIADB_SHARE)):
        random.seed(SEED)
        faults = FAULTS if make == "PostgreSQL" else (*FAULTS, "database of the tables killed")
        begun = time.monotonic()
        with bench_servers.folder() as place, stand(place, on_mariadb=make == "MariaDB") as at:
            history = history_of(at, count, faults, random.Random(SEED), QUICK_PAUSE if quick else PAUSE)
            done = at.done
        found = text_history.check(history)
        for breach in found[:20]:
            _tell(f"{make}: {breach}")
        violations += len(found)
        rounds += done.total()
        for name, bad in text_history.plant(history):
            planted += 1
            if len(text_history.check(bad)) > len(found):
                planted_found += 1
            else:
                _tell(f"planted and not found: {name}")
        ends = Counter(rows[0].status for rows in history.rows.values() if rows)
        raw |= {
            f"{make}: texts": count,
            f"{make}: seconds": round(time.monotonic() - begun),
            f"{make}: faults": ", ".join(f"{name} {times}" for name, times in sorted(done.items())),
            f"{make}: delivered": ends["delivered"],
            f"{make}: reported as of unknown outcome": ends["unknown"],
            f"{make}: sent once more, and reported": sum(
                rows[0].reason == SENT_AGAIN for rows in history.rows.values() if rows
            ),
            f"{make}: submitted twice": sum(times > 1 for times in history.submits.values()),
            f"{make}: never submitted, and reported": sum(
                rows[0].status == "unknown" and not history.submits.get(number)
                for number, rows in history.rows.items()
                if rows
            ),
        }
    keys = {"rounds": rounds, "violations": violations, "planted": planted, "planted_found": planted_found}
    return Result(keys=keys, raw=raw)
