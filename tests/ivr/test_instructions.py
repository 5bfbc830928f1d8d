"""What Asterisk is told to do: for a plain call no more than it needs, and never a value that is not its own."""

import string
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from ivr.agi.instructions import instructions, prompts_of
from tests.core_world import COURIER, CUSTOMER, STRANGER
from vns.bindings.rules import Channel, Ring
from vns.numbering.rules import PhoneNumber, parse
from vns.routing.rules import CallLimits, Collect, Connect, Decision, Presented, Question, Reason, Refuse, Target
from vns.routing.service import Routed

ONE, TWO = UUID(int=1), UUID(int=2)
FILES = {ONE: f"custom/{'1' * 64}", TWO: f"custom/{'2' * 64}"}
CONNECT = Connect(binding_id=uuid4(), tenant_id=uuid4(), target=Target.REAL, present=Presented.CALLER, steps=())
TEAM = replace(CONNECT, target=Target.TEAM, present=Presented.VIRTUAL_NUMBER)
PLAIN = {"ACT": "connect", "NUM": CUSTOMER, "CID": COURIER}
REFUSED = Refuse(reason=Reason.NOT_A_PARTY, binding_id=None, tenant_id=None, steps=(), again=True, prompt=ONE)


def told(
    decision: Decision,
    *targets: str,
    once: bool = False,
    digits_given: bool = False,
    tried: Collection[str] = (),
    files: Mapping[UUID, str] = FILES,
    numbers: tuple[PhoneNumber, ...] | None = None,
    presented: str | None = COURIER,
) -> dict[str, str]:
    routed = Routed(
        decision=decision,
        targets=numbers if numbers is not None else tuple(map(parse, targets)),
        presented=presented,
        from_index=None,
        to_index=None,
        expire_after_call=once,
        sms_sender_proven=False,
    )
    question = Question(
        vn=None,
        caller=parse(COURIER),
        channel=Channel.VOICE,
        at=datetime(2026, 3, 1, tzinfo=UTC),
        digits="12" if digits_given else None,
        tried=frozenset(tried),
    )
    wanted = prompts_of(routed, question)
    playable = {prompt: name for prompt, name in files.items() if prompt in wanted}
    variables = instructions(routed, playable, question)
    allowed = set(string.ascii_letters + string.digits + "_-:/")
    assert all(set(value) <= allowed for value in variables.values())
    return variables


def test_a_plain_call_gets_four_words_and_no_more() -> None:
    assert told(CONNECT, CUSTOMER) == PLAIN
    assert told(CONNECT, CUSTOMER, once=True) == {**PLAIN, "ACT": "connect_once"}


def test_a_call_that_shows_no_number_gets_none() -> None:
    hidden = replace(CONNECT, present=Presented.WITHHELD)
    for presented in (None, COURIER):
        assert told(hidden, CUSTOMER, presented=presented) == {**PLAIN, "CID": ""}
    assert told(replace(hidden, limits=CallLimits(ring_seconds=7)), CUSTOMER, presented=None)["CID"] == ""
    assert told(CONNECT, CUSTOMER, presented=None)["ACT"] == "unreachable", "nothing was decided to be hidden"


def test_limits() -> None:
    limits = CallLimits(
        ring_seconds=7,
        max_seconds=600,
        ringback=ONE,
        prompts={Reason.BUSY: TWO, Reason.ENDED: ONE},
        record=True,
    )
    assert told(replace(CONNECT, limits=limits), CUSTOMER, once=True) == {
        "ACT": "dial",
        "NUM": CUSTOMER,
        "CID": COURIER,
        "ALL": "",
        "CALLER": "",
        "ONCE": "1",
        "RING": "7",
        "MAX": "600000:60000",
        "RINGBACK": FILES[ONE].removeprefix("custom/"),
        "RECORD": "1",
        "PROMPT_busy": FILES[TWO],
    }


def test_a_short_call_is_warned_at_half_time() -> None:
    assert told(replace(CONNECT, limits=CallLimits(max_seconds=60)), CUSTOMER)["MAX"] == "60000:30000"


def test_a_prompt_that_cannot_be_had_or_is_no_file_of_ours_is_left_out() -> None:
    limited = replace(CONNECT, limits=CallLimits(ringback=ONE, prompts={Reason.BUSY: TWO}))
    for files in ({}, {ONE: "/etc/passwd", TWO: "custom/../busy"}):
        variables = told(limited, CUSTOMER, files=files)
        assert variables["RINGBACK"] == ""
        assert not [name for name in variables if name.startswith("PROMPT_")]


