"""Real API processes on a port of their own, for tests that kill them or need a socket."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from local.children import tied

ROOT = Path(__file__).parent.parent
START_SECONDS = 60


class ApiProcesses:
    """Several `python -m api` that share one port. The log of all of them is one file."""

    def __init__(self, port: int, environment: Mapping[str, str], log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.log = log
        self.running: list[subprocess.Popen[bytes]] = []
        self._environment = {
            "PATH": os.defpath,
            "LC_ALL": "C.UTF-8",
            "VNS_HTTP_PORT": str(port),
            **environment,
        }

    def start(self) -> "subprocess.Popen[bytes]":
        """Start one more and wait until it serves."""
        with self.log.open("ab") as sink:
            before = self._started()
            process = subprocess.Popen(
                tied([sys.executable, "-m", "api"]), cwd=ROOT, env=self._environment, stdout=sink, stderr=sink
            )
        self.running.append(process)
        while self._started() == before:
            assert process.poll() is None, self.log.read_text()
        while not self.answers():
            assert process.poll() is None, self.log.read_text()
        return process

    def _started(self) -> int:
        return self.log.read_text().count("Application startup complete") if self.log.exists() else 0

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=START_SECONDS).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """kill -9 all of them."""
        for process in self.running:
            process.kill()
        self.stop()

    def stop(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(timeout=START_SECONDS)
        self.running.clear()


@contextmanager
def api_processes(count: int, environment: Mapping[str, str], log: Path) -> Iterator[ApiProcesses]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = ApiProcesses(port, environment, log)
    try:
        for _ in range(count):
            processes.start()
        yield processes
    finally:
        processes.stop()
