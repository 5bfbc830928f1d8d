"""Whether a number may be shown as the sender of a text: asked where the row is made, in one place, for every text.

Proven are the virtual numbers of a pool whose proof is on file, a tenant's relay number, and what the tenant has proven
in the registry (vns.senders), or the administrator it is an account of, as long as that proof holds. Of the texts that
tenants send themselves an ordinary line takes so many a day; representative numbers (1877, 15xx …) are no ordinary
lines, and what people write to one another through a number is not counted: many pairs share one.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from vns.crypto.rules import KeyRing
from vns.messages import queries
from vns.numbering.rules import NumberKind, parse
from vns.rulebook.opening import KOREA

DAILY_LIMIT = 500  # texts a day and ordinary line: the guideline of the networks


@dataclass(frozen=True, slots=True)
class Sender:
    """Who would be shown, and for whom. `tenant_id` None: nobody's text, which is never sent."""

    tenant_id: UUID | None
    digits: str

    @property
    def key(self) -> int:
        return parse(self.digits).key


async def proven(
    connection: asyncpg.Connection, keyring: KeyRing, senders: Iterable[Sender], now: datetime
) -> set[Sender]:
    """Those of `senders` that may be shown at `now`."""
    wanted = list(set(senders))
    if not wanted:
        return set()
    rows = await connection.fetch(
        queries.PROVEN,
        [one.tenant_id for one in wanted],
        [one.key for one in wanted],
        [keyring.index(one.digits) for one in wanted],
        now,
    )
    return {one for one, row in zip(wanted, rows, strict=True) if row["proven"]}


async def within_limit(
    connection: asyncpg.Connection, senders: Sequence[Sender], now: datetime, limit: int
) -> list[bool]:
    """Counts one text for each of `senders`; whether each is still within its line's day. `limit` 0: no limit."""
    counted = [one.key for one in senders if limit and _ordinary(one)]
    if not counted:
        return [True] * len(senders)
    asked = Counter(counted)
    keys = sorted(asked)
    rows = await connection.fetch(
        queries.COUNT_TEXTS, keys, [asked[key] for key in keys], now.astimezone(KOREA).date(), limit
    )
    left = {row["sender"]: row["granted"] for row in rows}
    allowed = []
    for one in senders:
        if not limit or not _ordinary(one):
            allowed.append(True)
            continue
        allowed.append(left.get(one.key, 0) > 0)
        left[one.key] = left.get(one.key, 0) - 1
    return allowed


def _ordinary(sender: Sender) -> bool:
    return parse(sender.digits).kind is not NumberKind.REPRESENTATIVE