def test_a_team_that_rings_all_at_once_is_handed_over_whole() -> None:
    team = told(replace(TEAM, ring=Ring.ALL), CUSTOMER, STRANGER, "02-1234-5678")
    assert (team["ACT"], team["NUM"], team["ALL"], team["CALLER"]) == ("dial", CUSTOMER, f"{STRANGER}-0212345678", "")


def test_of_a_team_in_order_one_is_handed_over_and_who_calls_for_the_next_question() -> None:
    team = told(TEAM, CUSTOMER, STRANGER, "02-1234-5678")
    assert (team["ACT"], team["NUM"], team["ALL"], team["CALLER"]) == ("dial", CUSTOMER, "", COURIER)
    assert not [value for value in team.values() if STRANGER in value or "0212345678" in value]


def test_the_last_of_a_team_is_no_plain_call_and_nobody_is_asked_for_after_it() -> None:
    last = told(TEAM, STRANGER, tried=[CUSTOMER])
    assert (last["ACT"], last["NUM"], last["CALLER"]) == ("dial", STRANGER, "")


def test_who_has_rung_some_and_now_reaches_one_is_dialled_so_that_what_they_said_is_heard() -> None:
    for target in (Target.REAL, Target.FALLBACK):
        assert told(replace(CONNECT, target=target), STRANGER, tried=[CUSTOMER])["ACT"] == "dial"


def test_where_nobody_of_a_team_is_left_the_dialplan_says_how_it_went() -> None:
    over = {"ACT": "over", "NUM": "", "CID": ""}
    limits = CallLimits(ringback=ONE, prompts={Reason.BUSY: TWO})
    assert told(replace(TEAM, limits=limits), tried=[CUSTOMER]) == over
    never = (parse("112"),)
    assert told(TEAM, tried=[CUSTOMER], numbers=never) == over
    assert told(TEAM, numbers=never)["ACT"] == "unreachable"


@pytest.mark.parametrize("reason", Reason)
def test_who_is_refused_after_some_have_rung_is_refused_as_ever(reason: Reason) -> None:
    refused = Refuse(reason=reason, binding_id=None, tenant_id=None, steps=(), prompt=ONE)
    assert told(refused, tried=[CUSTOMER]) == told(refused)


@pytest.mark.parametrize("digits", ["112", "119", "060-200-1234"])
def test_what_must_never_be_dialled_is_not_whatever_is_stored(digits: str) -> None:
    never = parse(digits)
    assert told(CONNECT, numbers=(never,)) == {"ACT": "unreachable", "NUM": "", "CID": ""}
    team = told(TEAM, numbers=(never, parse(CUSTOMER)))
    assert team["NUM"] == CUSTOMER
    assert never.digits not in team.values()


@pytest.mark.parametrize(("what", "last"), [("extension", "not_a_party"), ("number", "not_allowed")])
def test_digits_are_asked_for(what: str, last: str) -> None:
    limits = CallLimits(prompts={Reason.NOT_A_PARTY: ONE, Reason.NOT_ALLOWED: ONE, Reason.BUSY: TWO})
    collect = Collect(what=what, binding_id=None, tenant_id=None, steps=(), limits=limits)  # type: ignore[arg-type]  # one of two
    asked = told(collect)
    assert (asked["ACT"], asked["ASK"], asked["LAST"]) == ("collect", f"ask_{what}", last)
    assert {name for name in asked if name.startswith("PROMPT_")} == {f"PROMPT_{last}"}


def test_a_target_after_digits_is_dialled_so_that_its_own_answer_is_timed() -> None:
    assert told(CONNECT, CUSTOMER, digits_given=True)["ACT"] == "dial"


def test_wrong_digits_are_asked_for_again_and_a_refusal_is_none() -> None:
    assert told(REFUSED, digits_given=True) == {"ACT": "wrong", "NUM": "", "CID": "", "LAST": "not_a_party"}
    refused = {"ACT": "not_a_party", "NUM": "", "CID": "", "PROMPT_not_a_party": FILES[ONE]}
    assert told(REFUSED) == refused
    assert told(replace(REFUSED, again=False), digits_given=True) == refused
