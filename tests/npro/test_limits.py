"""Blocked words and numbers, and hours in which nothing is sent: rules alone."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_relay.agent.checks import Content, Row
from sms_relay.agent.limits import QuietHours, SpamRule, lacks_word, spam
from sms_relay.npro.codes import Detail

START = datetime(2026, 3, 1)  # noqa: DTZ001 - Korean local time


def a_row(text: str = "대출 상담", *, userdata: int | None = 7, body: str | None = None) -> Row:
    content = Content(seq=1, subject="", body=body, named=(), stated_count=1) if body else None
    return Row(
        seq=1,
        userdata=userdata,
        kind=4,
        to="01012345678",
        sender="07012345678",
        text=text,
        requested_for=None,
        content=content,
    )


def rule(
    *, userdata: str | None = None, to: str | None = None, sender: str | None = None, text: str | None = None
) -> SpamRule:
    return SpamRule.of(userdata=userdata, to=to, sender=sender, text=text)


RULES = [
    ([rule(text="대출")], Detail.TEXT_BLOCKED),
    ([rule(text="복권\\&상담")], Detail.TEXT_BLOCKED),
    ([rule(text="복권\\&경마")], None),
    ([rule(text="\\&")], None),
    ([rule(to="010-1234-5678")], Detail.RECIPIENT_BLOCKED),
    ([rule(to="01012345679")], None),
    ([rule(sender="07012345678 ")], Detail.SENDER_BLOCKED),
    ([rule(text="대출", to="01012345678")], Detail.SEVERAL_BLOCKS),
    ([rule(text="대출", to="01099999999")], None),
    ([rule(text="대출"), rule(text="상담")], Detail.TEXT_BLOCKED),
    ([rule(text="대출"), rule(sender="07012345678")], Detail.SEVERAL_BLOCKS),
    ([rule(text="경마"), rule(sender="07012345678")], Detail.SENDER_BLOCKED),
    ([rule(userdata="7", text="대출")], Detail.TEXT_BLOCKED),
    ([rule(userdata="8", text="대출")], None),
    ([rule(userdata="7")], None),
    ([rule()], None),
    ([], None),
]


@pytest.mark.parametrize(("rules", "expected"), RULES)
def test_what_rules_block(rules: list[SpamRule], expected: Detail | None) -> None:
    assert spam(a_row(), rules) is expected


def test_the_body_of_a_long_text_counts_like_its_subject() -> None:
    assert spam(a_row("안내", body="무담보 대출"), [rule(text="대출")]) is Detail.TEXT_BLOCKED
    assert lacks_word(a_row("안내", body="(광고) 할인"), "(광고)") is None
    assert lacks_word(a_row("안내"), "(광고)") is Detail.WORD_MISSING
    assert lacks_word(a_row(), None) is None


moments = st.integers(0, 60 * 24 * 40).map(lambda minutes: START + timedelta(minutes=minutes))


@given(st.integers(0, 1440), st.integers(0, 1440), moments, st.integers(0, 3 * 1440))
def test_quiet_time_between_two_moments_is_what_a_walk_by_minutes_counts(
    begin: int, end: int, start: datetime, length: int
) -> None:
    quiet = QuietHours(begin=begin, end=end)
    walked = sum(quiet.holds(start + timedelta(minutes=minute)) for minute in range(length))
    assert quiet.within(start, start + timedelta(minutes=length)) == timedelta(minutes=walked)


def test_hours_past_midnight() -> None:
    night = QuietHours(begin=21 * 60, end=8 * 60)
    at = {hour: night.holds(START + timedelta(hours=hour)) for hour in (7, 8, 20, 21, 23)}
    assert at == {7: True, 8: False, 20: False, 21: True, 23: True}
    assert night.within(START + timedelta(hours=20), START + timedelta(hours=33)) == timedelta(hours=11)
