"""Asks the decision: fetches its facts in one statement, decides, and finds out whom to connect."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg

from vns.bindings import queries as binding_queries
from vns.bindings.rules import (
    CallerId,
    Channel,
    Ring,
    Side,
    Status,
    cipher_context,
    last_caller_context,
    member_context,
)
from vns.crypto.rules import KeyRing
from vns.numbering.rules import PhoneNumber, digits_of, parse
from vns.pools.rules import Mode
from vns.routing import queries
from vns.routing.decision import decide, refused_after, wanted_number
from vns.routing.rules import (
    NO_LIMITS,
    BindingFacts,
    CallLimits,
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
from vns.rulebook.documents import read
from vns.rulebook.rules import NO_RULES
from vns.rulebook.sealing import unseal

RANGES_KEPT = 5.0  # seconds that the list of pool ranges is kept for the check against loops
PSEUDONYMS_KEPT = 256
NOBODY = b"\0" * 16  # a blind index that no number has: a withheld caller sits on no seat
_INDEX = 16  # bytes

FactsRow = Mapping[str, Any]
"""A row of queries.FACTS or ALL_FACTS: PostgreSQL's, or the copy of one."""
MANY = 4  # questions from which on one statement for all is less work than one for each


class OnFailure(StrEnum):
    """What becomes of a call whose hook gives no answer."""

    ALLOW = "allow"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Hook:
    """Where a tenant wants to be asked. `deadline` in seconds."""

    url: str
    secret: str
    deadline: float
    on_failure: OnFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """A decision and what is needed to carry it out. `targets` and `presented` are set on Connect only.

    `presented`: national digits of the caller ID to show, None where none may be. `from_index`, `to_index`: pseudonyms
    for the records; none for a team, of whom nobody knows yet who will answer. `vn`: the binding's number, where a
    subscriber dialled another number than that. `hook`: ask it before connecting (vns.routing.intercept).
    """

    decision: Decision
    targets: tuple[PhoneNumber, ...]
    presented: str | None
    from_index: bytes | None
    to_index: bytes | None
    expire_after_call: bool
    sms_sender_proven: bool
    vn: int | None = None
    reference: str | None = None
    missed_call_text: bool = False
    calls_back: bool = False  # the caller becomes whom the owner reaches by dialling the number
    slides: bool = False  # Router.slide is to be called when nothing has refused it after the decision
    hook: Hook | None = None
    facts: FactsRow | None = field(default=None, repr=False)  # what it was decided by, for a copy of it

    @property
    def target(self) -> PhoneNumber | None:
        """The one to call, or the first of a team: a text goes to nobody else."""
        return self.targets[0] if self.targets else None

    @property
    def nobody_left(self) -> bool:
        """Whether it would be connected, but to nobody whom it has not rung already (Question.tried)."""
        return isinstance(self.decision, Connect) and not self.targets

    @property
    def limits(self) -> CallLimits:
        """How the call is carried out."""
        return NO_LIMITS if isinstance(self.decision, Refuse) else self.decision.limits

    def refused(self, refusal: Refuse) -> "Routed":
        """The same question with a refusal in place of what had been decided."""
        return replace(
            self,
            decision=refusal,
            targets=(),
            presented=None,
            to_index=None,
            expire_after_call=False,
            slides=False,
            hook=None,
            facts=None,
        )


@dataclass(frozen=True, slots=True)
class _Callee:
    number: PhoneNumber
    index: bytes | None


