"""What happens around a call: cutting, consuming, bridges that come and go, and records that catch up."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from local.postgres import PostgresServer
from simulators.phones.scenarios import Behaviour, Identity
from tests.core_world import COURIER, STRANGER
from tests.e2e.conftest import ROOT, Platform
from vns.bindings.rules import Status
from vns.numbering.rules import digits_of

pytestmark = pytest.mark.asterisk


async def test_a_release_lets_a_call_go_on_or_cuts_it(platform: Platform) -> None:
    world = platform.world
    binding = await world.allocate()
    async with (
        platform.carrier.phone() as customer,
        platform.carrier.calling(digits_of(binding.vn), Identity.plain(COURIER)) as courier,
    ):
        await customer.answered()
        await courier.talked()
        await world.bindings.release(world.mall, binding.id)
        before = courier.report().rtp_received
        await courier.until(lambda phone: phone.report().rtp_received > before + 10)
        await world.bindings.release(world.mall, binding.id, terminate_calls=True)
        caller, callee = await courier.ended(), await customer.hung_up()
    for side in (caller, callee):
        assert any(message.method == "BYE" and message.status is None for message in side.received)
    [call] = await platform.ended_calls()
    assert (call["result"], call["hangup_by"]) == ("answered", "platform")


async def test_a_call_cut_while_it_rings(platform: Platform) -> None:
    world = platform.world
    binding = await world.pair()
    async with (
        platform.carrier.phone(Behaviour(status=None)) as customer,
        platform.carrier.calling(digits_of(binding.vn), Identity.plain(COURIER)) as courier,
    ):
        await courier.ringing()
        await world.bindings.release(world.mall, binding.id, terminate_calls=True)
        caller, callee = await courier.ended(), await customer.hung_up()
    assert callee.status == 487
    assert caller.status not in {None, 200}
    [call] = await platform.ended_calls()
    assert (call["result"], call["hangup_by"]) == ("cancelled", "platform")


async def test_the_first_answered_call_consumes(platform: Platform) -> None:
    world = platform.world
    binding = await world.allocate(expire_after_call=True)
    number = digits_of(binding.vn)
    async with platform.carrier.phone(Behaviour(status=486)):
        busy = await platform.carrier.call(number, Identity.plain(COURIER))
    await platform.ended_calls(1)
    assert (await world.bindings.get(world.mall, binding.id)).status is Status.ACTIVE
    async with platform.carrier.phone():
        answered = await platform.carrier.call(number, Identity.plain(COURIER), talk_seconds=0.2)
    await platform.ended_calls(2)
    consumed = await world.bindings.get(world.mall, binding.id)
    again = await platform.carrier.call(number, Identity.plain(STRANGER))
    assert (busy.status, answered.status, again.status) == (486, 200, 410)
    assert consumed.status is Status.CONSUMED


async def test_an_answer_that_consumes_is_known_before_the_end(platform: Platform) -> None:
    """So that it counts even if Asterisk is killed in the middle of the call."""
    binding = await platform.world.allocate(expire_after_call=True)
    async with (
        platform.carrier.phone() as customer,
        platform.carrier.calling(digits_of(binding.vn), Identity.plain(COURIER)) as courier,
    ):
        await customer.answered()
        await courier.talked()
        async with asyncio.timeout(30), platform.world.db.connection() as connection:
            while await connection.fetchval("select answered_at from calls where ended_at is null") is None:
                assert await connection.fetchval("select count(*) from calls where ended_at is null") == 1
        await platform.world.bindings.release(platform.world.mall, binding.id, terminate_calls=True)
        await courier.ended()
    [call] = await platform.ended_calls()
    assert call["result"] == "answered"


async def test_the_second_bridge_answers_when_the_first_is_gone(quiet_platform: Platform) -> None:
    binding = await quiet_platform.world.allocate()
    async with quiet_platform.bridge("b"), quiet_platform.carrier.phone():
        caller = await quiet_platform.carrier.call(digits_of(binding.vn), Identity.plain(COURIER), talk_seconds=0.2)
        [call] = await quiet_platform.ended_calls()
    assert caller.status == 200
    assert (call["bridge"], call["result"]) == ("b", "answered")


async def test_the_second_bridge_answers_when_the_first_hangs(quiet_platform: Platform) -> None:
    """It takes the connection and says nothing, as a stopped process does."""
    binding = await quiet_platform.world.allocate()
    taken = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.set()
        await reader.read()
        await reader.read()
        writer.close()

    port = quiet_platform.switch.settings.agi_ports[0]
    async with (
        await asyncio.start_server(say_nothing, "127.0.0.1", port),
        quiet_platform.bridge("b"),
        quiet_platform.carrier.phone(),
    ):
        caller = await quiet_platform.carrier.call(digits_of(binding.vn), Identity.plain(COURIER), talk_seconds=0.2)
        [call] = await quiet_platform.ended_calls()
    assert taken.is_set()
    assert caller.status == 200
    assert (call["bridge"], call["result"]) == ("b", "answered")


async def test_a_call_that_ended_without_bridges_is_recorded_and_consumes_once(quiet_platform: Platform) -> None:
    world = quiet_platform.world
    binding = await world.allocate(expire_after_call=True)
    async with AsyncExitStack() as phones:
        async with quiet_platform.bridge("a"):
            customer = await phones.enter_async_context(quiet_platform.carrier.phone())
            calling = quiet_platform.carrier.calling(digits_of(binding.vn), Identity.plain(COURIER), talk_seconds=2)
            courier = await phones.enter_async_context(calling)
            await customer.answered()
        caller = await courier.ended()
    world.clock.move(minutes=5)  # the next bridges begin after it has ended
    async with quiet_platform.bridge("a"), quiet_platform.bridge("b"):
        [call] = await quiet_platform.ended_calls()
    assert caller.status == 200
    assert (call["result"], call["hangup_by"], call["bridge"]) == ("answered", "caller", "a")
    assert call["reconciled"], "told by Asterisk's record of a time without bridges"
    assert call["billed_seconds"] in {2, 3}
    assert (await world.bindings.get(world.mall, binding.id)).status is Status.CONSUMED
    async with world.db.connection() as connection:
        events = await connection.fetch("select event from journal where event in ('call.ended', 'binding.consumed')")
    assert sorted(row["event"] for row in events) == ["binding.consumed", "call.ended"]


@asynccontextmanager
async def bridge_process(platform: Platform) -> AsyncIterator[asyncio.subprocess.Process]:
    """Bridge a as `bin/up` runs it, once it answers questions; its log is on standard error."""
    settings = platform.switch.settings
    command = [sys.executable, "-m", "ivr", "--name", "a", "--port", str(settings.agi_ports[0])]
    environment = {
        "PATH": os.defpath,
        "VNS_DATABASE_URL": platform.core.database_url,
        "VNS_KEYS_FILE": str(platform.core.keys_file),
        "VNS_AMI_URL": settings.ami_url,
        "VNS_CALL_RECORDS_DIR": str(settings.call_records_dir),
        "VNS_STANDBY_DIR": str(platform.store.parent / "standby"),
    }
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            while b"answers questions" not in await process.stderr.readline():
                assert process.returncode is None
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def end(process: asyncio.subprocess.Process) -> tuple[int, bytes]:
    """Exit code after SIGTERM, and the rest of the log."""
    assert process.stderr is not None
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        log = await process.stderr.read()
        return await process.wait(), log


async def test_a_bridge_as_a_process_ends_on_sigterm(quiet_platform: Platform) -> None:
    binding = await quiet_platform.world.allocate()
    async with bridge_process(quiet_platform) as process:
        async with quiet_platform.carrier.phone():
            caller = await quiet_platform.carrier.call(digits_of(binding.vn), Identity.plain(COURIER), talk_seconds=0.2)
        await quiet_platform.ended_calls()
        code, log = await end(process)
    assert caller.status == 200
    assert code == 0
    assert COURIER.encode() not in log


async def test_a_bridge_ends_although_its_database_stands_still(
    quiet_platform: Platform, postgres: PostgresServer
) -> None:
    database = quiet_platform.core.database_url.rpartition("/")[2]
    query = f"select pid from pg_stat_activity where datname = '{database}'"  # noqa: S608 - a test's own
    before = set(postgres.query(query).split())
    async with bridge_process(quiet_platform) as process:
        backends = [int(pid) for pid in set(postgres.query(query).split()) - before]
        assert backends
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        try:
            code, _ = await end(process)
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
    assert code in {0, 1}, "1: something was under way, and was left; neither: it had to be killed"
