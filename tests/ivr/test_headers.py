"""Of which calls Asterisk reads the caller as the platform does, and of which the question reads the headers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.agi.identity import read_identity
from ivr.asterisk.headers import READ, identifications

ASSERTED = re.compile(READ["P-Asserted-Identity"])


@pytest.mark.parametrize(
    "asserted",
    [
        "<sip:01012345678@carrier.example>",
        "<sip:+821012345678@10.0.0.1:5060>",
        "<sip:01012345678@carrier.example;user=phone>",
        "<sip:0@x>",
    ],
)
def test_what_asterisk_reads(asserted: str) -> None:
    assert ASSERTED.search(asserted) is None


@pytest.mark.parametrize(
    "asserted",
    [
        "",
        "<sip:01012345678@carrier.example",
        "sip:01012345678@carrier.example",
        '"Kim" <sip:01012345678@carrier.example>',
        "<tel:+821012345678>",
        "<sips:01012345678@carrier.example>",
        "<sip:anonymous@anonymous.invalid>",
        "<sip:@carrier.example>",
        "<sip:carrier.example>",
        "<sip:01012345678@>",
        "<sip:01012345678;npdi@carrier.example>",
        "<sip:010-1234-5678@carrier.example>",
        "<sip:%2B821012345678@carrier.example>",
        "<sip:01012345678@carrier.example>, <tel:01087654321>",
        "<sip:01012345678@carrier.example>;party=calling",
        "<sip:01012345678@carrier.example%20>",
        "<sip:01012345678@a@b>",
        "garbage",
    ],
)
def test_what_the_question_reads(asserted: str) -> None:
    assert ASSERTED.search(asserted) is not None


_PIECES = st.sampled_from(
    ["<sip:", "<tel:", "sip:", "+", "01012345678", "8210", "@", "x.example", ";", ",", ">", '"', " "]
)


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=9).map("".join)))
def test_where_asterisk_reads_both_read_the_same(asserted: str) -> None:
    """Asterisk takes the user part of the first URI."""
    if ASSERTED.search(asserted) is None:
        user = asserted.removeprefix("<sip:").partition("@")[0]
        assert re.fullmatch("[+]?[0-9]+", user, re.ASCII)
        assert read_identity(asserted, "anonymous", "") == read_identity("", user, "")


@pytest.mark.parametrize("name", ["Privacy", "Remote-Party-ID"])
def test_whatever_these_say_the_question_reads(name: str) -> None:
    assert re.search(READ[name], "none")


def test_no_expression_is_cut_short_by_a_comment() -> None:
    text = identifications("somewhere")
    assert text.count("match_header = ") == text.count("endpoint = somewhere") == len(READ)
    assert not re.search(r"(?<!\\);", text)
    for line in text.splitlines():
        if "match_header" in line:
            assert line.endswith("/")


FROM = re.compile(READ["From"])


@pytest.mark.parametrize("caller", ["1%0d%0aUniqueid%3a%20x", "%0A", "1%1f", "1%7F"])
def test_line_ends_in_from_are_found(caller: str) -> None:
    """As Asterisk writes the header out: whatever is no plain character is escaped."""
    assert FROM.search(f'"Kim" <sip:{caller}@carrier.example>;tag=1') is not None


@pytest.mark.parametrize("caller", ["01012345678", "+821012345678;npdi", "anonymous", "%23", "%2B82", "%ed%99%8d"])
def test_any_other_from_is_as_plain_as_ever(caller: str) -> None:
    assert FROM.search(f"<sip:{caller}@carrier.example>;tag=1") is None
