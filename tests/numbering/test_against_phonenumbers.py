"""Our plan beside the one of the `phonenumbers` library: where they differ, the reason stands here."""

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat

from vns.errors import InvalidNumber
from vns.numbering.rules import parse

SAMPLES = [
    "01012345678", "0112345678", "0162345678", "0172345678", "0182345678", "01923456789",
    "023456789", "0223456789", "0312345678", "03223456789", "0332345678", "0412345678", "0422345678",
    "0432345678", "0442345678", "0512345678", "0522345678", "0532345678", "0542345678", "0552345678",
    "0612345678", "0622345678", "0632345678", "0642345678", "07012345678", "050412345678", "05041234567",
    "0802345678", "0602345678", "0302345678", "15221234", "15331234", "15441234", "15661234", "15771234",
    "15881234", "15991234", "16001234", "16441234", "16601234", "16611234", "16661234", "16681234",
    "16701234", "16881234", "18001234", "18331234", "18551234", "18771234", "18991234",
    "023", "0212", "034123456", "09012345678", "12345678", "020234567",
]  # fmt: skip

#  digits          ours   theirs  why
DIFFERENCES = [
    ("15511234", True, False, "15xx is given out as a whole; the library lists the blocks it has heard of"),
    ("18111234", True, False, "18xx likewise, and 1811 is in the lists of carriers"),
    ("08012345678", True, False, "080 with eight digits behind it is in use"),
    ("03012345678", True, False, "030 with eight digits behind it is in use"),
    ("030312345678", True, False, "0303 and eight digits too"),
    ("0101234567", False, True, "010 always had eight digits behind it; seven are left from 011 and 016-019"),
    ("0215881234", False, True, "a representative number takes no area code"),
    ("0601234567", True, False, "the library wants 060-2 and above; carriers give out 060-1 too"),
    ("112", True, False, "the library keeps short numbers in a table of their own"),
    ("1335", True, False, "likewise"),
    ("01512345678", False, True, "pagers: nobody can be called there"),
]


def known_to_library(digits: str) -> bool:
    return phonenumbers.is_valid_number(phonenumbers.parse(digits, "KR"))


def known_to_us(digits: str) -> bool:
    try:
        parse(digits)
    except InvalidNumber:
        return False
    return True


@pytest.mark.parametrize("digits", SAMPLES)
def test_the_plans_agree(digits: str) -> None:
    assert known_to_us(digits) == known_to_library(digits)


@pytest.mark.parametrize(("digits", "ours", "theirs", "why"), DIFFERENCES)
def test_the_plans_differ_for_a_reason(digits: str, ours: bool, theirs: bool, why: str) -> None:
    assert (known_to_us(digits), known_to_library(digits)) == (ours, theirs), why


@pytest.mark.parametrize("digits", [sample for sample in SAMPLES if known_to_us(sample)])
def test_hyphens_agree_except_in_safe_numbers(digits: str) -> None:
    theirs = phonenumbers.format_number(phonenumbers.parse(digits, "KR"), PhoneNumberFormat.NATIONAL)
    if digits.startswith("050"):
        assert theirs != parse(digits).hyphenated  # 050-41234-5678, which nobody writes
    else:
        assert parse(digits).hyphenated == theirs


@pytest.mark.parametrize("digits", [sample for sample in SAMPLES if known_to_us(sample)])
def test_the_international_form_is_read_as_the_library_writes_it(digits: str) -> None:
    for style in (PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL):
        abroad = phonenumbers.format_number(phonenumbers.parse(digits, "KR"), style)
        assert parse(abroad).digits == digits
