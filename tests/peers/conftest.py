"""SMPP peers of other makes, as separate programs or libraries, each on a free port."""

import asyncio
import json
import shutil
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sms_relay.links.smpp.config import SmppLinkConfig
from sms_relay.links.smpp.link import SmppLink
from tests.links.smpp_inbox import PATIENCE, Inbox
from tests.npro.databases import npro_postgres_url

__all__ = ["npro_postgres_url"]

HERE = Path(__file__).parent


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def make_link() -> AsyncIterator[Callable[..., Awaitable[SmppLink]]]:
    """Makes running links; keyword arguments are settings of the link."""
    tasks: list[asyncio.Task[None]] = []

    async def make(**settings: Any) -> SmppLink:
        link = SmppLink(SmppLinkConfig(**{"backoff_first": 0.01, **settings}))
        tasks.append(asyncio.create_task(link.run()))
        return link

    yield make
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(scope="session")
def node_modules() -> None:
    """The packages of package-lock.json, installed once."""
    if shutil.which("npm") is None:
        pytest.fail("node and npm are not installed: apt-get install nodejs npm")
    if not (HERE / "node_modules" / "smpp").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=HERE, check=True, timeout=300)


class NpmSmsc:
    """tests/peers/smsc.js running."""

    def __init__(self, process: Process, port: int) -> None:
        self._process = process
        self.port = port

    async def event(self, name: str) -> dict[str, Any]:
        """The next event, which must be this one."""
        found = await read_event(self._process)
        assert found["event"] == name, found
        return found

    def order(self, order: str, **fields: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"order": order, **fields}).encode() + b"\n")

    async def end(self) -> None:
        """The program ends, connections with it; also a second time."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(PATIENCE):
            await self._process.communicate()


async def read_event(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        line = await process.stdout.readline()
    assert line, "the peer ended"
    event: dict[str, Any] = json.loads(line)
    return event


@asynccontextmanager
async def running_npm_smsc() -> AsyncIterator[NpmSmsc]:
    process = await asyncio.create_subprocess_exec(
        "node", str(HERE / "smsc.js"), "vns", "secret", stdin=PIPE, stdout=PIPE
    )
    listening = await read_event(process)
    smsc = NpmSmsc(process, listening["port"])
    try:
        yield smsc
    finally:
        await smsc.end()


@pytest.fixture
async def npm_smsc(node_modules: None) -> AsyncIterator[NpmSmsc]:
    async with running_npm_smsc() as smsc:
        yield smsc
