"""What people and trunks write, and what the platform makes of it."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vns.errors import InvalidNumber, NumberNotMappable
from vns.numbering.plan import RANGES, NumberKind
from vns.numbering.rules import (
    PhoneNumber,
    caller_from_sip,
    digits_of,
    hyphenate,
    key_of,
    mappable,
    mask,
    parse,
)

DAY = date(2026, 1, 1)

K = NumberKind

#  typed                        digits          kind              shown to all
ACCEPTED = [
    ("01012345678", "01012345678", K.MOBILE, "010-****-5678"),
    ("010-1234-5678", "01012345678", K.MOBILE, "010-****-5678"),
    ("010.1234.5678", "01012345678", K.MOBILE, "010-****-5678"),
    (" 010 1234 5678\n", "01012345678", K.MOBILE, "010-****-5678"),
    ("(010)1234-5678", "01012345678", K.MOBILE, "010-****-5678"),
    ("０１０－１２３４－５６７８", "01012345678", K.MOBILE, "010-****-5678"),
    ("010–1234—5678", "01012345678", K.MOBILE, "010-****-5678"),
    ("\u202a010-1234-5678\u202c", "01012345678", K.MOBILE, "010-****-5678"),
    ("+82 10-1234-5678", "01012345678", K.MOBILE, "010-****-5678"),
    ("+82 (0)10-1234-5678", "01012345678", K.MOBILE, "010-****-5678"),
    ("+82-010-1234-5678", "01012345678", K.MOBILE, "010-****-5678"),
    ("＋８２１０１２３４５６７８", "01012345678", K.MOBILE, "010-****-5678"),
    ("821012345678", "01012345678", K.MOBILE, "010-****-5678"),
    ("82 010 1234 5678", "01012345678", K.MOBILE, "010-****-5678"),
    ("0082 10 1234 5678", "01012345678", K.MOBILE, "010-****-5678"),
    ("0082 (0)10 1234 5678", "01012345678", K.MOBILE, "010-****-5678"),
    ("011-234-5678", "0112345678", K.MOBILE, "011-***-5678"),
    ("+82 11-234-5678", "0112345678", K.MOBILE, "011-***-5678"),
    ("019-1234-5678", "01912345678", K.MOBILE, "019-****-5678"),
    ("02-345-6789", "023456789", K.SEOUL, "02-***-6789"),
    ("02-1234-5678", "0212345678", K.SEOUL, "02-****-5678"),
    ("+82 2 345 6789", "023456789", K.SEOUL, "02-***-6789"),
    ("031-234-5678", "0312345678", K.AREA, "031-***-5678"),
    ("064 7234 5678", "06472345678", K.AREA, "064-****-5678"),
    ("044-865-1234", "0448651234", K.AREA, "044-***-1234"),
    ("070-1234-5678", "07012345678", K.VOIP, "070-****-5678"),
    ("0504-1234-5678", "050412345678", K.SAFE, "0504-****-5678"),
    ("0504-123-4567", "05041234567", K.SAFE, "0504-***-4567"),
    ("+82 504 1234 5678", "050412345678", K.SAFE, "0504-****-5678"),
    ("080-123-4567", "0801234567", K.TOLL_FREE, "080-***-4567"),
    ("080-1234-5678", "08012345678", K.TOLL_FREE, "080-****-5678"),
    ("060-700-1234", "0607001234", K.PREMIUM, "060-***-1234"),
    ("030-1234-5678", "03012345678", K.COMMON_MESSAGE, "030-****-5678"),
    ("0303-1234-5678", "030312345678", K.COMMON_MESSAGE, "0303-****-5678"),
    ("1877-1234", "18771234", K.REPRESENTATIVE, "1877-****"),
    ("1551-1234", "15511234", K.REPRESENTATIVE, "1551-****"),
    ("+82 1588-1234", "15881234", K.REPRESENTATIVE, "1588-****"),
    ("8218771234", "18771234", K.REPRESENTATIVE, "1877-****"),
    ("112", "112", K.EMERGENCY, "***"),
    ("+82 119", "119", K.EMERGENCY, "***"),
    ("1335", "1335", K.SPECIAL, "****"),
    ("114", "114", K.SPECIAL, "***"),
]


@pytest.mark.parametrize(("text", "digits", "kind", "masked"), ACCEPTED)
def test_accepts_what_people_type(text: str, digits: str, kind: NumberKind, masked: str) -> None:
    number = parse(text, on=DAY)
    assert (number.digits, number.kind, number.masked) == (digits, kind, masked)
    assert number.key == key_of(digits) == int(digits)
    assert parse(number.hyphenated, on=DAY) == number


REFUSED = [
    ("", "nothing"),
    ("abc", "letters"),
    ("010-1234-567", "010 has 11 digits"),
    ("010-1234-56789", "010 has 11 digits"),
    ("02-034-5678", "no local number begins with 0"),
    ("02-34-5678", "too short"),
    ("02-1588-1234", "a representative number takes no area code"),
    ("031-1877-1234", "a representative number takes no area code"),
    ("1588-12345", "nothing may follow a representative number"),
    ("1234-5678", "not 15, 16 or 18"),
    ("034-234-5678", "no such area"),
    ("070-123-4567", "070 has 11 digits"),
    ("0504-12-3456", "too short"),
    ("0504-12345-6789", "too long"),
    ("090-1234-5678", "no such prefix"),
    ("7942", "undialable"),
    ("+1 650 253 0000", "foreign"),
    ("+81 90 1234 5678", "foreign"),
    ("0044 20 7946 0000", "foreign"),
    ("+0082 10 1234 5678", "two signs of being international"),
    ("82", "only the country"),
    ("010+1234+5678", "a plus inside"),
    ("++821012345678", "two plus signs"),
    ("010-1234-5678 내선 3", "words"),
    ("０１０１２３４５６７²", "a superscript is no digit"),
    ("٠١٠١٢٣٤٥٦٧٨", "digits of another script"),
    ("0" * 1000, "very long"),
    ("0-" * 1000, "very long, with separators"),
]


@pytest.mark.parametrize(("text", "why"), REFUSED)
def test_refuses_without_repeating_the_number(text: str, why: str) -> None:
    with pytest.raises(InvalidNumber) as caught:
        parse(text, on=DAY)
    assert not any(digit.isdigit() for digit in caught.value.detail), why


@pytest.mark.parametrize(
    ("text", "on", "kind"),
    [
        ("122", date(2016, 10, 27), K.EMERGENCY),
        ("122", date(2016, 10, 28), K.SPECIAL),
        ("044-865-1234", date(2012, 7, 1), K.AREA),
        ("044-865-1234", date(2012, 6, 30), None),
        ("010-1234-5678", date(2004, 1, 1), K.MOBILE),
        ("010-1234-5678", date(2003, 12, 31), None),
    ],
)
def test_the_plan_has_dates(text: str, on: date, kind: NumberKind | None) -> None:
    if kind is None:
        with pytest.raises(InvalidNumber):
            parse(text, on=on)
    else:
        assert parse(text, on=on).kind is kind


@st.composite
def numbers_of_the_plan(draw: st.DrawFn) -> str:
    """Any number that a row in force describes, made from the row and not by the code under test."""
    row = draw(st.sampled_from([row for row in RANGES if row.in_force(DAY)]))
    prefix = draw(st.sampled_from(row.prefixes))
    length = draw(st.sampled_from(row.lengths))
    rest = draw(st.text("0123456789", min_size=length - len(prefix), max_size=length - len(prefix)))
    if rest:
        rest = draw(st.sampled_from(row.next)) + rest[1:]
    if row.not_before_representative and len(rest) == 8 and rest[:2] in {"15", "16", "18"}:
        rest = "2" + rest[1:]
    return prefix + rest


@given(numbers_of_the_plan())
def test_key_and_digits_turn_into_each_other(digits: str) -> None:
    assert digits_of(key_of(digits)) == digits
    assert key_of(digits_of(key_of(digits))) == key_of(digits)


@given(numbers_of_the_plan(), numbers_of_the_plan())
def test_two_numbers_never_share_a_key(one: str, other: str) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)


@given(numbers_of_the_plan())
def test_every_way_of_writing_a_number_means_the_same(digits: str) -> None:
    number = parse(digits, on=DAY)
    abroad = digits.removeprefix("0")
    full_width = "".join(chr(0xFF10 + int(digit)) for digit in digits)
    ways = [number.hyphenated, f"+82{abroad}", f"82 {abroad}", f"0082-{abroad}", full_width]
    if digits.startswith("0"):
        ways += [f"+82 (0){abroad}", f"82{digits}"]
    assert {parse(way, on=DAY) for way in ways} == {number}


@given(numbers_of_the_plan())
def test_a_number_does_not_show_itself(digits: str) -> None:
    number = parse(digits, on=DAY)
    for shown in (str(number), repr(number), f"{number}", f"{number!r}", str([number])):
        assert digits not in shown.replace("-", "")
        assert number.masked in shown
    assert number.hyphenated.replace("-", "") == digits
    assert len(number.masked) >= len(digits)
    hidden = number.masked.count("*")
    assert hidden >= 3
    assert sum(digit.isdigit() for digit in number.masked) == len(digits) - hidden


@given(st.text(max_size=80))
def test_the_caller_of_a_trunk_is_a_number_or_none(text: str) -> None:
    caller = caller_from_sip(text)
    assert caller is None or digits_of(caller.key) == caller.digits


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("+821012345678", "01012345678"),
        ("821012345678", "01012345678"),
        ("01012345678", "01012345678"),
        ("+821012345678;npdi", "01012345678"),
        ("+82215881234", None),
        ("+8215881234", "15881234"),
        ("anonymous", None),
        ("Anonymous", None),
        ("", None),
        ("+16502530000", None),
        ("16502530000", None),
        ("unknown", None),
        ("restricted", None),
        ("+", None),
    ],
)
def test_what_trunks_send(text: str, digits: str | None) -> None:
    caller = caller_from_sip(text)
    assert (caller.digits if caller else None) == digits


PARTIES = {K.MOBILE, K.SEOUL, K.AREA, K.VOIP, K.TOLL_FREE, K.REPRESENTATIVE}


@given(numbers_of_the_plan())
def test_only_some_kinds_may_be_a_party(digits: str) -> None:
    number = parse(digits, on=DAY)
    if number.kind in PARTIES:
        mappable(number)
        return
    with pytest.raises(NumberNotMappable) as caught:
        mappable(number)
    assert digits not in caught.value.detail


def test_every_kind_is_known_to_the_plan() -> None:
    assert {row.kind for row in RANGES} == set(NumberKind)


@pytest.mark.parametrize(
    ("digits", "hyphenated", "masked"),
    [
        ("01012345678", "010-1234-5678", "010-****-5678"),
        ("023456789", "02-345-6789", "02-***-6789"),
        ("050412345678", "0504-1234-5678", "0504-****-5678"),
        ("18771234", "1877-1234", "1877-****"),
        ("112", "112", "***"),
        ("16502530000", "165-0253-0000", "165-****-0000"),  # not in the plan: still hidden
        ("", "", ""),
    ],
)
def test_digits_can_be_shown_without_being_parsed(digits: str, hyphenated: str, masked: str) -> None:
    assert (hyphenate(digits), mask(digits)) == (hyphenated, masked)


def test_without_a_date_the_plan_of_today_is_meant() -> None:
    assert parse("010-1234-5678") == PhoneNumber("01012345678", K.MOBILE)
    assert parse("122").kind is K.SPECIAL
