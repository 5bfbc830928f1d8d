"""A real Asterisk for the session, and for each test a core, two bridges and a carrier with phones."""

import asyncio
import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import asyncpg
import pytest

from ivr.asterisk.configuration import write_configuration
from ivr.asterisk.instance import Instance
from ivr.bridge import Bridge, running
from ivr.prompts.synthesis import build
from ivr.prompts.texts import PROMPTS
from ivr.settings import IvrSettings
from local.accounts import Account
from local.asterisk import AsteriskInstallation, install
from local.children import tied
from simulators.phones.carrier import Carrier
from tests.conftest import wait_until
from tests.core_world import World, open_world
from vns.recordings.settings import RecordingSettings
from vns.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
RTP_PORTS = 400


@dataclass(frozen=True)
class Switch:
    """A running Asterisk."""

    instance: Instance
    settings: IvrSettings
    process: "subprocess.Popen[bytes]"

    def console(self, command: str) -> str:
        root = self.instance.root
        line = ["asterisk", "-C", f"{self.instance.inside}/etc/asterisk.conf", "-rx", command]
        if root is not None:
            line = ["chroot", str(root), *line]
        return subprocess.run(line, capture_output=True, text=True, timeout=30, check=True).stdout


@pytest.fixture(scope="session")
def prompts_dir(server_folder: Path) -> Path:
    folder = server_folder / "prompts"
    build(folder)
    return folder


@pytest.fixture(scope="session")
def recordings_dir(server_folder: Path) -> Path:
    """Half a second of a tone in place of every prompt but those that tests listen for."""
    folder = server_folder / "recordings"
    folder.mkdir()
    for name in (name for name in PROMPTS if not name.startswith(("ended", "digit_", "recording_notice"))):
        command = ["sox", "-n", "-r", "8000", "-c", "1", "-b", "16", str(folder / f"{name}.wav")]
        subprocess.run([*command, "synth", "0.5", "sine", "400"], check=True, timeout=30)
    return folder


@cache
def asterisk_program() -> AsteriskInstallation:
    named = os.environ.get("VNS_ASTERISK")
    return install(Path(named) if named else None, ROOT / "var/asterisk", print)


def new_instance(server_folder: Path) -> Instance:
    """A folder that no other Asterisk has; whoever asks removes it."""
    root = asterisk_program().root
    return Instance(folder=(root / "srv" if root else server_folder) / f"test-{secrets.token_hex(4)}", root=root)


@contextmanager
def running_asterisk(instance: Instance, settings: IvrSettings, server_folder: Path) -> Iterator[Switch]:
    """On the configuration that was written for it, once it has booted."""
    owner = instance.owner()
    account = Account(name="asterisk", uid=owner[0], gid=owner[1]) if owner else None
    log = server_folder / f"{instance.folder.name}.log"
    line = [asterisk_program().program, *instance.command()[1:]]
    command = tied(line, chroot=instance.root, account=account)
    with log.open("ab") as sink, subprocess.Popen(command, cwd="/", stdout=sink, stderr=sink) as process:
        started = Switch(instance, settings, process)
        try:
            wait_until(lambda: _booted(started), process, log)
            yield started
        finally:
            process.terminate()
            process.wait(timeout=60)


@pytest.fixture(scope="session")
def switch(
    server_folder: Path,
    prompts_dir: Path,
    recordings_dir: Path,
    new_port: Callable[[], int],
    new_udp_port: Callable[[], int],
) -> Iterator[Switch]:
    """An Asterisk of its own folder and ports: any number of them run beside one another."""
    instance = new_instance(server_folder)
    first_rtp = 20_000 + secrets.randbelow(100) * RTP_PORTS
    settings = IvrSettings(
        ami_url=f"ami://vns:{secrets.token_hex(8)}@127.0.0.1:{new_port()}",
        agi_ports=(new_port(), new_port()),
        sip_port=new_udp_port(),
        sip_trunk=f"127.0.0.1:{new_udp_port()}",
        rtp_first_port=first_rtp,
        rtp_last_port=first_rtp + RTP_PORTS - 1,
        ring_timeout_seconds=2,
        prompts_dir=prompts_dir,
        recordings_dir=recordings_dir,
        call_records_dir=instance.folder / "records",
    )
    try:
        write_configuration(instance, settings)
        with running_asterisk(instance, settings, server_folder) as started:
            yield started
    finally:
        shutil.rmtree(instance.folder)


def _booted(switch: Switch) -> bool:
    try:
        return "fully booted" in switch.console("core waitfullybooted")
    except subprocess.CalledProcessError:
        return False


@dataclass
class Platform:
    """The voice side over a core: `bridges` may be left out or started by a test itself."""

    world: World
    switch: Switch
    carrier: Carrier
    core: Settings
    bridges: dict[str, Bridge]
    store: Path  # of recorded calls

    async def ended_calls(self, count: int = 1) -> list[asyncpg.Record]:
        """All records of calls, oldest first, once `count` of them have ended."""
        async with asyncio.timeout(60):
            while True:
                async with self.world.db.connection() as connection:
                    rows: list[asyncpg.Record] = await connection.fetch("select * from calls order by id")
                if sum(row["ended_at"] is not None for row in rows) >= count:
                    return rows

    @asynccontextmanager
    async def bridge(self, name: str, **settings: object) -> AsyncIterator[Bridge]:
        place = {"a": 0, "b": 1}[name]
        ivr = self.switch.settings.model_copy(update={"standby_dir": self.store.parent / "standby", **settings})
        port = ivr.agi_ports[place]
        recording = RecordingSettings(recording_store_dir=self.store)
        async with running(name, port, core=self.core, ivr=ivr, clock=self.world.clock, recording=recording) as bridge:
            self.bridges[name] = bridge
            yield bridge
        del self.bridges[name]


@pytest.fixture
async def quiet_platform(database_url: str, tmp_path: Path, switch: Switch) -> AsyncIterator[Platform]:
    """Without bridges. The clock stands at the machine's time; records of earlier tests are gone."""
    records = switch.settings.call_records_dir
    for left in (*records.glob("*.csv"), *records.glob("*.read"), *switch.settings.nodes[0].recordings.iterdir()):
        left.unlink()
    async with open_world(database_url, tmp_path) as world:
        world.clock.time = datetime.now(UTC)
        trunk_port = int(switch.settings.sip_trunk.rpartition(":")[2])
        yield Platform(
            world=world,
            switch=switch,
            carrier=Carrier(
                trunk=("127.0.0.1", trunk_port),
                asterisk=("127.0.0.1", switch.settings.sip_port),
                folder=tmp_path / "phones",
            ),
            core=Settings(database_url=database_url, keys_file=tmp_path / "keys.json"),
            bridges={},
            store=tmp_path / "recordings",
        )


@pytest.fixture
async def platform(quiet_platform: Platform) -> AsyncIterator[Platform]:
    """With both bridges, connected to Asterisk's manager interface."""
    async with AsyncExitStack() as stack:
        for name in ("a", "b"):
            bridge = await stack.enter_async_context(quiet_platform.bridge(name))
            await bridge.wait_ready()
        yield quiet_platform
