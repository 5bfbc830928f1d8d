"""Managers on a real database: gathered, submitted, decided on, ended; and one code that proves many numbers."""

from uuid import UUID

import asyncpg
import pytest

from tests.core_world import World
from tests.senders.codes import last_code
from tests.senders.managers import (
    ATTORNEY,
    EMPLOYMENT,
    MOBILE,
    NAME,
    OPERATOR,
    SHOWN,
    TENANT,
    approved,
    managers_of,
    submitted,
)
from vns.crypto.rules import KeyRing, version_of
from vns.errors import (
    CallerIdNotProven,
    CodeOver,
    Conflict,
    InvalidDocument,
    InvalidNumber,
    InvalidRequest,
    ManagerNeeded,
    NotFound,
    RateLimited,
    VnsError,
    WrongCode,
)
from vns.messages.senders import Sender, proven
from vns.senders.documents import Documents
from vns.senders.evidence import Paper
from vns.senders.exemption_rules import Route
from vns.senders.exemptions import Exemptions
from vns.senders.manager_rules import ManagerStatus
from vns.senders.managers import Managers
from vns.senders.reencryption import reencrypt_senders_once
from vns.senders.rules import MOST_TRIES, Method, Policy, Proof, Status
from vns.senders.selections import Selections
from vns.senders.service import Senders
from vns.verifications.settings import VerificationSettings

NUMBERS = ["02-1234-5678", "1588-1234", "010-2222-3333"]


def selections_of(world: World, shown: str | None = SHOWN) -> Selections:
    return Selections(world.db, world.keyring, world.clock, VerificationSettings(verification_caller_id=shown))


def senders_of(world: World) -> Senders:
    return Senders(world.db, world.keyring, world.clock)


async def registered(world: World, tenant_id: UUID, numbers: list[str]) -> list[UUID]:
    senders = senders_of(world)
    return [(await senders.register(TENANT, tenant_id, number)).id for number in numbers]


async def may_show(world: World, tenant_id: UUID, digits: str) -> bool:
    asked = Sender(tenant_id, digits)
    async with world.db.connection() as connection:
        return asked in await proven(connection, world.keyring, [asked], world.clock.now())


async def events(world: World, like: str) -> list[tuple[str, str]]:
    async with world.db.connection() as connection:
        rows = await connection.fetch("select event, actor from journal where event like $1 order by id", like)
    return [(row["event"], row["actor"]) for row in rows]


async def test_a_manager_waits_for_an_operator_once_everything_has_come(world: World) -> None:
    managers, mall = managers_of(world), world.mall.tenant_id
    assert await managers.find(mall) is None
    made = await managers.designate(TENANT, mall, NAME, MOBILE)
    assert (made.status, made.name, made.mobile_masked) == (ManagerStatus.DRAFT, NAME, "010-****-5432")
    assert made.missing == ("mobile", "employment", "attorney")
    await managers.send_code(TENANT, mall)
    to, code = await last_code(world.db, world.keyring)
    assert to == "01098765432"
    with pytest.raises(WrongCode):
        await managers.confirm(TENANT, mall, f"{(int(code) + 1) % 10**6:06}")
    assert (await managers.confirm(TENANT, mall, code)).missing == ("employment", "attorney")
    await managers.upload(TENANT, mall, Paper.EMPLOYMENT, ATTORNEY)
    with pytest.raises(Conflict, match="attorney"):
        await managers.submit(TENANT, mall)
    await managers.upload(TENANT, mall, Paper.ATTORNEY, ATTORNEY)
    complete = await managers.upload(TENANT, mall, Paper.EMPLOYMENT, EMPLOYMENT)
    assert [paper.kind for paper in complete.papers] == [Paper.ATTORNEY, Paper.EMPLOYMENT], "the later one counts"
    assert (await managers.review()).items == ()
    waiting = await managers.submit(TENANT, mall)
    assert waiting.status is ManagerStatus.WAITING
    assert (await managers.review()).items == (waiting,)
    documents = Documents(world.db, world.keyring, world.clock)
    assert [(await documents.read(OPERATOR, mall, paper.id))[1] for paper in waiting.papers] == [ATTORNEY, EMPLOYMENT]
    done = await managers.approve(OPERATOR, mall, waiting.id)
    assert (done.status, done.decided_at) == (ManagerStatus.APPROVED, world.clock.now())
    assert (await managers.review()).items == ()
    assert [event for event, _ in await events(world, "sender.manager%")] == [
        "sender.manager_designated",
        "sender.manager_code_sent",
        "sender.manager_mobile_proven",
        "sender.manager_submitted",
        "sender.manager_approved",
    ]


