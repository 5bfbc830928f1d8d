"""Which calls count for the limits of callers and numbers, and when: nobody waits for that."""

import asyncio

import pytest

from tests.core_world import COURIER
from tests.standby.parts import Scene, known
from vns.routing.rules import Reason, Refuse
from vns.routing.service import refused


@pytest.mark.parametrize("away", [False, True])
async def test_a_call_counts_when_asterisk_was_told(on: Scene, away: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    vn = await known(on)
    on.bridge.db.reached = not away
    done: list[str] = []
    monkeypatch.setattr(on.bridge.calls, "note", lambda attempt, routed: done.append(f"{attempt.call_id} counts"))
    one = on.bridge.attempt(vn, COURIER)
    await on.bridge.standby.begin(one, lambda begun: done.append(f"{begun.call_id} told"))
    await asyncio.sleep(0)  # its follow-up has a turn of the loop for itself
    assert done == [f"{one.call_id} told", f"{one.call_id} counts"]


async def test_what_a_limit_refuses_does_not_count(on: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    vn, done = await known(on), []
    over = refused(Refuse(reason=Reason.NOT_ALLOWED, binding_id=None, tenant_id=None, steps=("too many",)), None)
    monkeypatch.setattr(on.bridge.calls, "over_limit", lambda _attempt: over)
    monkeypatch.setattr(on.bridge.calls, "note", lambda *_: done.append("counts"))
    assert (await on.bridge.call(vn, COURIER)).routed is over
    assert done == []


async def test_what_goes_wrong_behind_an_answer_is_told_without_numbers(
    on: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    vn = await known(on)

    def fails(*_: object) -> None:
        raise KeyError(COURIER)

    monkeypatch.setattr(on.bridge.calls, "note", fails)
    begun = await on.bridge.call(vn, COURIER)
    assert begun.routed.presented is not None
    assert "KeyError" in caplog.text
    assert not any(number in caplog.text for number in (COURIER, begun.routed.presented))
