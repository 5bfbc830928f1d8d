"""`texts`: a text relayed, and a text inserted, against Kannel on the same machine with the same SMSC.

Relay: a text from a handset on a virtual number becomes a text to the other side. Kannel (C, no database, nothing
synced to disk) asks a trivial HTTP handler and sends its answer; ours decides, records, hands over to MSG_DATA, sends,
takes the receipt, records the result and moves the row to its log, with fsync on in both databases. Insert: 32
connections give texts one by one, to Kannel over HTTP and to ours by INSERT, until each has its receipt. Jasmin
(Python, with a RabbitMQ) only relays, fewer texts for the time that they take: with receipts asked as ours does, and
without. Of inserted ones it could not be said when they are done: this version never tells of the receipts it takes.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from loadtests import bench_servers
from loadtests.report import Result, spread
from loadtests.texts_crowd import NAME, ROWS, crowded
from loadtests.texts_jasmin import jasmin
from loadtests.texts_ours import Ground, prepare, relay, statuses
from loadtests.texts_peers import PASSWORD, ROOT, Peer, kannel, peer

ROUNDS = 3
TEXTS, QUICK_TEXTS = 20_000, 4_000
JASMIN_SHARE = 20
MO_WINDOW = 100
CONNECTIONS = 32
SETTLE_SECONDS = 60.0


class Rounds:
    """Runs each side in turn. `numbers` of texts are never used twice."""

    def __init__(self, ground: Ground, smsc: Peer, handler: Peer, texts: int) -> None:
        self._ground = ground
        self._smsc = smsc
        self._handler = handler
        self.texts = texts
        self._next = 0
        self._crowd: Ground | None = None
        self.lost = 0
        self.twice = 0
        self.messages = 0
        self.seen: dict[str, list[float]] = {}
        self._acknowledged = f"http://127.0.0.1:{handler.port}/ack".replace(":", "%3A").replace("/", "%2F")

    def run(self, rounds: int) -> None:
        workings: list[Callable[[], dict[str, float]]] = [
            self._kannel_relay,
            lambda: self._our_relay(self._ground, "ours"),
            self._jasmin_relay,
            self._kannel_insert,
            lambda: self._our_insert(self._ground, "ours"),
        ]
        if self._crowd is not None:
            crowd, among = self._crowd, f"ours among {ROWS:,} rows"
            workings += [lambda: self._our_relay(crowd, among), lambda: self._our_insert(crowd, among)]
        for number in range(rounds):
            for work in workings:
                for name, rate in work().items():
                    self.seen.setdefault(name, []).append(rate)
                    _tell(f"round {number + 1}: {name} {rate:,.0f}/s")

    def median(self, name: str) -> float:
        return median(self.seen[name])

    def crowd(self) -> None:
        """From now on ours is measured on full tables as well."""

        def some(full: Ground) -> None:
            self._smsc.reset()
            self._insert(full, CONNECTIONS)
            self._smsc.until("receipts", CONNECTIONS)
            self._logged(full)

        self._crowd = crowded(self._ground, self._smsc, some)

    def _logged(self, ground: Ground) -> None:
        """Waits until the agent has made the log of this month."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while "msg_log_" not in ground.server.query("select tablename from pg_tables", database=NAME):
            if time.monotonic() > deadline:
                raise RuntimeError("the agent makes no log")
            time.sleep(0.1)

    def _numbers_from(self) -> int:
        first, self._next = self._next, self._next + self.texts
        return first

    def _flood(self, count: int) -> None:
        self._smsc.reset()
        self._smsc.order("flood", first=self._numbers_from(), count=count, window=MO_WINDOW, pairs=self._ground.pairs)

    def _jasmin_relay(self) -> dict[str, float]:
        texts = self.texts // JASMIN_SHARE
        with jasmin(self._ground.place, self._smsc, self._handler) as port:
            path = f"/send?username=bench&password={PASSWORD}&from=07080000000&to={{to}}&content={{content}}"
            acknowledged = f"&dlr=yes&dlr-level=2&dlr-method=GET&dlr-url={self._acknowledged}"
            rates = {}
            for name, ending in (("relay: Jasmin", acknowledged), ("relay: Jasmin, no receipts asked", "")):
                self._handler.order("jasmin", port=port, connections=CONNECTIONS, path=path + ending)
                self._flood(texts)
                state = self._smsc.until("distinct", texts)
                _complete(name, state["distinct"], texts)
                rates[name] = texts / state["mt_seconds"]
        return rates

    def _kannel_relay(self) -> dict[str, float]:
        with kannel(self._ground.place, self._smsc, self._handler):
            self._flood(self.texts)
            state = self._smsc.until("distinct", self.texts)
        _complete("Kannel relay", state["distinct"], self.texts)
        return {"relay: Kannel": self.texts / state["mt_seconds"]}

    def _our_relay(self, ground: Ground, name: str) -> dict[str, float]:
        before = statuses(ground)
        with relay(ground, self._smsc):
            self._flood(self.texts)
            begun = time.perf_counter()
            self._smsc.until("distinct", self.texts)
            state = self._smsc.until("receipts", self.texts)
            while (delivered := _gained(before, statuses(ground))) < self.texts:
                if time.perf_counter() - begun > state["receipt_seconds"] + SETTLE_SECONDS:
                    break
                time.sleep(0.05)
            stored = time.perf_counter() - begun
        self.messages += self.texts
        self.lost += self.texts - min(delivered, state["distinct"])
        self.twice += len(state["twice"])
        _complete("our relay", state["distinct"], self.texts)
        if state["misdelivered"]:
            raise RuntimeError(f"{state['misdelivered']} texts went to somebody else")
        return {
            f"relay: {name}": self.texts / state["mt_seconds"],
            f"relay: {name}, to the last result": self.texts / stored,
        }

    def _kannel_insert(self) -> dict[str, float]:
        with kannel(self._ground.place, self._smsc, self._handler) as running:
            self._smsc.reset()
            self._handler.reset()
            path = (
                f"/cgi-bin/sendsms?username=bench&password={PASSWORD}&from=07080000000&to=01040000000"
                f"&text=Your+parcel+%23{{number}}+is+at+the+door&dlr-mask=1&dlr-url={self._acknowledged}"
            )
            self._handler.order(
                "send",
                port=running.sendsms,
                connections=CONNECTIONS,
                first=self._numbers_from(),
                count=self.texts,
                path=path,
            )
            state = self._handler.until("receipts", self.texts)
        _complete("Kannel insert", state["receipts"], self.texts)
        return {"insert: Kannel": self.texts / state["seconds"]}

    def _insert(self, ground: Ground, count: int) -> float:
        """Seconds that the INSERTs took."""
        order = {"url": ground.npro_url, "connections": CONNECTIONS, "first": self._numbers_from(), "count": count}
        done = subprocess.run(
            [sys.executable, "-m", "loadtests.texts_inserter"],
            cwd=ROOT,
            input=json.dumps(order),
            stdout=subprocess.PIPE,
            text=True,
            timeout=600,
            check=True,
        )
        return float(json.loads(done.stdout)["seconds"])

    def _our_insert(self, ground: Ground, name: str) -> dict[str, float]:
        with relay(ground, self._smsc):
            self._smsc.reset()
            begun = time.perf_counter()
            inserting = self._insert(ground, self.texts)
            state = self._smsc.until("receipts", self.texts)
            took = time.perf_counter() - begun
        self.messages += self.texts
        self.lost += self.texts - state["distinct"]
        self.twice += len(state["twice"])
        _complete("our insert", state["receipts"], self.texts)
        return {
            f"insert: {name}": self.texts / took,
            f"insert: {name}, the INSERTs alone": self.texts / inserting,
        }


