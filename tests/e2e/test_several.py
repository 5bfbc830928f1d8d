"""Two Asterisks and two bridges: one installation, whichever part a call meets, and whichever part leaves."""

import asyncio
import os
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import psutil
import pytest

from ivr.ami.reconcile import Vanished
from ivr.asterisk.configuration import write_configuration
from ivr.settings import IvrSettings
from loadtests.call_load import Load, Run
from simulators.phones.carrier import Carrier, Phone
from simulators.phones.scenarios import Identity
from tests.conftest import free_port
from tests.core_world import COURIER, CUSTOMER, STRANGER, World, open_world
from tests.e2e.conftest import ROOT, Platform, Switch, new_instance, running_asterisk
from tests.routing.rows import Row, write
from tests.waiting import until
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import Mode
from vns.settings import Settings
from vns.verifications.service import Verifications
from vns.verifications.settings import VerificationSettings

pytestmark = [pytest.mark.asterisk, pytest.mark.slow]

NAMES = ("north", "south")
RTP_PORTS = 400


@pytest.fixture(scope="module")
def switches(
    server_folder: Path,
    prompts_dir: Path,
    recordings_dir: Path,
    new_port: Callable[[], int],
    new_udp_port: Callable[[], int],
) -> Iterator[dict[str, Switch]]:
    """One set of settings; SIP and RTP ports differ, because both run on this machine."""
    instances = {name: new_instance(server_folder) for name in NAMES}
    secret, first_rtp = secrets.token_hex(8), 20_000 + secrets.randbelow(50) * 2 * RTP_PORTS
    common = IvrSettings(
        ami_urls=tuple(f"ami://vns:{secret}@127.0.0.1:{new_port()}/{name}" for name in NAMES),
        call_records_dirs=tuple(instance.folder / "records" for instance in instances.values()),
        agi_ports=(new_port(), new_port()),
        sip_trunk=f"127.0.0.1:{new_udp_port()}",
        ring_timeout_seconds=2,
        prompts_dir=prompts_dir,
        recordings_dir=recordings_dir,
    )
    with ExitStack() as stack:
        started = {}
        for place, (name, instance) in enumerate(instances.items()):
            stack.callback(shutil.rmtree, instance.folder, ignore_errors=True)
            rtp = first_rtp + place * RTP_PORTS
            ports = {"sip_port": new_udp_port(), "rtp_first_port": rtp, "rtp_last_port": rtp + RTP_PORTS - 1}
            settings = common.model_copy(update=ports)
            write_configuration(instance, settings, systemname=name)
            started[name] = stack.enter_context(running_asterisk(instance, settings, server_folder))
        yield started


