"""Who calls, from headers that a trunk, or a caller behind it, may fill with anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.agi.identity import read_identity

A, B = "01033334444", "01077776666"
ANONYMOUS = "anonymous"


@pytest.mark.parametrize(
    ("asserted", "from_user", "number"),
    [
        pytest.param("", A, A, id="from alone"),
        pytest.param(f"<sip:{B}@x>", A, B, id="asserted goes first"),
        pytest.param(f"sip:{B}@x", "", B, id="bare uri"),
        pytest.param("<tel:+821077776666>", ANONYMOUS, B, id="tel, international"),
        pytest.param("<tel:010-7777-6666;phone-context=+82>", "", B, id="tel, with separators and parameter"),
        pytest.param("<sip:%2B821077776666@x;user=phone>", "", B, id="escaped plus"),
        pytest.param("<sip:+821077776666;npdi;cpc=ordinary@x>", "", B, id="parameters of the user part"),
        pytest.param(f"<sip:{B}@x>, <tel:{A}>", "", B, id="two, the first is a number"),
        pytest.param(f'"{A}" <sip:unknown@x>, <tel:{B}>', "", B, id="two, the second is a number"),
        pytest.param(f'"Kim <sip:{A}@x>" <sip:{B}@x>', "", B, id="a name that looks like an address"),
        pytest.param(f'"Kim \\" <sip:{A}@x>" <sips:{B}@x>', "", B, id="an escaped quote in it"),
        pytest.param("<sip:anonymous@anonymous.invalid>", A, None, id="asserted as withheld"),
        pytest.param("", ANONYMOUS, None, id="withheld"),
        pytest.param("", "unknown", None, id="no user at all, as Asterisk says it"),
        pytest.param("", "+821033334444;npdi", A, id="from, international, with a parameter"),
        pytest.param("", "+12125550100", None, id="foreign"),
        pytest.param("", "", None, id="nothing"),
        pytest.param("garbage", A, None, id="an asserted identity without sense is not looked past"),
    ],
)
def test_the_number(asserted: str, from_user: str, number: str | None) -> None:
    identity = read_identity(asserted, from_user, "")
    assert (identity.number.digits if identity.number else None) == number


@pytest.mark.parametrize(
    ("privacy", "show"),
    [
        ("", True),
        ("none", True),
        ("id", False),
        ("user;id", False),
        ("ID", False),
        ("header", False),
        ("critical", True),
    ],
)
def test_privacy(privacy: str, show: bool) -> None:
    assert read_identity(f"<sip:{A}@x>", "", privacy).show is show


@given(st.text(), st.text(), st.text())
def test_no_header_breaks_the_reading(asserted: str, from_user: str, privacy: str) -> None:
    identity = read_identity(asserted, from_user, privacy)
    assert identity.number is None or identity.number.digits.isdigit()
