"""`vns user`: accounts made, listed, given another password, unlocked."""

from typing import TYPE_CHECKING

from vns.crypto.rules import KeyRing

if TYPE_CHECKING:
    from tests.cli.conftest import Command

MOBILE = ("--mobile", "010-1234-5678")


def test_an_account_from_its_beginning(vns: "Command", keyring: KeyRing) -> None:
    vns("tenant", "create", "shop", "--name", "Shop", "--kind", "mall")
    made = vns("user", "add", "kim", "--tenant", "shop", "--role", "mall_admin", "--name", "Kim", *MOBILE)
    first = made.out.split()[-1]
    assert len(first) == 12
    (row,) = vns("user", "list", "shop").rows()
    assert (row["LOGIN"], row["ROLE"], row["MOBILE"]) == ("kim", "mall_admin", "010-****-5678")
    again = vns("user", "reset", "kim").out.split()[-1]
    assert again != first
    assert "kim" in vns("user", "unlock", "kim").out
    assert "not_found" in vns("user", "unlock", "lee", code=1).err


def test_roles_and_mobiles_that_will_not_do(vns: "Command", keyring: KeyRing) -> None:
    vns("tenant", "create", "shop", "--name", "Shop", "--kind", "mall")
    for role, mobile in (("operator", "010-1234-5678"), ("mall_user", "02-123-4567")):
        arguments = ("--tenant", "shop", "--role", role, "--name", "Kim", "--mobile", mobile)
        assert "invalid_request" in vns("user", "add", "kim", *arguments, code=1).err
