"""The intercept hook: a tenant is asked over HTTP before one of its bindings connects anybody. The port, and its rules.

The core knows no HTTP: whoever runs calls and texts (ivr, sms_relay) hands in an Interceptor.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from vns.bindings.rules import Channel
from vns.routing.decision import refused_after
from vns.routing.rules import Connect, Question, Reason
from vns.routing.service import Hook, OnFailure, Routed

HOOK_REASONS = frozenset({Reason.NOT_ALLOWED, Reason.BUSY, Reason.UNREACHABLE})
"""What a hook may have its caller told; anything else is `not_allowed`."""


class Action(StrEnum):
    ALLOW = "allow"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What a hook is told of a call or text. `vn`: key; `caller` is masked, None where withheld."""

    binding_id: UUID
    vn: int
    reference: str | None
    caller: str | None
    channel: Channel
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HookAnswer:
    action: Action
    reason: Reason = Reason.NOT_ALLOWED


class Interceptor(Protocol):
    """Asks hooks."""

    async def ask(self, hook: Hook, inquiry: Inquiry) -> HookAnswer | None:
        """None: no answer that can be used. The caller of this keeps the deadline and cancels."""
        ...


async def intercepted(interceptor: Interceptor | None, question: Question, routed: Routed) -> Routed:
    """The decision after its tenant has been asked, where it wants to be. Never call this inside a transaction.

    Takes no longer than the hook's deadline. Raises nothing.
    """
    decision, hook = routed.decision, routed.hook
    if not isinstance(decision, Connect) or hook is None:
        return routed
    answer = await _answer(interceptor, hook, _inquiry(question, routed, decision))
    if answer is None:
        if hook.on_failure is OnFailure.ALLOW:
            return replace(
                routed, hook=None, decision=_noted(decision, "the hook did not answer: allowed all the same")
            )
        return routed.refused(refused_after(decision, Reason.NOT_ALLOWED, "the hook did not answer"))
    if answer.action is Action.ALLOW:
        return replace(routed, hook=None, decision=_noted(decision, "the hook allows it"))
    reason = answer.reason if answer.reason in HOOK_REASONS else Reason.NOT_ALLOWED
    return routed.refused(refused_after(decision, reason, "the hook refuses it"))


async def _answer(interceptor: Interceptor | None, hook: Hook, inquiry: Inquiry) -> HookAnswer | None:
    if interceptor is None:
        return None
    try:
        async with asyncio.timeout(hook.deadline):
            return await interceptor.ask(hook, inquiry)
    except TimeoutError:
        return None


def _inquiry(question: Question, routed: Routed, decision: Connect) -> Inquiry:
    return Inquiry(
        binding_id=decision.binding_id,
        vn=routed.vn if routed.vn is not None else question.vn or 0,
        reference=routed.reference,
        caller=question.caller.masked if question.caller else None,
        channel=question.channel,
        at=question.at,
    )


def _noted(decision: Connect, step: str) -> Connect:
    return replace(decision, steps=(*decision.steps, step))
