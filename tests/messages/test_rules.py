"""What is sent of a text: lengths in MS949 bytes, and what happens to characters that MS949 lacks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vns.messages.rules import Kind, Objection, Sendable, Unencodable, korean_bytes, sendable, transliterate

TRANSLITERATE, UCS2 = Unencodable.TRANSLITERATE, Unencodable.UCS2

LENGTHS = [
    ("가" * 45, TRANSLITERATE, Kind.SMS),
    ("가" * 45 + "a", TRANSLITERATE, Kind.LMS),
    ("똠" * 45, TRANSLITERATE, Kind.SMS),  # two bytes in MS949, eight in Python's euc_kr
    ("a" * 90, TRANSLITERATE, Kind.SMS),
    ("a" * 91, TRANSLITERATE, Kind.LMS),
    ("가" * 1000, TRANSLITERATE, Kind.LMS),
    ("가" * 1000 + "a", TRANSLITERATE, Objection.TOO_LONG),
    ("😀" + "a" * 68, UCS2, Kind.SMS),  # a surrogate pair is two of the 70 units
    ("😀" + "a" * 69, UCS2, Kind.LMS),
    ("😀" + "a" * 999, UCS2, Objection.TOO_LONG),
    ("", TRANSLITERATE, Objection.EMPTY),
    ("\0\x07", TRANSLITERATE, Objection.EMPTY),
]


@pytest.mark.parametrize(("text", "policy", "expected"), LENGTHS, ids=lambda value: str(value)[:12])
def test_length_decides_the_kind(text: str, policy: Unencodable, expected: Kind | Objection) -> None:
    found = sendable(text, policy)
    assert (found.kind if isinstance(found, Sendable) else found) == expected


WRITTEN = [
    ("안녕\n끝\t.", "안녕\n끝\t."),
    ("①㈜", "①㈜"),
    ("좋아요 😀", "좋아요 [grinning face]"),
    ("👍🏽!", "[thumbs up sign]!"),
    ("👨‍👩‍👧", "[man][woman][girl]"),
    ("❤️", "[heavy black heart]"),
    ("café", "cafe"),
    ("ﬁn", "fin"),
    ("가", "가"),  # conjoining letters as some phones send them
    ("\ue000", None),  # private use: nobody knows what it looks like
]


@pytest.mark.parametrize(("text", "written"), WRITTEN, ids=lambda value: ascii(value)[:20])
def test_transliteration(text: str, written: str | None) -> None:
    assert transliterate(text) == written


def test_what_cannot_be_written_is_not_sent() -> None:
    assert sendable("\ue000", TRANSLITERATE) is Objection.NOT_ENCODABLE
    assert sendable("\ue000", UCS2) == Sendable(text="\ue000", kind=Kind.SMS)


@given(st.text(max_size=200))
def test_nothing_is_mangled_silently(text: str) -> None:
    """What is sent can be encoded, and no question mark is in it that was not in the text."""
    for policy in Unencodable:
        found = sendable(text, policy)
        if isinstance(found, Sendable):
            assert policy is UCS2 or korean_bytes(found.text) is not None
            assert found.text.count("?") <= text.count("?") + text.count("？") + text.count("⁇") * 2 + text.count(
                "⁈"
            ) + text.count("⁉") + text.count("︖") + text.count("﹖")


@given(st.text(alphabet=st.characters(codec="cp949", exclude_categories=["Cc"]), min_size=1, max_size=900))
def test_what_ms949_has_is_sent_as_it_is(text: str) -> None:
    assert sendable(text, TRANSLITERATE) == sendable(text, UCS2)
    found = sendable(text, TRANSLITERATE)
    assert isinstance(found, Sendable)
    assert found.text == text
