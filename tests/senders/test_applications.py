"""Applications for an exemption on a real database: gathered, submitted, decided on, renewed, and erased."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.core_world import World
from tests.senders.exemptions import (
    ADDRESS,
    BUSINESS,
    CORPORATE,
    REGISTRATION,
    REPRESENTATIVE,
    applications_of,
    company,
)
from vns.crypto.rules import KeyRing, version_of
from vns.errors import Conflict, InvalidApplication, InvalidDocument, InvalidRequest, NotFound, QuotaExceeded
from vns.senders.documents import Documents
from vns.senders.exemption_rules import ApplicationStatus, Route, business_number, corporate_number
from vns.senders.exemptions import HOLDS, Exemptions
from vns.senders.reencryption import reencrypt_senders_once
from vns.senders.reminders import remind_of_exemptions
from vns.senders.rules import Method, Policy, Status
from vns.senders.service import Senders

TENANT, OPERATOR = "user:tenant", "user:operator"


async def numbers_of(world: World) -> dict[str | None, tuple[Status, Method | None]]:
    found = (await Senders(world.db, world.keyring, world.clock).list(world.mall.tenant_id)).items
    return {one.number: (one.status, one.method) for one in found}


async def journal(world: World, event: str) -> list[dict[str, Any]]:
    async with world.db.connection() as connection:
        rows = await connection.fetch("select data::text from journal where event = $1 order by id", event)
    return [json.loads(row["data"]) for row in rows]


@pytest.mark.parametrize("text", [BUSINESS, "1248100998", "220-81-62517", "120 81 47521"])
def test_a_business_number_whose_last_digit_fits(text: str) -> None:
    assert business_number(text).isdigit()


@pytest.mark.parametrize("text", ["124-81-00997", "124-81-0099", "12481009980", "", "124-81-0099x"])
def test_what_is_no_business_number(text: str) -> None:
    with pytest.raises(InvalidApplication) as raised:
        business_number(text)
    assert raised.value.field == "business_number"


def test_a_corporate_number_is_checked_where_it_has_a_check_digit() -> None:
    assert corporate_number(CORPORATE) == "1301110006246"
    assert corporate_number("110111-0062437", checks=False) == "1101110062437"
    for text in ("130111-0006247", "130111-000624", "130111-00062461", "x"):
        with pytest.raises(InvalidApplication):
            corporate_number(text)
    assert corporate_number("130111-0006247", checks=False) == "1301110006247"
    with pytest.raises(InvalidApplication):
        corporate_number("130111-000624", checks=False)


async def test_an_approved_one_exempts_for_a_year_and_registers_its_numbers(world: World) -> None:
    applications, mall = applications_of(world), world.mall.tenant_id
    senders = Senders(world.db, world.keyring, world.clock)
    await senders.register(TENANT, mall, "1588-1111")
    drafted = await applications.write(TENANT, mall, company("02-1234-5678", "1588-1111"))
    assert (drafted.status, drafted.route) == (ApplicationStatus.DRAFT, Route.INTEGRATION)
    assert drafted.company is not None
    assert drafted.company.numbers == ("0212345678", "15881111")
    assert (drafted.company.business_number, drafted.company.corporate_number) == ("1248100998", "1301110006246")
    with pytest.raises(Conflict):
        await applications.approve(OPERATOR, mall, drafted.id)
    assert (await applications.review()).items == ()
    waiting = await applications.submit(TENANT, mall)
    assert (await applications.review()).items == (waiting,)
    for act in (applications.write(TENANT, mall, company()), applications.submit(TENANT, mall)):
        with pytest.raises(Conflict):
            await act
    with pytest.raises(InvalidRequest):
        await applications.refuse(OPERATOR, mall, drafted.id, "")
    assert (await applications.refuse(OPERATOR, mall, drafted.id, "no such address")).reason == "no such address"
    assert set((await numbers_of(world)).values()) == {(Status.WAITING, None)}
    await applications.submit(TENANT, mall)
    approved = await applications.approve(OPERATOR, mall, drafted.id)
    assert (approved.status, approved.reason) == (ApplicationStatus.APPROVED, None)
    standing = await applications.standing(mall)
    assert standing.exemption is not None
    assert standing.application == approved
    assert standing.exemption.ends_at == world.clock.now() + HOLDS
    exempt = (Status.VERIFIED, Method.EXEMPT)
    assert await numbers_of(world) == {"0212345678": exempt, "15881111": exempt}
    await senders.register(TENANT, mall, "02-1234-5679")
    assert (await numbers_of(world))["0212345679"] == exempt, "numbers added in the year need no new approval"
    world.clock.move(days=366)
    assert set((await numbers_of(world)).values()) == {(Status.EXPIRED, Method.EXEMPT)}


async def test_it_is_renewed_before_it_ends_and_the_former_is_erased(world: World) -> None:
    applications, mall = applications_of(world), world.mall.tenant_id
    with pytest.raises(NotFound):
        await applications.renew(TENANT, mall)
    first = await applications.write(TENANT, mall, company())
    await applications.submit(TENANT, mall)
    await applications.approve(OPERATOR, mall, first.id)
    world.clock.move(days=340)
    for _ in range(2):
        async with world.db.transaction() as connection:
            await remind_of_exemptions(connection, world.clock.now())
    (reminder,) = await journal(world, "sender.exemption_expiring")
    standing = await applications.standing(mall)
    assert standing.exemption is not None
    assert reminder == {"route": "integration", "expires_at": standing.exemption.ends_at.isoformat()}
    again = await applications.renew(TENANT, mall)
    assert (again.status, again.company) == (ApplicationStatus.DRAFT, first.company)
    assert again.id != first.id
    with pytest.raises(Conflict):
        await applications.renew(TENANT, mall)
    assert (await applications.standing(mall)).exemption == standing.exemption, "it goes on meanwhile"
    await applications.submit(TENANT, mall)
    await applications.approve(OPERATOR, mall, again.id)
    world.clock.move(days=360)
    assert await numbers_of(world) == {"0212345678": (Status.VERIFIED, Method.EXEMPT)}
    async with world.db.connection() as connection:
        rows = await connection.fetch("select status, details from sender_exemption_applications order by id")
    assert [(row["status"], row["details"] is None) for row in rows] == [("ended", True), ("approved", False)]


async def test_a_carrier_brings_its_certificate(world: World) -> None:
    applications, mall = applications_of(world), world.mall.tenant_id
    documents = Documents(world.db, world.keyring, world.clock)
    with pytest.raises(InvalidDocument):
        await applications.upload(TENANT, mall, b"MZ")
    assert (await applications.standing(mall)).application is None
    await applications.write(TENANT, mall, company())
    first = await applications.upload(TENANT, mall, b"%PDF-1.7\nanother\n%%EOF\n")
    assert (first.route, first.company) == (Route.CARRIER, None)
    second = await applications.upload(TENANT, mall, REGISTRATION)
    assert first.certificate is not None
    assert second.certificate is not None
    assert first.id == second.id
    assert (await documents.read(OPERATOR, mall, second.certificate.id))[1] == REGISTRATION
    with pytest.raises(NotFound):
        await documents.read(OPERATOR, mall, first.certificate.id)
    await applications.submit(TENANT, mall)
    await applications.approve(OPERATOR, mall, second.id)
    with pytest.raises(Conflict):
        await applications.renew(TENANT, mall)
    await Exemptions(world.db, world.clock).revoke(OPERATOR, mall)
    standing = await applications.standing(mall)
    assert (standing.exemption, standing.application) == (None, None)
    with pytest.raises(NotFound):
        await documents.read(OPERATOR, mall, second.certificate.id)


async def test_one_that_is_withdrawn_is_erased(world: World) -> None:
    applications, mall = applications_of(world), world.mall.tenant_id
    for act in (applications.withdraw(TENANT, mall), applications.submit(TENANT, mall)):
        with pytest.raises(NotFound):
            await act
    await applications.upload(TENANT, mall, REGISTRATION)
    own = await applications.submit(TENANT, mall)
    await applications.withdraw(TENANT, mall)
    assert (await applications.standing(mall)).application is None
    with pytest.raises(NotFound):
        await applications.approve(OPERATOR, mall, own.id)
    async with world.db.connection() as connection:
        assert await connection.fetchval("select count(*) from sender_documents") == 0


async def test_what_is_wrong_is_told_by_its_field_and_the_quota_counts(world: World) -> None:
    applications, mall = applications_of(world), world.mall.tenant_id
    wrong = {
        "company": company(name=" "),
        "business_number": company(business="124-81-00997"),
        "corporate_number": company(corporate="130111-0006247"),
        "representative": company(representative="x" * 101),
        "address": company(address="a\nb"),
        "numbers": company("02-1234-5678", "112", "02-1234-5678"),
    }
    for field, given in wrong.items():
        with pytest.raises(InvalidApplication) as raised:
            await applications.write(TENANT, mall, given)
        assert raised.value.field == field
        assert "1234" not in raised.value.detail
    assert raised.value.rows == (2, 3)
    sole = await applications.write(TENANT, mall, company(corporate=None))
    assert sole.company is not None
    assert sole.company.corporate_number is None
    senders = Senders(world.db, world.keyring, world.clock)
    await applications.submit(TENANT, mall)
    await senders.set_policy(OPERATOR, mall, Policy(max_numbers=0))
    with pytest.raises(QuotaExceeded):
        await applications.approve(OPERATOR, mall, sole.id)
    assert (await applications.standing(mall)).exemption is None
    await applications.withdraw(TENANT, mall)
    with pytest.raises(QuotaExceeded):
        await applications.write(TENANT, mall, company())


async def test_it_is_its_own_tenant_s_encrypted_and_masked_in_the_journal(world: World) -> None:
    applications, mall = applications_of(world), world.mall.tenant_id
    other = (await world.tenant("other")).tenant_id
    own = await applications.write(TENANT, mall, company())
    await applications.submit(TENANT, mall)
    assert (await applications.standing(other)).application is None
    for tenant_id, application_id in ((other, own.id), (mall, uuid4())):
        with pytest.raises(NotFound):
            await applications.approve(OPERATOR, tenant_id, application_id)
    async with world.db.connection() as connection:
        sealed = await connection.fetchval("select details from sender_exemption_applications")
        told = str(await connection.fetch("select data::text from journal"))
    secrets = (REPRESENTATIVE, ADDRESS, "1301110006246", "1248100998", "0212345678", CORPORATE, BUSINESS)
    assert all(secret.encode() not in sealed for secret in secrets)
    assert all(secret not in told for secret in secrets)
    assert (await journal(world, "sender.exemption_submitted")) == [
        {"route": "integration", "business_number": "124-**-*****", "numbers": 1}
    ]


async def test_a_new_key_reaches_the_details(world: World) -> None:
    applications, mall = applications_of(world), world.mall.tenant_id
    own = await applications.write(TENANT, mall, company())
    KeyRing.rotate(world.keyring.path)
    keyring = KeyRing.load(world.keyring.path)
    assert await reencrypt_senders_once(world.db, keyring) == 1
    async with world.db.connection() as connection:
        assert version_of(await connection.fetchval("select details from sender_exemption_applications")) == 2
    world.keyring = keyring
    assert (await applications_of(world).standing(mall)).application == own
