"""What a bridge answers to Asterisk, whatever happens behind it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from ivr.agi.question import Questions
from ivr.agi.rate import CallRate
from ivr.agi.server import AgiRequest
from ivr.callids import call_id_of
from ivr.prompts.library import PromptLibrary
from tests.core_world import COURIER, CUSTOMER, STRANGER, MovedClock
from vns.calls.service import Attempt, Begun
from vns.calls.standby import Decided
from vns.errors import Unavailable
from vns.numbering.rules import parse
from vns.routing.rules import Connect, Presented, Reason, Refuse, Target
from vns.routing.service import Routed

UNIQUE_ID = "vns-1700000000.1"
OVERLOAD = {"BRIDGE": "a", "ACT": "overload", "NUM": "", "CID": ""}
TURNED_AWAY = {"BRIDGE": "a", "ACT": "turn_away", "NUM": "", "CID": "", "REASON": "overload"}


def routed(reason: Reason | None, *, once: bool = False) -> Routed:
    if reason is not None:
        decision: Connect | Refuse = Refuse(reason=reason, binding_id=None, tenant_id=None, steps=())
    else:
        decision = Connect(
            binding_id=uuid4(), tenant_id=uuid4(), target=Target.REAL, present=Presented.CALLER, steps=()
        )
    return Routed(
        decision=decision,
        targets=(parse(CUSTOMER),) if reason is None else (),
        presented=COURIER if reason is None else None,
        from_index=None,
        to_index=None,
        expire_after_call=once,
        sms_sender_proven=False,
    )


class FakeCalls:
    """`begin` does what a test wants; keeps the attempts."""

    def __init__(self, work: Callable[[], Awaitable[Routed]]) -> None:
        self._work = work
        self.attempts: list[Attempt] = []

    async def begin(self, attempt: Attempt, decided: Decided) -> None:
        self.attempts.append(attempt)
        decided(Begun(call_id=attempt.call_id, routed=await self._work()))


def questions(
    calls: FakeCalls,
    *,
    deadline: float = 20.0,
    at_once: int = 10,
    a_second: int = 0,
    library: PromptLibrary | None = None,
) -> Questions:
    rate = CallRate(a_second)
    return Questions(calls, MovedClock(), bridge="a", deadline=deadline, at_once=at_once, rate=rate, library=library)


def asked(*arguments: str, caller: str = "", unique_id: str = UNIQUE_ID) -> AgiRequest:
    channel = "PJSIP/trunk-in-00000001"
    return AgiRequest(unique_id=unique_id, channel=channel, caller=caller, arguments=arguments, token="")


async def connected() -> Routed:
    return routed(None)


async def test_a_connected_call() -> None:
    calls = FakeCalls(connected)
    answer = await questions(calls).answer(asked("050412345678;npdi", f"<sip:{COURIER}@x>", "id", caller=CUSTOMER))
    assert answer == {"BRIDGE": "a", "ACT": "connect", "NUM": CUSTOMER, "CID": COURIER}
    [attempt] = calls.attempts
    assert (attempt.call_id, attempt.channel) == (call_id_of(UNIQUE_ID), UNIQUE_ID)
    assert attempt.question.vn == 50412345678
    assert attempt.question.caller == parse(COURIER)
    assert attempt.question.at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert not attempt.question.show_caller


async def test_a_call_that_ends_its_binding_is_connected_so_that_the_answer_is_kept() -> None:
    async def once() -> Routed:
        return routed(None, once=True)

    answer = await questions(FakeCalls(once)).answer(asked("050412345678", f"<sip:{COURIER}@x>"))
    assert answer == {"BRIDGE": "a", "ACT": "connect_once", "NUM": CUSTOMER, "CID": COURIER}


@pytest.mark.parametrize("reason", Reason)
async def test_a_refused_call(reason: Reason) -> None:
    async def refused() -> Routed:
        return routed(reason)

    answer = await questions(FakeCalls(refused)).answer(asked("050412345678", "", "", caller=COURIER))
    assert answer == {**OVERLOAD, "ACT": reason.value}


@pytest.mark.parametrize("dialled", ["", "hello", "+12125550100", "0504-1234-5678x"])
async def test_what_is_no_number_is_asked_about_all_the_same(dialled: str) -> None:
    calls = FakeCalls(connected)
    await questions(calls).answer(asked(dialled, "", ""))
    assert (calls.attempts[0].dialled, calls.attempts[0].question.vn) == (None, None)


@pytest.mark.parametrize("error", [Unavailable("gone"), RuntimeError(f"no {CUSTOMER}"), OSError("gone")])
async def test_an_error_is_heard_as_overload_and_logged_without_its_words(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing() -> Routed:
        raise error

    with caplog.at_level(logging.DEBUG):
        assert await questions(FakeCalls(failing)).answer(asked("050412345678")) == OVERLOAD
    assert caplog.records
    assert CUSTOMER not in caplog.text


async def test_a_decision_that_takes_too_long_is_heard_as_overload() -> None:
    async def hanging() -> Routed:
        await asyncio.Event().wait()
        raise AssertionError("never")

    assert await questions(FakeCalls(hanging), deadline=0.02).answer(asked("050412345678")) == OVERLOAD


class FakeLibrary(PromptLibrary):
    """`file` for every prompt; None: it never says."""

    def __init__(self, file: str | None) -> None:
        self._file = file

    async def ensure(self, prompt_ids: Collection[UUID]) -> dict[UUID, str]:
        if self._file is None:
            await asyncio.Event().wait()
        return dict.fromkeys(prompt_ids, self._file or "")


@pytest.mark.parametrize("file", [f"custom/{'0' * 64}", None])
async def test_a_prompt_is_fetched_before_the_answer_but_not_for_ever(file: str | None) -> None:
    async def refused() -> Routed:
        told = routed(Reason.ENDED)
        assert isinstance(told.decision, Refuse)
        return replace(told, decision=replace(told.decision, prompt=uuid4()))

    asking = questions(FakeCalls(refused), deadline=20 if file else 0.02, library=FakeLibrary(file))
    answer = await asking.answer(asked("050412345678"))
    assert answer == ({**OVERLOAD, "ACT": "ended", "PROMPT_ended": file} if file else OVERLOAD)


async def test_work_that_does_not_even_stop_holds_nobody_up() -> None:
    thawed = asyncio.Event()

    async def stuck() -> Routed:
        try:
            await asyncio.Event().wait()
        finally:
            await thawed.wait()  # as asyncpg does, returning a connection to a PostgreSQL that stands still
        raise AssertionError("never")

    frozen = questions(FakeCalls(stuck), deadline=0.02, at_once=1)
    assert await frozen.answer(asked("050412345678")) == OVERLOAD
    assert await frozen.answer(asked("050412345678")) == TURNED_AWAY, "what is stuck still counts as under way"
    thawed.set()


async def test_a_unique_id_that_is_none_is_heard_as_overload() -> None:
    assert await questions(FakeCalls(connected)).answer(asked("050412345678", unique_id="?")) == OVERLOAD


async def test_more_questions_than_can_be_answered_are_turned_away_at_once() -> None:
    go = asyncio.Event()

    async def waiting() -> Routed:
        await go.wait()
        return routed(None)

    busy = questions(FakeCalls(waiting), at_once=2)
    first = [busy.answer(asked("050412345678")) for _ in range(2)]
    assert await busy.answer(asked("050412345678")) == TURNED_AWAY
    go.set()
    assert [answer["ACT"] for answer in await asyncio.gather(*first)] == ["connect", "connect"]
    assert (await busy.answer(asked("050412345678")))["ACT"] == "connect"


async def test_more_calls_a_second_than_asterisk_carries_are_turned_away_but_none_that_has_begun() -> None:
    few = questions(FakeCalls(connected), a_second=1)
    answers = [await few.answer(asked("050412345678")) for _ in range(3)]
    assert answers[0]["ACT"] == "connect"
    assert TURNED_AWAY in answers[1:]
    assert (await few.answer(asked("050412345678", "", "", "77")))["ACT"] == "dial"
    assert (await few.answer(asked("050412345678", "", "", "", f"-{STRANGER}", COURIER)))["ACT"] == "dial"


@pytest.mark.parametrize("asserted", ["", f"<sip:{COURIER}@x>"])
async def test_who_is_next_of_a_team_is_asked_as_whoever_called_first(asserted: str) -> None:
    """By then the channel carries the number that is shown to the team."""
    calls = FakeCalls(connected)
    tried = f"-{STRANGER}-0212345678"
    await questions(calls).answer(
        asked("07080000000", asserted, "", "", tried, COURIER, caller="07080000000"),
    )
    [attempt] = calls.attempts
    assert attempt.question.caller == parse(COURIER)
    assert attempt.question.tried == {STRANGER, "0212345678"}
    assert attempt.question.digits is None


async def test_a_question_that_hands_nothing_over_is_a_call_s_first() -> None:
    calls = FakeCalls(connected)
    for nothing in ((), ("", "", "", "", "")):
        await questions(calls).answer(asked("07080000000", *nothing, caller=COURIER))
    assert [attempt.question.tried for attempt in calls.attempts] == [frozenset()] * 2
    assert {attempt.question.caller for attempt in calls.attempts} == {parse(COURIER)}
