"""A platform of its own for tests that need all of it: `bin/up` on other ports and another folder."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
Answer = TypeVar("Answer")
PORTS = ("HTTP_PORT", "AMI_PORT", "SMSC_PORT", "MMSC_PORT", "PG_PORT", "REDIS_PORT", "AGI_PORT_A", "AGI_PORT_B")


@dataclass
class Up:
    """A running `bin/up`."""

    process: "subprocess.Popen[str]"
    run_dir: Path
    ready: str

    @property
    def credentials(self) -> dict[str, str]:
        content: dict[str, str] = json.loads((self.run_dir / "credentials.json").read_text())
        return content

    def parts(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def named(self, name: str) -> list[psutil.Process]:
        """The parts whose program has that name. One that ends while it is looked at is none."""
        return [part for part in self.parts() if _asked(part.name) == name]

    def api_processes(self) -> set[int]:
        """Those that are Python by now, not still on their way to be."""
        lines = {part.pid: _asked(part.cmdline) or [] for part in self.parts()}
        return {pid for pid, line in lines.items() if "api" in line and not any("launch.py" in word for word in line)}

    def client(self) -> httpx.Client:
        key = {"Authorization": f"Bearer {self.credentials['mall_key']}"}
        return httpx.Client(base_url=self.credentials["base_url"], headers=key, timeout=10)


def _asked(question: Callable[[], Answer]) -> Answer | None:
    """None: the process has ended since it was listed."""
    try:
        return question()
    except psutil.NoSuchProcess:  # a zombie is one of these
        return None


Start = Callable[..., Up]


@pytest.fixture(scope="module")
def environment(
    server_folder: Path, new_port: Callable[[], int], new_udp_port: Callable[[], int]
) -> Iterator[dict[str, str]]:
    """Settings of a platform of its own; what it left inside Asterisk's root folder is removed at the end."""
    ports = {f"VNS_{name}": str(new_port()) for name in PORTS}
    first_rtp = 40_000
    rtp = {"VNS_RTP_FIRST_PORT": str(first_rtp), "VNS_RTP_LAST_PORT": str(first_rtp + 199)}
    sip = {"VNS_SIP_PORT": str(new_udp_port()), "VNS_SIP_TRUNK": f"127.0.0.1:{new_udp_port()}"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VNS_")}
    mm7 = {"VNS_MM7_LISTEN": f"127.0.0.1:{new_port()}"}
    yield {**inherited, **ports, **rtp, **sip, **mm7, "VNS_RUN_DIR": str(server_folder / "up")}
    for kept in server_folder.glob("*/secrets/asterisk-instance"):
        for folder in (ROOT / "var/asterisk/srv/vns").glob(f"{kept.read_text()}*"):
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def up(environment: dict[str, str]) -> Iterator[Start]:
    """Start it and wait for READY; whatever a test leaves running is stopped."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> Up:
        process = subprocess.Popen(
            [str(ROOT / "bin/up"), *arguments], env=environment, stdout=subprocess.PIPE, text=True, cwd="/"
        )
        started.append(process)
        assert process.stdout is not None
        return Up(process=process, run_dir=Path(environment["VNS_RUN_DIR"]), ready=process.stdout.readline().strip())

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=60)
        assert process.stdout is not None
        process.stdout.close()