class Router:
    """Answers questions on the connection, and so in the transaction, of whoever asks."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self._index = lru_cache(maxsize=PSEUDONYMS_KEPT)(keyring.index)  # one call asks for the same several times
        self._ranges: list[tuple[int, int]] = []
        self._ranges_until = 0.0

    @property
    def keyring(self) -> KeyRing:
        """With which the records of what was decided are encrypted too."""
        return self._keyring

    async def route(
        self,
        connection: asyncpg.Connection,
        question: Question,
        *,
        connect: bool = True,
        attempt: UUID | None = None,
        row: asyncpg.Record | None = None,
    ) -> Routed:
        """`connect` False explains a decision without its effect, the move of a sliding expiry.

        `attempt`: the call itself, which does not count among the calls on its number when it is asked about again.
        `row`: of queries.FACTS, where that has been asked.
        """
        caller_index = self.pseudonym(question.caller)
        row = await self._row(connection, question, caller_index, attempt, row)
        return await self._decided(connection, question, caller_index, row, connect=connect)

    async def route_many(self, connection: asyncpg.Connection, questions: Sequence[Question]) -> list[Routed]:
        """As `route` for each; the facts that most need are fetched in one statement. They are of the same moment."""
        plain = [question for question in questions if is_plain(question)]
        if len(plain) < MANY:
            return [await self.route(connection, question) for question in questions]
        callers = [self.pseudonym(question.caller) for question in plain]
        numbers = [question.vn for question in plain]
        keys = [index or NOBODY for index in callers]
        found = await connection.fetch(queries.FACTS_OF_MANY, numbers, keys, plain[0].at)
        rows = {id(one): (caller, row) for one, caller, row in zip(plain, callers, found, strict=True)}
        answers = []
        for question in questions:
            caller_index, row = rows.get(id(question), (None, None))
            if row is None or row["more"]:
                answers.append(await self.route(connection, question))
            else:
                answers.append(await self._decided(connection, question, caller_index, row))
        return answers

    async def _decided(
        self,
        connection: asyncpg.Connection,
        question: Question,
        caller_index: bytes | None,
        row: asyncpg.Record | None,
        *,
        connect: bool = True,
    ) -> Routed:
        await self._learn_ranges(connection)
        routed = self._settled(question, caller_index, row)
        if connect and routed.slides and routed.hook is None and routed.limits.concurrent is None:
            await connection.execute(binding_queries.SLIDE, routed.decision.binding_id, question.at)
            return replace(routed, slides=False)
        return routed if connect else replace(routed, slides=False)

    def settled(self, question: Question, row: FactsRow | None) -> Routed | None:
        """As `route` by a row of queries.FACTS, without a connection. None where that does not suffice."""
        if row is None or row["more"] or time.monotonic() >= self._ranges_until:
            return None
        routed = self._settled(question, self.pseudonym(question.caller), row)
        return None if routed.slides else routed

    def route_copied(self, question: Question, row: Mapping[str, Any]) -> Routed:
        """As `route`, by a row that PostgreSQL answered earlier (vns.routing.copies). Nothing slides by it."""
        return replace(self._settled(question, self.pseudonym(question.caller), row), slides=False)

    def _settled(self, question: Question, caller_index: bytes | None, row: FactsRow | None) -> Routed:
        facts = facts_of(row, question, caller_index)
        decision = decide(question, facts)
        if row is None or not isinstance(decision, Connect):
            return refused(decision, caller_index, vn=_own_vn(row))
        callees = [
            callee
            for callee in self._callees(row, decision, question, caller_index)
            if not self._is_virtual(callee.number.key)
        ]
        if not callees:
            loop = refused_after(decision, Reason.UNREACHABLE, "the target has become a virtual number itself")
            return refused(loop, caller_index, vn=_own_vn(row))
        left = tuple(callee.number for callee in callees if callee.number.digits not in question.tried)
        # A tenant is asked about a call, not about each member of a team that it rings.
        told = not left or (bool(question.tried) and decision.target is Target.TEAM)
        ended = decision.target is Target.FALLBACK
        rules = facts.binding.rules if facts.binding is not None else NO_RULES
        return Routed(
            decision=decision,
            targets=left,
            presented=_presented(question, decision, row),
            from_index=caller_index,
            to_index=callees[0].index if len(callees) == 1 else None,
            expire_after_call=row["expire_after_call"] and not ended,
            sms_sender_proven=row["sms_proven"],
            vn=_own_vn(row),
            reference=row.get("reference"),
            missed_call_text=bool(rules.missed_call_text) and decision.target is Target.REAL,
            calls_back=row["mode"] == Mode.EXTENSION and decision.target is Target.REAL,
            slides=row["ttl_seconds"] is not None and not ended and bool(left),
            hook=self._hook(row) if decision.intercept and not told else None,
            facts=row,
        )

    async def slide(self, connection: asyncpg.Connection, routed: Routed, question: Question) -> None:
        """Move a sliding end that waited for what comes after the decision: a hook, a limit. Call it once connected."""
        if routed.slides:
            await connection.execute(binding_queries.SLIDE, routed.decision.binding_id, question.at)

    def pseudonym(self, caller: PhoneNumber | None) -> bytes | None:
        """The blind index under which the records know a caller; None where it is withheld."""
        return self._index(caller.digits) if caller else None

    async def _row(
        self,
        connection: asyncpg.Connection,
        question: Question,
        caller_index: bytes | None,
        attempt: UUID | None,
        row: asyncpg.Record | None,
    ) -> asyncpg.Record | None:
        caller = caller_index or NOBODY
        if is_plain(question):
            row = row or await connection.fetchrow(queries.FACTS, question.vn, caller, question.at)
            if row is not None and not row["more"]:
                return row
        elif question.vn is None and caller_index is None:
            return None
        wanted = wanted_number(question, question.digits is not None)
        return await connection.fetchrow(
            queries.ALL_FACTS,
            question.vn,
            caller,
            question.at,
            question.digits,
            wanted.key if wanted else None,
            self.pseudonym(wanted),
            attempt,
        )

    def _callees(
        self, row: FactsRow, decision: Connect, question: Question, caller_index: bytes | None
    ) -> list[_Callee]:
        """Whom to call, in order. More than one only for a team, without those of it who are blocked."""
        match decision.target:
            case Target.REAL:
                return [self._party(row, Side.REAL)]
            case Target.PEER:
                return [self._party(row, Side.PEER)]
            case Target.TEAM:
                return self._team(row, _blocked(row)[1])
            case Target.LAST_CALLER:
                digits = self._keyring.decrypt(row["last_caller"], context=last_caller_context(row["id"]))
                return [_Callee(parse(digits), row["last_caller_index"])]
            case Target.DIALLED:
                wanted = wanted_number(question, row["in_pool"])
                return [_Callee(wanted, self.pseudonym(wanted))] if wanted else []
            case Target.FALLBACK:
                return self._fallback(row)

    def _party(self, row: FactsRow, side: Side) -> _Callee:
        digits = self._keyring.decrypt(row[f"{side}_number"], context=cipher_context(row["id"], side))
        return _Callee(parse(digits), row[f"{side}_index"])

    def _team(self, row: FactsRow, blocked: frozenset[bytes]) -> list[_Callee]:
        return [
            _Callee(parse(self._keyring.decrypt(blob, context=member_context(row["id"], index))), index)
            for blob, index in zip(row["members"], row["member_indexes"], strict=True)
            if index not in blocked
        ]

    def _fallback(self, row: FactsRow) -> list[_Callee]:
        """The binding's own, else its pool's: each document is sealed to where it stands."""
        for stored, owner in ((row["rules"], row["id"]), (row["pool_rules"], row["pool_id"])):
            number = read(stored).fallback_number
            if number is not None:
                found = parse(unseal(self._keyring, owner, number))
                return [_Callee(found, self.pseudonym(found))]
        return []

    def _hook(self, row: FactsRow) -> Hook:
        return Hook(
            url=row["hook_url"],
            secret=self._keyring.decrypt(row["hook_secret"], context=hook_context(row["tenant_id"])),
            deadline=row["hook_deadline_ms"] / 1000,
            on_failure=OnFailure(row["hook_on_failure"]),
        )

    async def _learn_ranges(self, connection: asyncpg.Connection) -> None:
        if time.monotonic() >= self._ranges_until:
            rows = await connection.fetch(queries.POOL_RANGES)
            self._ranges = [(row["first"], row["last"]) for row in rows]
            self._ranges_until = time.monotonic() + RANGES_KEPT

    def _is_virtual(self, key: int) -> bool:
        return any(first <= key <= last for first, last in self._ranges)


def is_plain(question: Question) -> bool:
    """Whether queries.FACTS may suffice for it."""
    return question.digits is None and question.vn is not None


def hook_context(tenant_id: UUID) -> bytes:
    """What an encrypted secret of a hook is tied to."""
    return b"hook:" + tenant_id.bytes


def facts_of(row: FactsRow | None, question: Question, caller_index: bytes | None) -> Facts:
    """The row of queries.FACTS or ALL_FACTS as the decision's facts."""
    if row is None:
        return Facts(in_pool=False)
    plain = not row.get("all_told", False)
    if plain and row["id"] is None:
        return Facts(
            in_pool=row["in_pool"],
            use=NumberUse(row["kind"]) if row["kind"] else None,
            caller_stopped=row["caller_stopped"],
            others=row["others"] or False,
        )
    if plain:
        return Facts(
            in_pool=row["in_pool"],
            use=NumberUse(row["kind"]),
            caller_stopped=row["caller_stopped"],
            binding=_binding_facts(row, caller_index),
            rests_until=row["rests_until"],
            sms_proven=row["sms_proven"],
            voice_proven_until=row["voice_proven_until"],
        )
    return _all_facts(row, caller_index)


