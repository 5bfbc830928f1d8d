"""Tenants and keys on a real PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from vns.access.rules import SCOPES_OF, NewTenant, Scope, Tenant, TenantKind, TenantStatus, new_secret
from vns.access.service import REMEMBERED_FOR, Access
from vns.errors import Forbidden, InvalidRequest, NotFound, Unauthorized
from vns.storage.clock import Clock
from vns.storage.database import Database

ACTOR = "cli:tester"


class SetClock(Clock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def move(self, by: timedelta) -> None:
        self.time += by


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = await Database.open(database_url, size=2)
    yield db
    await db.close()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def access(db: Database, clock: SetClock) -> Access:
    return Access(db, clock)


@pytest.fixture
async def mall(access: Access) -> Tenant:
    return await access.create_tenant(ACTOR, NewTenant(code="mall", name="몰", kind=TenantKind.MALL))


@pytest.fixture
async def courier(access: Access) -> Tenant:
    return await access.create_tenant(ACTOR, NewTenant(code="courier", name="택배", kind=TenantKind.COURIER))


async def events(db: Database) -> list[tuple[str, UUID]]:
    async with db.connection() as connection:
        rows = await connection.fetch("select event, subject, actor from journal order by txid, id")
    assert {row["actor"] for row in rows} <= {ACTOR}
    return [(row["event"], row["subject"]) for row in rows]


async def test_a_tenant_is_created_once(access: Access, clock: SetClock) -> None:
    new = NewTenant(code="mall", name="몰", kind=TenantKind.MALL, max_live_bindings=10, requests_per_second=5)
    tenant = await access.create_tenant(ACTOR, new)
    assert (tenant.code, tenant.status, tenant.max_live_bindings, tenant.requests_per_second) == (
        "mall",
        TenantStatus.ACTIVE,
        10,
        5,
    )
    assert tenant.created_at == clock.now()
    assert await access.get_tenant("mall") == await access.get_tenant(tenant.id) == tenant
    with pytest.raises(InvalidRequest):
        await access.create_tenant(ACTOR, new)
    assert await access.list_tenants() == [tenant]
    with pytest.raises(NotFound):
        await access.get_tenant("other")


async def test_a_key_opens_the_door_as_its_tenant(access: Access, mall: Tenant) -> None:
    issued = await access.issue_key(ACTOR, "mall")
    principal = await access.authenticate(issued.secret)
    assert principal.tenant_id == mall.id
    assert principal.tenant_code == "mall"
    assert principal.tenant_kind is TenantKind.MALL
    assert principal.key_id == issued.key_id
    assert principal.scopes == SCOPES_OF[TenantKind.MALL]
    assert principal.mall_ids == ()


async def test_a_secret_is_nowhere_in_the_database(access: Access, db: Database, mall: Tenant) -> None:
    issued = await access.issue_key(ACTOR, mall.id)
    async with db.connection() as connection:
        stored = await connection.fetchval(
            "select (select string_agg(k::text, '') from api_keys k)"
            "    || (select string_agg(j::text, '') from journal j)"
        )
    assert issued.secret[4:] not in stored
    assert issued.secret[:10] in stored


@pytest.mark.parametrize("secret", ["", "vns_short", new_secret()])
async def test_an_unknown_key(access: Access, secret: str) -> None:
    with pytest.raises(Unauthorized):
        await access.authenticate(secret)


async def test_a_revoked_key_is_refused_at_once_here_and_soon_elsewhere(
    access: Access, db: Database, clock: SetClock, mall: Tenant
) -> None:
    elsewhere = Access(db, clock)
    issued = await access.issue_key(ACTOR, mall.id)
    await access.authenticate(issued.secret)
    await elsewhere.authenticate(issued.secret)
    await access.revoke_key(ACTOR, issued.key_id)
    await access.revoke_key(ACTOR, issued.key_id)
    with pytest.raises(Unauthorized):
        await access.authenticate(issued.secret)
    await elsewhere.authenticate(issued.secret)  # still remembered
    clock.move(REMEMBERED_FOR)
    with pytest.raises(Unauthorized):
        await elsewhere.authenticate(issued.secret)
    assert [event for event, _ in await events(db)].count("key.revoked") == 1


async def test_a_refusal_is_not_remembered(access: Access, mall: Tenant) -> None:
    await access.suspend_tenant(ACTOR, mall.id)
    issued = await access.issue_key(ACTOR, mall.id)
    with pytest.raises(Forbidden):
        await access.authenticate(issued.secret)
    await access.resume_tenant(ACTOR, mall.id)
    assert (await access.authenticate(issued.secret)).tenant_id == mall.id


async def test_a_rotated_key_overlaps_with_the_new_one(access: Access, clock: SetClock, mall: Tenant) -> None:
    old = await access.issue_key(ACTOR, mall.id, frozenset({Scope.BINDINGS_READ}))
    new = await access.rotate_key(ACTOR, old.key_id, overlap_seconds=60)
    assert new.secret != old.secret
    for issued in (old, new):
        assert (await access.authenticate(issued.secret)).scopes == {Scope.BINDINGS_READ}
    clock.move(timedelta(seconds=59))
    await access.authenticate(old.secret)
    clock.move(timedelta(seconds=1))  # the end of the overlap lies within the time a key is remembered for
    with pytest.raises(Unauthorized):
        await access.authenticate(old.secret)
    await access.authenticate(new.secret)
    with pytest.raises(InvalidRequest):
        await access.rotate_key(ACTOR, old.key_id, overlap_seconds=60)


async def test_a_rotation_never_lengthens_a_keys_life(access: Access, clock: SetClock, mall: Tenant) -> None:
    ends = clock.now() + timedelta(seconds=30)
    old = await access.issue_key(ACTOR, mall.id, expires_at=ends)
    await access.rotate_key(ACTOR, old.key_id, overlap_seconds=3600)
    keys = {key.id: key for key in await access.list_keys(mall.id)}
    assert keys[old.key_id].expires_at == ends
    with pytest.raises(InvalidRequest):
        await access.rotate_key(ACTOR, old.key_id, overlap_seconds=-1)


async def test_unknown_keys_and_tenants(access: Access) -> None:
    unknown = UUID(int=1)
    with pytest.raises(NotFound):
        await access.revoke_key(ACTOR, unknown)
    with pytest.raises(NotFound):
        await access.rotate_key(ACTOR, unknown, overlap_seconds=0)
    with pytest.raises(NotFound):
        await access.issue_key(ACTOR, unknown)
    with pytest.raises(NotFound):
        await access.suspend_tenant(ACTOR, "nobody")
    with pytest.raises(NotFound):
        await access.set_quotas(ACTOR, "nobody", max_live_bindings=None, requests_per_second=None)


async def test_a_suspended_tenants_keys_stop(access: Access, mall: Tenant) -> None:
    issued = await access.issue_key(ACTOR, mall.id)
    await access.authenticate(issued.secret)
    assert (await access.suspend_tenant(ACTOR, mall.id)).status is TenantStatus.SUSPENDED
    with pytest.raises(Forbidden):
        await access.authenticate(issued.secret)
    assert (await access.resume_tenant(ACTOR, mall.id)).status is TenantStatus.ACTIVE
    await access.authenticate(issued.secret)


async def test_quotas_travel_with_the_principal(access: Access, mall: Tenant) -> None:
    issued = await access.issue_key(ACTOR, mall.id)
    await access.set_quotas(ACTOR, mall.id, max_live_bindings=7, requests_per_second=3)
    principal = await access.authenticate(issued.secret)
    assert (principal.max_live_bindings, principal.requests_per_second) == (7, 3)
    await access.set_quotas(ACTOR, mall.id, max_live_bindings=None, requests_per_second=None)
    principal = await access.authenticate(issued.secret)
    assert (principal.max_live_bindings, principal.requests_per_second) == (None, None)
    with pytest.raises(InvalidRequest):
        await access.set_quotas(ACTOR, mall.id, max_live_bindings=-1, requests_per_second=None)


async def test_a_courier_knows_the_malls_that_let_it_look(access: Access, mall: Tenant, courier: Tenant) -> None:
    issued = await access.issue_key(ACTOR, courier.id)
    assert (await access.authenticate(issued.secret)).mall_ids == ()
    await access.grant_lookup(ACTOR, courier="courier", mall="mall")
    await access.grant_lookup(ACTOR, courier="courier", mall="mall")
    assert (await access.authenticate(issued.secret)).mall_ids == (mall.id,)
    await access.revoke_lookup(ACTOR, courier="courier", mall="mall")
    assert (await access.authenticate(issued.secret)).mall_ids == ()
    await access.create_tenant(ACTOR, NewTenant(code="another", name="다른 택배", kind=TenantKind.COURIER))
    await access.grant_lookup(ACTOR, courier="another", mall="mall")
    assert (await access.authenticate(issued.secret)).mall_ids == ()
    for looks, owns in (("mall", "courier"), ("mall", "mall"), ("courier", "courier")):
        with pytest.raises(InvalidRequest):
            await access.grant_lookup(ACTOR, courier=looks, mall=owns)


async def test_every_act_is_in_the_journal(access: Access, db: Database, mall: Tenant, courier: Tenant) -> None:
    await access.suspend_tenant(ACTOR, mall.id)
    await access.suspend_tenant(ACTOR, mall.id)  # nothing changes, nothing is written
    await access.resume_tenant(ACTOR, mall.id)
    await access.set_quotas(ACTOR, mall.id, max_live_bindings=1, requests_per_second=None)
    await access.grant_lookup(ACTOR, courier=courier.id, mall=mall.id)
    await access.grant_lookup(ACTOR, courier=courier.id, mall=mall.id)
    await access.revoke_lookup(ACTOR, courier=courier.id, mall=mall.id)
    first = await access.issue_key(ACTOR, mall.id)
    second = await access.rotate_key(ACTOR, first.key_id, overlap_seconds=5)
    await access.revoke_key(ACTOR, second.key_id)
    with pytest.raises(InvalidRequest):
        await access.issue_key(ACTOR, mall.id, frozenset({Scope.POOLS_WRITE}))
    assert await events(db) == [
        ("tenant.created", mall.id),
        ("tenant.created", courier.id),
        ("tenant.suspended", mall.id),
        ("tenant.resumed", mall.id),
        ("tenant.quotas_set", mall.id),
        ("delivery_grant.created", mall.id),
        ("delivery_grant.removed", mall.id),
        ("key.issued", first.key_id),
        ("key.rotated", first.key_id),
        ("key.revoked", second.key_id),
    ]


async def test_memory_of_keys_is_bounded(
    access: Access, db: Database, mall: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vns.access.service._REMEMBERED_KEYS", 2)
    secrets = [(await access.issue_key(ACTOR, mall.id)).secret for _ in range(5)]
    for _ in range(2):
        for secret in secrets:
            assert (await access.authenticate(secret)).tenant_id == mall.id
    assert len(access._remembered) <= 2
