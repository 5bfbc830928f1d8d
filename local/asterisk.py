"""Asterisk for one machine: its own root folder made by debootstrap, or a program found on the machine.

Debian 12 carries no Asterisk, Debian sid does; a root folder of its own keeps sid's libraries apart.
"""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from local.accounts import SetupError
from local.children import tied

ACCOUNT = "vns-asterisk"
OLDEST = 20
BUILD_SECONDS = 1800.0
MODULES = (
    "app_dial",
    "app_mixmonitor",
    "app_playback",
    "chan_pjsip",
    "codec_alaw",
    "codec_ulaw",
    "format_wav",
    "func_callerid",
    "func_env",
    "func_hangupcause",
    "func_pjsip_endpoint",
    "pbx_config",
    "res_agi",
    "res_pjsip",
    "res_pjsip_caller_id",
    "res_pjsip_endpoint_identifier_ip",
    "res_pjsip_header_funcs",
    "res_pjsip_session",
    "res_pjsip_sdp_rtp",
    "res_rtp_asterisk",
    "res_sorcery_config",
)
PHASES = {"Retrieving", "Extracting", "Unpacking", "Configuring"}  # of debootstrap, in its own words
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class AsteriskInstallation:
    """`program` as called inside `root`; without a root, on the machine itself."""

    program: str
    root: Path | None
    version: str


def install(named: Path | None, folder: Path, tell: Tell) -> AsteriskInstallation:
    """The Asterisk to run: `named` (VNS_ASTERISK), else the one in `folder`, built there if it is missing.

    Raises SetupError when there is none, it is older than 20, or lacks a module that the platform needs.
    """
    if named is not None:
        return _checked(str(named), None, "name another program in VNS_ASTERISK")
    if os.geteuid() != 0:
        raise SetupError(
            "Asterisk in a root folder of its own needs root; as another user install Asterisk 20 or newer "
            "and set VNS_ASTERISK to its program, or VNS_AMI_URL to one that runs already"
        )
    if not folder.exists():
        _build(folder, tell)
    _name_this_host(folder)
    return _checked("/usr/sbin/asterisk", folder, f"remove {folder} and start again")


def _checked(program: str, root: Path | None, remedy: str) -> AsteriskInstallation:
    command = [program, "-V"] if root is None else ["chroot", str(root), program, "-V"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise SetupError(f"Asterisk: {program} does not run ({problem}); {remedy}") from problem
    version = re.match(r"Asterisk\s+(?:certified[/-])?((\d+)\.\S+)", asked.stdout)
    if version is None:
        raise SetupError(f"Asterisk: {program} gives no version ({asked.stderr.strip()}); {remedy}")
    if int(version[2]) < OLDEST:
        raise SetupError(f"Asterisk: {program} is {version[1]}, {OLDEST} or newer is needed; {remedy}")
    _check_modules(root or Path("/"), program, remedy)
    return AsteriskInstallation(program=program, root=root, version=version[1])


def _check_modules(root: Path, program: str, remedy: str) -> None:
    patterns = ("usr/lib/*/asterisk/modules", "usr/lib*/asterisk/modules", "usr/local/lib*/asterisk/modules")
    present = {module.stem for pattern in patterns for module in root.glob(f"{pattern}/*.so")}
    missing = sorted(set(MODULES) - present)
    if missing:
        raise SetupError(f"Asterisk: {program} lacks the modules {', '.join(missing)}; {remedy}")


def _build(folder: Path, tell: Tell) -> None:
    """debootstrap beside, renamed when complete. One at a time; what an interrupted build left is removed."""
    if shutil.which("debootstrap") is None:
        raise SetupError("Asterisk needs debootstrap: apt-get install debootstrap (or set VNS_ASTERISK)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "asterisk.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():  # another start built it while this one waited
            return
        beside = folder.with_name("asterisk.new")
        remove_root(beside)
        tell("Asterisk: building a root folder of its own, about a minute and 500 MB")
        command = ["debootstrap", "--variant=minbase", "--include=asterisk", "sid", str(beside)]
        log = folder.parent / "asterisk-build.log"
        _run_build(command, log, tell)
        _unmount_below(beside)
        beside.rename(folder)


def _run_build(command: list[str], log: Path, tell: Tell) -> None:
    """Run debootstrap; one progress line for each of its phases. Interrupted, it takes debootstrap's programs along."""
    environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C"}
    seen: set[str] = set()
    with (
        log.open("w") as kept,
        subprocess.Popen(
            tied(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            for line in process.stdout:
                kept.write(line)
                words = line.removeprefix("I: ").split()
                if line.startswith("I: ") and words and words[0] in PHASES - seen:
                    seen.add(words[0])
                    tell(f"Asterisk: {words[0].lower()} packages")
        except BaseException:  # Ctrl-C: it runs in a session of its own
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        last = log.read_text().strip().splitlines()[-3:]
        raise SetupError(f"Asterisk: debootstrap failed (all of it in {log}): {' / '.join(last)}")


def remove_root(folder: Path) -> None:
    """Remove a root folder whose build was interrupted: its processes, its mounts, then its files."""
    if not folder.exists():
        return
    for process in psutil.process_iter():
        try:
            inside = Path(f"/proc/{process.pid}/root").readlink().is_relative_to(folder)
            if inside or any(word.startswith(str(folder)) for word in process.cmdline()):
                process.kill()
        except (OSError, psutil.Error):
            continue  # it ended meanwhile, or is not ours to see
    _unmount_below(folder)
    subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True, timeout=600)


def _unmount_below(folder: Path) -> None:
    mounted = [Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in sorted((place for place in mounted if place.is_relative_to(folder)), reverse=True):
        subprocess.run(["umount", "-R", str(place)], check=False, timeout=60)


def _name_this_host(folder: Path) -> None:
    """Asterisk looks its host's name up at calls: answer that from a file, and ask no server for anything."""
    (folder / "etc/hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()}\n")
    (folder / "etc/resolv.conf").unlink(missing_ok=True)
    (folder / "etc/resolv.conf").touch()
