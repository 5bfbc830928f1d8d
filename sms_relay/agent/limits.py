"""What an owner of the tables forbids: words, recipients, senders, hours, and how often a day. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sms_relay.agent.checks import Row
from sms_relay.npro.codes import Detail

MINUTES_A_DAY: Final = 24 * 60
WORD_SEPARATOR: Final = "\\&"
"""The two characters between words of SPAM_SMS_TXT."""

_EPOCH: Final = date(2000, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """Every day from `begin` to `end`, minutes after midnight, nothing is sent. `begin` > `end`: past midnight."""

    begin: int
    end: int

    def holds(self, moment: datetime) -> bool:
        minute = moment.hour * 60 + moment.minute
        return any(begin <= minute < end for begin, end in self._spans())

    def within(self, start: datetime, end: datetime) -> timedelta:
        """How much of the time from `start` to `end` is quiet."""
        return max(timedelta(), self._until(end) - self._until(start))

    def _spans(self) -> tuple[tuple[int, int], ...]:
        if self.begin == self.end:
            return ()
        if self.begin < self.end:
            return ((self.begin, self.end),)
        return ((self.begin, MINUTES_A_DAY), (0, self.end))

    def _until(self, moment: datetime) -> timedelta:
        """Quiet time from a fixed day to `moment`, so that the difference of two of them needs no walk over days."""
        today = moment - datetime.combine(moment.date(), datetime.min.time())
        total = timedelta()
        for begin, end in self._spans():
            length = timedelta(minutes=end - begin)
            so_far = min(max(today - timedelta(minutes=begin), timedelta()), length)
            total += length * (moment.date() - _EPOCH).days + so_far
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamRule:
    """A row of MSG_SPAM. What is given must all match; `userdata` says whose messages the rule is about."""

    userdata: str | None = None
    to: str | None = None
    sender: str | None = None
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, *, userdata: str | None, to: str | None, sender: str | None, text: str | None) -> "SpamRule":
        """From the columns as they are: empty is the same as NULL, numbers may have hyphens."""
        words = tuple(word for word in (text or "").split(WORD_SEPARATOR) if word.strip())
        return cls(userdata=_given(userdata), to=_digits(to), sender=_digits(sender), words=words)

    def blocks(self, row: Row) -> Detail | None:
        """What this rule has against `row`. A rule that gives nothing but an id blocks nothing."""
        if self.userdata is not None and self.userdata != str(row.userdata):
            return None
        against: list[Detail] = []
        if self.words:
            if not any(word in text_of(row) for word in self.words):
                return None
            against.append(Detail.TEXT_BLOCKED)
        for number, theirs, detail in (
            (self.to, row.to, Detail.RECIPIENT_BLOCKED),
            (self.sender, row.sender, Detail.SENDER_BLOCKED),
        ):
            if number is not None:
                if number != _digits(theirs):
                    return None
                against.append(detail)
        return _together(against)

    def __repr__(self) -> str:
        return f"SpamRule({len(self.words)} words)"


def spam(row: Row, rules: Iterable[SpamRule]) -> Detail | None:
    """Any of the rules blocks. Of different kinds together: SEVERAL_BLOCKS."""
    return _together([found for rule in rules if (found := rule.blocks(row)) is not None])


def lacks_word(row: Row, word: str | None) -> Detail | None:
    """Whether the word that every text must hold is missing."""
    return Detail.WORD_MISSING if word and word not in text_of(row) else None


def text_of(row: Row) -> str:
    """Everything of `row` that people read, as far as the tables hold it."""
    body = row.content.body if row.content is not None else None
    return "\n".join(part for part in (row.text, body) if part)


def _together(found: list[Detail]) -> Detail | None:
    if not found:
        return None
    return found[0] if len(set(found)) == 1 else Detail.SEVERAL_BLOCKS


def _given(value: object) -> str | None:
    return str(value).strip() or None if value is not None else None


def _digits(value: str | None) -> str | None:
    given = _given(value)
    return given.replace("-", "") or None if given else None
