"""All modes, callers and states of a binding as one table; and what holds whatever is stored and asked."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vns.bindings.rules import CallerId, Channel, Ring, Side, Status
from vns.errors import VnsError
from vns.numbering.rules import mappable, parse
from vns.pools.rules import Mode
from vns.routing.decision import decide, wanted_number
from vns.routing.rules import (
    NEVER_PRESENTED,
    BindingFacts,
    Collect,
    Connect,
    Decision,
    Facts,
    NumberUse,
    Presented,
    Question,
    Reason,
    Refuse,
    Target,
)
from vns.rulebook.documents import changed, checked, read
from vns.rulebook.rules import NO_RULES, Rules

NOW = datetime(2026, 3, 4, 3, tzinfo=UTC)  # a Wednesday, noon in Korea
REAL, PEER, STRANGER, SHOP = "01011112222", "01033334444", "01055556666", "0212345678"
X, Y = 7080000000, 7080000001
LATER = NOW + timedelta(days=1)

# Who calls; then what comes of it while the binding is live, while its number rests, and after that. `real` and so on:
# connected to that target; a `*` after it: the caller's own number is shown, a `-`: none, else the virtual number.
TABLE = """
one_way        owner     not_allowed   ended        unallocated
one_way        stranger  real*         ended        unallocated
one_way        withheld  not_a_party   ended        unallocated
one_way        hidden    real          ended        unallocated
bidirectional  owner     peer          ended        ended
bidirectional  peer      real          ended        ended
bidirectional  stranger  not_a_party   not_a_party  unallocated
bidirectional  withheld  not_a_party   not_a_party  unallocated
per_side       owner     peer          ended        ended
per_side       peer      real          ended        ended
per_side       stranger  not_a_party   not_a_party  unallocated
per_side       withheld  not_a_party   not_a_party  unallocated
per_side       wrong     not_a_party   ended        ended
group          owner     team          ended        ended
group          peer      real          ended        ended
group          stranger  not_a_party   not_a_party  unallocated
group          withheld  not_a_party   not_a_party  unallocated
extension      owner     last_caller   extension?   unallocated
extension      stranger  extension?    extension?   unallocated
extension      withheld  not_a_party   not_a_party  unallocated
extension      right     real*         ended        not_a_party
extension      false     not_a_party   not_a_party  not_a_party
outbound       owner     number?       ended        unallocated
outbound       dials     dialled       ended        unallocated
outbound       stranger  not_allowed   ended        unallocated
outbound       withheld  not_a_party   ended        unallocated
outbound       uri       dialled       unallocated  unallocated
outbound       uri112    not_allowed   unallocated  unallocated
outbound       other     unallocated   unallocated  unallocated
"""
# The same while the binding is live and the number has no proof for calls.
UNPROVEN = """
one_way        stranger  real*
one_way        hidden    real-
bidirectional  owner     peer-
bidirectional  peer      real-
per_side       owner     peer-
per_side       peer      real-
group          owner     team-
group          peer      real-
extension      owner     last_caller-
extension      right     real*
outbound       owner     not_allowed
outbound       dials     not_allowed
outbound       uri       not_allowed
"""
STATES = ("live", "resting", "rested")
PAIRS = (Mode.BIDIRECTIONAL, Mode.PER_SIDE, Mode.GROUP)
_USE = {
    Mode.ONE_WAY: NumberUse.EXCLUSIVE,
    Mode.OUTBOUND: NumberUse.EXCLUSIVE,
    Mode.EXTENSION: NumberUse.EXTENSION,
}

CASES = [
    pytest.param(Mode(mode), who, state, expected, id=f"{mode}-{who}-{state}")
    for mode, who, *outcomes in (line.split() for line in TABLE.strip().splitlines())
    for state, expected in zip(STATES, outcomes, strict=True)
]


def question(mode: Mode, who: str) -> Question:
    """As each of the callers asks."""
    caller = {"owner": REAL, "dials": REAL, "uri": REAL, "uri112": REAL, "wrong": REAL, "peer": PEER}.get(who, STRANGER)
    dialled = {"uri": SHOP, "uri112": "112", "other": SHOP}.get(who)
    own_side = mode is Mode.PER_SIDE and who == "owner"
    return Question(
        vn=parse(dialled).key if dialled else Y if own_side else X,
        caller=None if who == "withheld" else parse(caller),
        channel=Channel.VOICE,
        at=NOW,
        show_caller=who != "hidden",
        dialled=parse(dialled) if dialled else None,
        digits={"right": "1234", "false": "9", "dials": SHOP}.get(who),
    )


def facts(mode: Mode, who: str, state: str) -> Facts:
    """What is stored about a binding of the mode, as far as this caller finds it."""
    found = who not in ("other", "false") and not (
        (mode in PAIRS and who in ("stranger", "withheld"))
        or (mode is Mode.EXTENSION and who in ("stranger", "withheld"))
    )
    side = {"owner": Side.REAL, "dials": Side.REAL, "uri": Side.REAL, "uri112": Side.REAL, "wrong": Side.REAL}.get(who)
    binding = BindingFacts(
        id=UUID(int=1),
        tenant_id=UUID(int=2),
        mode=mode,
        status=Status.ACTIVE if state == "live" else Status.RELEASED,
        ends_at=NOW + timedelta(hours=1 if state == "live" else -1),
        channels=frozenset(Channel),
        caller_id=CallerId.CALLER,
        caller_is=Side.PEER if who == "peer" else side,
        vn=X,
        peer_vn=Y if mode is Mode.PER_SIDE else None,
        has_last_caller=mode is Mode.EXTENSION,
    )
    return Facts(
        in_pool=who not in ("uri", "uri112", "other"),
        use=_USE.get(mode, NumberUse.SHARED),
        binding=binding if found else None,
        rests_until={"live": NOW + timedelta(days=8), "resting": NOW + timedelta(days=7)}.get(state),
        others=state != "rested",
        sms_proven=True,
        voice_proven_until=LATER,
    )


def told(decision: Decision) -> str:
    """A decision in the table's words."""
    if isinstance(decision, Collect):
        return f"{decision.what}?"
    if isinstance(decision, Refuse):
        return decision.reason.value
    return decision.target.value + {Presented.CALLER: "*", Presented.WITHHELD: "-"}.get(decision.present, "")


