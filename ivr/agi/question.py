"""Turns the question of Asterisk into the platform's, and the decision into what Asterisk is to do."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from ivr.agi.identity import read_identity
from ivr.agi.instructions import Files, instructions, prompts_of, refusal, turned_away
from ivr.agi.rate import CallRate
from ivr.agi.server import AgiRequest, Answer
from ivr.callids import call_id_of, system_of
from ivr.prompts.library import PromptLibrary
from vns.bindings.rules import Channel
from vns.calls.service import Attempt, Begun
from vns.calls.standby import Decided
from vns.errors import InvalidNumber, VnsError
from vns.numbering.rules import PhoneNumber, parse
from vns.routing.rules import Question, Reason
from vns.routing.service import Routed
from vns.storage.clock import Clock

log = logging.getLogger(__name__)


class Decider(Protocol):
    """Decides about an attempt and sees to its record. See vns.calls.standby. Raises VnsError."""

    async def begin(self, attempt: Attempt, decided: Decided) -> None: ...


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

        def too_late() -> None:
            # Nobody waits until the cancelled work has ended: a PostgreSQL that stands still holds even that up, while
            # returning the connection.
            if not answer.done():
                log.warning("call %s: no decision within %.1f s", request.unique_id, self._deadline)
                answer.set_result(self._refusal(Reason.OVERLOAD))
            deciding.cancel()

        late = loop.call_later(self._deadline, too_late)
        deciding = self._start(_Open(request, answer, late), self._decide)
        answer.add_done_callback(lambda answered: deciding.cancel() if answered.cancelled() else None)
        return answer

    def _start(self, question: "_Open", work: "Callable[[_Open], Awaitable[None]]") -> "asyncio.Task[None]":
        """Whatever goes wrong in `work` is heard as an answer, too."""

        def ended(task: "asyncio.Task[None]") -> None:
            self._under_way.discard(task)
            if question.answer.done():
                question.late.cancel()

        task = asyncio.get_running_loop().create_task(self._answered(question, work))
        self._under_way.add(task)
        task.add_done_callback(ended)
        return task

    def _is_too_much(self, request: AgiRequest, now: float) -> bool:
        if len(self._under_way) >= self._at_once:
            log.warning("call %s: too many questions at once", request.unique_id)
            return True
        if not self._rate.is_limited:
            return False
        asked = _Arguments.of(request)  # who has entered digits, or rung somebody, is in the middle of a call
        if not (asked.digits or asked.tried) and self._rate.exceeded(system_of(request.unique_id), now):
            log.warning("call %s: too many calls a second", request.unique_id)
            return True
        return False

    async def _answered(self, question: "_Open", work: "Callable[[_Open], Awaitable[None]]") -> None:
        try:
            await work(question)
        except VnsError as error:
            log.warning("call %s: %s", question.request.unique_id, error.code)
            question.settle(self._refusal(Reason.OVERLOAD))
        except Exception as error:  # noqa: BLE001 - the caller is to hear something, whatever failed
            where = traceback.extract_tb(error.__traceback__)[-1]  # the text of an error may hold a number
            name = type(error).__name__
            log.warning("call %s: %s at %s:%s", question.request.unique_id, name, where.name, where.lineno)
            question.settle(self._refusal(Reason.OVERLOAD))

    async def _decide(self, question: "_Open") -> None:
        attempt = self._attempt(question.request)

        def decided(begun: Begun) -> None:
            routed, library = begun.routed, self._library
            wanted = prompts_of(routed, attempt.question)
            if not wanted or library is None:
                question.settle(self._instructions(routed, {}, attempt.question))
                return

            async def with_prompts(question: _Open) -> None:
                files = await library.ensure(wanted)
                question.settle(self._instructions(routed, files, attempt.question))

            self._start(question, with_prompts)

        await self._calls.begin(attempt, decided)

    def _attempt(self, request: AgiRequest) -> Attempt:
        asked = _Arguments.of(request)
        identity = read_identity(asked.asserted, asked.caller or request.caller, asked.privacy)
        number = _dialled(asked.dialled)
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
                digits=asked.digits or None,
                tried=frozenset(filter(None, asked.tried.split("-"))),
            ),
            bridge=self._bridge,
            channel=request.unique_id,
        )

    def _instructions(self, routed: Routed, files: Files, question: Question) -> Answer:
        return {"BRIDGE": self._bridge, **instructions(routed, files, question)}

    def _refusal(self, reason: Reason) -> Answer:
        return {"BRIDGE": self._bridge, **refusal(reason)}


@dataclass(frozen=True, slots=True)
class _Open:
    """A question that is under way. `late`: what answers it when nothing else has."""

    request: AgiRequest
    answer: "asyncio.Future[Answer]"
    late: asyncio.TimerHandle

    def settle(self, answer: Answer) -> None:
        """The first answer counts."""
        if not self.answer.done():
            self.answer.set_result(answer)


class _Arguments(NamedTuple):
    """In the order in which the dialplan hands them over; '' for what the question does not hold.

    `tried`, `caller`: of a call to a team, see ivr.agi.instructions.
    """

    dialled: str = ""
    asserted: str = ""  # P-Asserted-Identity
    privacy: str = ""
    digits: str = ""
    tried: str = ""
    caller: str = ""

    @classmethod
    def of(cls, request: AgiRequest) -> Self:
        return cls(*request.arguments[: len(cls._fields)])


def _dialled(text: str) -> PhoneNumber | None:
    try:
        return parse(text.partition(";")[0])
    except InvalidNumber:
        return None
