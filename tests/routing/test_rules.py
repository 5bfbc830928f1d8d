"""The decision as a table: what is stored, who asks, and what comes of it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from vns.bindings.rules import CallerId, Channel, Side, Status
from vns.numbering.rules import parse
from vns.pools.rules import Mode
from vns.routing.decision import decide
from vns.routing.rules import (
    REFUSALS,
    BindingFacts,
    Connect,
    Facts,
    Presented,
    Question,
    Reason,
    Refuse,
    Target,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALLER = parse("010-3333-4444")
BINDING, TENANT = UUID(int=1), UUID(int=2)


def binding(**changed: object) -> BindingFacts:
    fields: dict[str, object] = {
        "id": BINDING,
        "tenant_id": TENANT,
        "mode": Mode.ONE_WAY,
        "status": Status.ACTIVE,
        "ends_at": NOW + timedelta(hours=1),
        "channels": frozenset(Channel),
        "caller_id": CallerId.CALLER,
        "caller_is": None,
    }
    return BindingFacts(**(fields | changed))  # type: ignore[arg-type]


def pair(**changed: object) -> BindingFacts:
    return binding(**({"mode": Mode.BIDIRECTIONAL, "caller_id": CallerId.VIRTUAL, "caller_is": Side.REAL} | changed))


def stored(**changed: object) -> Facts:
    """Of a number that is proven."""
    return Facts(**({"in_pool": True, "voice_proven_until": NOW + timedelta(days=1)} | changed))  # type: ignore[arg-type]


RESTING, RESTED = NOW + timedelta(days=7), NOW
OVER = {"status": Status.RELEASED, "ends_at": NOW - timedelta(hours=1)}


@dataclass(frozen=True)
class Case:
    """`expected`: a reason, or the side connected and what is presented."""

    says: str
    facts: Facts
    expected: Reason | tuple[Target, Presented]
    asked: dict[str, object] = field(default_factory=dict)


CASES = [
    Case("no Korean number", Facts(in_pool=False), Reason.UNALLOCATED, {"vn": None}),
    Case("in no pool", Facts(in_pool=False), Reason.UNALLOCATED),
    Case("free", Facts(in_pool=True), Reason.UNALLOCATED),
    Case("one-way", stored(binding=binding()), (Target.REAL, Presented.CALLER)),
    Case(
        "one-way showing the VN",
        stored(binding=binding(caller_id=CallerId.VIRTUAL)),
        (Target.REAL, Presented.VIRTUAL_NUMBER),
    ),
    Case(
        "one-way with Privacy",
        stored(binding=binding()),
        (Target.REAL, Presented.VIRTUAL_NUMBER),
        {"show_caller": False},
    ),
    Case(
        "one-way, an emergency service calls",
        stored(binding=binding()),
        (Target.REAL, Presented.VIRTUAL_NUMBER),
        {"caller": parse("112")},
    ),
    Case("one-way, withheld", stored(binding=binding()), Reason.NOT_A_PARTY, {"caller": None}),
    Case("owner dials its own", stored(binding=binding(caller_is=Side.REAL)), Reason.NOT_ALLOWED),
    Case(
        "channel not allowed",
        stored(binding=binding(channels=frozenset({Channel.SMS}))),
        Reason.NOT_ALLOWED,
    ),
    Case("released, resting", stored(binding=binding(**OVER), rests_until=RESTING), Reason.ENDED),
    Case("released, rested", stored(binding=binding(**OVER), rests_until=RESTED), Reason.UNALLOCATED),
    Case(
        "end reached this very moment, nobody wrote so",
        stored(binding=binding(ends_at=NOW), rests_until=RESTING),
        Reason.ENDED,
    ),
    Case("consumed", stored(binding=binding(status=Status.CONSUMED), rests_until=RESTING), Reason.ENDED),
    Case(
        "released and withheld: ended comes first",
        stored(binding=binding(**OVER), rests_until=RESTING),
        Reason.ENDED,
        {"caller": None},
    ),
    Case("pair, real calls", stored(binding=pair()), (Target.PEER, Presented.VIRTUAL_NUMBER)),
    Case(
        "pair, peer calls",
        stored(binding=pair(caller_is=Side.PEER)),
        (Target.REAL, Presented.VIRTUAL_NUMBER),
    ),
    Case("own pair ended", stored(binding=pair(**OVER), rests_until=RESTING, others=True), Reason.ENDED),
    Case("own pair ended long ago", stored(binding=pair(**OVER), rests_until=RESTED), Reason.ENDED),
    Case("stranger among pairs", Facts(in_pool=True, others=True), Reason.NOT_A_PARTY),
    Case("withheld among pairs", Facts(in_pool=True, others=True), Reason.NOT_A_PARTY, {"caller": None}),
    Case("stranger, all pairs rested", Facts(in_pool=True, others=False), Reason.UNALLOCATED),
    Case(
        "pair, text not allowed",
        stored(binding=pair(channels=frozenset({Channel.VOICE}))),
        Reason.NOT_ALLOWED,
        {"channel": Channel.SMS},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.says for case in CASES])
def test_the_decision(case: Case) -> None:
    asked: dict[str, object] = {"vn": 50410000000, "caller": CALLER, "channel": Channel.VOICE, "at": NOW}
    question = Question(**(asked | case.asked))  # type: ignore[arg-type]
    decision = decide(question, case.facts)
    if isinstance(case.expected, Reason):
        assert isinstance(decision, Refuse)
        assert decision.reason is case.expected
        assert decision.steps[-1] == f"refuse: {case.expected}"
    else:
        assert isinstance(decision, Connect)
        assert (decision.target, decision.present) == case.expected
        assert (decision.binding_id, decision.tenant_id) == (BINDING, TENANT)


def test_every_reason_has_its_answer_to_the_network() -> None:
    told = {reason: (refusal.sip, refusal.cause) for reason, refusal in REFUSALS.items()}
    assert told == {
        Reason.UNALLOCATED: (404, 1),
        Reason.ENDED: (410, 22),
        Reason.NOT_A_PARTY: (403, 21),
        Reason.NOT_ALLOWED: (403, 21),
        Reason.BUSY: (486, 17),
        Reason.NO_ANSWER: (480, 19),
        Reason.UNREACHABLE: (502, 27),
        Reason.OVERLOAD: (503, 42),
    }
