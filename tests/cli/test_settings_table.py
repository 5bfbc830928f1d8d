"""docs/settings.md says what the code reads."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.settings_table import PARTS, markdown

if TYPE_CHECKING:
    from tests.cli.conftest import Command

ROOT = Path(__file__).resolve().parents[2]


def test_the_document_is_current() -> None:
    written = (ROOT / "docs" / "settings.md").read_text()
    assert written == markdown(), "run `vns settings > docs/settings.md`"


def test_the_command_prints_the_document_whatever_is_set(vns: "Command") -> None:
    elsewhere = type(vns)({"VNS_HTTP_PORT": "1234", "VNS_SMPP_URL": "smpp://a:b@192.0.2.1:1"})
    assert elsewhere("settings").out == markdown()


def test_every_setting_is_described_and_no_place_of_this_machine_is_named() -> None:
    rows = [line for line in markdown().splitlines() if line.startswith("| `")]
    assert len(rows) > 20
    for row in rows:
        variable, default, meaning = (cell.strip() for cell in row.strip("|").split(" | "))
        assert variable.startswith("`VNS_")
        assert meaning, f"{variable} has no description"
        assert not default.startswith(f"`{ROOT}")


@pytest.mark.parametrize("part", PARTS)
def test_every_settings_class_of_the_tree_is_in_the_table(part: str) -> None:
    assert (ROOT / Path(*part.split("."))).with_suffix(".py").exists()


def test_no_part_is_forgotten() -> None:
    packages = ("vns", "hooks", "ivr", "sms_relay", "api", "cli", "local", "simulators")
    found = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for package in packages
        for file in (ROOT / package).rglob("*.py")
        if "(BaseSettings)" in file.read_text()
    }
    assert found == set(PARTS)
