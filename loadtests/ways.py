"""`bin/bench ways`: what each way to ask a program costs a call, by itself: no database, no decision.

One Asterisk, one trunk and one phone, as in `bin/bench calls`; each way sends Asterisk to the same `Dial`. Measured is
processor time, of Asterisk and of who answers, and the time from INVITE to 200.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psutil

from ivr.asterisk.configuration import write_configuration
from ivr.asterisk.instance import Instance
from ivr.prompts.synthesis import build
from ivr.settings import IvrSettings
from loadtests import bench_servers, processor_time
from loadtests.call_load import Load, Run
from loadtests.call_stand import BARE, BARE_ADDRESS, ROOT, add_bare_entry, asterisk, free_port, say
from loadtests.report import Raw, Result, spread
from loadtests.way_servers import APPLICATION, CONTEXT, SECRET
from local.asterisk import install
from local.children import tied

RATE: Final = 60  # calls a second
NUMBERS: Final = 500
NOBODY: Final = "nobody"  # is asked
PREFIXES: Final = {NOBODY: "waya", "fastagi": "wayb", "curl": "wayc", "asyncagi": "wayd", "ari": "waye"}


def run(quick: bool) -> Result:
    """A minute and a half, quick half of it."""
    seconds, rounds = (3.0, 1) if quick else (6.0, 5)
    setups: dict[str, list[float]] = {way: [] for way in PREFIXES}
    spent: dict[str, list[float]] = {way: [] for way in PREFIXES}
    answering: dict[str, list[float]] = {way: [] for way in PREFIXES}
    failures = 0
    with _stand() as load, load.phone():
        load.run(_numbers(NOBODY), RATE, 2.0, free_port(), address=BARE_ADDRESS)
        for _ in range(rounds):
            for way in PREFIXES:
                before = processor_time.spent()
                one = load.run(_numbers(way), RATE, seconds, free_port(), address=BARE_ADDRESS)
                parts = processor_time.per_call(before, processor_time.spent(), max(one.successes, 1))
                setups[way].append(one.median)
                spent[way].append(parts.get("Asterisk", 0.0))
                answering[way].append(parts.get(way, 0.0))
                failures += _told(way, one)
    raw: dict[str, Raw] = {}
    for way in PREFIXES:
        raw[f"{way}: median (ms)"] = spread(setups[way])
        raw[f"{way}: Asterisk (processor ms a call)"] = spread(spent[way])
        if way != NOBODY:
            raw[f"{way}: who answers (processor ms a call)"] = spread(answering[way])
    return Result(keys={"ways": len(PREFIXES) - 1, "failed": failures}, raw={**raw, "calls a second": RATE})


def _told(way: str, one: Run) -> int:
    say(f"{way}: median {one.median:.2f} ms, {one.failures} failed")
    return one.failures


def _numbers(way: str) -> list[tuple[str, str]]:
    return [(f"{PREFIXES[way]}0102{number:07}", f"0103{number:07}") for number in range(NUMBERS)]


@contextmanager
def _stand() -> Iterator[Load]:
    named = os.environ.get("VNS_ASTERISK")
    installation = install(Path(named) if named else None, ROOT / "var/asterisk", say)
    with ExitStack() as stack:
        folder = stack.enter_context(bench_servers.folder())
        root = installation.root
        instance = Instance(folder=(root / "srv" if root else folder) / f"bench-{secrets.token_hex(4)}", root=root)
        build(folder / "prompts")
        ports = {name: free_port(socket.SOCK_STREAM) for name in ("fastagi", "curl", "asyncagi", "ari")}
        settings = IvrSettings(
            ami_url=f"ami://{APPLICATION}:{SECRET}@127.0.0.1:{ports['asyncagi']}",
            sip_port=free_port(),
            sip_trunk=f"127.0.0.1:{free_port()}",
            rtp_first_port=24_000,
            rtp_last_port=31_999,
            prompts_dir=folder / "prompts",
            call_records_dir=instance.folder / "records",
        )
        stack.callback(shutil.rmtree, instance.folder, ignore_errors=True)
        write_configuration(instance, settings, extra_dialplan=_dialplan(ports))
        add_bare_entry(instance)
        _open_the_other_ways(instance.folder / "etc", ports)
        stack.enter_context(asterisk(instance, installation.program, folder / "asterisk.log"))
        for way, port in ports.items():
            stack.enter_context(_answering(way, port, folder / f"{way}.log"))
        yield Load(folder / "sipp", asterisk=settings.sip_port, trunk=int(settings.sip_trunk.split(":")[1]))


def _dialplan(ports: dict[str, int]) -> str:
    steps = {
        NOBODY: "Set(NUM=${EXTEN:4})",
        "fastagi": f"AGI(agi://127.0.0.1:{ports['fastagi']}/way)",
        "curl": f"Set(NUM=${{CURL(http://127.0.0.1:{ports['curl']}/?${{EXTEN:4}})}})",
        "asyncagi": "AGI(agi:async)",
        "ari": f"Stasis({APPLICATION},${{EXTEN:4}})",
    }
    lines = [
        f"exten => _{PREFIXES[way]}[0-9]!,1,{step}\n same => n,Goto({CONTEXT},${{NUM}},1)"
        for way, step in steps.items()
    ]
    dial = f"[{CONTEXT}]\nexten => _0X!,1,Dial(PJSIP/${{EXTEN}}@trunk,30)"
    return "\n".join([f"[{BARE}]", *lines, dial])


def _open_the_other_ways(etc: Path, ports: dict[str, int]) -> None:
    """The platform's own configuration keeps these doors shut."""
    needed = ("res_ari", "app_stasis.so", "res_websocket_client.so")
    modules = (etc / "modules.conf").read_text().splitlines()
    kept = [line for line in modules if not any(name in line for name in needed)]
    (etc / "modules.conf").write_text("\n".join(kept) + "\n")
    patient = "session_inactivity = 600000\nsession_keep_alive = 600000\n"  # ms: until it is this way's turn
    http = f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {ports['ari']}\n{patient}"
    (etc / "http.conf").write_text(http)
    user = f"[general]\nenabled = yes\n[{APPLICATION}]\ntype = user\npassword = {SECRET}\n"
    (etc / "ari.conf").write_text(user)
    manager = (etc / "manager.conf").read_text().splitlines()
    opened = [line for line in manager if not line.startswith(("read", "write =", "eventfilter"))]
    (etc / "manager.conf").write_text("\n".join([*opened, "read = agi", "write = agi"]) + "\n")
    for name in ("http.conf", "ari.conf", "modules.conf", "manager.conf"):
        shutil.copystat(etc / "extensions.conf", etc / name)
        owner = (etc / "extensions.conf").stat()
        shutil.chown(etc / name, owner.st_uid, owner.st_gid)


@contextmanager
def _answering(way: str, port: int, log: Path) -> Iterator[None]:
    command = tied([sys.executable, "-m", "loadtests.way_servers", way, "--port", str(port)])
    with log.open("wb") as sink, subprocess.Popen(command, cwd=ROOT, stderr=sink) as process:
        try:
            while not (bench_servers.listens(port) if way in {"fastagi", "curl"} else _connected(process.pid, port)):
                if process.poll() is not None:
                    raise RuntimeError(f"{way} did not start:\n{log.read_text()}")
            yield
        finally:
            process.terminate()


def _connected(process_id: int, port: int) -> bool:
    return any(one.raddr and one.raddr.port == port for one in psutil.Process(process_id).net_connections("tcp"))
