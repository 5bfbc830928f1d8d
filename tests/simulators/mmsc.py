"""The MMSC simulator as the program it is, for tests that need one."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds


class RunningMmsc:
    """A running `python -m simulators.mmsc` with the account vns / secret."""

    def __init__(self, process: Process, port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self._folder = folder

    @property
    def url(self) -> str:
        return f"http://vns:secret@127.0.0.1:{self.port}/mm7"

    @property
    def outbox(self) -> list[dict[str, Any]]:
        file = self._folder / "mms.jsonl"
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def rewrite(self, **settings: Any) -> None:
        """Other settings in its file; it reads them on SIGHUP."""
        (self._folder / "mmsc.json").write_text(json.dumps(settings))


@asynccontextmanager
async def mmsc(folder: Path, report_url: str, port: int = 0, **settings: Any) -> AsyncIterator[RunningMmsc]:
    """Keyword arguments are the content of its settings file."""
    (folder / "mmsc.json").write_text(json.dumps({"retry_seconds": 0.05, **settings}))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators.mmsc", "--port", str(port), "--user", "vns", "--password", "secret"),
        *("--report-url", report_url, "--outbox", str(folder / "mms.jsonl"), "--files", str(folder / "mms")),
        *("--settings", str(folder / "mmsc.json")),
        stdout=PIPE,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            ready = (await process.stdout.readline()).decode()
        assert ready.startswith("READY 127.0.0.1:"), ready
        yield RunningMmsc(process, int(ready.rpartition(":")[2]), folder)
    finally:
        process.terminate()
        async with asyncio.timeout(PATIENCE):
            await process.wait()