@pytest.mark.parametrize(("mode", "who", "state", "expected"), CASES)
def test_the_table(mode: Mode, who: str, state: str, expected: str) -> None:
    assert told(decide(question(mode, who), facts(mode, who, state))) == expected


@pytest.mark.parametrize("until", [None, NOW], ids=["never proven", "the proof ends this moment"])
@pytest.mark.parametrize(("mode", "who", "expected"), [line.split() for line in UNPROVEN.strip().splitlines()])
def test_a_number_without_a_proof_is_shown_on_no_call(
    mode: str, who: str, expected: str, until: datetime | None
) -> None:
    known = replace(facts(Mode(mode), who, "live"), voice_proven_until=until)
    assert told(decide(question(Mode(mode), who), known)) == expected


@pytest.mark.parametrize(("sms_proven", "expected"), [(True, "dialled"), (False, "not_allowed")])
def test_texts_have_a_proof_of_their_own(sms_proven: bool, expected: str) -> None:
    known = replace(facts(Mode.OUTBOUND, "uri", "live"), sms_proven=sms_proven)
    for until in (None, LATER):
        asked = replace(question(Mode.OUTBOUND, "uri"), channel=Channel.SMS)
        assert told(decide(asked, replace(known, voice_proven_until=until))) == expected


def rules_of(**document: object) -> Rules:
    return read(changed(None, checked(document), lambda digits: digits))


CLOSED = rules_of(hours={"open": {"mon": [["09:00", "18:00"]]}})
OPEN = rules_of(hours={"open": {"wed": [["09:00", "18:00"]]}})
FALLBACK = rules_of(fallback_number=SHOP)

