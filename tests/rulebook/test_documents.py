"""Rules as customers write them, as they are stored, and as they are shown."""

from typing import Any
from uuid import UUID

import pytest

from vns.errors import InvalidNumber, InvalidRules, NumberNotMappable, VnsError
from vns.rulebook.documents import changed, checked, read, shown
from vns.rulebook.rules import NO_RULES, Direction, Hours, Rules, SealedNumber, Switch, Window

PROMPT = "01a201ca-4412-74a6-be38-25cf0f4caadf"
FULL: dict[str, Any] = {
    "directions": ["to_real", "to_peer"],
    "channels": ["voice"],
    "hours": {
        "open": {"mon": [["09:00", "12:00"], ["13:00", "18:00"]], "fri": [["22:00", "02:00"]], "sat": []},
        "holidays": "closed",
        "closed_dates": ["2026-12-24", "2026-05-02"],
    },
    "ring_seconds": 30,
    "max_seconds": 600,
    "concurrent_calls": 2,
    "fallback_number": "02-1234-5678",
    "missed_call_text": True,
    "ended_text": True,
    "prompts": {"ended": PROMPT.upper(), "busy": PROMPT},
    "ringback": PROMPT,
    "intercept": False,
    "record": True,
}


def seal(digits: str) -> str:
    return f"sealed {digits[::-1]}"


def stored(document: dict[str, Any]) -> dict[str, Any]:
    found = changed(None, checked(document), seal)
    assert found is not None
    return found


def test_a_full_document_is_read_as_it_was_meant() -> None:
    assert read(stored(FULL)) == Rules(
        directions=frozenset(Direction),
        channels=frozenset({Switch.VOICE}),
        hours=Hours(
            open={0: (Window(540, 720), Window(780, 1080)), 4: (Window(1320, 120),), 5: ()},
            on_holidays=False,
            closed_dates=read(stored(FULL)).hours.closed_dates,  # type: ignore[union-attr]  # compared below
        ),
        ring_seconds=30,
        max_seconds=600,
        concurrent_calls=2,
        fallback_number=SealedNumber("sealed 8765432120", "02-****-5678"),
        missed_call_text=True,
        ended_text=True,
        prompts={"ended": UUID(PROMPT), "busy": UUID(PROMPT)},
        ringback=UUID(PROMPT),
        intercept=False,
        record=True,
    )
    assert stored(FULL)["hours"]["closed_dates"] == ["2026-05-02", "2026-12-24"]


def test_the_fallback_number_is_neither_stored_nor_shown_in_full() -> None:
    kept = stored(FULL)
    assert "0212345678" not in str(kept)
    assert shown(kept) == {**kept, "fallback_number": "02-****-5678"}


def test_a_change_touches_only_the_fields_it_names() -> None:
    before = stored(FULL)
    after = changed(before, checked({"ring_seconds": 10, "hours": None, "fallback_number": None}), seal)
    expected = {name: value for name, value in before.items() if name not in ("hours", "fallback_number")}
    assert after == {**expected, "ring_seconds": 10}


def test_a_document_that_says_nothing_any_more_is_none() -> None:
    assert changed(None, checked({}), seal) is None
    assert changed({"record": True}, checked({"record": None}), seal) is None
    assert read(None) is NO_RULES
    assert shown(None) is None


WRONG: list[tuple[object, str]] = [
    ("none", "rules is an object"),
    ({"colour": 1}, "colour"),
    ({"directions": []}, "rules.directions"),
    ({"directions": ["up"]}, "rules.directions"),
    ({"directions": [["to_real"]]}, "rules.directions"),
    ({"channels": "voice"}, "rules.channels"),
    ({"ring_seconds": 4}, "5 to 120"),
    ({"ring_seconds": 121}, "5 to 120"),
    ({"ring_seconds": 30.0}, "rules.ring_seconds"),
    ({"ring_seconds": True}, "rules.ring_seconds"),
    ({"max_seconds": 59}, "60 to 14400"),
    ({"concurrent_calls": 0}, "rules.concurrent_calls"),
    ({"missed_call_text": "yes"}, "rules.missed_call_text"),
    ({"prompts": {"hello": PROMPT}}, "rules.prompts"),
    ({"prompts": {"busy": "x"}}, "rules.prompts.busy"),
    ({"prompts": [PROMPT]}, "rules.prompts"),
    ({"ringback": 7}, "rules.ringback"),
    ({"hours": {}}, "rules.hours"),
    ({"hours": {"opens": {}}}, "rules.hours"),
    ({"hours": {"holidays": "maybe"}}, "rules.hours.holidays"),
    ({"hours": {"open": {"monday": []}}}, "rules.hours.open"),
    ({"hours": {"open": {"mon": [["9:00", "18:00"]]}}}, "rules.hours.open.mon"),
    ({"hours": {"open": {"mon": [["09:00", "24:01"]]}}}, "rules.hours.open.mon"),
    ({"hours": {"open": {"mon": [["09:00"]]}}}, "rules.hours.open.mon"),
    ({"hours": {"open": {"mon": [["09:00", "09:00"]]}}}, "no length"),
    ({"hours": {"open": {"mon": [["24:00", "09:00"]]}}}, "no length"),
    ({"hours": {"closed_dates": ["24.12.2026"]}}, "rules.hours.closed_dates"),
    ({"hours": {"closed_dates": [20261224]}}, "rules.hours.closed_dates"),
    ({"fallback_number": 5}, "rules.fallback_number"),
]


@pytest.mark.parametrize(("document", "says"), WRONG, ids=[str(document)[:60] for document, _ in WRONG])
def test_what_is_no_rules_is_refused_by_the_field_s_name(document: object, says: str) -> None:
    with pytest.raises(InvalidRules) as refused:
        checked(document)
    assert says in refused.value.detail
    assert refused.value.code == "invalid_rules"


@pytest.mark.parametrize(
    ("number", "error"),
    [
        ("112", NumberNotMappable),
        ("060-700-1234", NumberNotMappable),
        ("0504-1000-0000", NumberNotMappable),
        ("+1 212 555 0100", InvalidNumber),
        ("hello", InvalidNumber),
    ],
)
def test_nobody_is_sent_on_to_an_emergency_a_premium_or_a_foreign_number(number: str, error: type[VnsError]) -> None:
    with pytest.raises(error):
        checked({"fallback_number": number})