async def test_one_that_is_refused_brings_other_papers(world: World) -> None:
    managers, mall = managers_of(world), world.mall.tenant_id
    waiting = await submitted(world, mall)
    for exchange in (managers.upload(TENANT, mall, Paper.ATTORNEY, ATTORNEY), managers.submit(TENANT, mall)):
        with pytest.raises(Conflict):
            await exchange
    refused = await managers.refuse(OPERATOR, mall, waiting.id, "위임장에 날인이 없습니다")
    assert (refused.status, refused.reason) == (ManagerStatus.REFUSED, "위임장에 날인이 없습니다")
    await managers.upload(TENANT, mall, Paper.ATTORNEY, ATTORNEY)
    again = await managers.submit(TENANT, mall)
    assert (again.status, again.reason) == (ManagerStatus.WAITING, None)
    await managers.approve(OPERATOR, mall, again.id)
    with pytest.raises(Conflict):
        await managers.upload(TENANT, mall, Paper.ATTORNEY, ATTORNEY)


async def test_another_is_designated_only_after_the_former_is_not_or_by_an_operator(world: World) -> None:
    managers, mall = managers_of(world), world.mall.tenant_id
    first = await approved(world, mall)
    with pytest.raises(Conflict):
        await managers.designate(TENANT, mall, "박담당", "010-1111-3333")
    second = await managers.replace(OPERATOR, mall, "박담당", "010-1111-3333")
    assert (second.status, second.name, second.papers) == (ManagerStatus.DRAFT, "박담당", ())
    with pytest.raises(NotFound):
        await managers.approve(OPERATOR, mall, first.id)
    await managers.end(TENANT, mall)
    with pytest.raises(NotFound):
        await managers.end(TENANT, mall)
    async with world.db.connection() as connection:
        rows = await connection.fetch("select status, name, mobile from sender_managers")
        left = await connection.fetchval("select count(*) from sender_documents")
    assert [tuple(row) for row in rows] == [("ended", None, None)] * 2
    assert left == 0
    assert (await managers.designate(TENANT, mall, NAME, MOBILE)).status is ManagerStatus.DRAFT


async def test_what_no_manager_may_be(world: World) -> None:
    managers, mall = managers_of(world), world.mall.tenant_id
    cases: list[tuple[str, str, type[VnsError]]] = [
        ("", MOBILE, InvalidRequest),
        (" ", MOBILE, InvalidRequest),
        ("x" * 101, MOBILE, InvalidRequest),
        ("a\nb", MOBILE, InvalidRequest),
        (NAME, "02-1234-5678", InvalidNumber),
        (NAME, "112", InvalidNumber),
    ]
    for name, mobile, error in cases:
        with pytest.raises(error):
            await managers.designate(TENANT, mall, name, mobile)
    await managers.designate(TENANT, mall, NAME, MOBILE)
    with pytest.raises(InvalidDocument):
        await managers.upload(TENANT, mall, Paper.EMPLOYMENT, b"MZ")
    with pytest.raises(InvalidRequest):
        await managers.upload(TENANT, mall, Paper.SUBSCRIPTION, EMPLOYMENT)
    for decision in (
        managers.approve(OPERATOR, mall, (await managers.get(mall)).id),
        managers.refuse(OPERATOR, mall, (await managers.get(mall)).id, "nobody asked"),
    ):
        with pytest.raises(Conflict):
            await decision


async def test_codes_end_and_none_leaves_without_a_proven_number(world: World) -> None:
    managers, mall = managers_of(world), world.mall.tenant_id
    await managers.designate(TENANT, mall, NAME, MOBILE)
    with pytest.raises(CallerIdNotProven):
        await managers_of(world, None).send_code(TENANT, mall)
    with pytest.raises(CodeOver):
        await managers.confirm(TENANT, mall, "123456")
    await managers.send_code(TENANT, mall)
    _, code = await last_code(world.db, world.keyring)
    world.clock.move(minutes=5)
    assert await managers.code_until(mall) is None
    with pytest.raises(CodeOver):
        await managers.confirm(TENANT, mall, code)
    until = await managers.send_code(TENANT, mall)
    assert await managers.code_until(mall) == until
    _, code = await last_code(world.db, world.keyring)
    for _ in range(MOST_TRIES):
        with pytest.raises(WrongCode):
            await managers.confirm(TENANT, mall, "x")
    with pytest.raises(CodeOver):
        await managers.confirm(TENANT, mall, code)
    await managers.send_code(TENANT, mall)
    _, code = await last_code(world.db, world.keyring)
    with pytest.raises(RateLimited):
        await managers.send_code(TENANT, mall)
    await managers.confirm(TENANT, mall, code)  # what could not be sent has not ended what was
    with pytest.raises(Conflict):
        await managers.send_code(TENANT, mall)