def _gained(before: dict[str, int], after: dict[str, int]) -> int:
    return after.get("delivered", 0) - before.get("delivered", 0)


def _complete(what: str, seen: int, wanted: int) -> None:
    """A benchmark of errors is none."""
    if seen != wanted:
        raise RuntimeError(f"{what}: {seen} of {wanted} texts came through")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(quick: bool) -> Result:
    """Takes about two minutes when quick. Raises RuntimeError when texts are missing."""
    load = os.getloadavg()[0]  # of others: a busy machine measures itself
    with ExitStack() as stack:
        place: Path = stack.enter_context(bench_servers.folder())
        server = stack.enter_context(bench_servers.postgres(place))
        _tell("seeding")
        ground = prepare(place, server)
        smsc = stack.enter_context(peer("loadtests.texts_smsc"))
        handler = stack.enter_context(peer("loadtests.texts_http"))
        rounds = Rounds(ground, smsc, handler, QUICK_TEXTS if quick else TEXTS)
        if not quick:
            _tell(f"filling tables with {ROWS:,} rows")
            rounds.crowd()
        rounds.run(ROUNDS)
    raw: dict[str, Any] = {name: spread(values) for name, values in rounds.seen.items()}
    return Result(
        keys={
            "relay_vs_kannel": rounds.median("relay: ours, to the last result") / rounds.median("relay: Kannel"),
            "insert_vs_kannel": rounds.median("insert: ours") / rounds.median("insert: Kannel"),
            "relay_vs_jasmin": rounds.median("relay: ours, to the last result") / rounds.median("relay: Jasmin"),
            "messages": rounds.messages,
            "lost": rounds.lost,
            "unreported_duplicates": rounds.twice,
        },
        raw={
            **raw,
            "texts a run": rounds.texts,
            "load average before the run": load,
            "fsync": "ours on, Kannel has none",
            "Jasmin": f"0.11.1, relays only, {rounds.texts // JASMIN_SHARE} texts a run; compared with receipts asked",
        },
    )