# (rules, more facts, how it is asked, what comes of it), for a one-way number that a stranger calls
RULED: list[tuple[Rules, dict[str, Any], dict[str, Any], str]] = [
    (NO_RULES, {"caller_blocked": True}, {}, "not_allowed"),
    (NO_RULES, {"blocked": frozenset({Target.REAL})}, {}, "not_allowed"),
    (NO_RULES, {"blocked": frozenset({Target.PEER})}, {}, "real*"),
    (NO_RULES, {"caller_stopped": True}, {}, "not_allowed"),
    (CLOSED, {}, {}, "not_allowed"),
    (CLOSED, {}, {"channel": Channel.SMS}, "not_allowed"),
    (OPEN, {}, {}, "real*"),
    (rules_of(directions=["to_peer"]), {}, {}, "not_allowed"),
    (rules_of(directions=["to_real"]), {}, {}, "real*"),
    (rules_of(channels=["sms"]), {}, {}, "not_allowed"),
    (rules_of(channels=["sms"]), {}, {"channel": Channel.SMS}, "real*"),
    (rules_of(concurrent_calls=2), {"open_calls": 1}, {}, "real*"),
    (rules_of(concurrent_calls=2), {"open_calls": 2}, {}, "busy"),
    (rules_of(concurrent_calls=2), {"open_calls": 2}, {"channel": Channel.SMS}, "real*"),
    (rules_of(concurrent_calls=1), {"open_calls": 1, "caller_blocked": True}, {}, "not_allowed"),
]
ENDED: list[tuple[Rules, dict[str, Any], dict[str, Any], str]] = [
    (FALLBACK, {"voice_proven_until": LATER}, {}, "fallback"),
    (FALLBACK, {"voice_proven_until": NOW}, {}, "fallback*"),
    (FALLBACK, {"voice_proven_until": NOW}, {"show_caller": False}, "ended"),
    (FALLBACK, {"voice_proven_until": LATER}, {"show_caller": False}, "fallback"),
    (FALLBACK, {"voice_proven_until": LATER}, {"caller": None}, "ended"),
    (FALLBACK, {"voice_proven_until": LATER, "caller_blocked": True}, {}, "ended"),
    (FALLBACK, {"voice_proven_until": LATER}, {"channel": Channel.SMS}, "ended"),
    (FALLBACK, {"voice_proven_until": LATER, "rests_until": NOW}, {}, "unallocated"),
    (NO_RULES, {"voice_proven_until": LATER}, {}, "ended"),
]


@pytest.mark.parametrize(("rules", "stored", "asked", "expected"), RULED)
def test_rules(rules: Rules, stored: dict[str, Any], asked: dict[str, Any], expected: str) -> None:
    known = facts(Mode.ONE_WAY, "stranger", "live")
    assert known.binding is not None
    known = replace(known, binding=replace(known.binding, rules=rules), **stored)
    assert told(decide(replace(question(Mode.ONE_WAY, "stranger"), **asked), known)) == expected


@pytest.mark.parametrize(("rules", "stored", "asked", "expected"), ENDED)
def test_who_answers_for_what_has_ended(
    rules: Rules, stored: dict[str, Any], asked: dict[str, Any], expected: str
) -> None:
    known = facts(Mode.ONE_WAY, "stranger", "resting")
    assert known.binding is not None
    known = replace(known, binding=replace(known.binding, rules=rules), **stored)
    assert told(decide(replace(question(Mode.ONE_WAY, "stranger"), **asked), known)) == expected


# (who calls, what is stored, what comes of it), for each mode in which the seats of the parties stay when they are free
PARTIES_ENDED: list[tuple[str, dict[str, Any], str]] = [
    ("owner", {}, "fallback"),
    ("peer", {}, "fallback"),
    ("peer", {"rests_until": NOW + timedelta(microseconds=1)}, "fallback"),
    ("peer", {"rests_until": NOW}, "ended"),
    ("owner", {"rests_until": None}, "ended"),
]


@pytest.mark.parametrize("mode", PAIRS)
@pytest.mark.parametrize(("who", "stored", "expected"), PARTIES_ENDED)
def test_who_answers_for_a_pair_that_has_ended(mode: Mode, who: str, stored: dict[str, Any], expected: str) -> None:
    known = facts(mode, who, "resting")
    assert known.binding is not None
    known = replace(known, binding=replace(known.binding, rules=FALLBACK), **stored)
    assert told(decide(question(mode, who), known)) == expected


