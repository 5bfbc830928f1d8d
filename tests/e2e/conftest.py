"""A real Asterisk for the session, and for each test a core, two bridges and a carrier with phones."""

import asyncio
import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from ivr.asterisk.configuration import Instance, write_configuration
from ivr.bridge import Bridge, running
from ivr.prompts.synthesis import build
from ivr.prompts.texts import PROMPTS
from ivr.settings import IvrSettings
from local.accounts import Account
from local.asterisk import install
from local.children import tied
from simulators.phones.carrier import Carrier
from tests.conftest import wait_until
from tests.core_world import World, open_world
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
    """Half a second of a tone in place of every prompt but `ended`, whose synthetic voice is played."""
    folder = server_folder / "recordings"
    folder.mkdir()
    for name in set(PROMPTS) - {"ended"}:
        command = ["sox", "-n", "-r", "8000", "-c", "1", "-b", "16", str(folder / f"{name}.wav")]
        subprocess.run([*command, "synth", "0.5", "sine", "400"], check=True, timeout=30)
    return folder


@pytest.fixture(scope="session")
def switch(
    server_folder: Path,
    prompts_dir: Path,
    recordings_dir: Path,
    new_port: Callable[[], int],
    new_udp_port: Callable[[], int],
) -> Iterator[Switch]:
    """An Asterisk of its own folder and ports: any number of them run beside one another."""
    named = os.environ.get("VNS_ASTERISK")
    installation = install(Path(named) if named else None, ROOT / "var/asterisk", print)
    name = f"test-{secrets.token_hex(4)}"
    root = installation.root
    instance = Instance(folder=(root / "srv" if root else server_folder) / name, root=root)
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
    write_configuration(instance, settings)
    owner = instance.owner()
    account = Account(name="asterisk", uid=owner[0], gid=owner[1]) if owner else None
    log = server_folder / f"{name}.log"
    command = tied([installation.program, *instance.command()[1:]], chroot=root, account=account)
    try:
        with log.open("wb") as sink, subprocess.Popen(command, cwd="/", stdout=sink, stderr=sink) as process:
            running_switch = Switch(instance, settings, process)
            try:
                wait_until(lambda: _booted(running_switch), process, log)
                yield running_switch
            finally:
                process.terminate()
                process.wait(timeout=60)
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
        ivr = self.switch.settings.model_copy(update=settings)
        port = ivr.agi_ports[place]
        async with running(name, port, core=self.core, ivr=ivr, clock=self.world.clock) as bridge:
            self.bridges[name] = bridge
            yield bridge
        del self.bridges[name]


@pytest.fixture
async def quiet_platform(database_url: str, tmp_path: Path, switch: Switch) -> AsyncIterator[Platform]:
    """Without bridges. The clock stands at the machine's time; records of earlier tests are gone."""
    for record in switch.settings.call_records_dir.glob("*.csv"):
        record.unlink()
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
        )


@pytest.fixture
async def platform(quiet_platform: Platform) -> AsyncIterator[Platform]:
    """With both bridges, connected to Asterisk's manager interface."""
    async with AsyncExitStack() as stack:
        for name in ("a", "b"):
            bridge = await stack.enter_async_context(quiet_platform.bridge(name))
            await bridge.ami.wait_ready()
        yield quiet_platform
