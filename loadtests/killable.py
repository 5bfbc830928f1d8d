"""Programs that a benchmark kills with kill -9 and starts again."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM

from loadtests.bench_servers import ROOT, START_SECONDS, free_port
from local.children import tied

PASSWORD = "bench"  # noqa: S105 - of a server on loopback that lives for minutes


@dataclass
class Killable:
    """A command in a process group of its own (local.children.tied), so that nothing of it outlives a kill."""

    command: Callable[[], Sequence[str]]
    log: Path
    ready: Callable[[], bool]
    cwd: str | Path = ROOT
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def start(self) -> None:
        """Returns once it is ready; a server that cannot start yet is tried again. Raises RuntimeError."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            with self.log.open("ab") as sink:
                self._process = subprocess.Popen(self.command(), cwd=self.cwd, stdout=sink, stderr=sink)
            while self._process.poll() is None:
                if self.ready():
                    return
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{self.log.name}: not ready:\n{self.log.read_text()[-2_000:]}")
                time.sleep(0.05)
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.log.name}: does not start:\n{self.log.read_text()[-2_000:]}")
            time.sleep(0.2)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, SIGKILL)
            self._process.wait(timeout=60)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(SIGTERM)
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()


@dataclass
class MariaDb:
    """A server that syncs every commit, on Korean time, with one database for MSG_DATA."""

    url: str
    server: Killable


@contextmanager
def mariadb(place: Path) -> Iterator[MariaDb]:
    with tempfile.TemporaryDirectory(prefix="vns-mariadb-") as name:
        folder, port = Path(name), free_port()
        data, socket = folder / "data", folder / "server.sock"
        program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        install = ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db"]
        subprocess.run(
            [*install, "--auth-root-authentication-method=normal"], check=True, capture_output=True, timeout=120
        )
        line = [program, "--no-defaults", "--user=root", f"--datadir={data}", f"--port={port}", f"--socket={socket}"]
        line += [f"--pid-file={folder / 'pid'}", "--bind-address=127.0.0.1", "--skip-log-bin"]
        line += ["--innodb-flush-log-at-trx-commit=1", "--default-time-zone=+09:00"]

        def query(statement: str) -> "subprocess.CompletedProcess[str]":
            command = ["mariadb", "--no-defaults", f"--socket={socket}", "-uroot", "--batch", "mysql"]
            return subprocess.run(command, input=statement, capture_output=True, text=True, timeout=60, check=False)

        server = Killable(lambda: tied(line), place / "mariadb.log", lambda: query("select 1").returncode == 0)
        try:
            server.start()
            query(f"create user npro@'127.0.0.1' identified by '{PASSWORD}'")
            query("create database npro character set utf8mb4; grant all on npro.* to npro@'127.0.0.1'")
            yield MariaDb(f"mysql://npro:{PASSWORD}@127.0.0.1:{port}/npro", server)
        finally:
            server.stop()