@pytest.mark.parametrize("mode", PAIRS)
@pytest.mark.parametrize("rests_until", [LATER, NOW])
def test_nobody_answers_for_a_party_that_was_replaced(mode: Mode, rests_until: datetime) -> None:
    """What it is told is that of a binding that has ended: so says the row of facts (vns.routing.service)."""
    known = facts(mode, "peer", "resting")
    assert known.binding is not None
    former = replace(known.binding, rules=FALLBACK, caller_is=None)
    assert told(decide(question(mode, "peer"), replace(known, binding=former, rests_until=rests_until))) == "ended"


def test_limits_and_words_of_the_customer_go_with_the_decision() -> None:
    busy, tone = UUID(int=7), UUID(int=8)
    rules = rules_of(
        ring_seconds=20,
        max_seconds=600,
        record=True,
        ringback=str(tone),
        prompts={"busy": str(busy)},
        concurrent_calls=1,
    )
    known = facts(Mode.ONE_WAY, "stranger", "live")
    assert known.binding is not None
    known = replace(known, binding=replace(known.binding, rules=rules))
    decision = decide(question(Mode.ONE_WAY, "stranger"), known)
    assert isinstance(decision, Connect)
    limits = decision.limits
    assert (limits.ring_seconds, limits.max_seconds, limits.record, limits.ringback) == (20, 600, True, tone)
    assert (limits.concurrent, dict(limits.prompts)) == (1, {Reason.BUSY: busy})
    refused = decide(question(Mode.ONE_WAY, "stranger"), replace(known, open_calls=1))
    assert isinstance(refused, Refuse)
    assert refused.prompt == busy


def test_a_pool_s_words_are_heard_where_there_is_no_binding() -> None:
    prompt = UUID(int=7)
    free = Facts(in_pool=True, pool_rules=rules_of(prompts={"unallocated": str(prompt)}))
    decision = decide(question(Mode.ONE_WAY, "stranger"), free)
    assert isinstance(decision, Refuse)
    assert decision.prompt == prompt


@pytest.mark.parametrize(("intercept", "asked"), [(None, True), (True, True), (False, False)])
def test_the_hook_is_asked_unless_the_rules_say_no(intercept: bool | None, asked: bool) -> None:
    known = facts(Mode.ONE_WAY, "stranger", "live")
    assert known.binding is not None
    known = replace(known, hooked=True, binding=replace(known.binding, rules=Rules(intercept=intercept)))
    decision = decide(question(Mode.ONE_WAY, "stranger"), known)
    assert isinstance(decision, Connect)
    assert decision.intercept is asked


NUMBERS = [None, *map(parse, (REAL, PEER, STRANGER, SHOP, "112", "1301", "0601234567", "050412345678", "07012345678"))]
ALL_RULES = [
    NO_RULES,
    CLOSED,
    OPEN,
    FALLBACK,
    rules_of(directions=["to_peer"]),
    rules_of(channels=["sms"]),
    rules_of(concurrent_calls=1),
]

questions = st.builds(
    Question,
    vn=st.sampled_from([X, Y, 212345678, None]),
    caller=st.sampled_from(NUMBERS),
    channel=st.sampled_from(Channel),
    at=st.just(NOW),
    show_caller=st.booleans(),
    dialled=st.sampled_from(NUMBERS),
    digits=st.sampled_from([None, "", "9", "1234", SHOP, REAL, "112", "07080000001", "0012125550100"]),
)
bindings = st.builds(
    BindingFacts,
    id=st.just(UUID(int=1)),
    tenant_id=st.just(UUID(int=2)),
    mode=st.sampled_from(Mode),
    status=st.sampled_from(Status),
    ends_at=st.sampled_from([NOW - timedelta(hours=1), NOW, NOW + timedelta(hours=1)]),
    channels=st.sampled_from([frozenset(Channel), frozenset({Channel.SMS}), frozenset({Channel.VOICE})]),
    caller_id=st.sampled_from(CallerId),
    caller_is=st.sampled_from([None, *Side]),
    vn=st.just(X),
    peer_vn=st.just(Y),
    ring=st.sampled_from(Ring),
    has_last_caller=st.booleans(),
    rules=st.sampled_from(ALL_RULES),
)
all_facts = st.builds(
    Facts,
    in_pool=st.booleans(),
    use=st.sampled_from(NumberUse),
    caller_stopped=st.booleans(),
    binding=st.none() | bindings,
    rests_until=st.sampled_from([None, NOW, NOW + timedelta(days=1)]),
    others=st.booleans(),
    sms_proven=st.booleans(),
    voice_proven_until=st.sampled_from([None, NOW, LATER]),
    caller_blocked=st.booleans(),
    blocked=st.sets(st.sampled_from(Target)).map(frozenset),
    dialled_is_virtual=st.booleans(),
    open_calls=st.integers(0, 2),
    hooked=st.booleans(),
)


