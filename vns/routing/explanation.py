"""What the platform would do with a call or a text, and why: for people, on a terminal or on a page."""

from dataclasses import dataclass
from typing import Final

from vns.bindings.rules import Channel
from vns.errors import InvalidNumber
from vns.numbering.rules import PhoneNumber, mask, parse
from vns.routing.rules import REFUSALS, CallLimits, Collect, Presented, Question, Refuse, Target
from vns.routing.service import Routed, Router
from vns.storage.clock import Clock
from vns.storage.database import Database

Facts = list[tuple[str, object]]

_WHO: Final = {
    Target.REAL: "real party",
    Target.PEER: "peer party",
    Target.LAST_CALLER: "last caller",
    Target.DIALLED: "number dialled",
    Target.FALLBACK: "fallback number",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`facts`: by name what was decided; real numbers are masked."""

    question: Question
    routed: Routed

    @property
    def steps(self) -> tuple[str, ...]:
        return self.routed.decision.steps

    @property
    def facts(self) -> Facts:
        return _outcome(self.question, self.routed)


class Explainer:
    """Asks the decision without its effects: nothing is changed, and a hook is told of, not asked."""

    def __init__(self, db: Database, router: Router, clock: Clock) -> None:
        self._db = db
        self._router = router
        self._clock = clock

    async def explain(
        self, vn: str, caller: str | None, channel: Channel = Channel.VOICE, *, digits: str | None = None
    ) -> Explanation:
        """`vn`, `caller` as typed; `caller` None: withheld. `digits`: dialled when asked. Raises InvalidNumber."""
        dialled = _dialled(vn)
        question = Question(
            vn=dialled.key if dialled else None,
            caller=parse(caller) if caller else None,
            channel=channel,
            at=self._clock.now(),
            dialled=dialled,
            digits=digits,
        )
        async with self._db.connection() as connection:
            routed = await self._router.route(connection, question, connect=False)
        return Explanation(question=question, routed=routed)


def _dialled(text: str) -> PhoneNumber | None:
    """None for what is no Korean number at all: the platform answers to that as well."""
    try:
        return parse(text)
    except InvalidNumber:
        return None


def _outcome(question: Question, routed: Routed) -> Facts:
    decision = routed.decision
    about: Facts = [
        ("caller", question.caller.masked if question.caller else "withheld"),
        ("binding", decision.binding_id),
    ]
    if isinstance(decision, Collect):
        return [("decision", "collect"), ("asks_for", decision.what), *about, *_limits(decision.limits)]
    if isinstance(decision, Refuse):
        refusal = REFUSALS[decision.reason]
        return [
            ("decision", "refuse"),
            ("reason", decision.reason),
            ("sip", refusal.sip),
            ("q850", refusal.cause),
            ("prompt", decision.prompt or refusal.prompt),
            *about,
        ]
    presented = routed.presented or "withheld"
    return [
        ("decision", "connect"),
        ("target", f"{', '.join(map(str, routed.targets))} ({_WHO.get(decision.target, decision.target)})"),
        *([("ring", decision.ring)] if decision.target is Target.TEAM else []),
        ("presents", mask(presented) if decision.present is Presented.CALLER else presented),
        *about,
        *_limits(decision.limits),
    ]


def _limits(limits: CallLimits) -> Facts:
    """Those that rules have set."""
    named: Facts = [
        ("ring_seconds", limits.ring_seconds),
        ("max_seconds", limits.max_seconds),
        ("concurrent", limits.concurrent),
        ("ringback", limits.ringback),
        ("record", "yes" if limits.record else None),
        ("prompts", [f"{reason}={prompt}" for reason, prompt in limits.prompts.items()] or None),
    ]
    return [(name, value) for name, value in named if value is not None]
