"""Loads a generated configuration into a real Asterisk beside whatever runs, and gathers what its loader says."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from cli.settings import CliSettings
from ivr.asterisk.instance import Instance
from ivr.nodes import split_ami_url
from ivr.settings import IvrSettings
from vns.errors import InvalidRequest, Unavailable

START_SECONDS = 120.0
_PAUSE = 0.2  # between two looks whether it has started

_SRTP = ("module show like res_srtp.so", "   Running ", "res_srtp does not run: no call could be encrypted")

# What has to be there once it is loaded: Asterisk may leave a part out and say nothing of it.
_PARTS = (
    ("module show like chan_pjsip.so", "   Running ", "chan_pjsip does not run: no call would be answered"),
    ("module show like res_agi.so", "   Running ", "res_agi does not run: no bridge would be asked"),
    (
        "pjsip show endpoint trunk-in",
        "Identify:  trunk/trunk-in",
        "the endpoint of the trunk is missing, or known by no address",
    ),
    ("pjsip show transport transport-trunk", "transport-trunk ", "the SIP transport is missing: no call could arrive"),
    ("dialplan show vns-ended", "[ Context 'vns-ended' created by 'pbx_config' ]", "the dialplan is missing"),
)


@dataclass(frozen=True, slots=True)
class Complaints:
    """Lines of Asterisk's log, and parts that are missing (among the errors)."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def tried(instance: Instance, settings: IvrSettings, write: Callable[[Instance, IvrSettings], None]) -> Complaints:
    """What a real Asterisk says of this configuration, written by `write` once more beside `instance`.

    Its listening ports are spare ones there, so that one that runs on the real ones is left alone.
    Raises InvalidRequest when there is no Asterisk to try it with, Unavailable when it does not start.
    """
    program = _program(instance.root)
    folder = Path(tempfile.mkdtemp(prefix=f"{instance.folder.name}-try-", dir=instance.folder.resolve().parent))
    try:
        trial = Instance(folder=folder, root=instance.root)
        write(trial, _on_spare_ports(settings))
        parts = (*_PARTS, _SRTP) if settings.sip_media_encryption == "sdes" else _PARTS
        return _loaded(trial, program, parts)
    finally:
        shutil.rmtree(folder)


def _program(root: Path | None) -> str:
    named = CliSettings().asterisk
    if root is not None:
        return "/usr/sbin/asterisk"
    found = shutil.which(str(named or "asterisk"), path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise InvalidRequest(
            "there is no Asterisk to load it: set VNS_ASTERISK, or name the folder it runs in by --root"
        )
    return found


def _on_spare_ports(settings: IvrSettings) -> IvrSettings:
    host, _, user, secret = split_ami_url(settings.ami_url)
    name = urlsplit(settings.ami_url).path
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as manager,
        socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM if settings.sip_transport == "udp" else socket.SOCK_STREAM
        ) as sip,
    ):
        try:
            manager.bind((host, 0))
            sip.bind((settings.sip_address, 0))
        except OSError as problem:
            raise InvalidRequest(
                f"an address of VNS_AMI_URL or VNS_SIP_ADDRESS is none of this machine's: {problem.strerror}"
            ) from problem
        ami_port, sip_port = manager.getsockname()[1], sip.getsockname()[1]
    return settings.model_copy(
        update={
            "ami_url": f"ami://{quote(user, safe='')}:{quote(secret, safe='')}@{host}:{ami_port}{name}",
            "sip_port": sip_port,
        },
    )


def _loaded(trial: Instance, program: str, parts: tuple[tuple[str, str, str], ...]) -> Complaints:
    line = [program, *trial.command()[1:]]
    if trial.root is not None:
        line = ["chroot", "--userspec=asterisk", str(trial.root), *line]
    said = trial.folder / "output"
    with said.open("wb") as sink:
        try:
            process = subprocess.Popen(line, cwd="/", stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
        except OSError as problem:
            raise InvalidRequest(f"Asterisk does not run: {problem.strerror}") from problem
        try:
            _wait_until_booted(trial, program, process, said)
            missing = tuple(told for command, sign, told in parts if sign not in _console(trial, program, command))
        finally:
            process.terminate()
            process.wait(timeout=60)
    log = trial.folder / "log/messages.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return Complaints(
        errors=(*missing, *(text for text in lines if "] ERROR" in text)),
        warnings=tuple(text for text in lines if "] WARNING" in text),
    )


def _wait_until_booted(trial: Instance, program: str, process: "subprocess.Popen[bytes]", said: Path) -> None:
    last = time.monotonic() + START_SECONDS
    while "fully booted" not in _console(trial, program, "core waitfullybooted"):
        if process.poll() is not None:
            words = said.read_text(errors="replace").strip().splitlines()[-3:]
            raise Unavailable(f"Asterisk ended while loading it: {' / '.join(words) or 'it said nothing'}")
        if time.monotonic() > last:
            raise Unavailable(f"Asterisk was not up after {START_SECONDS:.0f} s")
        time.sleep(_PAUSE)


def _console(trial: Instance, program: str, command: str) -> str:
    line = [program, "-C", f"{trial.inside}/etc/asterisk.conf", "-rx", command]
    if trial.root is not None:
        line = ["chroot", str(trial.root), *line]
    return subprocess.run(line, capture_output=True, text=True, timeout=START_SECONDS, check=False).stdout
