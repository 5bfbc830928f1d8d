"""`vns sender`: the registry, from the first number to its removal."""

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.senders.codes import last_code
from tests.senders.exemptions import ADDRESS, BUSINESS, CORPORATE, REGISTRATION, REPRESENTATIVE
from vns.crypto.rules import KeyRing
from vns.storage.database import Database

if TYPE_CHECKING:
    from tests.cli.conftest import Command

SHOP = ("--tenant", "shop")


@pytest.fixture
def shop(vns: "Command") -> "Command":
    vns("tenant", "create", "shop", "--name", "Shop", "--kind", "mall")
    vns("tenant", "create", "other", "--name", "Other", "--kind", "mall")
    return vns


@pytest.mark.usefixtures("keyring")
def test_a_number_from_its_registration_to_its_removal(shop: "Command") -> None:
    made = shop("sender", "register", "02-1234-5678", *SHOP)
    assert (made.field("number"), made.field("status")) == ("02-****-5678", "waiting")
    own = made.field("id")
    assert "caller_id_not_proven" in shop("sender", "verify", own, *SHOP, code=1).err
    assert "code_over" in shop("sender", "confirm", own, "123456", *SHOP, code=1).err
    assert "not_found" in shop("sender", "approve", own, "--tenant", "other", "--proof", "file 7", code=1).err
    assert shop("sender", "approve", own, *SHOP, "--proof", "file 7").field("status") == "verified"
    assert shop("sender", "reject", own, *SHOP, "--reason", "file 7 is another's").field("status") == "failed"
    listed = shop("sender", "list", *SHOP)
    assert own in listed.out
    assert "registered 1 of 30 allowed" in listed.err
    assert own in shop("sender", "remove", own, *SHOP).out
    assert "not_found" in shop("sender", "remove", own, *SHOP, code=1).err
    assert "not_found" in shop("sender", "verify", str(uuid4()), *SHOP, code=1).err


@pytest.mark.usefixtures("keyring")
def test_a_file_is_registered_as_a_whole_or_not_at_all(shop: "Command", tmp_path: Path) -> None:
    file = tmp_path / "numbers.txt"
    file.write_text("02-1234-5678\n02-1234-5678\nabc\n")
    assert "manager_needed" in shop("sender", "bulk", str(file), *SHOP, code=1).err
    shop("sender", "policy", *SHOP, "--proof", "listed")
    refused = shop("sender", "bulk", str(file), *SHOP, code=1)
    assert [tuple(row.values()) for row in refused.rows()] == [("2", "duplicate"), ("3", "malformed")]
    assert "registered 0 of 30" in shop("sender", "list", *SHOP).err
    file.write_text("02-1234-5678\n1588-1111\n")
    assert "2 rows are right" in shop("sender", "bulk", str(file), *SHOP, "--check").out
    assert "registered 2 numbers" in shop("sender", "bulk", str(file), *SHOP).out
    shop("sender", "policy", *SHOP, "--proof", "listed", "--max-numbers", "2")
    assert "quota_exceeded" in shop("sender", "register", "02-1234-9999", *SHOP, code=1).err


@pytest.mark.usefixtures("keyring")
def test_a_certificate_is_uploaded_read_and_decided_on(shop: "Command", tmp_path: Path) -> None:
    own = shop("sender", "register", "02-1234-5678", *SHOP).field("id")
    paper, seen = tmp_path / "paper.pdf", tmp_path / "seen.pdf"
    paper.write_bytes(b"%PDF-1.7\ncertificate\n%%EOF\n")
    made = shop("sender", "upload", own, str(paper), *SHOP).field("document")
    assert own in shop("sender", "review").out
    assert [row["DOCUMENT"] for row in shop("sender", "documents", own, *SHOP).rows()] == [made]
    shop("sender", "document", made, str(seen), *SHOP)
    assert seen.read_bytes() == paper.read_bytes()
    assert "invalid_request" in shop("sender", "document", made, str(seen), *SHOP, code=1).err
    assert "not_found" in shop("sender", "documents", own, "--tenant", "other", code=1).err
    paper.write_bytes(b"MZ")
    assert "invalid_document" in shop("sender", "upload", own, str(paper), *SHOP, code=1).err
    shop("sender", "approve", own, *SHOP, "--proof", f"document {made}")
    assert own not in shop("sender", "review").out


