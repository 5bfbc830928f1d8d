"""Starts parts, starts a dead one again, stops them in order.

The supervisor holds no listening socket and does none of the parts' work: what goes wrong in them cannot stop
it. Each part gets the kernel's promise to end with it (local.launch): not even kill -9 leaves one behind.
"""

import asyncio
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import psutil

from local.accounts import Account, SetupError
from local.children import tied
from local.readiness import Ready

PAUSES = (0.2, 0.5, 1.0, 1.5, 2.0)  # seconds before the next start; the last one repeats: always below 5
STEADY_SECONDS = 60.0  # after this long the pauses begin anew
ASK_AGAIN = 0.1  # seconds between two questions whether a part is ready
LOG_LIMIT = 50_000_000  # bytes; a longer log is put aside at the next start of its part


def nothing_to_prepare() -> None:
    """Most parts need nothing done before they start."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One process. `prepare` runs before each start; within `ready_seconds` `ready` must say yes."""

    name: str
    command: Sequence[str]
    ready: Ready
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    stdin: str = field(default="", repr=False)
    account: Account | None = None
    chroot: Path | None = None
    cwd: Path = Path("/")
    prepare: Callable[[], None] = nothing_to_prepare
    ready_seconds: float = 60.0
    stop_signal: Signals = SIGTERM
    stop_seconds: float = 6.0
    death_signal: Signals = SIGKILL

    def log_file(self, folder: Path) -> Path:
        return folder / f"{self.name}.log"


class PartStartError(SetupError):
    """A part did not come up at its first start."""


class Supervisor:
    """`start` parts (together, as one stage), `stop` them in the reverse order of the stages."""

    def __init__(self, log_folder: Path, tell: Callable[[str], None]) -> None:
        self._log_folder = log_folder
        self._tell = tell
        self._stages: list[list[_Kept]] = []
        log_folder.mkdir(parents=True, exist_ok=True)

    async def start(self, *parts: Part) -> None:
        """Return when all are ready. Raises PartStartError when one ends before, or takes too long."""
        stage = [_Kept(part, self._log_folder, self._tell) for part in parts]
        self._stages.append(stage)
        try:
            async with asyncio.TaskGroup() as together:
                for kept in stage:
                    together.create_task(kept.begin())
        except ExceptionGroup as problems:
            raise problems.exceptions[0] from None

    async def stop(self) -> None:
        while self._stages:
            await asyncio.gather(*(kept.end() for kept in self._stages.pop()))

    def process_id(self, name: str) -> int | None:
        """The part's process now; None between two starts."""
        found = [kept for stage in self._stages for kept in stage if kept.part.name == name]
        return found[0].process_id() if found else None


class _Kept:
    """One part with its present process and the task that watches it."""

    def __init__(self, part: Part, log_folder: Path, tell: Callable[[str], None]) -> None:
        self.part = part
        self._log = part.log_file(log_folder)
        self._tell = tell
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    def process_id(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    async def begin(self) -> None:
        process = await self._spawn()
        if not await self._becomes_ready(process):
            ended = process.returncode
            await self._finish(process)
            reason = f"ended with {ended}" if ended is not None else f"not ready in {self.part.ready_seconds} s"
            raise PartStartError(f"{self.part.name}: {reason}. The end of {self._log}:\n{self._last_lines()}")
        self._watch = asyncio.create_task(self._keep(process), name=f"keep {self.part.name}")

    async def end(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._process is not None:
            await self._finish(self._process)

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        """Wait for the process to end and start another, for ever; the owner cancels."""
        loop = asyncio.get_running_loop()
        deaths = 0
        while True:
            began = loop.time()
            code = await process.wait()
            deaths = 0 if loop.time() - began > STEADY_SECONDS else deaths
            pause = PAUSES[min(deaths, len(PAUSES) - 1)]
            deaths += 1
            self._tell(f"{self.part.name} ended ({_spell(code)}); starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            process = await self._start_again()

    async def _start_again(self) -> asyncio.subprocess.Process:
        try:
            process = await self._spawn()
        except Exception as problem:  # noqa: BLE001 - the watch outlives whatever a preparation raises
            self._tell(f"{self.part.name} could not be started: {problem}")
            return await asyncio.create_subprocess_exec("false")  # ends at once: the next turn tries anew
        try:
            ready = await self._becomes_ready(process)
        except SetupError as problem:
            self._tell(f"{self.part.name}: {problem}")
            await self._finish(process)
            return process
        if ready:
            self._tell(f"{self.part.name} is back")
        elif process.returncode is None:  # what it waits for may be another part: killing it would not help
            self._tell(f"{self.part.name} runs, but is not ready after {self.part.ready_seconds} s")
        return process

    async def _spawn(self) -> asyncio.subprocess.Process:
        part = self.part
        await asyncio.to_thread(part.prepare)
        if self._log.exists() and self._log.stat().st_size > LOG_LIMIT:
            self._log.rename(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as sink:
            self._process = await asyncio.create_subprocess_exec(
                *tied(part.command, account=part.account, chroot=part.chroot, death_signal=part.death_signal),
                cwd=part.cwd,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **part.environment},
                stdin=asyncio.subprocess.PIPE,
                stdout=sink,
                stderr=sink,
            )
        await _feed(self._process, part.stdin)
        return self._process

    async def _becomes_ready(self, process: asyncio.subprocess.Process) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.part.ready_seconds
        while process.returncode is None and loop.time() < deadline:
            if await asyncio.to_thread(_ask, self.part.ready, process.pid):
                return True
            await asyncio.sleep(ASK_AGAIN)
        return False

    async def _finish(self, process: asyncio.subprocess.Process) -> None:
        """The part's own stop signal, then kill."""
        for number in (self.part.stop_signal, SIGKILL):
            if process.returncode is not None:
                return
            process.send_signal(number)
            try:
                await asyncio.wait_for(process.wait(), self.part.stop_seconds)
            except TimeoutError:
                self._tell(f"{self.part.name} did not end on {number.name}")

    def _last_lines(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-15:])


async def _feed(process: asyncio.subprocess.Process, text: str) -> None:
    """All that the part will ever read from its standard input."""
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    process.stdin.write(text.encode())
    with suppress(ConnectionError):  # it ended already: whoever waits for it will see
        await process.stdin.drain()
    process.stdin.close()


def _ask(ready: Ready, process_id: int) -> bool:
    try:
        return ready(psutil.Process(process_id))
    except (psutil.Error, OSError, subprocess.SubprocessError):
        return False  # it ended meanwhile, or a question had no answer in time


def _spell(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"signal {Signals(-code).name}"
