"""Which endpoint a call to a virtual number is found by, from the number dialled."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.asterisk.spread import DIGITS, found_in_uri, incoming, outgoing

PERMITTED = "permit = 192.0.2.7"
VIRTUAL = st.one_of(
    st.from_regex(r"(050[2-8]|070)[0-9]{7,8}", fullmatch=True), st.from_regex(r"1(5|6|8)[0-9]{6}", fullmatch=True)
)
WRITTEN = st.sampled_from(["{}", "+82{}", "82{}"])
REST = st.sampled_from(["@127.0.0.1", "@127.0.0.1:5060;user=phone", "@sip.example.kr"])


def found(uri: str) -> list[str]:
    return [digit for digit in DIGITS if re.search(found_in_uri(digit), uri)]


@given(VIRTUAL, WRITTEN, REST)
def test_a_virtual_number_is_found_by_its_last_digit_alone(number: str, written: str, rest: str) -> None:
    national = number.removeprefix("0") if written != "{}" else number
    assert found("sip:" + written.format(national) + rest) == [number[-1]]


@pytest.mark.parametrize(
    "uri",
    [
        "sip:01012345678@127.0.0.1",
        "sip:+821012345678@127.0.0.1",
        "sip:0212345678@127.0.0.1",
        "sip:050412345678;npdi@127.0.0.1",
        "sip:0504-1234-5678x@127.0.0.1",
        "sip:s@127.0.0.1",
        "sip:127.0.0.1",
        "tel:+8250412345678",
        "sip:x050412345678@127.0.0.1",
    ],
)
def test_whatever_is_none_is_found_by_its_address(uri: str) -> None:
    assert found(uri) == []


def test_calls_found_by_the_number_are_let_in_from_the_trunk_alone() -> None:
    text = incoming("door", permitted=PERMITTED)
    for digit in DIGITS:
        endpoint = text[text.index(f"[door-{digit}](") :].partition("\n[")[0]
        rules = [line for line in endpoint.splitlines() if line.startswith(("deny", "permit"))]
        assert rules == ["deny = 0.0.0.0/0", "deny = ::/0", PERMITTED]
    assert text.count("type = identify") == text.count("match_request_uri") == len(DIGITS)


def test_where_the_trunk_is_not_known_no_call_is_found_by_its_number() -> None:
    """It would be turned away; Asterisk may find the trunk yet, and then finds its calls by the address."""
    assert incoming("door", permitted="") == ""


def test_every_last_digit_has_where_to_go_out() -> None:
    assert re.findall(r"^\[(.*)\]\(carrier\)$", outgoing("trunk"), re.MULTILINE) == [f"trunk-{n}" for n in DIGITS]