@pytest.mark.usefixtures("keyring")
def test_a_manager_is_designated_and_cannot_be_decided_on_before_everything_has_come(
    shop: "Command", tmp_path: Path
) -> None:
    assert "not_found" in shop("sender", "manager", "show", *SHOP, code=1).err
    made = shop("sender", "manager", "designate", "Kim", "010-9876-5432", *SHOP)
    assert (made.field("mobile"), made.field("missing")) == ("010-****-5432", "mobile, employment, attorney")
    assert "conflict" in shop("sender", "manager", "designate", "Park", "010-9876-5432", *SHOP, code=1).err
    assert "caller_id_not_proven" in shop("sender", "manager", "verify", *SHOP, code=1).err
    assert "code_over" in shop("sender", "manager", "confirm", "123456", *SHOP, code=1).err
    paper = tmp_path / "paper.pdf"
    paper.write_bytes(b"%PDF-1.7\nletter\n%%EOF\n")
    there = shop("sender", "manager", "upload", "attorney", str(paper), *SHOP)
    assert (there.field("missing"), len(there.field("attorney"))) == ("mobile, employment", 36)
    assert "conflict" in shop("sender", "manager", "submit", *SHOP, code=1).err
    assert "conflict" in shop("sender", "manager", "approve", *SHOP, code=1).err
    assert "conflict" in shop("sender", "manager", "refuse", *SHOP, "--reason", "x", code=1).err
    assert made.field("id") not in shop("sender", "manager", "review").out
    assert "manager_needed" in shop("sender", "select", *SHOP, "--all", code=1).err
    assert "invalid_request" in shop("sender", "select", *SHOP, code=1).err
    assert "not_found" in shop("sender", "select-confirm", str(uuid4()), "123456", *SHOP, code=1).err
    assert shop("sender", "manager", "replace", "Park", "010-1111-2222", *SHOP).field("mobile") == "010-****-2222"
    shop("sender", "manager", "end", *SHOP)
    assert "not_found" in shop("sender", "manager", "end", *SHOP, code=1).err


