"""Calls through a real Asterisk with sipp on both sides: who is connected, what each sees, what is recorded."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from simulators.phones.carrier import CallReport
from simulators.phones.scenarios import Behaviour, Identity
from tests.core_world import COURIER, CUSTOMER, STRANGER
from tests.e2e.conftest import Platform
from vns.bindings.rules import CallerId
from vns.numbering.rules import digits_of
from vns.pools.rules import Mode, PoolChange, Proof, Service
from vns.rulebook.documents import checked

pytestmark = pytest.mark.asterisk

ANONYMOUS = {'"Anonymous" <sip:anonymous@anonymous.invalid>'}


def spellings(number: str) -> tuple[str, ...]:
    """Ways in which a national number may turn up in a message."""
    return (number, number.removeprefix("0"), f"{number[:3]}-{number[3:7]}-{number[7:]}")


def assert_hidden(number: str, report: CallReport) -> None:
    """No message that this leg received carries the number, in headers or body, requests or responses."""
    assert report.received
    for message in report.received:
        for spelling in spellings(number):
            assert spelling not in message.text, message.text.splitlines()[0]


def showing(number: str, status: int = 200, ring_seconds: float = 0.1) -> Behaviour:
    """A phone whose network tells about it wherever it can."""
    uri = f"<sip:{number}@carrier.example>"
    return Behaviour(
        status=status,
        ring_seconds=ring_seconds,
        contact=number,
        extra=(
            f'P-Asserted-Identity: "Kim" {uri}',
            f"Remote-Party-ID: {uri};party=called;privacy=off",
            f"Server: phone of {number}",
        ),
    )


def shown(report: CallReport, headers: Iterable[str] = ("From", "P-Asserted-Identity")) -> set[str]:
    """The users that the INVITE presented."""
    invite = next(message for message in report.received if message.method == "INVITE")
    return {invite.header(name).partition("sip:")[2].partition("@")[0] for name in headers}


async def test_a_one_way_call_is_connected_and_carries_voice_both_ways(platform: Platform) -> None:
    binding = await platform.world.allocate()
    async with platform.carrier.phone() as customer:
        async with platform.carrier.calling(digits_of(binding.vn), Identity.plain(COURIER), talk_seconds=1) as courier:
            caller = await courier.ended()
        callee = await customer.hung_up()
    assert caller.status == 200
    assert callee.received[0].uri.startswith(f"sip:{CUSTOMER}@")
    assert caller.heard_from(callee) > 10
    assert callee.heard_from(caller) > 10
    [call] = await platform.ended_calls()
    assert (call["result"], call["hangup_by"], call["cause"]) == ("answered", "caller", 16)
    assert (call["binding_id"], call["vn"], call["direction"]) == (binding.id, binding.vn, "to_real")
    assert (call["from_masked"], call["to_masked"]) == ("010-****-4444", "010-****-2222")
    assert call["ringing_at"] <= call["answered_at"] < call["ended_at"]
    assert call["billed_seconds"] in {1, 2}


@pytest.mark.parametrize(
    ("caller_id", "privacy", "presented"),
    [
        pytest.param(CallerId.CALLER, None, COURIER, id="the caller's own number"),
        pytest.param(CallerId.VIRTUAL, None, "050410000000", id="the virtual number, as the binding asks"),
        pytest.param(CallerId.CALLER, "id", "050410000000", id="the virtual number, as the caller asks for privacy"),
    ],
)
async def test_what_a_one_way_target_sees(
    platform: Platform, caller_id: CallerId, privacy: str | None, presented: str
) -> None:
    binding = await platform.world.allocate(caller_id=caller_id)
    identity = Identity.plain(COURIER, privacy=privacy)
    async with platform.carrier.phone(showing(CUSTOMER)) as customer:
        caller = await platform.carrier.call(digits_of(binding.vn), identity, talk_seconds=0.2)
        callee = await customer.hung_up()
    assert caller.status == 200
    assert shown(callee) == {presented}
    assert_hidden(CUSTOMER, caller)
    if presented != COURIER:
        assert_hidden(COURIER, callee)


@pytest.mark.parametrize(("caller", "target"), [(CUSTOMER, COURIER), (COURIER, CUSTOMER)])
async def test_a_pair_reaches_one_another_and_sees_only_the_virtual_number(
    platform: Platform, caller: str, target: str
) -> None:
    binding = await platform.world.pair()
    async with platform.carrier.phone(showing(target)) as phone:
        calling = await platform.carrier.call(digits_of(binding.vn), Identity.plain(caller), talk_seconds=0.5)
        called = await phone.hung_up()
    assert calling.status == 200
    assert called.received[0].uri.startswith(f"sip:{target}@")
    assert shown(called) == {"07080000000"}
    assert_hidden(target, calling)
    assert_hidden(caller, called)
    assert calling.heard_from(called) > 0
    assert called.heard_from(calling) > 0
    [call] = await platform.ended_calls()
    assert call["direction"] == ("to_peer" if target == COURIER else "to_real")


async def unproven(platform: Platform) -> None:
    """The 070 numbers lose their proof for calls; that of the 050 ones stays."""
    pools = platform.world.pools
    withdrawn = PoolChange(withdraw_proofs=frozenset({Proof.VOICE}))
    await pools.change("test", (await pools.get("voip")).id, withdrawn)


@pytest.mark.parametrize("rules", [{}, {"ring_seconds": 20}], ids=["plain", "under limits"])
@pytest.mark.parametrize(("caller", "target"), [(CUSTOMER, COURIER), (COURIER, CUSTOMER)])
async def test_a_number_without_a_proof_is_shown_to_nobody(
    platform: Platform, caller: str, target: str, rules: dict[str, Any]
) -> None:
    await unproven(platform)
    binding = await platform.world.pair(rules=checked(rules))
    number = digits_of(binding.vn)
    async with platform.carrier.phone(showing(target)) as phone:
        calling = await platform.carrier.call(number, Identity.plain(caller), talk_seconds=0.5)
        called = await phone.hung_up()
    assert calling.status == 200
    assert called.received[0].uri.startswith(f"sip:{target}@")
    assert_anonymous(called)
    for hidden in (caller, number):
        assert_hidden(hidden, called)
    assert_hidden(target, calling)
    assert calling.heard_from(called) > 0


@pytest.mark.parametrize(
    ("caller_id", "privacy", "presented"),
    [
        pytest.param(CallerId.CALLER, None, COURIER, id="the caller's own number needs no proof"),
        pytest.param(CallerId.VIRTUAL, None, None, id="no number, as the binding hides the caller"),
        pytest.param(CallerId.CALLER, "id", None, id="no number, as the caller asks for privacy"),
    ],
)
async def test_what_a_one_way_target_sees_of_a_number_without_a_proof(
    platform: Platform, caller_id: CallerId, privacy: str | None, presented: str | None
) -> None:
    await unproven(platform)
    binding = await platform.world.allocate(caller_id=caller_id, service=Service.VOIP)
    async with platform.carrier.phone(showing(CUSTOMER)) as customer:
        caller = await platform.carrier.call(
            digits_of(binding.vn), Identity.plain(COURIER, privacy=privacy), talk_seconds=0.2
        )
        callee = await customer.hung_up()
    assert caller.status == 200
    if presented is None:
        assert_anonymous(callee)
        assert_hidden(COURIER, callee)
        assert_hidden(digits_of(binding.vn), callee)
    else:
        assert shown(callee) == {presented}


async def test_nobody_calls_out_with_a_number_without_a_proof(platform: Platform) -> None:
    binding = await platform.world.allocate(mode=Mode.OUTBOUND, service=Service.VOIP)
    async with platform.carrier.phone() as phone:
        for expected in (200, 403):
            caller = await platform.carrier.call(STRANGER, Identity.plain(CUSTOMER), talk_seconds=0.2)
            assert caller.status == expected
            if expected == 200:
                assert shown(await phone.hung_up()) == {digits_of(binding.vn)}
                await unproven(platform)


def assert_anonymous(report: CallReport) -> None:
    """The INVITE names nobody as the caller."""
    invite = next(message for message in report.received if message.method == "INVITE")
    assert invite.header("From").partition(";tag=")[0] in ANONYMOUS, invite.header("From")
    assert invite.header("P-Asserted-Identity") == ""
    assert invite.header("Remote-Party-ID") == ""


@pytest.mark.parametrize(
    "identity",
    [
        pytest.param(
            Identity(from_header="<sip:anonymous@anonymous.invalid>", asserted="<tel:+821033334444>"),
            id="tel URI in international form, From withheld",
        ),
        pytest.param(
            Identity(
                from_header=f"<sip:{CUSTOMER}@carrier.example>",
                asserted='"Lee, ""J"" <sip:01099998888@x>" <sip:+821033334444;cpc=ordinary@carrier.example;user=phone>',
            ),
            id="asserted over From, with parameters and a misleading name",
        ),
        pytest.param(
            Identity(
                from_header=f"<sip:{CUSTOMER}@carrier.example>", asserted=f"<sip:{COURIER}@10.0.0.1:5070;user=phone>"
            ),
            id="asserted over From, as most carriers write it",
        ),
        pytest.param(
            Identity(
                from_header=f"<sip:{CUSTOMER}@carrier.example>",
                asserted=f"<sip:{COURIER}@carrier.example>",
                extra=(f"P-Asserted-Identity: <tel:{CUSTOMER}>",),
            ),
            id="two asserted, each with a header",
        ),
        pytest.param(Identity(from_header=f"<sip:{COURIER}@carrier.example>"), id="From alone"),
        pytest.param(Identity(from_header="<sip:%2B821033334444;npdi@carrier.example>"), id="From, with a parameter"),
        pytest.param(Identity(from_header="<tel:+821033334444>"), id="From, a tel URI"),
        pytest.param(
            Identity(
                from_header=f"<sip:{COURIER}@carrier.example>",
                extra=("Remote-Party-ID: <sip:01099998888@carrier.example>;party=calling",),
            ),
            id="From, and a header that nobody vouches for",
        ),
    ],
)
async def test_the_caller_is_read_from_what_the_trunk_says(platform: Platform, identity: Identity) -> None:
    binding = await platform.world.pair()
    async with platform.carrier.phone() as customer:
        caller = await platform.carrier.call(digits_of(binding.vn), identity, talk_seconds=0.2)
        callee = await customer.hung_up()
    assert caller.status == 200
    assert callee.received[0].uri.startswith(f"sip:{CUSTOMER}@")


async def test_a_forwarded_call_does_not_tell_from_where(platform: Platform) -> None:
    binding = await platform.world.pair()
    forwarded = Identity(
        from_header=f"<sip:{COURIER}@carrier.example>",
        extra=(
            "Diversion: <sip:01077776666@carrier.example>;reason=unconditional",
            "History-Info: <sip:01077776666@carrier.example>;index=1",
        ),
    )
    async with platform.carrier.phone() as customer:
        await platform.carrier.call(digits_of(binding.vn), forwarded, talk_seconds=0.2)
        callee = await customer.hung_up()
    assert_hidden("01077776666", callee)
    assert_hidden(COURIER, callee)


@pytest.mark.parametrize("binding", ["one_way", "pair"])
async def test_what_the_targets_network_tells_in_the_middle_of_a_call(platform: Platform, binding: str) -> None:
    """Connected-line updates by re-INVITE and UPDATE stay on the leg that they came from."""
    world = platform.world
    vn = (await (world.pair() if binding == "pair" else world.allocate())).vn
    talkative = replace(showing(CUSTOMER), reinvites=True)
    async with (
        platform.carrier.phone(talkative) as customer,
        platform.carrier.calling(digits_of(vn), Identity.plain(COURIER), talk_seconds=1) as courier,
    ):
        caller, callee = await courier.ended(), await customer.hung_up()
    changed = [m.status for m in callee.received if m.method in {"INVITE", "UPDATE"} and m.status == 200]
    assert changed == [200, 200]
    assert caller.status == 200
    assert_hidden(CUSTOMER, caller)
    if binding == "pair":
        assert_hidden(COURIER, callee)


@pytest.mark.parametrize("binding", ["one_way", "pair"])
@pytest.mark.parametrize("privacy", [None, "none"], ids=["read by Asterisk", "read by the question"])
async def test_what_the_callers_network_tells_in_the_middle_of_a_call(
    platform: Platform, binding: str, privacy: str | None
) -> None:
    world = platform.world
    vn = (await (world.pair() if binding == "pair" else world.allocate())).vn
    talkative = replace(Identity.plain(COURIER, privacy=privacy), asserted_later=f"<sip:{STRANGER}@carrier.example>")
    async with platform.carrier.phone() as customer:
        caller = await platform.carrier.call(digits_of(vn), talkative, talk_seconds=1)
        callee = await customer.hung_up()
    answered = [message.header("CSeq") for message in caller.received if message.status == 200]
    assert answered[:2] == ["1 INVITE", "2 INVITE"]
    assert_hidden(STRANGER, callee)


async def test_the_target_hangs_up(platform: Platform) -> None:
    binding = await platform.world.allocate()
    async with platform.carrier.phone(Behaviour(hang_up_after=0.3)) as customer:
        caller = await platform.carrier.call(digits_of(binding.vn), Identity.plain(COURIER), talk_seconds=30)
        await customer.hung_up()
    assert any(message.method == "BYE" and message.status is None for message in caller.received)
    [call] = await platform.ended_calls()
    assert (call["result"], call["hangup_by"]) == ("answered", "callee")


async def test_the_caller_gives_up_before_anybody_answers(platform: Platform) -> None:
    binding = await platform.world.allocate()
    async with platform.carrier.phone(Behaviour(status=None)) as customer:
        caller = await platform.carrier.call(digits_of(binding.vn), Identity.plain(COURIER), give_up_after=0.5)
        callee = await customer.hung_up()
    assert (caller.status, callee.status) == (487, 487)
    [call] = await platform.ended_calls()
    assert (call["result"], call["hangup_by"], call["billed_seconds"]) == ("cancelled", "caller", 0)
    assert call["answered_at"] is None


async def test_a_target_that_forwards_is_not_followed(platform: Platform) -> None:
    """It might lead anywhere: out of the binding, or round in circles."""
    binding = await platform.world.allocate()
    moved = Behaviour(status=302, ring_seconds=0.1, extra=("Contact: <sip:01077776666@127.0.0.1>",))
    async with platform.carrier.phone(moved) as customer:
        caller = await platform.carrier.call(digits_of(binding.vn), Identity.plain(COURIER))
        callee = await customer.hung_up()
    assert caller.status == 486
    assert [m.method for m in callee.received].count("INVITE") == 1
    assert_hidden("01077776666", caller)
