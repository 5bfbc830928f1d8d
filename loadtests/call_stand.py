"""What `bin/bench calls` measures on: a database with bindings, an Asterisk and two bridges of their own."""

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

import psutil

from ivr.asterisk.configuration import write_configuration
from ivr.asterisk.instance import Instance
from ivr.prompts.synthesis import build
from ivr.settings import IvrSettings
from loadtests import bench_servers
from loadtests.call_load import Load, Run
from local.accounts import Account
from local.asterisk import install
from local.children import tied
from vns.access.rules import NewTenant, TenantKind
from vns.access.service import Access
from vns.bindings.rules import Allocation, AllocationRequest
from vns.bindings.service import Bindings
from vns.crypto.rules import KeyRing
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import Mode, NewPool, Service, range_of
from vns.pools.service import Pools
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.storage.migrate import upgrade

ROOT = Path(__file__).resolve().parent.parent
BARE = "bare"
BARE_ADDRESS = "127.0.0.3"  # whoever calls from here has nothing to do with the platform
BARE_DIALPLAN = f"[{BARE}]\nexten => _[0-9]!,1,Dial(PJSIP/${{EXTEN}}@trunk,30)\n"
BARE_ENTRY = f"""
[{BARE}](carrier)
context = {BARE}

[{BARE}]
type = identify
endpoint = {BARE}
match = {BARE_ADDRESS}
"""
BINDINGS = 2_000

Numbers = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Stand:
    """Everything under test. `ours` and `bare`: what to dial, and as whom, for the same targets.

    `begin_anew` ends Asterisk and starts another; to be called when no call is left.
    """

    load: Load
    begin_anew: Callable[[], None]
    database_url: str
    ours: Numbers
    bare: Numbers
    expected: dict[tuple[str, str], str]  # (target, caller) → VN

    def run(self, name: str, rate: int, seconds: float) -> Run:
        """`name`: BARE, or ours."""
        if name == BARE:
            return self.load.run(self.bare, rate, seconds, free_port(), address=BARE_ADDRESS)
        return self.load.run(self.ours, rate, seconds, free_port())


@contextmanager
def stand() -> Iterator[Stand]:
    """A database with bindings, an Asterisk and two bridges, all of their own; gone afterwards."""
    named = os.environ.get("VNS_ASTERISK")
    installation = install(Path(named) if named else None, ROOT / "var/asterisk", say)
    with ExitStack() as stack:
        folder = stack.enter_context(bench_servers.folder())
        name = f"bench-{secrets.token_hex(4)}"
        root = installation.root
        instance = Instance(folder=(root / "srv" if root else folder) / name, root=root)
        build(folder / "prompts")
        settings = IvrSettings(
            ami_url=f"ami://vns:{secrets.token_hex(8)}@127.0.0.1:{free_port(socket.SOCK_STREAM)}",
            agi_ports=(free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)),
            sip_port=free_port(),
            sip_trunk=f"127.0.0.1:{free_port()}",
            rtp_first_port=24_000,
            rtp_last_port=31_999,
            prompts_dir=folder / "prompts",
            call_records_dir=instance.folder / "records",
        )
        server = stack.enter_context(bench_servers.postgres(folder))
        server.query("create database vns")
        database_url = server.url("vns")
        upgrade(database_url)
        redis_url = stack.enter_context(bench_servers.redis(folder))
        say(f"allocating {BINDINGS} bindings")
        pairs = asyncio.run(_allocate(database_url, folder / "keys.json"))
        stack.callback(shutil.rmtree, instance.folder, ignore_errors=True)
        write_configuration(instance, settings, extra_dialplan=BARE_DIALPLAN)
        add_bare_entry(instance)
        begin_anew = stack.enter_context(_replaceable(instance, installation.program, folder / "asterisk.log"))
        for bridge, port in zip(("a", "b"), settings.agi_ports, strict=True):
            stack.enter_context(_bridge(bridge, port, settings, database_url, redis_url, folder))
        yield Stand(
            begin_anew=begin_anew,
            load=Load(folder / "sipp", asterisk=settings.sip_port, trunk=int(settings.sip_trunk.split(":")[1])),
            database_url=database_url,
            ours=[(vn, caller) for vn, _, caller in pairs],
            bare=[(target, caller.replace("0103", "0104", 1)) for _, target, caller in pairs],
            expected={(target, caller): vn for vn, target, caller in pairs},
        )