@dataclass
class Installation:
    """A core, two Asterisks, and a carrier that calls through either."""

    platform: Platform  # its bridges know both Asterisks; its carrier calls through the first
    through: dict[str, Carrier]
    switches: dict[str, Switch]

    @property
    def world(self) -> World:
        return self.platform.world

    @asynccontextmanager
    async def bridges(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for name in ("a", "b"):
                bridge = await stack.enter_async_context(self.platform.bridge(name))
                await bridge.wait_ready()
            yield

    @asynccontextmanager
    async def talking(self, number: str, caller: str, name: str) -> AsyncIterator[Phone]:
        """A call through that Asterisk, answered. The called phone speaks to the first one only."""
        async with self.through[name].calling(number, Identity.plain(caller)) as phone:
            await phone.answered()
            yield phone


@pytest.fixture
async def installation(database_url: str, tmp_path: Path, switches: dict[str, Switch]) -> AsyncIterator[Installation]:
    north = switches["north"]
    for folder in north.settings.call_records_dirs:
        for record in [*folder.glob("*.csv"), *folder.glob("*.read"), *folder.glob("verifications/*.csv")]:
            record.unlink()
    trunk = ("127.0.0.1", int(north.settings.sip_trunk.rpartition(":")[2]))
    through = {
        name: Carrier(trunk=trunk, asterisk=("127.0.0.1", switch.settings.sip_port), folder=tmp_path / f"phones-{name}")
        for name, switch in switches.items()
    }
    async with open_world(database_url, tmp_path) as world:
        world.clock.time = datetime.now(UTC)
        platform = Platform(
            world=world,
            switch=north,
            carrier=through["north"],
            core=Settings(database_url=database_url, keys_file=tmp_path / "keys.json"),
            bridges={},
            store=tmp_path / "recordings",
        )
        yield Installation(platform, through, switches)


async def test_one_number_is_called_through_both_and_a_release_cuts_both(installation: Installation) -> None:
    world = installation.world
    binding = await world.allocate()
    number = digits_of(binding.vn)
    async with (
        installation.bridges(),
        installation.platform.carrier.phone(),
        installation.talking(number, COURIER, "north") as one,
        installation.talking(number, STRANGER, "south") as other,
    ):
        await world.bindings.release(world.mall, binding.id, terminate_calls=True)
        for report in (await one.ended(), await other.ended()):
            assert any(message.method == "BYE" and message.status is None for message in report.received)
        calls = await installation.platform.ended_calls(2)
    assert [(call["result"], call["hangup_by"]) for call in calls] == [("answered", "platform")] * 2
    assert {call["channel"].partition("-")[0] for call in calls} == set(NAMES)
    # each Asterisk begins with another bridge
    assert {call["channel"].partition("-")[0]: call["bridge"] for call in calls} == {"north": "a", "south": "b"}


async def test_a_numbers_limit_holds_across_both(installation: Installation) -> None:
    vn = 7080000000
    await write(installation.world, Row(mode=Mode.ONE_WAY, vn=vn, rules={"concurrent_calls": 1}))
    async with installation.bridges(), installation.platform.carrier.phone():
        async with installation.talking(digits_of(vn), COURIER, "north") as first:
            second = await installation.through["south"].call(digits_of(vn), Identity.plain(STRANGER))
            installation.switches["north"].console("channel request hangup all")
            await first.ended()
        await installation.platform.ended_calls(2)
        third = await installation.through["south"].call(digits_of(vn), Identity.plain(STRANGER), talk_seconds=0.2)
    assert (second.status, third.status) == (486, 200)


async def test_a_verification_call_is_made_by_whichever_is_there(installation: Installation) -> None:
    """They take turns; each writes the end into its own folder, and any bridge reads it there."""
    world = installation.world
    settings = VerificationSettings(verification_caller_id="07080000019")
    verifications = Verifications(world.db, world.keyring, world.clock, settings)
    async with installation.platform.bridge("a") as bridge, installation.platform.carrier.phone():
        await bridge.wait_ready()
        asked = [await verifications.request("test", parse(number), "1234") for number in (CUSTOMER, STRANGER)]

        async def over() -> bool:
            return all([(await verifications.get(call.id)).status.over for call in asked])

        await until(over, patience=90)
        assert [(await verifications.get(call.id)).spoken for call in asked] == [2, 2]
    for folder in installation.platform.switch.settings.call_records_dirs:
        assert list(folder.glob("verifications/*.csv"))


@asynccontextmanager
async def bridge_process(installation: Installation, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """As it runs by itself, once it answers questions."""
    settings, core = installation.platform.switch.settings, installation.platform.core
    port = settings.agi_ports["ab".index(name)]
    command = [sys.executable, "-m", "ivr", "--name", name, "--port", str(port)]
    environment = {
        "PATH": os.defpath,
        "VNS_DATABASE_URL": core.database_url,
        "VNS_KEYS_FILE": str(core.keys_file),
        "VNS_AMI_URLS": ",".join(settings.ami_urls),
        "VNS_CALL_RECORDS_DIRS": ",".join(map(str, settings.call_records_dirs)),
        "VNS_STANDBY_DIR": str(core.keys_file.parent / "standby"),
        "VNS_CALLS_PER_CALLER": "0",
        "VNS_CALLS_PER_NUMBER": "0",
    }
    log = (core.keys_file.parent / f"bridge-{name}.log").open("ab")
    with log:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stderr=log)
    try:

        async def listens() -> bool:
            assert process.returncode is None
            return _listens(process.pid, port)

        await until(listens)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _listens(process_id: int, port: int) -> bool:
    return any(one.laddr.port == port for one in psutil.Process(process_id).net_connections("tcp4"))


async def begun(installation: Installation, count: int) -> None:
    """Until that many calls have their records."""

    async def recorded() -> bool:
        async with installation.world.db.connection() as connection:
            return bool(await connection.fetchval("select count(*) >= $1 from calls", count))

    await until(recorded)


async def test_bridges_leave_and_join_and_no_call_is_lost(installation: Installation, tmp_path: Path) -> None:
    """Each bridge is ended and started again while both Asterisks carry calls; every call is connected and recorded."""
    world = installation.world
    numbers = []
    for place in range(10):
        binding = await world.allocate(f"010222200{place:02}")
        numbers.append((digits_of(binding.vn), f"010444400{place:02}"))
    trunk = int(installation.platform.switch.settings.sip_trunk.rpartition(":")[2])
    loads = [
        Load(tmp_path / f"load-{name}", asterisk=switch.settings.sip_port, trunk=trunk)
        for name, switch in installation.switches.items()
    ]
    async with AsyncExitStack() as stack:
        stack.enter_context(loads[0].phone())
        await stack.enter_async_context(bridge_process(installation, "b"))
        async with bridge_process(installation, "a") as first, asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(asyncio.to_thread(load.run, numbers, 5, 8.0, free_port())) for load in loads]
            await begun(installation, 12)
            first.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                assert await first.wait() == 0
            await begun(installation, 24)
            async with bridge_process(installation, "a"):
                runs: list[Run] = [await run for run in running]
                calls = await installation.platform.ended_calls(80)
    assert [(run.successes, run.failures) for run in runs] == [(40, 0)] * 2
    assert len(calls) == 80
    assert {call["result"] for call in calls} == {"answered"}
    assert {call["bridge"] for call in calls} == {"a", "b"}
    assert sum(loads[0].connections().values()) == 80


