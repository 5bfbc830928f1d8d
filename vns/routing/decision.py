"""The decision, for voice and text alike: a pure function of what is stored, the caller and the time."""

from dataclasses import dataclass, field
from uuid import UUID

from vns.bindings.rules import CallerId, Channel, Side, Status
from vns.errors import InvalidNumber, NumberNotMappable
from vns.numbering.rules import PhoneNumber, mappable, parse
from vns.pools.rules import Mode
from vns.routing.rules import (
    NEVER_PRESENTED,
    NO_LIMITS,
    BindingFacts,
    CallLimits,
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
from vns.rulebook.opening import open_at
from vns.rulebook.rules import NO_RULES, Direction, Rules, Switch

_PAIRS = frozenset({Mode.BIDIRECTIONAL, Mode.PER_SIDE, Mode.GROUP})  # modes in which a stranger has no binding


def decide(question: Question, facts: Facts) -> Decision:
    """The first check that objects decides; `steps` tells in words what was looked at."""
    return _Deciding(question, facts).decision()


def wanted_number(question: Question, facts_in_pool: bool) -> PhoneNumber | None:
    """Whom a subscriber wants to call: the number dialled itself, or after its own virtual number the digits."""
    if not facts_in_pool:
        return question.dialled
    try:
        return parse(question.digits or "")
    except InvalidNumber:
        return None


@dataclass(slots=True)
class _Deciding:
    question: Question
    facts: Facts
    steps: list[str] = field(default_factory=list)

    def decision(self) -> Decision:
        facts, binding = self.facts, self.facts.binding
        if facts.caller_stopped:  # whatever is dialled: the answer tells nothing about the number
            return self._refuse(Reason.NOT_ALLOWED, "the caller is stopped, for scanning or by the operator")
        if not facts.in_pool and (binding is None or not self._live(binding)):
            return self._refuse(Reason.UNALLOCATED, "the number dialled is in no pool")
        if facts.use is NumberUse.EXTENSION and (outcome := self._extension(binding)) is not None:
            return outcome
        if binding is None:
            return self._no_binding()
        if not self._live(binding):
            return self._not_live(binding)
        self.steps.append(f"live {binding.mode} binding")
        return self._through(binding)

    def _extension(self, binding: BindingFacts | None) -> Decision | None:
        """On a number with extensions: what is decided before a binding is; None where one is known."""
        live = binding is not None and self._live(binding)
        if self.question.digits is not None:
            if live or (binding is not None and self._resting()):
                return None
            return self._refuse(Reason.NOT_A_PARTY, "nobody has this extension", again=True)
        if live and binding is not None and binding.caller_is is Side.REAL:
            return None  # an owner calls back
        return self._ask_extension()

    def _ask_extension(self) -> Decision:
        if not self.facts.others:
            return self._refuse(Reason.UNALLOCATED, "the number is free")
        if self.question.caller is None:
            return self._refuse(Reason.NOT_A_PARTY, "the caller's number is withheld")
        if self.facts.caller_blocked:
            return self._refuse(Reason.NOT_ALLOWED, "calls from this caller are blocked")
        self.steps.append("the number has extensions: ask for one")
        limits = _limits(self.facts.pool_rules)
        return Collect(what="extension", binding_id=None, tenant_id=None, limits=limits, steps=tuple(self.steps))

    def _no_binding(self) -> Refuse:
        if self.facts.others:
            return self._refuse(Reason.NOT_A_PARTY, "the number connects pairs, and the caller is in none of them")
        return self._refuse(Reason.UNALLOCATED, "the number is free")

    def _not_live(self, binding: BindingFacts) -> Decision:
        if binding.mode in _PAIRS:
            return self._ended(binding, "the caller's pair on this number has ended")
        if self._resting():
            return self._ended(binding, "the binding has ended and the number is in quarantine")
        return self._refuse(Reason.UNALLOCATED, "the last binding has ended and its quarantine is over")

    def _ended(self, binding: BindingFacts, why: str) -> Decision:
        """Somebody may answer for a number that has ended, on the telephone, while it rests."""
        self.steps.append(why)
        if binding.rules.fallback_number is None or self.question.channel is not Channel.VOICE:
            return self._refuse(Reason.ENDED)
        objection = self._not_for_fallback(binding)
        if objection is not None:
            return self._refuse(Reason.ENDED, f"there is a fallback number, but {objection}")
        present = Presented.VIRTUAL_NUMBER if self._proven() else Presented.CALLER
        return self._connect(binding, Target.FALLBACK, present)

    def _not_for_fallback(self, binding: BindingFacts) -> str | None:
        """Why this caller does not reach the fallback number; None: it does."""
        if not self._resting():  # the seats of a pair stay until somebody else takes them
            return "the number rests no more"
        if binding.mode in _PAIRS and binding.caller_is is None:
            return "the caller is no party any more"
        if self.question.caller is None:
            return "the caller's number is withheld"
        if self.facts.caller_blocked:
            return "calls from this caller are blocked"
        if not self._proven() and not self._caller_may_be_shown():
            return "no caller ID that is proven"
        return None

    def _through(self, binding: BindingFacts) -> Decision:
        """A live binding: from who calls whom to the last check."""
        if self.question.caller is None:
            return self._refuse(Reason.NOT_A_PARTY, "the caller's number is withheld")
        target = self._target(binding)
        if isinstance(target, Reason):
            return self._refuse(target)
        objection = self._switched_off(binding, target) or self._blocked(target) or self._closed(binding.rules)
        if objection is not None:
            return self._refuse(objection)
        if target is Target.DIALLED:
            asked = self._dialling_out(binding)
            if asked is not None:
                return asked
        limit = binding.rules.concurrent_calls
        if limit is not None and self.question.channel is Channel.VOICE:
            if self.facts.open_calls >= limit:
                return self._refuse(Reason.BUSY, f"as many calls as the number may have at a time: {limit}")
            self.steps.append(f"fewer calls than the number may have at a time: {limit}")
        return self._connect(binding, target, self._presented(binding, target))

    def _target(self, binding: BindingFacts) -> Target | Reason:
        """Whom this caller reaches through the binding; a Reason: nobody."""
        owner = binding.caller_is is Side.REAL
        match binding.mode:
            case Mode.ONE_WAY if owner:
                return self._objection(Reason.NOT_ALLOWED, "the owner dials its own number")
            case Mode.EXTENSION if owner:
                return self._of_extension(binding)
            case Mode.ONE_WAY | Mode.EXTENSION:
                return Target.REAL
            case Mode.OUTBOUND:
                if owner:
                    return Target.DIALLED
                return self._objection(Reason.NOT_ALLOWED, "only its subscriber may call out through this number")
            case Mode.BIDIRECTIONAL | Mode.PER_SIDE | Mode.GROUP:
                return self._across(binding)

    def _of_extension(self, binding: BindingFacts) -> Target | Reason:
        if self.question.digits is not None:
            return self._objection(Reason.NOT_ALLOWED, "the owner dials its own extension")
        if not binding.has_last_caller:
            return self._objection(Reason.UNREACHABLE, "nobody has called the owner yet")
        self.steps.append("the owner calls back")
        return Target.LAST_CALLER

    def _across(self, binding: BindingFacts) -> Target | Reason:
        """From one party to the other; each has a number of its own in mode per_side."""
        if binding.caller_is is None:
            return self._objection(Reason.NOT_A_PARTY, "the caller is no party of this binding")
        from_real = binding.caller_is is Side.REAL
        if binding.mode is Mode.PER_SIDE and self.question.vn != (binding.peer_vn if from_real else binding.vn):
            return self._objection(Reason.NOT_A_PARTY, "the caller dials the number that is the other party's to dial")
        if not from_real:
            return Target.REAL
        return Target.TEAM if binding.mode is Mode.GROUP else Target.PEER

    def _switched_off(self, binding: BindingFacts, target: Target) -> Reason | None:
        channel, rules = self.question.channel, binding.rules
        if channel not in binding.channels:
            return self._objection(Reason.NOT_ALLOWED, f"the binding does not allow {channel}")
        if rules.channels is not None and Switch(channel.value) not in rules.channels:
            return self._objection(Reason.NOT_ALLOWED, f"the rules do not allow {channel}")
        self.steps.append(f"{channel} is allowed")
        direction = Direction.TO_REAL if target is Target.REAL else Direction.TO_PEER
        if rules.directions is not None and direction not in rules.directions:
            return self._objection(Reason.NOT_ALLOWED, f"the rules do not allow direction {direction}")
        return None

    def _blocked(self, target: Target) -> Reason | None:
        if self.facts.caller_blocked:
            return self._objection(Reason.NOT_ALLOWED, "calls from this caller are blocked")
        if target in self.facts.blocked:
            return self._objection(Reason.NOT_ALLOWED, "calls to whom this would reach are blocked")
        return None

    def _closed(self, rules: Rules) -> Reason | None:
        if rules.hours is None:
            return None
        if not open_at(rules.hours, self.question.at):
            return self._objection(Reason.NOT_ALLOWED, "outside the hours of the rules, in Korean time")
        self.steps.append("within the hours of the rules")
        return None

    def _dialling_out(self, binding: BindingFacts) -> Decision | None:
        """None: the number wanted may be called, showing the virtual number."""
        if not self._proven():
            return self._refuse(Reason.NOT_ALLOWED, "the pool's proof is not on file: its numbers are no caller ID")
        if self.facts.in_pool and self.question.digits is None:
            self.steps.append("its subscriber dials the number: ask whom to call")
            return Collect(
                what="number",
                binding_id=binding.id,
                tenant_id=binding.tenant_id,
                steps=tuple(self.steps),
                limits=_limits(binding.rules),
            )
        wanted = wanted_number(self.question, self.facts.in_pool)
        why = self._not_to_be_dialled(wanted)
        if why is not None:
            return self._refuse(Reason.NOT_ALLOWED, why, again=self.facts.in_pool)
        self.steps.append("the number wanted may be called")
        return None

    def _not_to_be_dialled(self, wanted: PhoneNumber | None) -> str | None:
        if wanted is None:
            return "what the subscriber dialled is no Korean number"
        try:
            mappable(wanted)
        except NumberNotMappable as error:
            return f"the subscriber may not call it: {error.detail}"
        if self.facts.dialled_is_virtual:
            return "the number wanted is a virtual number itself"
        if self.question.caller is not None and wanted.digits == self.question.caller.digits:
            return "the subscriber calls itself"
        return None

    def _presented(self, binding: BindingFacts, target: Target) -> Presented:
        exposes = binding.mode in (Mode.ONE_WAY, Mode.EXTENSION) and target is Target.REAL
        if exposes and binding.caller_id is CallerId.CALLER and self._caller_may_be_shown():
            return Presented.CALLER
        # a text is never without a sender: whether this one is proven is asked where its row is made (vns.messages)
        if self.question.channel is Channel.SMS or self._proven():
            return Presented.VIRTUAL_NUMBER
        self.steps.append("the pool's proof is not on file: its numbers are no caller ID")
        return Presented.WITHHELD

    def _proven(self) -> bool:
        """Whether the virtual number may be shown now, on this channel."""
        if self.question.channel is Channel.SMS:
            return self.facts.sms_proven
        until = self.facts.voice_proven_until
        return until is not None and until > self.question.at

    def _caller_may_be_shown(self) -> bool:
        caller = self.question.caller
        return caller is not None and self.question.show_caller and caller.kind not in NEVER_PRESENTED

    def _connect(self, binding: BindingFacts, target: Target, present: Presented) -> Connect:
        intercept = self.facts.hooked and binding.rules.intercept is not False
        if intercept:
            self.steps.append("the tenant's hook is asked before anybody is connected")
        whom = "fallback number" if target is Target.FALLBACK else _PARTY[target]
        shown = "no number" if present is Presented.WITHHELD else f"the {present.replace('_', ' ')}"
        self.steps.append(f"connect to the {whom}, presenting {shown}")
        return Connect(
            binding_id=binding.id,
            tenant_id=binding.tenant_id,
            target=target,
            present=present,
            ring=binding.ring,
            limits=_limits(binding.rules),
            intercept=intercept,
            steps=tuple(self.steps),
        )

    def _refuse(self, reason: Reason, why: str | None = None, *, again: bool = False) -> Refuse:
        if why is not None:
            self.steps.append(why)
        self.steps.append(f"refuse: {reason}")
        binding = self.facts.binding
        rules = binding.rules if binding is not None else self.facts.pool_rules
        return Refuse(
            reason=reason,
            binding_id=binding.id if binding else None,
            tenant_id=binding.tenant_id if binding else None,
            again=again,
            prompt=rules.prompts.get(reason.value),
            steps=tuple(self.steps),
        )

    def _objection(self, reason: Reason, why: str) -> Reason:
        self.steps.append(why)
        return reason

    def _live(self, binding: BindingFacts) -> bool:
        return binding.status is Status.ACTIVE and binding.ends_at > self.question.at

    def _resting(self) -> bool:
        return self.facts.rests_until is not None and self.facts.rests_until > self.question.at


_PARTY = {
    Target.REAL: "real party",
    Target.PEER: "peer party",
    Target.TEAM: "team",
    Target.LAST_CALLER: "last caller",
    Target.DIALLED: "number dialled",
}


def _limits(rules: Rules) -> CallLimits:
    if rules is NO_RULES:
        return NO_LIMITS
    return CallLimits(
        ring_seconds=rules.ring_seconds,
        max_seconds=rules.max_seconds,
        ringback=rules.ringback,
        prompts={Reason(name): prompt for name, prompt in rules.prompts.items()},
        record=bool(rules.record),
        concurrent=rules.concurrent_calls,
    )


def refused_after(decision: Connect, reason: Reason, why: str, prompt: UUID | None = None) -> Refuse:
    """The refusal of a call that the decision would have connected, for something found out afterwards."""
    return Refuse(
        reason=reason,
        binding_id=decision.binding_id,
        tenant_id=decision.tenant_id,
        prompt=prompt or decision.limits.prompts.get(reason),
        steps=(*decision.steps, f"{why}: refuse: {reason}"),
    )