@pytest.mark.usefixtures("keyring")
async def test_a_manager_is_decided_on_and_replaced(
    shop: "Command", db: Database, keyring: KeyRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop("pool", "create", "070", "--service", "070", "--first", "070-8000-0000", "--last", "070-8000-0099")
    shop("pool", "proof", "070", "--sms", "contract 8")
    monkeypatch.setitem(shop._settings, "VNS_VERIFICATION_CALLER_ID", "070-8000-0019")
    own = shop("sender", "manager", "designate", "Kim", "010-9876-5432", *SHOP).field("id")
    shop("sender", "manager", "verify", *SHOP)
    code = (await last_code(db, keyring))[1]
    assert shop("sender", "manager", "confirm", code, *SHOP).field("missing") == "employment, attorney"
    paper = tmp_path / "paper.pdf"
    paper.write_bytes(b"%PDF-1.7\nletter\n%%EOF\n")
    for kind in ("employment", "attorney"):
        shop("sender", "manager", "upload", kind, str(paper), *SHOP)
    assert shop("sender", "manager", "submit", *SHOP).field("status") == "waiting"
    assert [row["MANAGER"] for row in shop("sender", "manager", "review").rows()] == [own]
    refused = shop("sender", "manager", "refuse", *SHOP, "--reason", "unsigned")
    assert (refused.field("status"), refused.field("reason")) == ("refused", "unsigned")
    assert own not in shop("sender", "manager", "review").out
    shop("sender", "manager", "submit", *SHOP)
    assert shop("sender", "manager", "approve", *SHOP).field("status") == "approved"
    assert "not_found" in shop("sender", "manager", "approve", "--tenant", "other", code=1).err
    numbers = tmp_path / "numbers.txt"
    numbers.write_text("02-1234-5678\n1588-1111\n")
    assert "registered 2 numbers" in shop("sender", "bulk", str(numbers), *SHOP).out
    selection = shop("sender", "select", *SHOP, "--all").field("selection")
    code = (await last_code(db, keyring))[1]
    assert "2 numbers are proven" in shop("sender", "select-confirm", selection, code, *SHOP).out
    replaced = shop("sender", "manager", "replace", "Park", "010-1111-2222", *SHOP)
    assert (replaced.field("status"), replaced.field("mobile")) == ("draft", "010-****-2222")
    assert replaced.field("id") != own
    assert "manager_needed" in shop("sender", "bulk", str(numbers), *SHOP, "--check", code=1).err


def test_accounts_come_and_go(shop: "Command") -> None:
    shop("sender", "account-add", "other", *SHOP)
    assert [row["ACCOUNT"] for row in shop("sender", "accounts", *SHOP).rows()] == ["other"]
    shop("sender", "account-remove", "other", *SHOP)
    assert "not_found" in shop("sender", "account-remove", "other", *SHOP, code=1).err


@pytest.mark.usefixtures("keyring")
def test_an_exemption_is_granted_and_taken_back(shop: "Command") -> None:
    shop("sender", "exempt", *SHOP, "--route", "carrier", "--proof", "certificate 9")
    assert shop("sender", "register", "02-1234-5678", *SHOP).field("method") == "exempt"
    shop("sender", "unexempt", *SHOP)
    assert "waiting" in shop("sender", "list", *SHOP).out
    assert "not_found" in shop("sender", "unexempt", *SHOP, code=1).err


@pytest.mark.usefixtures("keyring")
def test_an_exemption_is_applied_for_decided_on_and_renewed(shop: "Command", tmp_path: Path) -> None:
    numbers, paper = tmp_path / "numbers.txt", tmp_path / "registration.pdf"
    numbers.write_text("02-1234-5678\n1588-1111\n")
    paper.write_bytes(REGISTRATION)
    given = ("--company", "Hanbit", "--business-number", BUSINESS, "--corporate-number", CORPORATE)
    company = (*given, "--representative", REPRESENTATIVE, "--address", ADDRESS, "--numbers", str(numbers))
    exemption = ("sender", "exemption")
    assert "not_found" in shop(*exemption, "submit", *SHOP, code=1).err
    wrong = shop(*exemption, "apply", *SHOP, *company, "--business-number", "124-81-00997", code=1)
    assert "invalid_application" in wrong.err
    drafted = shop(*exemption, "apply", *SHOP, *company)
    assert (drafted.field("status"), drafted.field("numbers")) == ("draft", "2")
    assert "conflict" in shop(*exemption, "approve", *SHOP, code=1).err
    assert shop(*exemption, "submit", *SHOP).field("status") == "waiting"
    own = drafted.field("application")
    assert [row["APPLICATION"] for row in shop(*exemption, "review").rows()] == [own]
    assert shop(*exemption, "refuse", *SHOP, "--reason", "no such address").field("reason") == "no such address"
    shop(*exemption, "submit", *SHOP)
    assert shop(*exemption, "approve", *SHOP).field("status") == "approved"
    assert [row["METHOD"] for row in shop("sender", "list", *SHOP).rows()] == ["exempt", "exempt"]
    assert shop(*exemption, "show", *SHOP).field("exempt by") == "integration"
    assert shop(*exemption, "renew", *SHOP).field("status") == "draft"
    carrier = shop(*exemption, "upload", str(paper), *SHOP)
    assert (carrier.field("route"), len(carrier.field("certificate"))) == ("carrier", 36)
    shop("sender", "document", carrier.field("certificate"), str(tmp_path / "seen.pdf"), *SHOP)
    assert (tmp_path / "seen.pdf").read_bytes() == REGISTRATION
    shop(*exemption, "withdraw", *SHOP)
    assert shop(*exemption, "show", *SHOP).field("application") == own
    assert "not_found" in shop(*exemption, "approve", "--tenant", "other", code=1).err
    shop("sender", "unexempt", *SHOP)
    assert "waiting" in shop("sender", "list", *SHOP).out