def may_be_called(number: object) -> bool:
    try:
        mappable(number)  # type: ignore[arg-type]  # None is what is tried as well
    except (VnsError, AttributeError):
        return False
    return True


@given(questions, all_facts)
def test_whatever_is_stored_nobody_is_connected_who_must_not_be(asked: Question, known: Facts) -> None:
    decision = decide(asked, known)
    assert decision.steps
    if not isinstance(decision, Connect):
        return
    binding = known.binding
    assert binding is not None
    assert asked.caller is not None
    assert not known.caller_stopped
    assert not known.caller_blocked
    live = binding.status is Status.ACTIVE and binding.ends_at > NOW
    assert live is (decision.target is not Target.FALLBACK)
    if decision.target is Target.FALLBACK:
        assert binding.rules.fallback_number is not None
        assert asked.channel is Channel.VOICE
        assert known.rests_until is not None
        assert known.rests_until > NOW
        assert binding.mode not in PAIRS or binding.caller_is is not None
        return
    assert decision.target not in known.blocked
    assert asked.channel in binding.channels
    assert binding.rules is not CLOSED
    if binding.mode in PAIRS:
        assert binding.caller_is is not None, "a stranger among pairs"
        assert (decision.target is Target.REAL) is (binding.caller_is is Side.PEER)
    if binding.mode is Mode.PER_SIDE:
        assert asked.vn == (Y if binding.caller_is is Side.REAL else X)
    if binding.mode is Mode.OUTBOUND:
        assert (binding.caller_is, decision.target) == (Side.REAL, Target.DIALLED)
    if binding.mode in (Mode.ONE_WAY, Mode.EXTENSION):
        assert decision.target is (Target.REAL if binding.caller_is is not Side.REAL else Target.LAST_CALLER)
    if asked.channel is Channel.VOICE and binding.rules.concurrent_calls is not None:
        assert known.open_calls < binding.rules.concurrent_calls


@given(questions, all_facts)
def test_nothing_is_presented_that_is_not_proven(asked: Question, known: Facts) -> None:
    decision = decide(asked, known)
    if not isinstance(decision, Connect):
        return
    if decision.present is Presented.CALLER:
        assert asked.caller is not None
        assert asked.show_caller
        assert asked.caller.kind not in NEVER_PRESENTED
        assert decision.target in (Target.REAL, Target.FALLBACK)
        assert known.binding is not None
        assert decision.target is Target.FALLBACK or known.binding.mode in (Mode.ONE_WAY, Mode.EXTENSION)
        return
    if asked.channel is Channel.SMS:
        assert decision.present is Presented.VIRTUAL_NUMBER
        assert decision.target is not Target.DIALLED or known.sms_proven
        return
    proven = known.voice_proven_until is not None and known.voice_proven_until > NOW
    assert decision.present is (Presented.VIRTUAL_NUMBER if proven else Presented.WITHHELD)
    assert proven or decision.target not in (Target.DIALLED, Target.FALLBACK)


@given(questions, all_facts)
def test_a_subscriber_reaches_real_numbers_of_this_country_and_not_itself(asked: Question, known: Facts) -> None:
    decision = decide(asked, known)
    if isinstance(decision, Connect) and decision.target is Target.DIALLED:
        wanted = wanted_number(asked, known.in_pool)
        assert may_be_called(wanted)
        assert wanted != asked.caller
        assert not known.dialled_is_virtual
