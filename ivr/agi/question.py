"""Turns the question of Asterisk into the platform's, and the decision into what Asterisk is to do."""

import asyncio
import logging
import traceback
from typing import Protocol

from ivr.agi.identity import read_identity
from ivr.agi.instructions import instructions, prompts_of, refusal, turned_away
from ivr.agi.rate import CallRate
from ivr.agi.server import AgiRequest, Answer
from ivr.callids import call_id_of, system_of
from ivr.prompts.library import PromptLibrary
from vns.bindings.rules import Channel
from vns.calls.service import Attempt, Begun
from vns.errors import InvalidNumber, VnsError
from vns.numbering.rules import PhoneNumber, parse
from vns.routing.rules import Question, Reason
from vns.routing.service import Routed
from vns.storage.clock import Clock

log = logging.getLogger(__name__)


class Decider(Protocol):
    """Decides about an attempt and sees to its record. Raises VnsError."""

    async def begin(self, attempt: Attempt) -> Begun: ...


class Questions:
    """Answers for one bridge. Whatever goes wrong inside is heard as `overload`: the caller may try again. So is what
    is too much, but at once and without an announcement, which would cost more than the call."""

    def __init__(
        self,
        calls: Decider,
        clock: Clock,
        *,
        bridge: str,
        deadline: float,
        at_once: int,
        rate: CallRate,
        library: PromptLibrary | None = None,
    ) -> None:
        """`library`: without one every caller hears the platform's own prompts."""
        self._calls = calls
        self._library = library
        self._rate = rate
        self._clock = clock
        self._bridge = bridge
        self._deadline = deadline  # seconds
        self._at_once = at_once
        self._under_way: set[asyncio.Task[None]] = set()

    def answer(self, request: AgiRequest) -> "asyncio.Future[Answer]":
        """BRIDGE, and what ivr.agi.instructions says. Cancelled, it is not decided any further."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        if self._is_too_much(request, loop.time()):
            answer.set_result({"BRIDGE": self._bridge, **turned_away()})
            return answer

        async def decide() -> None:
            decided = await self._decide(request)
            if not answer.done():
                answer.set_result(decided)

        def ended(task: "asyncio.Task[None]") -> None:
            self._under_way.discard(task)
            late.cancel()

        def too_late() -> None:
            # Nobody waits until the cancelled work has ended: a PostgreSQL that stands still holds even that up, while
            # returning the connection.
            log.warning("call %s: no decision within %.1f s", request.unique_id, self._deadline)
            answer.set_result(self._refusal(Reason.OVERLOAD))
            deciding.cancel()

        deciding = loop.create_task(decide())
        self._under_way.add(deciding)
        late = loop.call_later(self._deadline, too_late)
        deciding.add_done_callback(ended)
        answer.add_done_callback(lambda answered: deciding.cancel() if answered.cancelled() else None)
        return answer

    def _is_too_much(self, request: AgiRequest, now: float) -> bool:
        if len(self._under_way) >= self._at_once:
            log.warning("call %s: too many questions at once", request.unique_id)
            return True
        _, _, _, digits = _arguments(request)  # who has entered some is in the middle of a call
        if not digits and self._rate.exceeded(system_of(request.unique_id), now):
            log.warning("call %s: too many calls a second", request.unique_id)
            return True
        return False

    async def _decide(self, request: AgiRequest) -> Answer:
        """Raises nothing."""
        try:
            attempt = self._attempt(request)
            begun = await self._calls.begin(attempt)
            return await self._instructions(begun.routed, digits_given=attempt.question.digits is not None)
        except VnsError as error:
            log.warning("call %s: %s", request.unique_id, error.code)
            return self._refusal(Reason.OVERLOAD)
        except Exception as error:  # noqa: BLE001 - the caller is to hear something, whatever failed
            where = traceback.extract_tb(error.__traceback__)[-1]  # the text of an error may hold a number
            log.warning("call %s: %s at %s:%s", request.unique_id, type(error).__name__, where.name, where.lineno)
            return self._refusal(Reason.OVERLOAD)

    def _attempt(self, request: AgiRequest) -> Attempt:
        dialled, asserted, privacy, digits = _arguments(request)
        identity = read_identity(asserted, request.caller, privacy)
        number = _dialled(dialled)
        return Attempt(
            call_id=call_id_of(request.unique_id),
            dialled=number,
            question=Question(
                vn=number.key if number else None,
                caller=identity.number,
                channel=Channel.VOICE,
                at=self._clock.now(),
                show_caller=identity.show,
                dialled=number,
                digits=digits or None,
            ),
            bridge=self._bridge,
            channel=request.unique_id,
        )

    async def _instructions(self, routed: Routed, *, digits_given: bool) -> Answer:
        wanted = prompts_of(routed, digits_given=digits_given)
        files = await self._library.ensure(wanted) if wanted and self._library is not None else {}
        return {"BRIDGE": self._bridge, **instructions(routed, files, digits_given=digits_given)}

    def _refusal(self, reason: Reason) -> Answer:
        return {"BRIDGE": self._bridge, **refusal(reason)}


def _arguments(request: AgiRequest) -> tuple[str, str, str, str]:
    """Number dialled, P-Asserted-Identity, Privacy, digits; '' for what the question does not hold."""
    dialled, asserted, privacy, digits = (*request.arguments, "", "", "", "")[:4]
    return dialled, asserted, privacy, digits


def _dialled(text: str) -> PhoneNumber | None:
    try:
        return parse(text.partition(";")[0])
    except InvalidNumber:
        return None
