"""The SMSC simulator as the program it is, with settings of the test's own."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sms_relay.links.smpp.config import SmppLinkConfig
from sms_relay.links.smpp.link import SmppLink
from tests.links.smpp_inbox import PATIENCE, Inbox

ROOT = Path(__file__).parents[2]


class Simulator:
    """A running `python -m simulators.smsc`."""

    def __init__(self, process: Process, port: int, outbox: Path, settings: Path) -> None:
        self.process = process
        self.port = port
        self._outbox = outbox
        self._settings = settings

    def url(self, account: str = "vns:secret") -> str:
        return f"smpp://{account}@127.0.0.1:{self.port}"

    def rewrite(self, **settings: Any) -> None:
        """Other settings in its file; it reads them on SIGHUP."""
        self._settings.write_text(json.dumps(settings))

    @property
    def outbox(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._outbox.read_text(encoding="utf-8").splitlines()]


SimulatorMaker = Callable[..., Awaitable[Simulator]]


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[SimulatorMaker]:
    """Starts a simulator; keyword arguments are the content of its settings file."""
    processes: list[Process] = []

    async def start(**settings: Any) -> Simulator:
        file, outbox = tmp_path / "settings.json", tmp_path / "outbox.jsonl"
        file.write_text(json.dumps({"retry_seconds": 0.02, **settings}))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulators.smsc", "--port", "0", "--system-id", "vns"),
            *("--password", "secret", "--outbox", str(outbox), "--settings", str(file)),
            *("--platform-prefixes", "0504,0708,1877"),
            stdout=PIPE,
            cwd=ROOT,
        )
        processes.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            ready = (await process.stdout.readline()).decode()
        assert ready.startswith("READY 127.0.0.1:"), ready
        return Simulator(process, int(ready.rpartition(":")[2]), outbox, file)

    yield start
    for process in processes:
        if process.returncode is None:
            process.terminate()
            async with asyncio.timeout(PATIENCE):
                await process.wait()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def make_link(inbox: Inbox) -> AsyncIterator[Callable[..., Awaitable[SmppLink]]]:
    """Makes bound links whose texts and receipts go to `inbox`; keyword arguments are settings of the link."""
    tasks: list[asyncio.Task[None]] = []

    async def make(url: str, **settings: Any) -> SmppLink:
        link = SmppLink(SmppLinkConfig(url=url, **{"backoff_first": 0.01, **settings}))
        inbox.attach(link)
        tasks.append(asyncio.create_task(link.run()))
        async with asyncio.timeout(PATIENCE):
            await link.wait_connected()
        return link

    yield make
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
