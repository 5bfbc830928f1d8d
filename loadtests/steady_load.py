"""Calls at a steady rate through a platform to which things happen: which of them were carried to their end."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from loadtests.call_load import CALLER
from loadtests.call_stand import Numbers

_LAST = '<recv response="200"/>\n</scenario>'
_NOTED = '<recv response="200"><action><log message="done [call_number]"/></action></recv>\n</scenario>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """`lost`: when the calls that were not carried to their end had begun, in seconds since the first call."""

    calls: int
    lost: tuple[float, ...]


class SteadyLoad:
    """sipp as the carrier's calling side: started, watched while other things happen, and read at the end."""

    def __init__(self, folder: Path, numbers: Numbers, *, asterisk: int, port: int, rate: int, call_seconds: float):
        """`rate` in calls a second, `port` of the caller; `numbers` (dialled, caller) are called in turn."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._asterisk, self._port, self._rate = folder, asterisk, port, rate
        if _LAST not in CALLER:
            raise ValueError("the caller's scenario has changed: its last answer is not found")
        scenario = CALLER.replace(_LAST, _NOTED).replace(
            '<pause milliseconds="300"/>', f'<pause milliseconds="{round(call_seconds * 1000)}"/>'
        )
        (folder / "caller.xml").write_text(scenario)
        lines = "".join(f"{dialled};{caller}\n" for dialled, caller in numbers)
        (folder / "numbers.csv").write_text("SEQUENTIAL\n" + lines)

    def start(self, name: str, seconds: float) -> "Running":
        """Begin; every call is a new one, whatever became of those before it."""
        total = round(self._rate * seconds)
        log = self._folder / f"{name}.log"
        command = ["sipp", "-sf", str(self._folder / "caller.xml"), "-i", "127.0.0.1", "-p", str(self._port)]
        command += ["-nostdin", "-inf", str(self._folder / "numbers.csv"), "-r", str(self._rate), "-m", str(total)]
        command += ["-l", "3000", "-recv_timeout", "40000", "-trace_logs", "-log_file", str(log)]
        command += [f"127.0.0.1:{self._asterisk}"]
        silent = subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=self._folder, stdin=silent, stdout=silent, stderr=silent)
        return Running(process, log, total, self._rate)


class Running:
    """A load under way."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, total: int, rate: int) -> None:
        self._process = process
        self._log = log
        self._total = total
        self._rate = rate
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the first call."""
        return time.monotonic() - self._began

    def wait_for(self, second: float) -> None:
        """Until that second since the first call."""
        time.sleep(max(0.0, second - self.seconds))

    def ended(self) -> Carried:
        """Wait for the last call's end."""
        self._process.wait(timeout=600)
        done = set()
        for line in self._log.read_text().splitlines() if self._log.exists() else []:
            words = line.split()
            if len(words) == 2 and words[0] == "done":
                done.add(int(words[1]))
        missing = sorted(set(range(1, self._total + 1)) - done)
        return Carried(calls=self._total, lost=tuple((number - 1) / self._rate for number in missing))
