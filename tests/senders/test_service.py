"""The registry on a real database: proofs, their end, quotas, files, and that no text leaves without one."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
import uuid_utils.compat as uuids

from tests.core_world import CUSTOMER, World
from tests.sender_file import SenderFile
from tests.senders.codes import last_code
from vns.errors import (
    CallerIdNotProven,
    CodeOver,
    Conflict,
    InvalidNumber,
    NotFound,
    NumberNotMappable,
    QuotaExceeded,
    RateLimited,
    WrongCode,
)
from vns.messages.records import NewMessage, insert
from vns.messages.rules import Envelope, Kind
from vns.messages.rules import Status as MessageStatus
from vns.numbering.rules import parse
from vns.senders.bulk import Fault, cells_of
from vns.senders.proving import Proving
from vns.senders.rules import MOST_TRIES, Method, Policy, Proof, SenderNumber, Status
from vns.senders.service import Senders
from vns.verifications.service import Verifications
from vns.verifications.settings import VerificationSettings

MOBILE, LANDLINE, ACTOR = "010-7777-8888", "02-1234-5678", "user:test"


@pytest.fixture
async def senders(world: World) -> AsyncIterator[Senders]:
    yield Senders(world.db, world.keyring, world.clock)


def proving(world: World, shown: str | None = "070-8000-0019") -> Proving:
    return Proving(world.db, world.keyring, world.clock, VerificationSettings(verification_caller_id=shown))


async def registered(senders: Senders, world: World, number: str = MOBILE) -> SenderNumber:
    return await senders.register(ACTOR, world.mall.tenant_id, number)


async def text_shown_as(world: World, number: str, tenant_id: UUID) -> NewMessage:
    """What becomes of a text that would show `number`, with every earlier check left out."""
    one, digits = uuids.uuid7(), parse(number).digits
    message = NewMessage(
        id=one,
        tenant_id=tenant_id,
        binding_id=None,
        vn=parse("070-8000-0001").key,
        from_index=None,
        to_index=None,
        from_masked=None,
        to_masked="010-****-2222",
        status=MessageStatus.QUEUED,
        reason=None,
        code=None,
        kind=Kind.SMS,
        envelope=Envelope(to=CUSTOMER, sender=digits, text="hello"),
        fingerprint=one.bytes,
        session="test",
        at=world.clock.now(),
    )
    async with world.db.transaction() as connection:
        (recorded,) = await insert(connection, world.keyring, [message])
    return recorded.message


async def test_a_mobile_is_proven_by_the_code_that_it_was_sent(world: World, senders: Senders) -> None:
    mall = world.mall.tenant_id
    waiting = await registered(senders, world)
    assert (waiting.status, waiting.number, waiting.masked) == (Status.WAITING, "01077778888", "010-****-8888")
    await proving(world).start(ACTOR, mall, waiting.id)
    to, code = await last_code(world.db, world.keyring)
    assert to == "01077778888"
    wrong = f"{(int(code) + 1) % 10**6:06}"
    with pytest.raises(WrongCode):
        await senders.confirm(ACTOR, mall, waiting.id, wrong)
    done = await senders.confirm(ACTOR, mall, waiting.id, code)
    assert (done.status, done.method) == (Status.VERIFIED, Method.SMS)
    with pytest.raises(CodeOver):
        await senders.confirm(ACTOR, mall, waiting.id, code)


async def test_a_line_is_proven_by_the_code_that_a_call_speaks(world: World, senders: Senders) -> None:
    waiting = await registered(senders, world, LANDLINE)
    await proving(world).start(ACTOR, world.mall.tenant_id, waiting.id)
    claim = await Verifications(world.db, world.keyring, world.clock).claim("a")
    assert claim is not None
    assert claim.number == "0212345678"
    done = await senders.confirm(ACTOR, world.mall.tenant_id, waiting.id, claim.code)
    assert (done.status, done.method) == (Status.VERIFIED, Method.CALL)


async def test_codes_end_by_time_and_by_tries_and_are_not_sent_without_end(world: World, senders: Senders) -> None:
    mall, waiting, codes = world.mall.tenant_id, await registered(senders, world), proving(world)
    await codes.start(ACTOR, mall, waiting.id)
    _, code = await last_code(world.db, world.keyring)
    world.clock.move(minutes=5)
    with pytest.raises(CodeOver):
        await senders.confirm(ACTOR, mall, waiting.id, code)
    await codes.start(ACTOR, mall, waiting.id)
    _, code = await last_code(world.db, world.keyring)
    for _ in range(MOST_TRIES):
        with pytest.raises(WrongCode):
            await senders.confirm(ACTOR, mall, waiting.id, "x")
    with pytest.raises(CodeOver):
        await senders.confirm(ACTOR, mall, waiting.id, code)
    await codes.start(ACTOR, mall, waiting.id)
    with pytest.raises(RateLimited):
        await codes.start(ACTOR, mall, waiting.id)


async def test_a_code_stays_good_where_no_other_can_be_sent(world: World, senders: Senders) -> None:
    mall, waiting, codes = world.mall.tenant_id, await registered(senders, world), proving(world)
    for _ in range(3):
        await codes.start(ACTOR, mall, waiting.id)
        _, code = await last_code(world.db, world.keyring)
        with pytest.raises((CallerIdNotProven, RateLimited)):
            await proving(world, None).start(ACTOR, mall, waiting.id)
    with pytest.raises(RateLimited):
        await codes.start(ACTOR, mall, waiting.id)
    assert (await senders.confirm(ACTOR, mall, waiting.id, code)).status is Status.VERIFIED


async def test_without_a_proven_number_no_code_leaves(world: World, senders: Senders) -> None:
    waiting = await registered(senders, world)
    for shown in (None, "0504-1000-0001", "02-999-8888"):
        with pytest.raises(CallerIdNotProven):
            await proving(world, shown).start(ACTOR, world.mall.tenant_id, waiting.id)
    message = await registered(senders, world, "030-1234-5678")
    with pytest.raises(NumberNotMappable):
        await proving(world).start(ACTOR, world.mall.tenant_id, message.id)


async def test_only_what_is_proven_now_is_shown_on_a_text(world: World, senders: Senders) -> None:
    mall, other = world.mall.tenant_id, (await world.tenant("other")).tenant_id
    number = await registered(senders, world, LANDLINE)

    async def outcome(tenant_id: UUID = mall) -> tuple[str, str | None, bool]:
        made = await text_shown_as(world, LANDLINE, tenant_id)
        return made.status.value, made.code, made.envelope is not None

    refused = ("failed", "i", False)
    assert await outcome() == refused  # waiting
    await senders.approve("user:operator", mall, number.id, "certificate 7")
    assert await outcome() == ("queued", None, True)
    assert await outcome(other) == refused  # another tenant's proof is none
    world.clock.move(days=365)
    assert (await senders.get(mall, number.id)).status is Status.EXPIRED
    assert await outcome() == refused
    await senders.approve("user:operator", mall, number.id, "certificate 8")
    assert await outcome() == ("queued", None, True)
    await senders.reject("user:operator", mall, number.id, "the certificate names somebody else")
    assert await outcome() == refused
    await senders.approve("user:operator", mall, number.id, "certificate 9")
    await senders.remove(ACTOR, mall, number.id)
    assert await outcome() == refused


async def test_what_is_another_tenants_is_not_there(world: World, senders: Senders) -> None:
    number, other = await registered(senders, world), (await world.tenant("other")).tenant_id
    for attempt in (
        senders.get(other, number.id),
        senders.confirm(ACTOR, other, number.id, "123456"),
        senders.approve(ACTOR, other, number.id, "x"),
        senders.reject(ACTOR, other, number.id, "x"),
        senders.remove(ACTOR, other, number.id),
        proving(world).start(ACTOR, other, number.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await senders.list(other)).items == ()
    assert (await senders.get(world.mall.tenant_id, number.id)).status is Status.WAITING


async def test_quota_duplicates_and_removal(world: World, senders: Senders) -> None:
    mall = world.mall.tenant_id
    await senders.set_policy(ACTOR, mall, Policy(max_numbers=1))
    first = await registered(senders, world)
    with pytest.raises(Conflict):
        await registered(senders, world, "+82 10 7777 8888")
    with pytest.raises(QuotaExceeded, match="1 sender numbers are allowed"):
        await registered(senders, world, LANDLINE)
    with pytest.raises(InvalidNumber):
        await registered(senders, world, "112")
    await senders.remove(ACTOR, mall, first.id)
    with pytest.raises(NotFound):
        await senders.get(mall, first.id)
    async with world.db.connection() as connection:
        row = await connection.fetchrow("select number, number_index from sender_numbers where id = $1", first.id)
        assert tuple(row) == (None, None)
        told = await connection.fetch("select event, data::text as data from journal where subject = $1", first.id)
    assert [one["event"] for one in told] == ["sender.registered", "sender.removed"]
    assert not any("7777" in one["data"] for one in told)
    assert (await registered(senders, world)).id != first.id


async def test_where_the_policy_lists_numbers_they_count_at_once(world: World, senders: Senders) -> None:
    await senders.set_policy(ACTOR, world.mall.tenant_id, Policy(proof=Proof.LISTED, allow_050=True))
    listed = await registered(senders, world, "0504-9999-0001")
    assert (listed.status, listed.method) == (Status.VERIFIED, Method.LISTED)
    made = await text_shown_as(world, "0504-9999-0001", world.mall.tenant_id)
    assert made.envelope is not None


@pytest.mark.parametrize(
    "change",
    [
        "status = 'verified'",
        "status = 'failed'",
        "status = 'removed'",
        "number = null",
        "status = 'proven'",
        "code_hash = sha256('x')",
    ],
)
async def test_states_that_the_database_refuses(world: World, senders: Senders, change: str) -> None:
    await registered(senders, world)
    async with world.db.connection() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(f"update sender_numbers set {change}")  # noqa: S608 - the test's own words


@pytest.mark.slow
async def test_a_file_of_a_thousand_rows_is_registered_once_it_is_mended(
    world: World, senders: Senders, sender_file: SenderFile
) -> None:
    mall = world.mall.tenant_id
    await senders.set_policy(ACTOR, mall, Policy(max_numbers=2_000, proof=Proof.LISTED))
    cells = cells_of(sender_file.content)
    assert cells == sender_file.texts
    rows = await senders.register_all(ACTOR, mall, cells)
    faults = {row.place - 1: row.fault for row in rows if row.fault}
    assert faults == dict.fromkeys(sender_file.malformed, Fault.MALFORMED) | dict.fromkeys(
        sender_file.doubled, Fault.DUPLICATE
    )
    assert await senders.count(mall) == 0

    for place in faults:
        cells[place] = f"031-{3000 + place}-{place:04}"
    assert not any(row.fault for row in await senders.check(mall, cells))
    assert not any(row.fault for row in await senders.register_all(ACTOR, mall, cells))
    assert await senders.count(mall) == 1_000
    assert {row.fault for row in await senders.check(mall, cells)} == {Fault.REGISTERED}

    more = [f"051-{4000 + place // 10}-{place:04}" for place in range(1_001)]
    over = [row.place for row in await senders.register_all(ACTOR, mall, more) if row.fault is Fault.OVER_QUOTA]
    assert (over, await senders.count(mall)) == ([1_001], 1_000)
