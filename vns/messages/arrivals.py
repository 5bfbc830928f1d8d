"""Texts that arrive: recognised or recorded, and decided on, as many as wait together in one transaction.

What is said of batches in docs/decisions/0005-collected-allocations.md holds here too: nobody waits on a timer, and
one text spoils no other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg

from vns.bindings.collector import Collector
from vns.crypto.rules import KeyRing
from vns.errors import Unavailable
from vns.messages import queries, records, tags
from vns.messages.deciding import Decided, Item, Verdict, arrived, question_of, row_of, verdict_on
from vns.messages.judging import Judge
from vns.messages.rules import (
    ADDRESSED,
    ADDRESSED_ALONE,
    Arrival,
    OpenMessage,
    Received,
    Status,
    Unencodable,
)
from vns.numbering.rules import digits_of, parse
from vns.routing.intercept import Interceptor, intercepted
from vns.routing.rules import Collect, Question, Reason, Refuse
from vns.routing.service import Routed, Router, refused
from vns.storage import journal
from vns.storage.clock import Clock
from vns.storage.database import Database

MOST_TOGETHER = 128
PLACES = 2

Answer = tuple[Received, OpenMessage | None]


class _HookFirst(Exception):
    """The tenant is to be asked, and not inside a transaction."""

    def __init__(self, question: Question, routed: Routed) -> None:
        super().__init__()
        self.question, self.routed = question, routed


class Arrivals:
    """`policy`: what happens to characters that MS949 does not have. `interceptor`: asks the hooks of tenants."""

    def __init__(
        self,
        db: Database,
        router: Router,
        keyring: KeyRing,
        clock: Clock,
        *,
        policy: Unencodable,
        interceptor: Interceptor | None,
    ) -> None:
        self._db = db
        self._router = router
        self._keyring = keyring
        self._clock = clock
        self._policy = policy
        self._interceptor = interceptor
        self._relays = tags.RelayNumbers()
        self._judge = Judge(router, keyring, self._relays)
        self._collector = Collector[Item, Answer](self._receive_apart, batch=MOST_TOGETHER, places=PLACES)

    async def receive(self, arrival: Arrival) -> Answer:
        """See Messages.receive."""
        item = Item(arrival=arrival, fingerprint=self._keyring.index(arrival.identity))
        try:
            return await self._collector.ask(item, distinct=item.fingerprint)
        except _HookFirst as first:  # nothing of it is recorded while the tenant is asked
            item.asked = await intercepted(self._interceptor, first.question, first.routed)
        return await self._collector.ask(item, distinct=item.fingerprint)

    async def _receive_apart(self, items: Sequence[Item]) -> Sequence[Answer | Exception]:
        """When a batch fails as a whole, each text is received alone, so that none spoils another.

        Not while PostgreSQL is away: each would wait for it in its turn.
        """
        try:
            return await self._receive_together(items)
        except (Unavailable, OSError):
            raise
        except Exception:
            if len(items) == 1:
                raise
        return [await self._receive_alone(item) for item in items]

    async def _receive_alone(self, item: Item) -> Answer | Exception:
        try:
            return (await self._receive_together([item]))[0]
        except Exception as error:  # noqa: BLE001 - it is raised to the one who asked
            return error

    async def _receive_together(self, items: Sequence[Item]) -> list[Answer | Exception]:
        now = self._clock.now()
        locks = sorted(int.from_bytes(item.fingerprint[:8], "big", signed=True) for item in items)
        async with self._db.transaction() as connection:
            await connection.execute(queries.LOCK_FINGERPRINTS, locks)
            known = await self._known(connection, items, now)
            fresh = [item for item in items if item.fingerprint not in known]
            answers = await self._decide(connection, fresh, now)
        return [known.get(item.fingerprint) or answers[item.fingerprint] for item in items]

    async def _known(
        self, connection: asyncpg.Connection, items: Sequence[Item], now: datetime
    ) -> dict[bytes, Answer | Exception]:
        """Those recorded before, by fingerprint: under their own id, or through another session a short while ago."""
        by_id = {item.arrival.id: item for item in items}
        by_fingerprint = {item.fingerprint: item for item in items}
        since = now - max(item.arrival.resend_window for item in items)
        rows = await connection.fetch(queries.KNOWN, list(by_id), list(by_fingerprint), since)
        found: dict[bytes, Answer | Exception] = {}
        for row in rows:
            if row["id"] in by_id:
                found[by_id[row["id"]].fingerprint] = _known(row)
        for fingerprint in {row["fingerprint"] for row in rows} - found.keys():
            item = by_fingerprint.get(fingerprint)
            if item is not None:
                since = now - item.arrival.resend_window
                row = await connection.fetchrow(queries.CLAIM_DUPLICATE, fingerprint, since, item.arrival.session)
                if row is not None:
                    found[fingerprint] = _known(row)
        return found

    async def _decide(
        self, connection: asyncpg.Connection, items: Sequence[Item], now: datetime
    ) -> dict[bytes, Answer | Exception]:
        """Decides on all that is new, and records it; by fingerprint."""
        answers: dict[bytes, Answer | Exception] = {}
        going_on: list[Decided] = []
        for one in await self._routed(connection, items, now):
            if one.routed.hook is not None:
                if one.item.asked is None:
                    answers[one.item.fingerprint] = _HookFirst(one.question, one.routed)
                    continue
                if isinstance(one.item.asked.decision, Refuse):
                    one.routed = one.item.asked
            await self._router.slide(connection, one.routed, one.question)
            going_on.append(one)
        return answers | await self._record(connection, going_on, now)

    async def _routed(self, connection: asyncpg.Connection, items: Sequence[Item], now: datetime) -> list[Decided]:
        asked = [await self._asked(connection, item, now) for item in items]
        clear = [one for one in asked if isinstance(one, _Asked)]
        routed = await self._router.route_many(connection, [one.question for one in clear])
        found = {
            one.item.fingerprint: await self._addressed(connection, one.decided(answer))
            for one, answer in zip(clear, routed, strict=True)
        }
        return [found[one.item.fingerprint] if isinstance(one, _Asked) else one for one in asked]

    async def _asked(self, connection: asyncpg.Connection, item: Item, now: datetime) -> "_Asked | Decided":
        """The question that a text puts. One to a relay number asks for the virtual number that its tag stands for."""
        question = question_of(item.arrival, now)
        tenant = None if question.vn is None else await self._relays.tenant_of(connection, question.vn)
        if tenant is None or question.vn is None:
            return _Asked(item, question, item.arrival.text)
        party, relay = self._router.pseudonym(question.caller), (question.vn, tenant)
        found: tags.Answer | tags.Unclear = tags.Unclear(())
        if party is not None:
            found = await tags.answered(connection, question.vn, party, item.arrival.text, now)
        if isinstance(found, tags.Answer):
            vn = found.tag.vn
            meant = replace(question, vn=vn, dialled=parse(digits_of(vn)))
            return _Asked(item, meant, found.text, relay=relay, binding_id=found.tag.binding_id)
        refusal = Refuse(reason=Reason.NOT_ALLOWED, binding_id=None, tenant_id=tenant, steps=("whom is it for?",))
        routed = refused(refusal, party)
        return Decided(item=item, question=question, routed=routed, text=item.arrival.text, relay=relay, unclear=found)

    async def _addressed(self, connection: asyncpg.Connection, one: Decided) -> Decided:
        """Where the decision asks for digits: the ones that the text begins with."""
        decision = one.routed.decision
        if not isinstance(decision, Collect):
            return one
        addressed = ADDRESSED.fullmatch(one.text or "")
        if addressed is None and one.item.arrival.multimedia:
            addressed = ADDRESSED_ALONE.fullmatch(one.text or "")
        if addressed is None:
            why = f"a text to this number has to begin with the {decision.what}"
            refusal = Refuse(
                reason=Reason.NOT_ALLOWED,
                binding_id=decision.binding_id,
                tenant_id=decision.tenant_id,
                steps=(*decision.steps, f"{why}: refuse: {Reason.NOT_ALLOWED}"),
            )
            return replace(one, routed=one.routed.refused(refusal))
        digits = addressed["digits"].replace("-", "")
        routed = await self._router.route(connection, replace(one.question, digits=digits))
        return replace(one, routed=routed, text=addressed["text"])

    async def _record(
        self, connection: asyncpg.Connection, decided: Sequence[Decided], now: datetime
    ) -> dict[bytes, Answer | Exception]:
        verdicts = [verdict_on(one, self._policy) for one in decided]
        pairs = list(zip(decided, verdicts, strict=True))
        live = await _held(
            connection, [one.routed.decision.binding_id for one, verdict in pairs if verdict.envelope], now
        )
        for place, one in enumerate(decided):
            if verdicts[place].envelope and one.routed.decision.binding_id not in live:
                verdicts[place] = Verdict(status=Status.REFUSED, reason=Reason.ENDED.value)
        await self._judge.look(connection, decided, verdicts, now)
        rows = [row_of(one, verdict, now) for one, verdict in zip(decided, verdicts, strict=True)]
        answers = await self._judge.answers(connection, decided, verdicts, now)
        recorded = await records.insert(connection, self._keyring, [*rows, *answers])
        entries = [arrived(one, done.message, now) for one, done in zip(decided, recorded, strict=False)]
        await journal.append(connection, entries)
        if answers:
            await connection.execute(queries.NOTIFY)
        return {one.message.fingerprint: _answer(one) for one in recorded[: len(rows)]}


@dataclass(frozen=True, slots=True)
class _Asked:
    """An item and the question it puts. `binding_id`: its tag was given for this binding and for no other."""

    item: Item
    question: Question
    text: str | None
    relay: tuple[int, UUID] | None = None
    binding_id: UUID | None = None

    def decided(self, routed: Routed) -> Decided:
        decision = routed.decision
        if self.binding_id is not None and decision.binding_id != self.binding_id:
            why = "the binding that the tag was given for has ended"
            routed = routed.refused(
                Refuse(
                    reason=Reason.ENDED,
                    binding_id=self.binding_id,
                    tenant_id=self.relay[1] if self.relay else None,
                    steps=(*decision.steps, f"{why}: refuse: {Reason.ENDED}"),
                )
            )
        return Decided(item=self.item, question=self.question, routed=routed, text=self.text, relay=self.relay)


async def _held(connection: asyncpg.Connection, binding_ids: Iterable[UUID | None], now: datetime) -> set[UUID]:
    """Those of the bindings that are live, and stay so until this transaction ends."""
    wanted = {one for one in binding_ids if one is not None}
    if not wanted:
        return set()
    return {row["id"] for row in await connection.fetch(queries.HOLD_LIVE, list(wanted), now)}


def _known(row: asyncpg.Record) -> Answer:
    return Received(id=row["id"], status=Status(row["status"]), duplicate=True), None


def _answer(recorded: records.Recorded) -> Answer:
    message = recorded.message
    return Received(id=message.id, status=message.status, duplicate=False), recorded.open
