"""Which Asterisk is taken, and what is told when none can be. The real one is run by the tests of ivr."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from local import asterisk
from local.accounts import SetupError
from local.asterisk import MODULES, install, remove_root

ROOT = Path(__file__).resolve().parents[2]
Program = Callable[[str], Path]


def silent(_: str) -> None:
    """Progress is of no interest here."""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A program that says something when asked for its version."""

    def make(says: str) -> Path:
        path = tmp_path / "asterisk"
        path.write_text(f"#!/bin/sh\necho '{says}'\n")
        path.chmod(0o755)
        return path

    return make


@pytest.mark.parametrize(
    ("says", "problem"),
    [
        ("Asterisk 18.9.0", "20 or newer is needed"),
        ("Asterisk certified/18.9-cert4", "20 or newer is needed"),
        ("something else", "gives no version"),
        ("", "gives no version"),
    ],
)
def test_a_named_asterisk_that_cannot_serve_is_refused(program: Program, says: str, problem: str) -> None:
    with pytest.raises(SetupError, match=rf"{problem}.*name another program in VNS_ASTERISK"):
        install(program(says), Path("/nowhere"), silent)


def test_a_named_asterisk_that_is_not_there_is_refused() -> None:
    with pytest.raises(SetupError, match="does not run"):
        install(Path("/no/such/asterisk"), Path("/nowhere"), silent)


def test_missing_modules_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/x86_64-linux-gnu/asterisk/modules"
    folder.mkdir(parents=True)
    for name in set(MODULES) - {"chan_pjsip", "res_agi"}:
        (folder / f"{name}.so").touch()
    with pytest.raises(SetupError, match="lacks the modules chan_pjsip, res_agi"):
        asterisk._check_modules(tmp_path, "asterisk", "remedy")


def test_another_user_than_root_is_told_what_to_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupError, match=r"VNS_ASTERISK.*VNS_AMI_URL"):
        install(None, tmp_path / "asterisk", silent)


@pytest.mark.asterisk
def test_the_installed_asterisk_is_taken_as_it_is() -> None:
    told: list[str] = []
    found = install(None, ROOT / "var/asterisk", told.append)
    assert told == []
    assert int(found.version.split(".")[0]) >= 20
    assert (found.root, found.program) == (ROOT / "var/asterisk", "/usr/sbin/asterisk")
    assert (ROOT / "var/asterisk/etc/resolv.conf").read_text() == ""


@pytest.fixture
def interrupted(tmp_path: Path) -> Iterator[Path]:
    """What a killed debootstrap leaves: files, a mounted /proc, a process inside."""
    folder = tmp_path / "asterisk.new"
    (folder / "proc").mkdir(parents=True)
    (folder / "etc").mkdir()
    (folder / "etc/hostname").write_text("half-built")
    subprocess.run(["mount", "-t", "proc", "proc", str(folder / "proc")], check=True)
    yield folder
    subprocess.run(["umount", "-R", str(folder / "proc")], check=False, capture_output=True)


@pytest.mark.asterisk
def test_an_interrupted_build_is_removed_without_touching_what_is_mounted(interrupted: Path) -> None:
    program = "import os, signal, sys; os.chroot(sys.argv[1]); print('inside', flush=True); signal.pause()"
    line = [sys.executable, "-c", program, str(interrupted)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as inside:
        assert inside.stdout is not None
        assert inside.stdout.readline() == "inside\n"
        remove_root(interrupted)
        assert inside.wait(timeout=30) == -signal.SIGKILL
    assert not interrupted.exists()
    assert str(interrupted) not in Path("/proc/self/mountinfo").read_text()


def test_a_failing_build_tells_the_last_words_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "bin/debootstrap"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nmkdir -p $4\necho 'I: Retrieving InRelease'\necho 'E: no such server'\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    told: list[str] = []
    with pytest.raises(SetupError, match="no such server"):
        install(None, tmp_path / "asterisk", told.append)
    assert not (tmp_path / "asterisk").exists()
    assert told[-1] == "Asterisk: retrieving packages"


def test_an_interrupted_build_takes_its_programs_along(tmp_path: Path) -> None:
    script = tmp_path / "debootstrap"
    script.write_text("#!/bin/sh\necho 'I: Retrieving InRelease'\nsleep 600 & echo $! >pid\nwait\n")
    script.chmod(0o755)
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"  # a job has it ignored
        "from pathlib import Path; from local.asterisk import _run_build;"
        f"_run_build([{str(script)!r}], Path('log'), lambda line: print(line, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as building:
        assert building.stdout is not None
        assert building.stdout.readline() == "Asterisk: retrieving packages\n"
        pid = tmp_path / "pid"
        while not (pid.exists() and pid.read_text().endswith("\n")):
            assert building.poll() is None
        asleep = psutil.Process(int(pid.read_text()))
        building.send_signal(signal.SIGINT)
        assert building.wait(timeout=30) != 0
    assert not psutil.wait_procs([asleep], timeout=30)[1]
