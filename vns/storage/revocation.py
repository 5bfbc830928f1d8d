"""Taking copies back before a change is acknowledged (vns.storage.copies).

The change is committed first, then its copies are taken back, then whoever asked is answered. Where Redis cannot be
reached, nobody knows whether a bridge still can: the copies are closed for all bridges, by a row in PostgreSQL that
they look at every second, and changes are answered `unavailable` until every copy's lease is over. From then on they
are acknowledged without Redis, until a bridge opens the copies again.
"""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from vns.errors import Unavailable
from vns.storage.clock import Clock
from vns.storage.copies import GONE_KEPT, LEASE, SKEW, CopyStore
from vns.storage.database import Database

log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(seconds=1)  # between a bridge's looks at the row
TRUSTED_FOR: Final = timedelta(seconds=4)  # for which a bridge goes by what it saw there
OVER: Final = LEASE + TRUSTED_FOR + 2 * SKEW  # after closing, no copy is left
COPIES_OVER: Final = OVER + GONE_KEPT  # a change that is older is in every copy

CLOSE = "update copies_state set closed_at = coalesce(closed_at, $1) returning closed_at"
CLOSED_AT = "select closed_at from copies_state"
OPEN = "update copies_state set closed_at = null where closed_at < $1"
REOPENED_AFTER: Final = timedelta(minutes=10)  # a Redis that only the bridges reach makes changes wait but so often


class Revocations:
    """For whoever changes what a decision stands on."""

    def __init__(self, db: Database, store: CopyStore, clock: Clock) -> None:
        self._db = db
        self._store = store
        self._clock = clock

    async def revoke(self, vns: Collection[int], *, changed_at: datetime) -> None:
        """Once this returns, no copy from before the change of these numbers is served.

        `changed_at`: when the change was made; one from long ago is in every copy that is left. Raises Unavailable: the
        change stands, and whoever asks for it again is answered once no copy can be left.
        """
        now = self._clock.now()
        if not vns or now - changed_at > COPIES_OVER:
            return
        try:
            await self._store.revoke(vns, now)
        except Unavailable:
            await self._without_redis()

    async def revoke_all(self) -> None:
        """The same after a change that concerns nobody knows how many numbers. Raises Unavailable."""
        try:
            await self._store.revoke_all()
        except Unavailable:
            await self._without_redis()

    async def _without_redis(self) -> None:
        now = self._clock.now()
        async with self._db.connection() as connection:
            closed_at: datetime = await connection.fetchval(CLOSE, now)
        if now < closed_at + OVER:
            log.warning("Redis does not answer: until old copies are over, no change is acknowledged")
            raise Unavailable("the change is made, but an old copy may still connect a call: ask again in 100 seconds")
