"""The programs around the ones that `bin/bench texts` measures: the SMSC, the HTTP handler, Kannel."""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from signal import SIGKILL
from typing import Any

from loadtests import bench_servers
from local.children import tied
from local.setup import KANNEL, provide

ROOT = Path(__file__).parent.parent
ANSWER_SECONDS = 120.0
STALL_SECONDS = 60.0  # without any progress, what is measured hangs
WINDOW = 1_000  # submits without an answer, on every side
PASSWORD = "bench"  # noqa: S105 - of servers on loopback that live for minutes


class Peer:
    """A program of ours that takes orders and tells events, each a line of JSON."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            tied([sys.executable, "-m", module, *arguments]),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        self.port = int(self.event("listening")["port"])

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self._events.put(json.loads(line))

    def order(self, order: str, **fields: Any) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps({"order": order, **fields}) + "\n")
            self._process.stdin.flush()

    def event(self, name: str, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """The next event of that name; others before it are passed over. Raises RuntimeError when it does not come."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise RuntimeError(f"no {name!r} came") from None
            if found["event"] == name:
                return found

    def state(self) -> dict[str, Any]:
        self.order("state")
        return self.event("state")

    def reset(self) -> None:
        self.order("reset")
        self.event("reset")

    def until(self, key: str, wanted: int) -> dict[str, Any]:
        """The state once `key` has come to `wanted`, or has not moved for a while."""
        last, moved = -1, time.monotonic()
        while True:
            state = self.state()
            if state[key] != last:
                last, moved = state[key], time.monotonic()
            if last >= wanted or time.monotonic() - moved > STALL_SECONDS:
                return state
            time.sleep(0.1)

    def kill(self) -> None:
        """kill -9; nothing of it is left."""
        os.killpg(self._process.pid, SIGKILL)
        self._end()

    def close(self) -> None:
        self.order("quit")
        self._end()

    def _end(self) -> None:
        self._process.wait(timeout=60)
        self._reading.join(timeout=60)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def peer(module: str) -> Iterator[Peer]:
    started = Peer(module)
    try:
        yield started
    finally:
        started.close()


_KANNEL = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = {password}
smsbox-port = {smsbox}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
box-deny-ip = *.*.*.*
dlr-storage = internal
store-type = spool
store-location = {store}
log-level = 3

group = smsc
smsc = smpp
smsc-id = bench
host = 127.0.0.1
port = {smsc}
transceiver-mode = true
smsc-username = bench
smsc-password = {password}
system-type = ""
max-pending-submits = {window}

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
log-level = 3

group = sendsms-user
username = bench
password = {password}

group = sms-service
keyword = default
catch-all = true
max-messages = 1
get-url = "http://127.0.0.1:{handler}/mo?text=%a"
"""


@dataclass(frozen=True, kw_only=True)
class Kannel:
    """`sendsms`: the port that takes texts over HTTP."""

    sendsms: int


@contextmanager
def kannel(place: Path, smsc: Peer, handler: Peer) -> Iterator[Kannel]:
    """bearerbox and smsbox, bound to the SMSC; ended on leaving."""
    provide([KANNEL], lambda line: print(line, file=sys.stderr), ROOT / "var/setup.log")
    ports = {name: bench_servers.free_port() for name in ("admin", "smsbox", "sendsms")}
    store = place / "spool"
    store.mkdir(exist_ok=True)
    configuration = place / "kannel.conf"
    configuration.write_text(
        _KANNEL.format(smsc=smsc.port, handler=handler.port, store=store, window=WINDOW, password=PASSWORD, **ports)
    )
    with ExitStack() as stack:
        for name, port in (("bearerbox", ports["admin"]), ("smsbox", ports["sendsms"])):
            program = shutil.which(name) or f"/usr/sbin/{name}"
            command = tied([program, str(configuration)])
            ready = partial(bench_servers.listens, port)
            stack.enter_context(bench_servers.running(command, place / f"{name}.log", ready))
        smsc.event("bound")
        yield Kannel(sendsms=ports["sendsms"])
