"""Look-ups that wait at the same time are answered by one statement, as allocations are by one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from vns.access.rules import Principal
from vns.bindings.collector import Collector
from vns.bindings.service import Bindings, Delivery
from vns.errors import VnsError


@dataclass(frozen=True, slots=True)
class Wanted:
    """One delivery, as one key asks for it."""

    principal: Principal
    reference: str
    tenant: str | None


class Lookups:
    """Owned by one process's services; end it with `close()`."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._collector = Collector[Wanted, Delivery](self._answer_all)

    async def one(self, principal: Principal, reference: str, tenant: str | None) -> Delivery:
        """Raises NotFound, AmbiguousReference, Unavailable."""
        return await self._collector.ask(Wanted(principal, reference, tenant))

    async def close(self) -> None:
        await self._collector.close()

    async def _answer_all(self, wanted: Sequence[Wanted]) -> Sequence[Delivery | Exception]:
        """What one key asks for is one question; another key's failure is none of its business."""
        groups: dict[tuple[object, str | None], list[int]] = {}
        for place, item in enumerate(wanted):
            groups.setdefault((item.principal.key_id, item.tenant), []).append(place)
        answers: dict[int, Delivery | Exception] = {}
        for places in groups.values():
            asked = [wanted[place] for place in places]
            answers |= zip(places, await self._answer(asked), strict=True)
        return [answers[place] for place in range(len(wanted))]

    async def _answer(self, asked: Sequence[Wanted]) -> Sequence[Delivery | Exception]:
        principal, tenant = asked[0].principal, asked[0].tenant
        try:
            return await self._bindings.deliveries(principal, [item.reference for item in asked], tenant=tenant)
        except VnsError as error:
            return [error] * len(asked)
