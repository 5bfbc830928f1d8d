"""Turns the question of Asterisk into the platform's, and the decision into what Asterisk is to do."""

import asyncio
import logging
import traceback

from ivr.agi.identity import read_identity
from ivr.agi.server import AgiRequest, Answer
from ivr.callids import call_id_of
from vns.bindings.rules import Channel
from vns.calls.service import Attempt, Calls
from vns.errors import InvalidNumber, VnsError
from vns.numbering.rules import PhoneNumber, parse
from vns.routing.rules import Question, Reason, Refuse
from vns.routing.service import Routed
from vns.storage.clock import Clock

log = logging.getLogger(__name__)


class Questions:
    """Answers for one bridge. Whatever goes wrong inside is heard as `overload`: the caller may try again."""

    def __init__(self, calls: Calls, clock: Clock, *, bridge: str, deadline: float, at_once: int) -> None:
        self._calls = calls
        self._clock = clock
        self._bridge = bridge
        self._deadline = deadline  # seconds
        self._at_once = at_once
        self._under_way: set[asyncio.Task[Answer]] = set()

    async def answer(self, request: AgiRequest) -> Answer:
        """BRIDGE, ACT (`connect`, `connect_once` or the reason of a refusal), NUM to dial and CID to present."""
        if len(self._under_way) >= self._at_once:
            log.warning("call %s: too many questions at once", request.unique_id)
            return self._refusal(Reason.OVERLOAD)
        deciding = asyncio.create_task(self._decide(request))
        self._under_way.add(deciding)
        deciding.add_done_callback(self._under_way.discard)
        try:
            # not asyncio.timeout, which waits until the cancelled work has ended: a PostgreSQL that stands still holds
            # even that up, while returning the connection
            await asyncio.wait({deciding}, timeout=self._deadline)
        finally:
            deciding.cancel()  # nothing happens to one that is done
        if not deciding.done():
            log.warning("call %s: no decision within %.1f s", request.unique_id, self._deadline)
            return self._refusal(Reason.OVERLOAD)
        return deciding.result()

    async def _decide(self, request: AgiRequest) -> Answer:
        """Raises nothing."""
        try:
            begun = await self._calls.begin(self._attempt(request))
        except VnsError as error:
            log.warning("call %s: %s", request.unique_id, error.code)
            return self._refusal(Reason.OVERLOAD)
        except Exception as error:  # noqa: BLE001 - the caller is to hear something, whatever failed
            where = traceback.extract_tb(error.__traceback__)[-1]  # the text of an error may hold a number
            log.warning("call %s: %s at %s:%s", request.unique_id, type(error).__name__, where.name, where.lineno)
            return self._refusal(Reason.OVERLOAD)
        return self._instructions(begun.routed)

    def _attempt(self, request: AgiRequest) -> Attempt:
        dialled, asserted, from_header, privacy = (*request.arguments, "", "", "", "")[:4]
        identity = read_identity(asserted, from_header, privacy)
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
            ),
            bridge=self._bridge,
            channel=request.unique_id,
        )

    def _instructions(self, routed: Routed) -> Answer:
        if isinstance(routed.decision, Refuse) or routed.target is None or routed.presented is None:
            reason = routed.decision.reason if isinstance(routed.decision, Refuse) else Reason.OVERLOAD
            return self._refusal(reason)
        return {
            "BRIDGE": self._bridge,
            "ACT": "connect_once" if routed.expire_after_call else "connect",
            "NUM": routed.target.digits,
            "CID": routed.presented,
        }

    def _refusal(self, reason: Reason) -> Answer:
        return {"BRIDGE": self._bridge, "ACT": reason.value, "NUM": "", "CID": ""}


def _dialled(text: str) -> PhoneNumber | None:
    try:
        return parse(text.partition(";")[0])
    except InvalidNumber:
        return None