async def test_another_tenants_manager_is_not_there(world: World) -> None:
    managers, other = managers_of(world), (await world.tenant("other")).tenant_id
    made = await submitted(world, world.mall.tenant_id)
    paper = made.papers[0]
    for attempt in (
        managers.get(other),
        managers.send_code(TENANT, other),
        managers.confirm(TENANT, other, "123456"),
        managers.upload(TENANT, other, Paper.ATTORNEY, ATTORNEY),
        managers.submit(TENANT, other),
        managers.end(TENANT, other),
        managers.approve(OPERATOR, other, made.id),
        managers.refuse(OPERATOR, other, made.id, "x"),
        managers.replace(OPERATOR, other, NAME, MOBILE),
        Documents(world.db, world.keyring, world.clock).read(TENANT, other, paper.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await managers.get(world.mall.tenant_id) == made


async def test_one_code_proves_all_that_were_chosen(world: World) -> None:
    selections, senders, mall = selections_of(world), senders_of(world), world.mall.tenant_id
    line, representative, mobile = await registered(world, mall, NUMBERS)
    with pytest.raises(ManagerNeeded):
        await selections.start(TENANT, mall, [line])
    await approved(world, mall)
    selection = await selections.start(TENANT, mall, [line, representative, line])
    assert (selection.numbers, selection.mobile_masked) == (2, "010-****-5432")
    assert await selections.get(mall, selection.id) == selection
    to, code = await last_code(world.db, world.keyring)
    assert to == "01098765432"
    with pytest.raises(WrongCode):
        await selections.confirm(TENANT, mall, selection.id, f"{(int(code) + 1) % 10**6:06}")
    assert await selections.confirm(TENANT, mall, selection.id, code) == 2
    found = {one.id: (one.status, one.method) for one in (await senders.list(mall)).items}
    assert found[line] == found[representative] == (Status.VERIFIED, Method.MANAGER)
    assert found[mobile][0] is Status.WAITING
    assert await may_show(world, mall, "15881234")
    assert not await may_show(world, mall, "01022223333")
    with pytest.raises(NotFound):
        await selections.confirm(TENANT, mall, selection.id, code)
    async with world.db.connection() as connection:
        calls = await connection.fetchval("select count(*) from verification_calls")
    assert calls == 0, "no number is called"
    assert (await events(world, "sender.verified")).count(("sender.verified", TENANT)) == 2


async def test_a_file_is_proven_by_one_code_and_only_with_a_manager(world: World) -> None:
    selections, senders, mall = selections_of(world), senders_of(world), world.mall.tenant_id
    assert not await senders.offers_bulk(mall)
    for attempt in (senders.check(mall, NUMBERS), senders.register_all(TENANT, mall, NUMBERS)):
        with pytest.raises(ManagerNeeded):
            await attempt
    await approved(world, mall)
    assert await senders.offers_bulk(mall)
    assert not any(row.fault for row in await senders.register_all(TENANT, mall, NUMBERS))
    selection = await selections.start(TENANT, mall, None)
    code = (await last_code(world.db, world.keyring))[1]
    assert selection.numbers == await selections.confirm(TENANT, mall, selection.id, code) == len(NUMBERS)
    with pytest.raises(InvalidRequest):
        await selections.start(TENANT, mall, None)
    world.clock.move(days=365)
    assert (await selections.start(TENANT, mall, None)).numbers == len(NUMBERS), "their proofs are over"


async def test_many_at_once_are_offered_where_numbers_need_no_proof_of_each(world: World) -> None:
    senders, mall = senders_of(world), world.mall.tenant_id
    await senders.set_policy(OPERATOR, mall, Policy(proof=Proof.LISTED))
    assert await senders.offers_bulk(mall)
    await senders.set_policy(OPERATOR, mall, Policy())
    await Exemptions(world.db, world.clock).grant(OPERATOR, mall, Route.CARRIER, "file 3")
    assert await senders.offers_bulk(mall)
    world.clock.move(days=366)
    assert not await senders.offers_bulk(mall)


async def test_what_became_of_a_number_meanwhile_stays(world: World) -> None:
    selections, senders, mall = selections_of(world), senders_of(world), world.mall.tenant_id
    removed, refused, left = await registered(world, mall, NUMBERS)
    await approved(world, mall)
    selection = await selections.start(TENANT, mall, [removed, refused, left])
    await senders.remove(TENANT, mall, removed)
    await senders.reject(OPERATOR, mall, refused, "another company's")
    code = (await last_code(world.db, world.keyring))[1]
    assert await selections.confirm(TENANT, mall, selection.id, code) == 1
    assert (await senders.get(mall, refused)).status is Status.FAILED
    with pytest.raises(InvalidRequest):
        await selections.start(TENANT, mall, [refused])


async def test_a_selection_ends_with_its_time_its_tries_and_its_manager(world: World) -> None:
    selections, managers, mall = selections_of(world), managers_of(world), world.mall.tenant_id
    await registered(world, mall, NUMBERS)
    manager = await approved(world, mall)
    late = await selections.start(TENANT, mall, None)
    world.clock.move(minutes=5)
    with pytest.raises(CodeOver):
        await selections.confirm(TENANT, mall, late.id, (await last_code(world.db, world.keyring))[1])
    world.clock.move(minutes=10)
    tried = await selections.start(TENANT, mall, None)
    for _ in range(MOST_TRIES):
        with pytest.raises(WrongCode):
            await selections.confirm(TENANT, mall, tried.id, "x")
    with pytest.raises(CodeOver):
        await selections.confirm(TENANT, mall, tried.id, (await last_code(world.db, world.keyring))[1])
    taken = await selections.start(TENANT, mall, None)
    await managers.refuse(OPERATOR, mall, manager.id, "has left the company")
    with pytest.raises(NotFound):
        await selections.confirm(TENANT, mall, taken.id, (await last_code(world.db, world.keyring))[1])
    with pytest.raises(ManagerNeeded):
        await selections.start(TENANT, mall, None)


async def test_another_tenants_numbers_and_selections_are_not_there(world: World) -> None:
    selections, mall, other = selections_of(world), world.mall.tenant_id, (await world.tenant("other")).tenant_id
    own, theirs = await registered(world, mall, NUMBERS[:1]), await registered(world, other, NUMBERS)
    await approved(world, mall)
    with pytest.raises(NotFound):
        await selections.start(TENANT, mall, [*own, theirs[0]])
    selection = await selections.start(TENANT, mall, own)
    code = (await last_code(world.db, world.keyring))[1]
    with pytest.raises(NotFound):
        await selections.get(other, selection.id)
    with pytest.raises(NotFound):
        await selections.confirm(TENANT, other, selection.id, code)
    assert await selections.confirm(TENANT, mall, selection.id, code) == 1
    assert {one.status for one in (await senders_of(world).list(other)).items} == {Status.WAITING}


@pytest.mark.parametrize(
    "change",
    [
        "status = 'approved', decided_at = now()",
        "status = 'waiting'",
        "status = 'ended'",
        "name = null",
        "status = 'boss'",
        "code_hash = sha256('x')",
    ],
)
async def test_states_that_the_database_refuses(world: World, change: str) -> None:
    await managers_of(world).designate(TENANT, world.mall.tenant_id, NAME, MOBILE)
    async with world.db.connection() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(f"update sender_managers set {change}")  # noqa: S608 - the test's own words


async def test_a_document_is_of_a_number_or_of_a_manager(world: World) -> None:
    await submitted(world, world.mall.tenant_id)
    async with world.db.connection() as connection:
        for change in ("manager_id = null", "kind = 'subscription'", "kind = 'letter'"):
            with pytest.raises(asyncpg.CheckViolationError):
                await connection.execute(f"update sender_documents set {change}")  # noqa: S608 - the test's own words


async def test_a_rotated_key_reaches_a_manager(world: World) -> None:
    made = await submitted(world, world.mall.tenant_id)
    KeyRing.rotate(world.keyring.path)
    ring = KeyRing.load(world.keyring.path)
    assert await reencrypt_senders_once(world.db, ring) == 4
    async with world.db.connection() as connection:
        row = await connection.fetchrow("select name, mobile from sender_managers")
    assert [version_of(blob) for blob in row] == [2, 2]
    assert await Managers(world.db, ring, world.clock).get(world.mall.tenant_id) == made
