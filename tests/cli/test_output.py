"""Columns and values as a terminal shows them."""

from datetime import UTC, datetime

import pytest

from cli.output import fields, table, text
from cli.running import actor


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ("", "-"),
        (0, "0"),
        (datetime(2026, 3, 1, 12, 30, 15, 999, tzinfo=UTC), "2026-03-01T12:30:15Z"),
        (frozenset({"sms", "voice"}), "sms,voice"),
        ((), "-"),
        ("큰 몰", "큰 몰"),
        ("\x1b[2Jgone", "�[2Jgone"),
        ("two\nlines\r", "two�lines�"),
        (("a\x07",), "a�"),
    ],
)
def test_values(value: object, shown: str) -> None:
    assert text(value) == shown


def test_columns_stand_under_their_headings(capsys: pytest.CaptureFixture[str]) -> None:
    table(("NAME", "N"), [("몰", 1), ("abcdef", 22)])
    assert capsys.readouterr().out == "NAME    N\n몰      1\nabcdef  22\n"


def test_fields_stand_under_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    fields([("a", 1), ("long", None)])
    assert capsys.readouterr().out == "a     1\nlong  -\n"


def test_the_actor_has_a_name_even_where_the_account_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert actor().startswith("cli:")

    def nameless() -> str:
        raise KeyError("no such uid")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert actor().startswith("cli:uid-")
