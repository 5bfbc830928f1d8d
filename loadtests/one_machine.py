"""A whole platform as `bin/up` runs it, on PostgreSQL and Redis that the benchmark may stop: the thing under test when
parts fail. Its supervisor starts again what dies, as it does for an operator."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT, SIGTERM

import httpx
import psutil

from loadtests import bench_servers, foreign_sockets
from loadtests.bench_servers import free_port
from local.children import tied
from local.postgres import PostgresServer, prepare

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 300.0
BATCH = 1_000


class Server:
    """A server of the benchmark's own that can be stopped and started again on its data."""

    def __init__(self, command: list[str], log: Path, ready: Callable[[], bool], end: signal.Signals) -> None:
        self._command = command
        self._log = log
        self._ready = ready
        self._end = end
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as sink:
            self._process = subprocess.Popen(self._command, cwd="/", stdout=sink, stderr=sink)
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"a server did not start:\n{self._log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """In its own orderly way."""
        if self._process is not None:
            self._process.send_signal(self._end)
            self._process.wait(timeout=60)
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        for process in self._family():
            process.suspend()

    def thaw(self) -> None:
        for process in reversed(self._family()):
            process.resume()

    def _family(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        first = psutil.Process(self._process.pid)
        return [first, *first.children(recursive=True)]


@dataclass
class OneMachine:
    """The running platform, and the two servers that stand beside it."""

    process: "subprocess.Popen[str]"
    run_dir: Path
    database_url: str
    sip_port: int
    ami_port: int
    trunk_port: int
    postgres: Server
    redis: Server
    redis_port: int
    credentials: dict[str, str] = field(repr=False)

    def parts(self, *words: str) -> list[psutil.Process]:
        """The parts that have all of `words` as arguments, or as the name of their program."""
        found = []
        for part in psutil.Process(self.process.pid).children():
            try:
                line = part.cmdline()
            except psutil.NoSuchProcess:
                continue
            if set(words) <= {*line, *(Path(given).name for given in line[:1])}:
                found.append(part)
        return found

    def cut_ami(self) -> None:
        """Every connection to Asterisk's manager interface breaks. Raises RuntimeError where the kernel does not allow
        it."""
        cut = subprocess.run(
            ["ss", "-H", "-K", "-t", "dst", "127.0.0.1", "dport", "=", str(self.ami_port)],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        if not cut.stdout.strip():
            raise RuntimeError("no connection to the manager interface was cut")

    def deafen_ami(self) -> None:
        """No bridge hears anything more on the connections it has to the manager interface, nor an end of them; new
        ones are as ever. Raises RuntimeError where there is none, OSError."""
        found = [
            (part.pid, connection.fd)
            for part in self.parts("ivr", "--name")
            for connection in part.net_connections("tcp")
            if connection.raddr and connection.raddr.port == self.ami_port
        ]
        if not found:
            raise RuntimeError("no bridge has a connection to the manager interface")
        for process, descriptor in found:
            foreign_sockets.deafen(process, descriptor)

    def empty_redis(self) -> None:
        """As after a restart or an eviction of everything. Raises OSError, subprocess.CalledProcessError."""
        command = ["redis-cli", "-h", "127.0.0.1", "-p", str(self.redis_port), "flushall"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=30)

    def memory(self) -> dict[str, int]:
        """Resident bytes of the platform's parts, those of one kind together; the simulated SMSC is not one."""
        kinds = {"Asterisk": ["asterisk"], "bridges": ["ivr"], "API": ["api"], "worker": ["vns.maintenance"]}
        return {kind: sum(part.memory_info().rss for part in self.parts(*words)) for kind, words in kinds.items()}

    def allocate(self, requests: list[dict[str, object]]) -> list[dict[str, str]]:
        """Bindings over HTTP, in their order. Raises RuntimeError for an item that is refused."""
        made: list[dict[str, str]] = []
        key = {"Authorization": f"Bearer {self.credentials['mall_key']}"}
        with httpx.Client(base_url=self.credentials["base_url"], headers=key, timeout=60) as client:
            for start in range(0, len(requests), BATCH):
                answer = client.post("/v1/bindings/batch", json={"items": requests[start : start + BATCH]})
                for item in answer.raise_for_status().json()["items"]:
                    if item.get("binding") is None:
                        raise RuntimeError(f"not allocated: {item['error']['code']}")
                    made.append(item["binding"])
        return made


@contextmanager
def one_machine() -> Iterator[OneMachine]:
    """Ready for calls; everything is ended and removed on leaving."""
    with ExitStack() as stack:
        folder = stack.enter_context(bench_servers.folder())
        database, postgres = _postgres(folder)
        stack.callback(postgres.stop)
        redis_port, redis = _redis(folder)
        stack.callback(redis.stop)
        for server in (postgres, redis):
            server.start()
        for name in ("vns", "npro"):
            database.query(f"create database {name}")
        database.query("alter database npro set timezone = 'Asia/Seoul'")  # its dates are Korean local time
        sip, trunk = _free_udp_port(), _free_udp_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VNS_")},
            **{f"VNS_{name}_PORT": str(free_port()) for name in ("HTTP", "AMI", "SMSC", "AGI", "PG", "REDIS")},
            "VNS_AGI_PORT_A": str(free_port()),
            "VNS_AGI_PORT_B": str(free_port()),
            "VNS_SIP_PORT": str(sip),
            "VNS_SIP_TRUNK": f"127.0.0.1:{trunk}",
            "VNS_RTP_FIRST_PORT": "32000",
            "VNS_RTP_LAST_PORT": "39999",
            "VNS_RUN_DIR": str(folder / "up"),
            "VNS_DATABASE_URL": database.url("vns"),
            "VNS_NPRO_DATABASE_URL": database.url("npro"),
            "VNS_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "VNS_LOG_LEVEL": "WARNING",
        }
        log = stack.enter_context((folder / "up.log").open("w"))
        process = subprocess.Popen(
            [str(ROOT / "bin/up")], env=environment, stdout=subprocess.PIPE, stderr=log, text=True, cwd="/"
        )
        stack.callback(_end, process, folder / "up")
        ready = process.stdout.readline() if process.stdout is not None else ""
        if not ready.startswith("READY"):
            raise RuntimeError(f"bin/up did not start:\n{(folder / 'up.log').read_text()}")
        yield OneMachine(
            process=process,
            run_dir=folder / "up",
            database_url=database.url("vns"),
            sip_port=sip,
            ami_port=int(environment["VNS_AMI_PORT"]),
            trunk_port=trunk,
            postgres=postgres,
            redis=redis,
            redis_port=redis_port,
            credentials=json.loads((folder / "up/credentials.json").read_text()),
        )


def _postgres(folder: Path) -> tuple[PostgresServer, Server]:
    """fsync on, as the platform runs it."""
    database = prepare(folder / "run", free_port())
    command = tied(database.command(), account=database.account, death_signal=SIGINT)
    return database, Server(command, folder / "postgres.log", database.answers, SIGINT)


def _redis(folder: Path) -> tuple[int, Server]:
    port = free_port()
    return port, Server(
        bench_servers.redis_command(port), folder / "redis.log", lambda: bench_servers.listens(port), SIGTERM
    )


def _end(process: "subprocess.Popen[str]", run_dir: Path) -> None:
    process.send_signal(SIGINT)
    process.wait(timeout=60)
    if process.stdout is not None:
        process.stdout.close()
    kept = run_dir / "secrets/asterisk-instance"
    if kept.exists():
        shutil.rmtree(ROOT / "var/asterisk/srv/vns" / kept.read_text(), ignore_errors=True)


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
