"""What keys may do, as tables."""

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest

from vns.access.rules import (
    SCOPES_OF,
    IssuedKey,
    NewTenant,
    Principal,
    Scope,
    Tenant,
    TenantKind,
    TenantStatus,
    allowed_scopes,
    check_tenant,
    hash_of,
    in_place_of,
    looks_like_key,
    new_secret,
)
from vns.errors import Forbidden, InvalidRequest

KEY_ID = UUID(int=7)


def test_a_principal_has_the_scopes_of_its_key_and_no_more() -> None:
    principal = Principal(
        tenant_id=UUID(int=1),
        tenant_code="mall",
        tenant_kind=TenantKind.MALL,
        key_id=KEY_ID,
        scopes=frozenset({Scope.BINDINGS_READ}),
    )
    principal.require(Scope.BINDINGS_READ)
    for scope in set(Scope) - {Scope.BINDINGS_READ}:
        with pytest.raises(Forbidden):
            principal.require(scope)
    assert principal.actor == f"key:{KEY_ID}"


def test_an_operator_acting_for_a_tenant_is_named_in_the_journal() -> None:
    tenant = Tenant(
        id=UUID(int=1),
        code="mall",
        name="몰",
        kind=TenantKind.MALL,
        status=TenantStatus.SUSPENDED,
        max_live_bindings=3,
        requests_per_second=None,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    principal = in_place_of(tenant, "cli:operator")
    assert principal.actor == "cli:operator"
    assert (principal.tenant_id, principal.max_live_bindings) == (tenant.id, 3)
    assert principal.scopes == SCOPES_OF[TenantKind.MALL]


def test_every_kind_and_every_scope_is_used() -> None:
    assert set(SCOPES_OF) == set(TenantKind)
    assert frozenset().union(*SCOPES_OF.values()) == set(Scope)


def test_a_courier_sees_deliveries_and_nothing_else() -> None:
    assert SCOPES_OF[TenantKind.COURIER] == {Scope.DELIVERIES_READ}


@pytest.mark.parametrize("kind", TenantKind)
def test_scopes_are_those_of_the_kind(kind: TenantKind) -> None:
    own = SCOPES_OF[kind]
    assert allowed_scopes(kind, None) == own
    for scope in Scope:
        if scope in own:
            assert allowed_scopes(kind, frozenset({scope})) == {scope}
        else:
            with pytest.raises(InvalidRequest):
                allowed_scopes(kind, own | {scope})
    with pytest.raises(InvalidRequest):
        allowed_scopes(kind, frozenset())


@pytest.mark.parametrize(
    ("code", "name", "bindings", "rate", "good"),
    [
        ("mall-1", "몰", None, None, True),
        ("1", "x", 0, 1, True),
        ("a" * 63, "x", None, None, True),
        ("a" * 64, "x", None, None, False),
        ("", "x", None, None, False),
        ("-a", "x", None, None, False),
        ("Mall", "x", None, None, False),
        ("mall\n", "x", None, None, False),
        ("몰", "x", None, None, False),
        ("01890a5d-ac96-774b-bcce-b302099a8057", "x", None, None, False),
        ("a", "", None, None, False),
        ("a", "x" * 201, None, None, False),
        ("a", "x", -1, None, False),
        ("a", "x", None, 0, False),
        ("a", "x", 2**31, None, False),
    ],
)
def test_what_a_tenant_may_be_called_and_limited_to(
    code: str, name: str, bindings: int | None, rate: int | None, good: bool
) -> None:
    new = NewTenant(code=code, name=name, kind=TenantKind.MALL, max_live_bindings=bindings, requests_per_second=rate)
    if good:
        check_tenant(new)
    else:
        with pytest.raises(InvalidRequest):
            check_tenant(new)


def test_secrets_are_long_different_and_hidden() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        assert re.fullmatch(r"vns_[A-Za-z0-9_-]{43}", secret)
        assert looks_like_key(secret)
        assert len(hash_of(secret)) == 32
        assert secret not in repr(IssuedKey(key_id=KEY_ID, secret=secret))


@pytest.mark.parametrize("text", ["", "vns_", "vns_" + "a" * 42, "vns_" + "a" * 44, "x" * 47, "vns_" + "é" * 43])
def test_what_cannot_be_a_key_is_told_without_the_database(text: str) -> None:
    assert not looks_like_key(text)
