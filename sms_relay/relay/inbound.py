"""Texts from the links. The carrier is answered only once the text is recorded; until then it keeps it."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable
from uuid import UUID

from uuid_utils.compat import uuid7

from sms_relay.links.interface import Incoming, TryLater
from sms_relay.relay.pictures import Chosen, chosen
from vns.errors import Unavailable
from vns.messages.rules import Arrival, OpenMessage
from vns.messages.service import Messages

_log = logging.getLogger(__name__)

MOST_REMEMBERED = 10_000

Identity = tuple[str, str, str, bytes, str]


class Inbound:
    """`handle` is the links' handler; `queued` gets every message that is to be handed over."""

    def __init__(self, messages: Messages, queued: Callable[[OpenMessage], None]) -> None:
        self._messages = messages
        self._queued = queued
        self._rewriting = asyncio.Lock()  # of a large picture are tens of megabytes in memory
        self._unsure: dict[Identity, deque[UUID]] = defaultdict(deque)

    async def handle(self, incoming: Incoming) -> None:
        """Raises TryLater when nothing could be recorded for certain.

        A commit may have happened though its confirmation was lost. The carrier's next offer of the text therefore
        gets the same id, so that it is recognised.
        """
        arrival = self._arrival(incoming, await self._chosen(incoming))
        try:
            received, message = await self._messages.receive(arrival)
        except BaseException as error:
            self._remember(incoming, arrival.id)
            if isinstance(error, Unavailable):
                raise TryLater("the platform's database does not answer") from error
            raise
        if received.duplicate:
            _log.info("%s: a text that had been recorded before came again", incoming.link)
        if message is not None:
            self._queued(message)

    async def _chosen(self, incoming: Incoming) -> Chosen:
        if not incoming.media:
            return Chosen()
        async with self._rewriting:
            return await asyncio.to_thread(chosen, incoming.media)

    def _arrival(self, incoming: Incoming, files: Chosen) -> Arrival:
        identity = _identity(incoming)
        ids = self._unsure.get(identity)
        arrival_id = ids.popleft() if ids else uuid7()
        if ids is not None and not ids:
            del self._unsure[identity]
        return Arrival(
            id=arrival_id,
            link=incoming.link,
            session=incoming.session_id,
            sender=incoming.source,
            dialled=incoming.destination,
            text=incoming.text,
            raw=incoming.raw,
            incomplete=bool(incoming.missing),
            pictures=files.pictures,
            left_out=files.left_out,
            subject=incoming.subject,
            delivery=incoming.delivery,
        )

    def _remember(self, incoming: Incoming, arrival_id: UUID) -> None:
        if len(self._unsure) >= MOST_REMEMBERED:
            self._unsure.pop(next(iter(self._unsure)))
        self._unsure[_identity(incoming)].append(arrival_id)


def _identity(incoming: Incoming) -> Identity:
    return incoming.link, incoming.source, incoming.destination, incoming.raw, incoming.delivery
