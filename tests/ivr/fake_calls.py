"""The records of calls, as the parts of a bridge that end calls see them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from vns.calls.rules import CallOutcome
from vns.calls.service import OpenCall
from vns.errors import Unavailable


class FakeCalls:
    """`known`: which calls have a record without an end. `down`: the database does not answer."""

    def __init__(self) -> None:
        self.known: set[UUID] = set()
        self.finished: list[CallOutcome] = []
        self.open: list[OpenCall] = []
        self.down = False
        self.answers: dict[UUID, datetime] = {}
        self.asked: list[UUID] = []

    async def note_answers(self, answers: Mapping[UUID, datetime]) -> None:
        self.answers |= answers

    async def unfinished(self, call_ids: Sequence[UUID]) -> dict[UUID, bool]:
        if self.down:
            raise Unavailable("down")
        self.asked += call_ids
        done = {outcome.call_id for outcome in self.finished}
        return {call_id: call_id in self.known for call_id in call_ids if call_id not in done}

    async def finish(self, outcomes: Sequence[CallOutcome]) -> int:
        if self.down:
            raise Unavailable("down")
        done = {outcome.call_id for outcome in self.finished}
        fresh = [
            told
            for told in outcomes
            if told.call_id not in done and (told.call_id in self.known or told.arrived_at is not None)
        ]
        self.finished += fresh
        return len(fresh)

    async def open_since(self, _: object) -> list[OpenCall]:
        return self.open
