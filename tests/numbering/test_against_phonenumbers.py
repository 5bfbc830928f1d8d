"""Our plan beside the one of the `phonenumbers` library: where they differ, the reason stands here."""

import re
from collections import Counter
from collections.abc import Iterator

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

#  which numbers                  ours   theirs  why
DIFFERENCES = [
    (
        r"1[568]\d{6}",
        True,
        False,
        "the prefixes are given out as a whole; the library lists the blocks it has heard of",
    ),
    (r"080\d{8}", True, False, "080 with eight digits behind it is in use"),
    (r"030\d{8,9}", True, False, "030 with eight digits behind it, and 0303 and eight more, are in use"),
    (r"060[01]\d{6}|060\d{8}", True, False, "the library knows 060-2 to 060-9, and seven digits, only"),
    (r"1\d\d|1\d{3}", True, False, "the library keeps short numbers in a table of their own"),
    (r"010\d{7}", False, True, "010 always had eight digits behind it; seven are left from 011 and 016 to 019"),
    (r"0(2|[3-6][1-5])1[568]\d{6}", False, True, "a representative number takes no area code"),
    (
        r"0?[3-6][1-5]1\d{2,3}",
        False,
        True,
        "an area's service lines (031-120) are nobody's own number: no party of a binding",
    ),
    (r"012\d{7,8}", False, True, "012 is for machines: no person calls or texts from it"),
    (r"015\d{6,8}", False, True, "015 is for pagers: nobody can be called there"),
    (
        r"08[1-8]\d{8,10}",
        False,
        True,
        "the library takes 08X off as the code of a long-distance carrier; we map no such prefix",
    ),
    (r"[1-8]\d{7,9}|50\d{8,9}", False, True, "the library adds a forgotten leading 0; we refuse to guess"),
]


def known_to_library(digits: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(digits, "KR"))
    except phonenumbers.NumberParseException:
        return False


def known_to_us(digits: str) -> bool:
    try:
        parse(digits)
    except InvalidNumber:
        return False
    return True


@pytest.mark.parametrize("digits", SAMPLES)
def test_the_plans_agree(digits: str) -> None:
    assert known_to_us(digits) == known_to_library(digits)


def heads_in_every_length() -> Iterator[str]:
    """One number for each four leading digits and each length; what begins with 00 or 82 is international."""
    for head in (f"{number:04}" for number in range(10_000)):
        if not head.startswith(("00", "82")):
            yield from (f"{head}234567890"[:length] for length in range(3, 14))


def test_the_plans_differ_only_for_known_reasons() -> None:
    met: Counter[str] = Counter()
    unexplained = []
    for digits in heads_in_every_length():
        verdicts = known_to_us(digits), known_to_library(digits)
        if verdicts[0] == verdicts[1]:
            continue
        reasons = [why for form, *both, why in DIFFERENCES if re.fullmatch(form, digits) and (*both,) == verdicts]
        met.update(reasons)
        if not reasons:
            unexplained.append((digits, *verdicts))
    assert unexplained == []
    assert set(met) == {why for *_, why in DIFFERENCES}, "a reason that explains nothing any more"


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
