"""The line about an attempt at a verification call, and what the platform makes of it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from ivr.ami.supervisor import AmiSupervisor
from ivr.asterisks import Asterisk, Asterisks
from ivr.nodes import Node
from ivr.verification.caller import VerificationCaller
from ivr.verification.records import outcome_of
from tests.conftest import free_port
from tests.core_world import CUSTOMER, World
from tests.ivr.fake_ami import Action, FakeAmi, fake_ami, message, obliging
from vns.numbering.rules import parse
from vns.verifications.rules import Failure, Status
from vns.verifications.service import Verifications
from vns.verifications.settings import VerificationSettings

ID = "019a0000-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("rest", "failure", "spoken"),
    [
        ("1795532271.5|2||16|", None, 2),
        ("1795532271.5|1||16|y", None, 1),
        ("1795532271.5|0||16|y", Failure.HUNG_UP_EARLY, 0),
        ("1795532271.5|0||16|", Failure.UNREACHABLE, 0),
        ("|0|BUSY|17|", Failure.BUSY, 0),
        ("|0|NOANSWER|0|", Failure.NO_ANSWER, 0),
        ("|0|CONGESTION|21|", Failure.BUSY, 0),
        ("|0|CHANUNAVAIL|19|", Failure.NO_ANSWER, 0),
        ("|0|CHANUNAVAIL|1|", Failure.UNREACHABLE, 0),
        ("|0|||", Failure.UNREACHABLE, 0),
    ],
)
def test_what_a_line_means(rest: str, failure: Failure | None, spoken: int) -> None:
    outcome = outcome_of(f"{ID}|2|1795532287.25|{rest}")
    assert (outcome.id, outcome.attempt) == (UUID(ID), 2)
    assert outcome.ended_at == datetime.fromtimestamp(1795532287.25, UTC)
    assert (outcome.failure, outcome.spoken) == (failure, spoken)
    assert (outcome.answered_at is None) == rest.startswith("|")


@pytest.mark.parametrize("line", ["", "hello", f"{ID}|1|2|3|4|5", "x|1|1.0||0|||", f"{ID}|1|soon||0|BUSY|17|"])
def test_a_line_without_sense(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        outcome_of(line)


def asking(world: World) -> Verifications:
    settings = VerificationSettings(verification_caller_id="070-8000-0000")
    return Verifications(world.db, world.keyring, world.clock, settings)


def calling(world: World, ami: AmiSupervisor, folder: Path) -> VerificationCaller:
    asterisk = Asterisk(Node(name=None, ami_url="", records=folder), ami)
    return VerificationCaller(
        world.db.url, Asterisks([asterisk]), asking(world), world.clock, bridge="a", ring_seconds=99
    )


async def test_what_goes_over_the_wire(world: World, tmp_path: Path) -> None:
    """One Originate, asynchronous, of ids and digits."""
    call = await asking(world).request("test", parse(CUSTOMER), "1234")
    async with fake_ami() as fake, asyncio.TaskGroup() as tasks:
        ami = AmiSupervisor(fake.url)
        running = tasks.create_task(ami.run())
        await ami.wait_ready()
        await calling(world, ami, tmp_path).call_all()
        [sent] = [action for action in fake.connections[0] if action["Action"] == ["Originate"]]
        running.cancel()
    assert sent["Async"] == ["true"]
    assert sent["Channel"] == ["Local/call@vns-verify/n"]
    variables = dict(line.split("=", 1) for line in sent["Variable"])
    assert variables == {
        "__VERIFY_ID": str(call.id),
        "__VERIFY_ATTEMPT": "1",
        "__VERIFY_CODE": "1234",
        "VERIFY_NUMBER": CUSTOMER,
        "VERIFY_CALLER_ID": "07080000000",
        "VERIFY_RING": "40",
    }


async def test_an_asterisk_that_declines(world: World, tmp_path: Path) -> None:
    def declining(fake: FakeAmi, action: Action, writer: asyncio.StreamWriter) -> bytes | None:
        if action["Action"] == ["Originate"]:
            return message(Response="Error", ActionID=action["ActionID"][0], Message="Permission denied")
        return obliging(fake, action, writer)

    call = await asking(world).request("test", parse(CUSTOMER), "1234")
    async with fake_ami(declining) as fake, asyncio.TaskGroup() as tasks:
        ami = AmiSupervisor(fake.url)
        running = tasks.create_task(ami.run())
        await ami.wait_ready()
        await calling(world, ami, tmp_path).call_all()
        running.cancel()
    done = await asking(world).get(call.id)
    assert (done.status, done.reason) == (Status.FAILED, Failure.UNREACHABLE)


async def test_without_asterisk_nothing_is_claimed(world: World, tmp_path: Path) -> None:
    call = await asking(world).request("test", parse(CUSTOMER), "1234")
    await calling(world, AmiSupervisor(f"ami://vns:vns@127.0.0.1:{free_port()}"), tmp_path).call_all()
    assert (await asking(world).get(call.id)).status is Status.QUEUED


async def test_the_event_tells_the_end(world: World, tmp_path: Path) -> None:
    call = await asking(world).request("test", parse(CUSTOMER), "1234")
    async with fake_ami() as fake, asyncio.TaskGroup() as tasks:
        ami = AmiSupervisor(fake.url)
        running = [tasks.create_task(ami.run()), tasks.create_task(calling(world, ami, tmp_path).run())]
        await fake.until(lambda: bool(fake.connections) and "Originate" in fake.names(0))
        record = f"{call.id}|1|1795532287.25|1795532271.5|2||16|"
        await fake.send(f"Event: UserEvent\r\nUserEvent: VnsVerificationEnded\r\nRecord: {record}\r\n\r\n".encode())
        async with asyncio.timeout(60):
            while not (await asking(world).get(call.id)).status.over:  # noqa: ASYNC110 - a row sends no signal
                await asyncio.sleep(0)
        for task in running:
            task.cancel()
    assert (await asking(world).get(call.id)).spoken == 2
    assert ami.verifications.empty()
