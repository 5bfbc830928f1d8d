"""Each mode on a real database: who reaches whom, and what is shown. The rows are those of tests/routing/rows.py."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.core_world import COURIER, CUSTOMER, STRANGER, World
from tests.routing.rows import Row, write
from vns.bindings.rules import Channel, Ring, Status
from vns.numbering.rules import parse
from vns.pools.rules import Mode, PoolChange, Service
from vns.routing.rules import Collect, Connect, Question, Reason, Refuse
from vns.routing.service import Routed

X, Y, SAFE = 7080000000, 7080000001, 50410000000
FIRST, SECOND = "01077770001", "01077770002"
DIGITS_X, DIGITS_Y, DIGITS_SAFE = "07080000000", "07080000001", "050410000000"

PER_SIDE = Row(mode=Mode.PER_SIDE, vn=X, peer_vn=Y, peer=COURIER)
GROUP = Row(mode=Mode.GROUP, vn=X, members=(FIRST, SECOND), ring="all")
EXTENSION = Row(mode=Mode.EXTENSION, vn=SAFE, extension="1234", caller_id="caller")
OUTBOUND = Row(mode=Mode.OUTBOUND, vn=X)


async def asked(
    world: World, dialled: str, caller: str | None, digits: str | None = None, channel: Channel = Channel.VOICE
) -> Routed:
    number = parse(dialled)
    question = Question(
        vn=number.key,
        caller=parse(caller) if caller else None,
        channel=channel,
        at=world.clock.now(),
        dialled=number,
        digits=digits,
    )
    async with world.db.connection() as connection:
        return await world.router.route(connection, question)


def reached(routed: Routed) -> tuple[list[str], str]:
    assert isinstance(routed.decision, Connect), routed.decision
    assert routed.presented is not None
    return [target.digits for target in routed.targets], routed.presented


def reason(routed: Routed) -> Reason:
    assert isinstance(routed.decision, Refuse), routed.decision
    assert routed.targets == ()
    assert routed.presented is None
    return routed.decision.reason


async def test_per_side_each_party_dials_a_number_of_its_own_and_sees_the_other_s(world: World) -> None:
    await write(world, PER_SIDE)
    assert reached(await asked(world, DIGITS_X, COURIER)) == ([CUSTOMER], DIGITS_Y)
    assert reached(await asked(world, DIGITS_Y, CUSTOMER)) == ([COURIER], DIGITS_X)
    assert reason(await asked(world, DIGITS_X, CUSTOMER)) is Reason.NOT_A_PARTY
    assert reason(await asked(world, DIGITS_Y, COURIER)) is Reason.NOT_A_PARTY
    assert reason(await asked(world, DIGITS_X, STRANGER)) is Reason.NOT_A_PARTY
    assert reason(await asked(world, DIGITS_X, None)) is Reason.NOT_A_PARTY


async def test_per_side_texts_are_proven_by_the_pool_of_the_number_shown(world: World) -> None:
    await world.pool("070-9000-0000", "070-9000-0019", Service.VOIP, name="unproven")
    await write(world, replace(PER_SIDE, peer_vn=7090000000))
    assert not (await asked(world, DIGITS_X, COURIER)).sms_sender_proven
    assert (await asked(world, "07090000000", CUSTOMER)).sms_sender_proven


async def test_a_group_rings_its_team_and_each_member_reaches_the_customer(world: World) -> None:
    await write(world, GROUP)
    routed = await asked(world, DIGITS_X, CUSTOMER)
    assert reached(routed) == ([FIRST, SECOND], DIGITS_X)
    assert isinstance(routed.decision, Connect)
    assert routed.decision.ring is Ring.ALL
    assert routed.to_index is None
    for member in (FIRST, SECOND):
        assert reached(await asked(world, DIGITS_X, member)) == ([CUSTOMER], DIGITS_X)
    assert reason(await asked(world, DIGITS_X, STRANGER)) is Reason.NOT_A_PARTY


async def test_a_text_to_a_team_goes_to_its_first_member(world: World) -> None:
    await write(world, GROUP)
    routed = await asked(world, DIGITS_X, CUSTOMER, channel=Channel.SMS)
    assert routed.target is not None
    assert routed.target.digits == FIRST


async def test_a_member_that_left_the_team_hears_that_it_has_ended(world: World) -> None:
    binding_id = await write(world, GROUP)
    async with world.db.connection() as connection:
        await connection.execute(
            "delete from binding_members where binding_id = $1 and party = $2", binding_id, world.keyring.index(SECOND)
        )
    assert reason(await asked(world, DIGITS_X, SECOND)) is Reason.ENDED
    assert reached(await asked(world, DIGITS_X, CUSTOMER)) == ([FIRST], DIGITS_X)


async def test_a_stranger_reaches_an_extension_by_its_digits(world: World) -> None:
    await write(world, EXTENSION)
    routed = await asked(world, DIGITS_SAFE, STRANGER)
    assert isinstance(routed.decision, Collect)
    assert routed.decision.what == "extension"
    assert reached(await asked(world, DIGITS_SAFE, STRANGER, "1234")) == ([CUSTOMER], STRANGER)
    wrong = await asked(world, DIGITS_SAFE, STRANGER, "4321")
    assert reason(wrong) is Reason.NOT_A_PARTY
    assert isinstance(wrong.decision, Refuse)
    assert wrong.decision.again
    assert reason(await asked(world, DIGITS_SAFE, None)) is Reason.NOT_A_PARTY
    assert reason(await asked(world, DIGITS_SAFE, None, "1234")) is Reason.NOT_A_PARTY


async def test_an_extension_that_hides_its_callers_shows_the_number(world: World) -> None:
    await write(world, replace(EXTENSION, caller_id="virtual"))
    assert reached(await asked(world, DIGITS_SAFE, STRANGER, "1234")) == ([CUSTOMER], DIGITS_SAFE)


async def test_an_owner_reaches_its_last_caller_and_nobody_else(world: World) -> None:
    await write(world, replace(EXTENSION, last_caller=STRANGER))
    other = await write(world, replace(EXTENSION, real=COURIER, extension="77"))
    assert reached(await asked(world, DIGITS_SAFE, CUSTOMER)) == ([STRANGER], DIGITS_SAFE)
    assert reason(await asked(world, DIGITS_SAFE, COURIER)) is Reason.UNREACHABLE
    assert reason(await asked(world, DIGITS_SAFE, CUSTOMER, "1234")) is Reason.NOT_ALLOWED
    across = await asked(world, DIGITS_SAFE, CUSTOMER, "77")
    assert reached(across) == ([COURIER], CUSTOMER)
    assert across.decision.binding_id == other


async def test_extensions_that_have_ended(world: World) -> None:
    ended: dict[str, Any] = {"status": Status.RELEASED, "ended": True}
    await write(world, replace(EXTENSION, **ended))
    assert reason(await asked(world, DIGITS_SAFE, STRANGER, "1234")) is Reason.ENDED
    assert isinstance((await asked(world, DIGITS_SAFE, CUSTOMER)).decision, Collect), "a former owner is a stranger"
    await write(world, replace(EXTENSION, extension="99", real=COURIER, rested=True, **ended))
    assert reason(await asked(world, DIGITS_SAFE, STRANGER, "99")) is Reason.NOT_A_PARTY
    world.clock.move(days=8)
    assert reason(await asked(world, DIGITS_SAFE, STRANGER)) is Reason.UNALLOCATED


async def test_a_subscriber_calls_out_and_the_other_side_sees_its_number(world: World) -> None:
    binding_id = await write(world, OUTBOUND)
    routed = await asked(world, "02-1234-5678", CUSTOMER)
    assert reached(routed) == (["0212345678"], DIGITS_X)
    assert (routed.decision.binding_id, routed.vn) == (binding_id, X)
    assert routed.to_index == world.keyring.index("0212345678")
    assert reason(await asked(world, "02-1234-5678", STRANGER)) is Reason.UNALLOCATED
    assert reason(await asked(world, "02-1234-5678", None)) is Reason.UNALLOCATED


async def test_a_subscriber_that_dials_its_number_is_asked_whom_to_call(world: World) -> None:
    await write(world, OUTBOUND)
    routed = await asked(world, DIGITS_X, CUSTOMER)
    assert isinstance(routed.decision, Collect)
    assert routed.decision.what == "number"
    assert reached(await asked(world, DIGITS_X, CUSTOMER, "0212345678")) == (["0212345678"], DIGITS_X)
    assert reason(await asked(world, DIGITS_X, STRANGER)) is Reason.NOT_ALLOWED
    assert reason(await asked(world, DIGITS_X, STRANGER, "0212345678")) is Reason.NOT_ALLOWED


@pytest.mark.parametrize("wanted", ["112", "060-700-1234", "030-1234-5678", "0504-9999-0000", CUSTOMER])
async def test_a_subscriber_calls_real_numbers_only(world: World, wanted: str) -> None:
    await write(world, OUTBOUND)
    assert reason(await asked(world, wanted, CUSTOMER)) is Reason.NOT_ALLOWED
    collected = await asked(world, DIGITS_X, CUSTOMER, parse(wanted).digits)
    assert reason(collected) is Reason.NOT_ALLOWED
    assert isinstance(collected.decision, Refuse)
    assert collected.decision.again


@pytest.mark.parametrize("digits", [DIGITS_Y, "0012125550100", "1", ""])
async def test_nor_a_number_of_ours_nor_a_foreign_one(world: World, digits: str) -> None:
    await write(world, OUTBOUND)
    assert reason(await asked(world, DIGITS_X, CUSTOMER, digits)) is Reason.NOT_ALLOWED


async def test_a_foreign_number_in_the_request_is_not_allowed(world: World) -> None:
    await write(world, OUTBOUND)
    for caller, expected in ((CUSTOMER, Reason.NOT_ALLOWED), (STRANGER, Reason.UNALLOCATED)):
        question = Question(vn=None, caller=parse(caller), channel=Channel.VOICE, at=world.clock.now())
        async with world.db.connection() as connection:
            assert reason(await world.router.route(connection, question)) is expected


async def test_without_proof_nobody_calls_out(world: World) -> None:
    await world.pool("070-9000-0000", "070-9000-0019", Service.VOIP, name="unproven")
    await write(world, replace(OUTBOUND, vn=7090000000))
    assert reason(await asked(world, "0212345678", CUSTOMER)) is Reason.NOT_ALLOWED
    assert reason(await asked(world, "07090000000", CUSTOMER)) is Reason.NOT_ALLOWED


async def test_an_outbound_binding_that_has_ended_connects_nothing(world: World) -> None:
    await write(world, replace(OUTBOUND, ended=True))
    assert reason(await asked(world, "0212345678", CUSTOMER)) is Reason.UNALLOCATED
    assert reason(await asked(world, DIGITS_X, CUSTOMER)) is Reason.ENDED


@pytest.mark.parametrize("proof", [None, "file 7"])
async def test_calls_show_only_what_is_proven(world: World, proof: str | None) -> None:
    """Of the pool that the number shown belongs to, not of the one that was dialled."""
    await world.pool("070-9000-0000", "070-9000-0019", Service.VOIP, name="other", voice_proof=proof)
    await write(world, replace(PER_SIDE, peer_vn=7090000000))
    assert shown(await asked(world, DIGITS_X, COURIER)) == ("07090000000" if proof else None)
    assert shown(await asked(world, "07090000000", CUSTOMER)) == DIGITS_X
    group = replace(GROUP, vn=7090000001, real="01099991111", members=("01088882222",))
    await write(world, group)
    assert shown(await asked(world, "07090000001", "01088882222")) == ("07090000001" if proof else None)
    pair = Row(mode=Mode.BIDIRECTIONAL, vn=7090000002, peer=COURIER)
    await write(world, pair)
    assert shown(await asked(world, "07090000002", COURIER)) == ("07090000002" if proof else None)
    text = await asked(world, "07090000002", COURIER, channel=Channel.SMS)
    assert shown(text) == "07090000002"
    assert not text.sms_sender_proven


async def test_a_proof_is_over_at_its_instant(world: World) -> None:
    voip, end = await world.pools.get("voip"), world.clock.now() + timedelta(minutes=1)
    await world.pools.change("test", voip.id, PoolChange(voice_proof_until=end))
    binding = await world.pair()
    world.clock.time = end - timedelta(microseconds=1)
    assert shown(await world.ask(binding.vn, COURIER)) == DIGITS_X
    world.clock.time = end
    assert shown(await world.ask(binding.vn, COURIER)) is None


def shown(routed: Routed) -> str | None:
    assert isinstance(routed.decision, Connect), routed.decision
    return routed.presented
