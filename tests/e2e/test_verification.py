"""Verification calls by a real Asterisk to real phones: what is heard, what is shown, what is told afterwards."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from simulators.phones.carrier import CallReport
from simulators.phones.scenarios import Behaviour
from tests.core_world import CUSTOMER
from tests.e2e.conftest import ROOT, Platform
from tests.e2e.speech import of_alaw, of_wav, transcript
from vns.numbering.rules import parse
from vns.verifications.rules import Failure, Status, VerificationCall
from vns.verifications.service import Verifications
from vns.verifications.settings import VerificationSettings

pytestmark = pytest.mark.asterisk

SHOWN = "07080000019"
CODE = "907135"


def verifications_of(platform: Platform) -> Verifications:
    world = platform.world
    settings = VerificationSettings(verification_caller_id=SHOWN)
    return Verifications(world.db, world.keyring, world.clock, settings)


@pytest.fixture
def verifications(platform: Platform) -> Verifications:
    return verifications_of(platform)


async def over(verifications: Verifications, call: VerificationCall) -> VerificationCall:
    async with asyncio.timeout(90):
        while True:
            seen = await verifications.get(call.id)
            if seen.status.over:
                return seen


def spoken_digits(report: CallReport, prompts: Path) -> str:
    """The digits that the phone heard, in order."""
    voices = {digit: of_wav(prompts / f"digit_{digit}.wav") for digit in "0123456789"}
    return transcript(of_alaw(report.sound), voices)


async def test_the_code_is_spoken_digit_by_digit_twice(
    platform: Platform, verifications: Verifications, prompts_dir: Path
) -> None:
    async with platform.carrier.phone() as phone:
        asked = await verifications.request("test", parse(CUSTOMER), CODE)
        done = await over(verifications, asked)
        report = await phone.hung_up()
    invite = report.received[0]
    assert invite.uri.startswith(f"sip:{CUSTOMER}@")
    assert f"sip:{SHOWN}@" in invite.header("From")
    assert f"sip:{SHOWN}@" in invite.header("P-Asserted-Identity")
    assert not any(CODE in message.text for message in report.messages)
    assert spoken_digits(report, prompts_dir) == CODE * 2
    assert (done.status, done.spoken, done.attempts, done.reason) == (Status.COMPLETED, 2, 1, None)
    assert done.answered_at is not None and done.ended_at is not None and done.answered_at < done.ended_at
    for record in (platform.switch.settings.call_records_dir / "verifications").glob("*.csv"):
        assert CODE not in record.read_text() and CUSTOMER not in record.read_text()
    async with platform.world.db.connection() as connection:
        assert await connection.fetchval("select count(*) from calls") == 0, "it is nobody's call to a virtual number"


@pytest.mark.parametrize(
    ("behaviour", "failure"),
    [
        pytest.param(Behaviour(status=486), Failure.BUSY, id="is busy"),
        pytest.param(Behaviour(status=None), Failure.NO_ANSWER, id="does not answer"),
        pytest.param(Behaviour(status=404), Failure.UNREACHABLE, id="does not exist"),
        pytest.param(Behaviour(hang_up_after=0.5), Failure.HUNG_UP_EARLY, id="hangs up early"),
    ],
)
async def test_a_phone_that_does_not_hear_it(
    platform: Platform, verifications: Verifications, behaviour: Behaviour, failure: Failure
) -> None:
    async with platform.carrier.phone(behaviour) as phone:
        asked = await verifications.request("test", parse(CUSTOMER), CODE)
        done = await over(verifications, asked)
        await phone.hung_up()
    assert (done.status, done.reason, done.spoken, done.attempts) == (Status.FAILED, failure, 0, 1)


async def test_a_call_cut_after_the_code_was_heard_once(
    platform: Platform, verifications: Verifications, prompts_dir: Path
) -> None:
    async with platform.carrier.phone() as phone:
        asked = await verifications.request("test", parse(CUSTOMER), CODE)
        await phone.until(lambda phone: len(spoken_digits(phone.report(), prompts_dir)) > len(CODE), timeout=60)
        platform.switch.console("channel request hangup all")
        done = await over(verifications, asked)
        await phone.hung_up()
    assert (done.status, done.spoken) == (Status.COMPLETED, 1)


async def test_another_bridge_tells_the_end_when_the_one_that_called_is_gone(quiet_platform: Platform) -> None:
    world = quiet_platform.world
    verifications = verifications_of(quiet_platform)
    async with quiet_platform.carrier.phone() as phone:
        async with quiet_platform.bridge("a") as bridge:
            await bridge.ami.wait_ready()
            asked = await verifications.request("test", parse(CUSTOMER), CODE)
            await phone.answered()
        await phone.hung_up()
    assert (await verifications.get(asked.id)).status is Status.CALLING
    async with quiet_platform.bridge("b"):
        done = await over(verifications, asked)
    assert (done.status, done.spoken, done.attempts) == (Status.COMPLETED, 2, 1)
    async with world.db.connection() as connection:
        assert await connection.fetchval("select count(*) from journal where event = 'verification.ended'") == 1


async def test_the_command_calls_and_waits(platform: Platform, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "sender", "call", "010-1111-2222", "--code", "2580", "--wait"]
    environment = {
        "PATH": "/usr/bin:/bin",
        "VNS_DATABASE_URL": platform.core.database_url,
        "VNS_KEYS_FILE": str(platform.core.keys_file),
        "VNS_VERIFICATION_CALLER_ID": SHOWN,
    }

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    async with platform.carrier.phone() as phone:
        done = await asyncio.to_thread(run)
        await phone.hung_up()
    assert done.returncode == 0, done.stderr
    shown = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert (shown["status"], shown["spoken"], shown["number"]) == ("completed", "2", "010-****-2222")
    assert "2580" not in done.stdout