async def rows_of(world: World) -> dict[str, asyncpg.Record]:
    """The calls by the Asterisk that has them."""
    async with world.db.connection() as connection:
        rows = await connection.fetch("select * from calls")
    return {row["channel"].partition("-")[0]: row for row in rows}


async def test_an_asterisk_that_was_killed_takes_no_other_asterisks_calls_along(
    installation: Installation, server_folder: Path
) -> None:
    """The last test of these two: `south` is another process afterwards."""
    world, platform = installation.world, installation.platform
    binding = await world.allocate()
    number, south = digits_of(binding.vn), installation.switches["south"]
    async with installation.bridges(), platform.carrier.phone():
        async with (
            installation.talking(number, COURIER, "north") as courier,
            installation.talking(number, STRANGER, "south"),
        ):
            await begun(installation, 2)
            south.process.kill()
            south.process.wait(timeout=60)
            bridge = platform.bridges["a"]

            async def noticed() -> bool:
                return not all(asterisk.ami.ready for asterisk in bridge.asterisks)

            await until(noticed)
            with running_asterisk(south.instance, south.settings, server_folder):
                await bridge.wait_ready()
                for asterisk in bridge.asterisks:
                    vanished = Vanished(
                        asterisk.ami,
                        bridge.calls,
                        world.clock,
                        bridge="a",
                        caught_up=lambda: True,
                        name=asterisk.node.name,
                        patience=timedelta(seconds=-1),
                    )
                    for _ in range(2):
                        await vanished.one_round()
                rows = await rows_of(world)
                assert (rows["south"]["result"], rows["south"]["reconciled"]) == ("unknown", True)
                assert rows["north"]["ended_at"] is None
                before = courier.packets
                await courier.until(lambda phone: phone.packets > before + 10)
            await world.bindings.release(world.mall, binding.id, terminate_calls=True)
            await courier.ended()
        await platform.ended_calls(2)
    assert (await rows_of(world))["north"]["result"] == "answered"
