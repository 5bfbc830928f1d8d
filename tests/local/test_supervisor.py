"""The supervisor: parts come up in order, come back when they die, and end with it, whatever ended it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from local.readiness import listens
from local.supervisor import PAUSES, Part, PartStartError, Supervisor

LISTEN = (
    "import socket, sys, signal\n"
    "print('listening', flush=True)\n"
    "s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
    "signal.sigwait({signal.SIGTERM})\n"
)
DEAF = LISTEN.replace("signal.sigwait", "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause() #")
Waiter = Callable[[Callable[[], bool]], Awaitable[None]]


def listener(name: str, port: int, script: str = LISTEN, **more: float) -> Part:
    return Part(name=name, command=[sys.executable, "-c", script, str(port)], ready=listens(port), **more)  # type: ignore[arg-type] # only times are given


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
async def supervisor(tmp_path: Path, told: list[str]) -> AsyncIterator[Supervisor]:
    one = Supervisor(tmp_path / "log", told.append)
    yield one
    await one.stop()


@pytest.fixture
def until() -> Waiter:
    """Let the loop run until a condition holds."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.to_thread(os.sched_yield)

    return wait


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
async def test_a_part_that_dies_is_started_again(
    supervisor: Supervisor,
    new_port: Callable[[], int],
    told: list[str],
    until: Waiter,
    number: signal.Signals,
) -> None:
    await supervisor.start(listener("one", new_port()))
    first = supervisor.process_id("one")
    assert first is not None
    os.kill(first, number)
    await until(lambda: "one is back" in told)
    assert supervisor.process_id("one") not in {None, first}
    assert told[0].startswith("one ended (")


async def test_every_pause_before_a_restart_is_below_five_seconds() -> None:
    assert max(PAUSES) < 5


async def test_a_part_that_cannot_start_is_named_with_the_end_of_its_log(
    supervisor: Supervisor, new_port: Callable[[], int]
) -> None:
    part = Part(name="broken", command=[sys.executable, "-c", "exit('no salt')"], ready=listens(new_port()))
    with pytest.raises(PartStartError, match=r"(?s)broken: ended with 1.*no salt"):
        await supervisor.start(part)


async def test_a_part_that_never_gets_ready_is_ended(supervisor: Supervisor, new_port: Callable[[], int]) -> None:
    port, other = new_port(), new_port()
    command = [sys.executable, "-c", LISTEN, str(port)]
    part = Part(name="elsewhere", command=command, ready=listens(other), ready_seconds=0.5)
    with pytest.raises(PartStartError, match=r"not ready in 0.5 s"):
        await supervisor.start(part)
    assert supervisor.process_id("elsewhere") is None


async def test_prepare_runs_before_each_start(
    supervisor: Supervisor, new_port: Callable[[], int], told: list[str], until: Waiter
) -> None:
    port, prepared = new_port(), list[int]()
    part = Part(
        name="one",
        command=[sys.executable, "-c", LISTEN, str(port)],
        ready=listens(port),
        prepare=lambda: prepared.append(1),
    )
    await supervisor.start(part)
    os.kill(supervisor.process_id("one") or 0, signal.SIGKILL)
    await until(lambda: "one is back" in told)
    assert len(prepared) == 2


async def test_stop_ends_the_stages_in_reverse_and_a_deaf_part_by_force(
    tmp_path: Path, new_port: Callable[[], int], told: list[str]
) -> None:
    supervisor = Supervisor(tmp_path, told.append)
    await supervisor.start(listener("first", new_port()))
    await supervisor.start(listener("deaf", new_port(), DEAF, stop_seconds=0.5))
    processes = [psutil.Process(supervisor.process_id(name) or 0) for name in ("first", "deaf")]
    await supervisor.stop()
    assert told == ["deaf did not end on SIGTERM"]
    assert not any(process.is_running() for process in processes)


def test_kill_9_of_the_supervisor_ends_its_parts(tmp_path: Path, new_port: Callable[[], int]) -> None:
    port = new_port()
    program = tmp_path / "program.py"
    program.write_text(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from local.readiness import listens\n"
        "from local.supervisor import Part, Supervisor\n"
        "async def main():\n"
        "    supervisor = Supervisor(Path(sys.argv[1]), print)\n"
        f"    command = [sys.executable, '-c', {LISTEN!r}, '{port}']\n"
        f"    await supervisor.start(Part(name='one', command=command, ready=listens({port})))\n"
        "    print(supervisor.process_id('one'), flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    line = [sys.executable, str(program), str(tmp_path)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        part = psutil.Process(int(process.stdout.readline()))
        process.kill()
    assert not psutil.wait_procs([part], timeout=30)[1]


async def test_a_part_reads_its_standard_input_at_every_start(
    supervisor: Supervisor, new_port: Callable[[], int], tmp_path: Path, told: list[str], until: Waiter
) -> None:
    port, heard = new_port(), tmp_path / "heard"
    script = f"import sys; open({str(heard)!r}, 'a').write(sys.stdin.read())\n" + LISTEN
    part = Part(
        name="one", command=[sys.executable, "-c", script, str(port)], ready=listens(port), stdin="requirepass x\n"
    )
    await supervisor.start(part)
    os.kill(supervisor.process_id("one") or 0, signal.SIGKILL)
    await until(lambda: "one is back" in told)
    assert heard.read_text() == "requirepass x\n" * 2
    assert "requirepass" not in repr(part)


async def test_a_preparation_that_fails_is_told_and_tried_again(
    supervisor: Supervisor, new_port: Callable[[], int], told: list[str], until: Waiter
) -> None:
    port, problems = new_port(), [LookupError("no user asterisk")]
    calls: list[int] = []

    def prepare() -> None:
        calls.append(1)
        if len(calls) > 1 and problems:
            raise problems.pop()

    command = [sys.executable, "-c", LISTEN, str(port)]
    await supervisor.start(Part(name="one", command=command, ready=listens(port), prepare=prepare))
    os.kill(supervisor.process_id("one") or 0, signal.SIGKILL)
    await until(lambda: "one is back" in told)
    assert "one could not be started: no user asterisk" in told
