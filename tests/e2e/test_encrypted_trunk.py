"""A trunk over TLS and SRTP: another Asterisk plays the carrier, calls in, and takes the call that goes out."""

import asyncio
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from ivr.ami.actions import originate
from ivr.ami.connection import AmiConnection
from ivr.asterisk.configuration import write_configuration
from ivr.settings import IvrSettings
from simulators.phones.carrier import Carrier
from tests.core_world import COURIER, open_world
from tests.e2e.conftest import Platform, Switch, new_instance, running_asterisk
from tests.links.test_smpp_tls import certificate
from tests.waiting import until
from vns.numbering.rules import digits_of
from vns.settings import Settings

pytestmark = [pytest.mark.asterisk, pytest.mark.slow]

RTP_PORTS = 200
FEW_PACKETS = 20

# The carrier's dialplan. Whoever calls or is called speaks without end, and tells after each sentence what the channel
# is like; `try` tells how a call was turned away.
CARRIER = """
[vns-in]
exten => _X.,1,Set(SIDE=callee)
 same => n,Answer()
 same => n,Goto(speak,s,1)
[caller]
exten => s,1,Set(SIDE=caller)
 same => n,Goto(speak,s,1)
[speak]
exten => s,1,Playback({inside}/prompts/ended)
 same => n,Set(TOLD=${{SIDE}}|${{CHANNEL(pjsip,secure)}}|${{CHANNEL(rtp,secure)}}|${{CHANNEL(rtcp,rxcount)}})
 same => n,Set(FILE({inside}/told,,,al,u)=${{TOLD}})
 same => n,Goto(s,1)
"""
TRY = """
[rest]
exten => s,1,Wait(60)
[try]
exten => _X.,1,Dial(PJSIP/${{EXTEN}}@trunk)
 same => n,Set(FILE({inside}/tried,,,al,u)=${{HANGUPCAUSE(${{HANGUPCAUSE_KEYS()}},tech)}})
"""


@dataclass(frozen=True)
class Leg:
    """What the carrier said of a call's leg; `received`: voice packets so far."""

    signalling: bool
    media: bool
    received: int


