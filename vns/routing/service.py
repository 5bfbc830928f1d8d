"""Asks the decision: fetches its facts in one statement, decides, and finds out whom to connect."""

import time
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from vns.bindings import queries as binding_queries
from vns.bindings.rules import CallerId, Channel, Side, Status, cipher_context
from vns.crypto.rules import KeyRing
from vns.numbering.rules import PhoneNumber, digits_of, parse
from vns.pools.rules import Mode
from vns.routing import queries
from vns.routing.rules import (
    BindingFacts,
    Connect,
    Decision,
    Facts,
    Presented,
    Question,
    Reason,
    Refuse,
    decide,
)

RANGES_KEPT = 5.0  # seconds that the list of pool ranges is kept for the check against loops
NOBODY = b"\0" * 16  # a blind index that no number has: a withheld caller sits on no seat


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """A decision and what is needed to carry it out. `target` and `presented` are set on Connect only.

    `presented`: national digits of the caller ID to show. `from_index`, `to_index`: pseudonyms for the records.
    """

    decision: Decision
    target: PhoneNumber | None
    presented: str | None
    from_index: bytes | None
    to_index: bytes | None
    expire_after_call: bool
    sms_sender_proven: bool


class Router:
    """Answers questions on the connection, and so in the transaction, of whoever asks."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self._ranges: list[tuple[int, int]] = []
        self._ranges_until = 0.0

    async def route(self, connection: asyncpg.Connection, question: Question, *, connect: bool = True) -> Routed:
        """`connect` False explains a decision without its effect, the move of a sliding expiry."""
        caller_index = self._keyring.index(question.caller.digits) if question.caller else None
        row = None
        if question.vn is not None:
            row = await connection.fetchrow(queries.FACTS, question.vn, caller_index or NOBODY, question.at)
        decision = decide(question, facts_of(row, caller_index))
        if row is None or not isinstance(decision, Connect):
            return _refused(decision, caller_index)
        target = self._target(row, decision)
        if await self._is_virtual(connection, target.key):
            loop = Refuse(
                reason=Reason.UNREACHABLE,
                binding_id=decision.binding_id,
                tenant_id=decision.tenant_id,
                steps=(*decision.steps, "the target has become a virtual number itself: refuse: unreachable"),
            )
            return _refused(loop, caller_index)
        if connect and row["ttl_seconds"] is not None:
            await connection.execute(binding_queries.SLIDE, decision.binding_id, question.at)
        return Routed(
            decision=decision,
            target=target,
            presented=_presented(question, decision),
            from_index=caller_index,
            to_index=row["real_index"] if decision.target is Side.REAL else row["peer_index"],
            expire_after_call=row["expire_after_call"],
            sms_sender_proven=row["sender_proven"],
        )

    def _target(self, row: asyncpg.Record, decision: Connect) -> PhoneNumber:
        blob = row["real_number"] if decision.target is Side.REAL else row["peer_number"]
        return parse(self._keyring.decrypt(blob, context=cipher_context(row["id"], decision.target)))

    async def _is_virtual(self, connection: asyncpg.Connection, key: int) -> bool:
        if time.monotonic() >= self._ranges_until:
            rows = await connection.fetch(queries.POOL_RANGES)
            self._ranges = [(row["first"], row["last"]) for row in rows]
            self._ranges_until = time.monotonic() + RANGES_KEPT
        return any(first <= key <= last for first, last in self._ranges)


def facts_of(row: asyncpg.Record | None, caller_index: bytes | None) -> Facts:
    """The row of queries.FACTS as the decision's facts."""
    if row is None or not row["in_pool"]:
        return Facts(in_pool=False)
    return Facts(
        in_pool=True,
        binding=_binding_facts(row, row["id"], caller_index) if row["id"] is not None else None,
        rests_until=row["rests_until"],
        others=bool(row["others"]),
    )


def _binding_facts(row: asyncpg.Record, binding_id: UUID, caller_index: bytes | None) -> BindingFacts:
    caller_is = None
    if caller_index is not None:
        caller_is = {row["real_index"]: Side.REAL, row["peer_index"]: Side.PEER}.get(caller_index)
    status = Status(row["status"])
    if row["mode"] == Mode.BIDIRECTIONAL and caller_is is None:
        status = (
            Status.RELEASED
        )  # the pair goes on with another party in the caller's place: for the caller it has ended
    return BindingFacts(
        id=binding_id,
        tenant_id=row["tenant_id"],
        mode=Mode(row["mode"]),
        status=status,
        ends_at=row["ends_at"],
        channels=frozenset(Channel(channel) for channel in row["channels"]),
        caller_id=CallerId(row["caller_id"]),
        caller_is=caller_is,
    )


def _presented(question: Question, decision: Connect) -> str:
    if decision.present is Presented.CALLER and question.caller is not None:
        return question.caller.digits
    if question.vn is None:
        raise AssertionError("a connected decision has a virtual number")
    return digits_of(question.vn)


def _refused(decision: Decision, caller_index: bytes | None) -> Routed:
    return Routed(
        decision=decision,
        target=None,
        presented=None,
        from_index=caller_index,
        to_index=None,
        expire_after_call=False,
        sms_sender_proven=False,
    )
