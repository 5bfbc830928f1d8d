"""What is to be looked up of texts that the decision lets pass, and what the platform answers by itself."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import asyncpg

from vns.crypto.rules import KeyRing
from vns.messages import advertising, queries, replies, tags
from vns.messages.deciding import Decided, Verdict, objected
from vns.messages.records import NewMessage
from vns.messages.rules import Kind, Objection, Status, Unencodable, sendable
from vns.numbering.rules import digits_of, parse
from vns.routing.rules import Reason
from vns.routing.service import Router


class Judge:
    """Works in the transaction of the batch. `look` changes `verdicts` in place."""

    def __init__(self, router: Router, keyring: KeyRing, relays: tags.RelayNumbers) -> None:
        self._router = router
        self._keyring = keyring
        self._relays = relays

    async def look(
        self, connection: asyncpg.Connection, decided: Sequence[Decided], verdicts: list[Verdict], now: datetime
    ) -> None:
        """Wishes of those who write; then recipients who want none, advertising, and senders without a proof."""
        await replies.keep(connection, [wish for one in decided if (wish := _wish(one))], now)
        await self._refuse_unwanted(connection, decided, verdicts)
        await self._refuse_advertising(connection, decided, verdicts, now)
        await self._by_relay_number(connection, decided, verdicts, now)

    async def _refuse_unwanted(
        self, connection: asyncpg.Connection, decided: Sequence[Decided], verdicts: list[Verdict]
    ) -> None:
        asked = [place for place, verdict in enumerate(verdicts) if verdict.envelope]
        if not asked:
            return
        tenants = [decided[place].routed.decision.tenant_id for place in asked]
        rows = await connection.fetch(queries.OPTED_OUT, tenants, [self._recipient(decided[place]) for place in asked])
        for row in rows:
            verdicts[asked[row["place"] - 1]] = objected(Status.REFUSED, Objection.OPTED_OUT)

    async def _refuse_advertising(
        self, connection: asyncpg.Connection, decided: Sequence[Decided], verdicts: list[Verdict], now: datetime
    ) -> None:
        marked = {
            place: f"{verdict.envelope.subject}\n{verdict.envelope.text}".lstrip("\n")
            for place, verdict in enumerate(verdicts)
            if verdict.envelope and any(map(advertising.is_marked, (verdict.envelope.subject, verdict.envelope.text)))
        }
        if not marked:
            return
        bindings = list({decided[place].routed.decision.binding_id for place in marked})
        purposes = {row["id"]: row["purpose"] for row in await connection.fetch(queries.PURPOSES, bindings)}
        for place, text in marked.items():
            purpose = purposes[decided[place].routed.decision.binding_id]
            if advertising.objection(text, purpose=purpose, leaves_at=now, night_consent=False) is not None:
                verdicts[place] = objected(Status.REFUSED, Objection.ADVERTISING)

    async def _by_relay_number(
        self, connection: asyncpg.Connection, decided: Sequence[Decided], verdicts: list[Verdict], now: datetime
    ) -> None:
        """A text whose virtual number is no proven sender leaves from the tenant's relay number, if it has one."""
        unproven = [
            (self._recipient(decided[place]), place)
            for place, verdict in enumerate(verdicts)
            if verdict.envelope and not decided[place].routed.sms_sender_proven
        ]
        for party, place in sorted(unproven):  # in one order everywhere: each takes a lock
            decision = decided[place].routed.decision
            relay = await self._relays.of_tenant(connection, decision.tenant_id)
            if relay is not None and decision.binding_id is not None:
                verdicts[place] = await _tagged(connection, verdicts[place], (relay, party, decision.binding_id), now)

    def _recipient(self, one: Decided) -> bytes:
        """Whoever gets the text: a team's first member has no pseudonym in the decision."""
        index = one.routed.to_index or self._router.pseudonym(one.routed.target)
        if index is None:
            raise TypeError("a text that is sent has a recipient")
        return index

    async def answers(
        self, connection: asyncpg.Connection, decided: Sequence[Decided], verdicts: Sequence[Verdict], now: datetime
    ) -> list[NewMessage]:
        """The platform's own texts to those whose text was not passed on."""
        wanted = [reply for one in decided if (reply := _explanation(one))]
        ended = [
            (one, one.routed.decision.binding_id)
            for one, verdict in zip(decided, verdicts, strict=True)
            if verdict.reason == Reason.ENDED and one.routed.decision.binding_id is not None
        ]
        answered = await replies.wanting_reply(connection, [binding_id for _, binding_id in ended if binding_id])
        wanted += [reply for one, binding_id in ended if binding_id in answered and (reply := _has_ended(one))]
        return await replies.rows_of(connection, self._keyring, wanted, now)


async def _tagged(
    connection: asyncpg.Connection, verdict: Verdict, ends: tuple[int, bytes, UUID], now: datetime
) -> Verdict:
    """`ends`: relay number, recipient, binding."""
    relay, party, binding_id = ends
    if verdict.envelope is None:
        return verdict
    tag = await tags.tag_for(connection, relay, party, parse(verdict.envelope.sender).key, binding_id, now)
    if tag is None:
        return verdict  # and so ends for want of a proven sender
    written = sendable(tags.tagged_text(tag, verdict.envelope.text), Unencodable.UCS2)  # it was made writable before
    if isinstance(written, Objection):
        return objected(Status.FAILED, written)
    envelope = replace(verdict.envelope, sender=digits_of(relay), text=written.text)
    return replace(verdict, kind=Kind.MMS if verdict.kind is Kind.MMS else written.kind, envelope=envelope)


def _wish(one: Decided) -> replies.Wish | None:
    decision = one.routed.decision
    return replies.wish_of(one.text, decision.tenant_id, one.party, decision.binding_id)


def _explanation(one: Decided) -> replies.Reply | None:
    if one.unclear is None or one.relay is None or one.question.caller is None or one.party is None:
        return None
    number, tenant_id = one.relay
    return replies.Reply(
        tenant_id=tenant_id,
        binding_id=None,
        vn=number,
        to=one.question.caller,
        party=one.party,
        text=tags.explanation(one.unclear.tags),
    )


def _has_ended(one: Decided) -> replies.Reply | None:
    decision, question = one.routed.decision, one.question
    if question.vn is None or question.caller is None or one.party is None or decision.tenant_id is None:
        return None
    return replies.Reply(
        tenant_id=decision.tenant_id,
        binding_id=decision.binding_id,
        vn=question.vn,
        to=question.caller,
        party=one.party,
        text=replies.ended_text(question.vn),
    )