@dataclass(frozen=True)
class Trunk:
    """Ours, and the carrier's at its other end."""

    ours: Switch
    carrier: Switch
    keys: dict[str, Path]

    async def told(self, name: str) -> list[str]:
        """The lines of a file of the carrier's, once there are any."""
        file = self.carrier.instance.folder / name

        async def written() -> bool:
            return file.exists() and file.read_text().endswith("\n")

        await until(written)
        return file.read_text().splitlines()

    async def legs(self) -> dict[str, Leg]:
        """Both, once each has heard the other."""
        legs: dict[str, Leg] = {}

        async def heard() -> bool:
            for line in await self.told("told"):
                side, signalling, media, received = line.split("|")
                legs[side] = Leg(signalling == "1", media == "1", int(received or 0))
            return {name for name, leg in legs.items() if leg.received > FEW_PACKETS} == {"caller", "callee"}

        await until(heard)
        return legs


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificate and key of each side in one file, trusted by the other alone."""
    return {name: certificate(tmp_path_factory.mktemp(name)) for name in ("ours", "carrier", "stranger")}


@pytest.fixture(scope="module")
def trunk(
    server_folder: Path,
    prompts_dir: Path,
    recordings_dir: Path,
    keys: dict[str, Path],
    new_port: Callable[[], int],
) -> Iterator[Trunk]:
    ports = {name: new_port() for name in ("ours", "carrier")}
    other = {"ours": "carrier", "carrier": "ours"}
    first_rtp = 20_000 + secrets.randbelow(50) * 2 * RTP_PORTS
    switches = {}
    with ExitStack() as stack:
        for place, name in enumerate(ports):
            instance = new_instance(server_folder)
            stack.callback(shutil.rmtree, instance.folder, ignore_errors=True)
            rtp = first_rtp + place * RTP_PORTS
            settings = IvrSettings(
                ami_url=f"ami://vns:{secrets.token_hex(8)}@127.0.0.1:{new_port()}",
                agi_ports=(new_port(), new_port()),
                sip_port=ports[name],
                sip_trunk=f"127.0.0.1:{ports[other[name]]}",
                sip_transport="tls",
                sip_tls_certificate=keys[name],
                sip_tls_key=keys[name],
                sip_tls_ca=keys[other[name]],
                sip_tls_mutual=True,
                sip_media_encryption="sdes",
                rtp_first_port=rtp,
                rtp_last_port=rtp + RTP_PORTS - 1,
                prompts_dir=prompts_dir,
                recordings_dir=recordings_dir,
                call_records_dir=instance.folder / "records",
            )
            write_configuration(instance, settings)
            if name == "carrier":
                play_the_carrier(instance.folder, instance.inside)
            switches[name] = stack.enter_context(running_asterisk(instance, settings, server_folder))
        yield Trunk(switches["ours"], switches["carrier"], keys)


async def originated(switch: Switch, channel: str, context: str) -> None:
    """A call from `channel` to the beginning of `context`, under way."""
    connection = await AmiConnection.open(switch.settings.ami_url, lambda _: None)
    try:
        reply = await connection.send(
            originate(channel, context=context, extension="s", caller_id=COURIER, timeout_ms=60_000, variables={})
        )
    finally:
        connection.close()
    assert reply.success


def play_the_carrier(folder: Path, inside: str) -> None:
    (folder / "etc/extensions.conf").write_text((CARRIER + TRY).format(inside=inside))
    pjsip = folder / "etc/pjsip.conf"
    lines = [
        line for line in pjsip.read_text().splitlines() if not line.startswith("set_var")
    ]  # of the platform's calls
    pjsip.write_text("\n".join(lines).replace("direct_media = no", f"direct_media = no\nfrom_user = {COURIER}") + "\n")


@pytest.fixture
async def platform(database_url: str, tmp_path: Path, trunk: Trunk) -> AsyncIterator[Platform]:
    for name in ("told", "tried"):
        (trunk.carrier.instance.folder / name).unlink(missing_ok=True)
    async with open_world(database_url, tmp_path) as world:
        world.clock.time = datetime.now(UTC)
        platform = Platform(
            world=world,
            switch=trunk.ours,
            carrier=Carrier(trunk=("127.0.0.1", 1), asterisk=("127.0.0.1", 1), folder=tmp_path),  # no phones here
            core=Settings(database_url=database_url, keys_file=tmp_path / "keys.json"),
            bridges={},
            store=tmp_path / "recordings",
        )
        async with platform.bridge("a") as bridge:
            await bridge.wait_ready()
            yield platform


async def test_a_call_over_tls_and_srtp(platform: Platform, trunk: Trunk) -> None:
    binding = await platform.world.allocate()
    await originated(trunk.carrier, f"PJSIP/{digits_of(binding.vn)}@trunk", "caller")
    legs = await trunk.legs()
    trunk.carrier.console("channel request hangup all")
    [call] = await platform.ended_calls()
    assert {name: (leg.signalling, leg.media) for name, leg in legs.items()} == {
        "caller": (True, True),
        "callee": (True, True),
    }
    assert (call["result"], call["from_masked"][:3]) == ("answered", COURIER[:3])
    doors = psutil.Process(trunk.ours.process.pid).net_connections("inet")
    mine = [door for door in doors if door.laddr.port == trunk.ours.settings.sip_port]
    assert mine and all(door.type == socket.SOCK_STREAM for door in mine), "nothing of the trunk is open over UDP"


async def test_a_call_without_srtp_is_turned_away(platform: Platform, trunk: Trunk) -> None:
    binding = await platform.world.allocate()
    pjsip = trunk.carrier.instance.folder / "etc/pjsip.conf"
    encrypted = pjsip.read_text()
    pjsip.write_text(encrypted.replace("media_encryption = sdes", "media_encryption = no"))
    try:
        trunk.carrier.console("module reload res_pjsip.so")
        await originated(trunk.carrier, f"Local/{digits_of(binding.vn)}@try", "rest")
        [told] = await trunk.told("tried")
    finally:
        pjsip.write_text(encrypted)
        trunk.carrier.console("module reload res_pjsip.so")
    assert told.startswith("SIP 488 ")


async def test_a_carrier_whose_certificate_nobody_vouches_for_is_told_no_number(
    platform: Platform, trunk: Trunk, server_folder: Path, new_port: Callable[[], int]
) -> None:
    """Another of ours, which trusts somebody else: it breaks the connection off before it sends a word."""
    instance = new_instance(server_folder)
    settings = trunk.ours.settings.model_copy(
        update={
            "ami_url": f"ami://vns:vns@127.0.0.1:{new_port()}",
            "sip_port": new_port(),
            "sip_tls_ca": trunk.keys["stranger"],
            "call_records_dir": instance.folder / "records",
        }
    )
    try:
        write_configuration(instance, settings, extra_dialplan=TRY.format(inside=instance.inside))
        with running_asterisk(instance, settings, server_folder) as doubtful:
            await originated(doubtful, "Local/01099990000@try", "rest")
            await until(lambda: asyncio.to_thread((instance.folder / "tried").exists))
    finally:
        shutil.rmtree(instance.folder)
    assert not (trunk.carrier.instance.folder / "told").exists()