def _all_facts(row: FactsRow, caller_index: bytes | None) -> Facts:
    callers, callees = _blocked(row)
    return Facts(
        in_pool=row["in_pool"],
        use=NumberUse(row["kind"]) if row["kind"] else None,
        caller_stopped=row["caller_stopped"],
        binding=_binding_facts(row, caller_index) if row["id"] is not None else None,
        rests_until=row["rests_until"],
        others=row["others"] or False,
        sms_proven=row["sms_proven"] or False,
        voice_proven_until=row["voice_proven_until"],
        caller_blocked=caller_index in callers,
        blocked=_blocked_targets(row, callees),
        dialled_is_virtual=row["dialled_is_virtual"] or False,
        open_calls=row["open_calls"] or 0,
        hooked=row["hook_url"] is not None,
        pool_rules=read(row["pool_rules"]),
    )


def _blocked(row: FactsRow) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """Parties that are not to call, and parties that are not to be called."""
    entries = [(bytes(entry[:-_INDEX]), bytes(entry[-_INDEX:])) for entry in row["blocked"] or ()]
    return (
        frozenset(party for direction, party in entries if direction != b"to"),
        frozenset(party for direction, party in entries if direction != b"from"),
    )


def _blocked_targets(row: FactsRow, callees: frozenset[bytes]) -> frozenset[Target]:
    if not callees:
        return frozenset()
    index_of = {
        Target.REAL: row["real_index"],
        Target.PEER: row["peer_index"],
        Target.LAST_CALLER: row["last_caller_index"],
        Target.DIALLED: row["dialled_index"],
    }
    blocked = {target for target, index in index_of.items() if index in callees}
    if row["member_indexes"] and callees.issuperset(row["member_indexes"]):
        blocked.add(Target.TEAM)
    return frozenset(blocked)


