"""Teams that ring one after the other: what is acknowledged while one member rings holds for the next."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simulators.phones.carrier import Phone
from simulators.phones.scenarios import Behaviour, Identity
from tests.core_world import CUSTOMER
from tests.e2e.conftest import Platform
from tests.e2e.speech import of_alaw, of_wav, transcript
from tests.e2e.test_calls import assert_hidden
from tests.e2e.test_lives_of_calls import bridge_process
from tests.e2e.test_modes import ANSWERS, BUSY, SILENT, final_status
from tests.e2e.test_refusals import assert_refused
from vns.bindings.rules import Binding, BindingChange
from vns.numbering.rules import digits_of, parse
from vns.pools.rules import Mode, PoolChange, Proof
from vns.routing.rules import Reason
from vns.rulebook.documents import checked

pytestmark = pytest.mark.asterisk

FIRST, SECOND, THIRD = TEAM = ("01077770001", "01077770002", "01077770003")
RING = 5  # seconds, the fewest that a rule may say: time enough to change something
FROM_ALONE = Identity(from_header=f"<sip:{CUSTOMER}@carrier.example>")


@dataclass
class Ringing:
    """A customer's call to a team whose first member has begun to ring."""

    binding: Binding
    team: Phone
    customer: Phone

    def rung(self) -> dict[str, int | None]:
        """Who was called, and the final status of each."""
        called = {number: self.team.called(number) for number in TEAM}
        return {number: final_status(messages) for number, messages in called.items() if messages}


@asynccontextmanager
async def ringing(
    platform: Platform,
    *,
    first: Behaviour = SILENT,
    others: Behaviour = ANSWERS,
    identity: Identity | None = None,
    mute: bool = False,
    **rules: Any,
) -> AsyncIterator[Ringing]:
    binding = await platform.world.allocate(
        mode=Mode.GROUP, members=TEAM, rules=checked({"ring_seconds": RING, **rules})
    )
    phones = {FIRST: first, SECOND: others, THIRD: others}
    dialled = digits_of(binding.vn)
    async with (
        platform.carrier.phone(numbers=phones, mute=mute) as team,
        platform.carrier.calling(dialled, identity or Identity.plain(CUSTOMER), talk_seconds=0.3) as customer,
    ):
        await team.until(lambda team: bool(team.called(FIRST)))
        yield Ringing(binding, team, customer)


async def test_a_member_that_leaves_while_another_rings_is_not_rung(platform: Platform) -> None:
    world = platform.world
    async with ringing(platform) as call:
        change = BindingChange(remove_members=(parse(SECOND),))
        await world.bindings.change(world.mall, call.binding.id, change)
        report = await call.customer.ended()
        [record] = await platform.ended_calls()
        assert call.rung() == {FIRST: 487, THIRD: 200}
    assert report.status == 200
    assert (record["result"], record["direction"], record["to_masked"]) == ("answered", "to_peer", None)
    for member in TEAM:
        assert_hidden(member, report)


async def test_a_release_while_one_rings_ends_the_call_and_no_other_is_rung(platform: Platform) -> None:
    world = platform.world
    async with ringing(platform) as call:
        await world.bindings.release(world.mall, call.binding.id)
        report = await call.customer.ended()
        [record] = await platform.ended_calls()
        assert call.rung() == {FIRST: 487}
    assert_refused(report, Reason.ENDED)
    assert (record["result"], record["cause"], record["direction"]) == ("ended", 22, "none")
    assert (record["binding_id"], record["hangup_by"]) == (call.binding.id, "platform")
    assert record["ringing_at"] is not None
    assert (record["answered_at"], record["billed_seconds"]) == (None, 0)


async def test_where_all_others_leave_the_call_ends_as_it_went(platform: Platform) -> None:
    world = platform.world
    async with ringing(platform) as call:
        await world.bindings.change(world.mall, call.binding.id, BindingChange(members=(parse(FIRST),)))
        report = await call.customer.ended()
        [record] = await platform.ended_calls()
        assert call.rung() == {FIRST: 487}
    assert_refused(report, Reason.NO_ANSWER)
    assert (record["result"], record["direction"], record["cause"]) == ("no_answer", "to_peer", 19)


@pytest.mark.parametrize("shown", [True, False], ids=["the number is shown", "no number is shown"])
@pytest.mark.parametrize("identity", [FROM_ALONE, Identity.plain(CUSTOMER, privacy="id")], ids=["From", "asserted"])
async def test_the_next_is_rung_for_whoever_called(platform: Platform, identity: Identity, shown: bool) -> None:
    """After the first answer the channel names whom the team sees, and no longer the caller."""
    if not shown:
        [voip] = [pool for pool in await platform.world.pools.list() if pool.name == "voip"]
        change = PoolChange(withdraw_proofs=frozenset({Proof.VOICE}))
        await platform.world.pools.change("test", voip.id, change)
    async with ringing(platform, first=BUSY, others=BUSY, identity=identity) as call:
        report = await call.customer.ended()
        [record] = await platform.ended_calls()
        assert call.rung() == dict.fromkeys(TEAM, 486)
        for member in TEAM:
            [invite] = [one for one in call.team.called(member) if one.method == "INVITE" and one.status is None]
            number = digits_of(call.binding.vn) if shown else "anonymous"
            assert f"sip:{number}@" in invite.header("From")
            assert CUSTOMER not in invite.text
    assert_refused(report, Reason.BUSY)
    assert (record["result"], record["hangup_by"], record["direction"]) == ("busy", "callee", "to_peer")


async def test_who_is_recorded_is_told_once_before_the_first_rings(platform: Platform, prompts_dir: Path) -> None:
    notice = {"n": of_wav(prompts_dir / "recording_notice.wav")}
    async with ringing(platform, first=BUSY, others=Behaviour(ring_seconds=0.5), mute=True, record=True) as call:
        report = await call.customer.ended()
        assert call.rung() == {FIRST: 486, SECOND: 200}
    assert report.status == 200
    assert transcript(of_alaw(report.sound), notice) == "n"


async def test_a_bridge_that_is_killed_between_two_members_is_not_missed(quiet_platform: Platform) -> None:
    async with quiet_platform.bridge("b") as other, AsyncExitStack() as stack:
        await other.wait_ready()
        first = await stack.enter_async_context(bridge_process(quiet_platform))
        async with ringing(quiet_platform) as call:
            first.kill()
            await first.wait()
            report = await call.customer.ended()
            [record] = await quiet_platform.ended_calls()
            assert call.rung() == {FIRST: 487, SECOND: 200}
    assert report.status == 200
    assert (record["bridge"], record["result"], record["direction"]) == ("b", "answered", "to_peer")