def add_bare_entry(instance: Instance) -> None:
    """Calls from BARE_ADDRESS come into the context BARE, through the same trunk and with nothing set."""
    with (instance.folder / "etc/pjsip.conf").open("a") as file:
        file.write(BARE_ENTRY)


@contextmanager
def _replaceable(instance: Instance, program: str, log_file: Path) -> Iterator[Callable[[], None]]:
    """A running Asterisk, and how to put a new one in its place."""
    with ExitStack() as running:

        def begin_anew() -> None:
            running.close()
            running.enter_context(asterisk(instance, program, log_file))

        begin_anew()
        yield begin_anew


@contextmanager
def asterisk(instance: Instance, program: str, log_file: Path) -> Iterator[None]:
    owner = instance.owner()
    account = Account(name="asterisk", uid=owner[0], gid=owner[1]) if owner else None
    command = tied([program, *instance.command()[1:]], chroot=instance.root, account=account)
    console = ["asterisk", "-C", f"{instance.inside}/etc/asterisk.conf", "-rx", "core waitfullybooted"]
    if instance.root is not None:
        console = ["chroot", str(instance.root), *console]

    def booted() -> bool:
        asked = subprocess.run(console, capture_output=True, text=True, timeout=30, check=False)
        return "fully booted" in asked.stdout

    with log_file.open("wb") as log, subprocess.Popen(command, cwd="/", stdout=log, stderr=log) as process:
        try:
            _wait_until(booted, process)
            yield
        finally:
            process.send_signal(SIGTERM)


@contextmanager
def _bridge(
    name: str, port: int, settings: IvrSettings, database_url: str, redis_url: str, folder: Path
) -> Iterator[None]:
    environment = {
        "PATH": os.defpath,
        "VNS_DATABASE_URL": database_url,
        "VNS_REDIS_URL": redis_url,
        "VNS_KEYS_FILE": str(folder / "keys.json"),
        "VNS_AMI_URL": settings.ami_url,
        "VNS_CALL_RECORDS_DIR": str(settings.call_records_dir),
        "VNS_STANDBY_DIR": str(settings.call_records_dir.parent / "standby"),
        "VNS_LOG_LEVEL": "WARNING",
    }
    command = tied([sys.executable, "-m", "ivr", "--name", name, "--port", str(port)])
    with (
        (folder / f"bridge-{name}.log").open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log) as process,
    ):
        try:
            _wait_until(lambda: _listens(process.pid, port), process)
            yield
        finally:
            process.send_signal(SIGTERM)


async def _allocate(database_url: str, keys_file: Path) -> list[tuple[str, str, str]]:
    """(VN, target, caller) of each binding; nobody is in two of them."""
    db, clock, keyring = await Database.open(database_url, size=4), Clock(), KeyRing.generate(keys_file)
    access, pools = Access(db, clock), Pools(db, clock)
    bindings = Bindings(db, keyring, clock, render=lambda binding: str(binding.id))
    try:
        await access.create_tenant("bench", NewTenant(code="bench", name="bench", kind=TenantKind.MALL))
        principal = await access.authenticate((await access.issue_key("bench", "bench")).secret)
        first, last = range_of(Service.PERSONAL, "0504-3000-0000", "0504-3000-9999")
        await pools.create("bench", NewPool(name="bench", service=Service.PERSONAL, first=first, last=last))
        made = []
        for start in range(0, BINDINGS, 500):
            targets = [f"0102{number:07}" for number in range(start, min(start + 500, BINDINGS))]
            requests = [AllocationRequest(mode=Mode.ONE_WAY, real_number=parse(target)) for target in targets]
            for target, answer in zip(targets, await bindings.allocate_many(principal, requests), strict=True):
                if not isinstance(answer, Allocation) or answer.binding is None:
                    raise RuntimeError("an allocation failed")
                made.append((digits_of(answer.binding.vn), target, target.replace("0102", "0103", 1)))
        return made
    finally:
        await bindings.close()
        await db.close()


def _wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("a part of the benchmark did not start")
        time.sleep(0.1)


def _listens(process_id: int, port: int) -> bool:
    return any(one.laddr.port == port for one in psutil.Process(process_id).net_connections("tcp"))


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