def _binding_facts(row: FactsRow, caller_index: bytes | None) -> BindingFacts:
    mode, status = Mode(row["mode"]), Status(row["status"])
    caller_is = _side_of(row, mode, caller_index)
    if caller_is is None and mode in (Mode.BIDIRECTIONAL, Mode.PER_SIDE, Mode.GROUP):
        status = Status.RELEASED  # it goes on with another party in the caller's place: for the caller it has ended
    all_told = row.get("all_told", False)
    return BindingFacts(
        id=row["id"],
        tenant_id=row["tenant_id"],
        mode=mode,
        status=status,
        ends_at=row["ends_at"],
        channels=_channels(*row["channels"]),
        caller_id=CallerId(row["caller_id"]),
        caller_is=caller_is,
        vn=row["vn"],
        peer_vn=row["peer_vn"] if all_told else None,
        ring=Ring(row["ring"]) if all_told and row["ring"] else Ring.ORDER,
        has_last_caller=all_told and row["last_caller"] is not None,
        rules=read(row["rules"]).over(read(row["pool_rules"])) if all_told else NO_RULES,
    )


@lru_cache
def _channels(*names: str) -> frozenset[Channel]:
    return frozenset(map(Channel, names))


def _side_of(row: FactsRow, mode: Mode, caller_index: bytes | None) -> Side | None:
    if caller_index is None:
        return None
    if mode is Mode.GROUP and caller_index in row["member_indexes"]:
        return Side.PEER
    return {row["real_index"]: Side.REAL, row["peer_index"]: Side.PEER}.get(caller_index)


def _presented(question: Question, decision: Connect, row: FactsRow) -> str | None:
    if decision.present is Presented.WITHHELD:
        return None
    if decision.present is Presented.CALLER and question.caller is not None:
        return question.caller.digits
    other_side = row["mode"] == Mode.PER_SIDE and question.vn == row["vn"]
    return digits_of(row["peer_vn"] if other_side else row["vn"])


def _own_vn(row: FactsRow | None) -> int | None:
    """The number of a subscriber's binding, where the call came in for another number."""
    if row is None or row["in_pool"] or row["id"] is None:
        return None
    vn: int = row["vn"]
    return vn


def refused(decision: Decision, caller_index: bytes | None, *, vn: int | None = None) -> Routed:
    """What there is to carry out of a decision that connects nobody."""
    return Routed(
        decision=decision,
        targets=(),
        presented=None,
        from_index=caller_index,
        to_index=None,
        expire_after_call=False,
        sms_sender_proven=False,
        vn=vn,
    )
