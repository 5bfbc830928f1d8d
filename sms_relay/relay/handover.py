"""Queued messages into MSG_DATA, each exactly once.

The intent stands in the platform's database before the row does. A message that this process has not tried before
cannot be in MSG_DATA; any other (after a crash, after a lost answer) is looked up by USERDATA first.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from sms_relay.agent.wakeup import Wakeup
from sms_relay.npro.client import NewRow, NproClient, Wanted
from sms_relay.npro.codes import ResultCode
from sms_relay.npro.database import Rejected
from sms_relay.npro.kst import to_korean
from sms_relay.relay.passing import PASSING, told
from sms_relay.relay.pictures import PictureFolder
from vns.messages.rules import Kind, Objection, OpenMessage, Outcome, Status
from vns.messages.service import Messages
from vns.storage.clock import Clock

_log = logging.getLogger(__name__)

BATCH = 500
RETRY_SECONDS = 1.0
RELOAD_SECONDS = 30.0


class Handover:
    """`awaited` gets every message that is in MSG_DATA now; `inserted` is called after each commit there.

    `folder`: where pictures are put for the agent before the row that names them is inserted.
    """

    def __init__(
        self,
        messages: Messages,
        client: NproClient,
        clock: Clock,
        *,
        subject: str,
        on_duty: Callable[[], bool],
        awaited: Callable[[OpenMessage], None],
        inserted: Callable[[], None],
        folder: PictureFolder | None = None,
    ) -> None:
        self.hint = Wakeup()
        self._messages = messages
        self._client = client
        self._clock = clock
        self._subject = subject
        self._on_duty = on_duty
        self._awaited = awaited
        self._inserted = inserted
        self._folder = folder
        self._stuck: dict[int, OpenMessage] = {}
        self._fresh: dict[int, OpenMessage] = {}
        self._tried: dict[int, OpenMessage] = {}
        self._reloaded: set[int] = set()
        self._look = False

    def offer(self, message: OpenMessage) -> None:
        """A message just recorded by this process.

        Between its commit and this call a reload may have found it: then it is on its way already.
        """
        if message.npro_id not in self._reloaded:
            self._fresh[message.npro_id] = message
            self.hint.set()

    def forget(self) -> None:
        """The duty was lost: another relay may have handed over what is known here."""
        self._tried |= self._fresh | self._stuck
        self._fresh.clear()
        self._stuck.clear()

    async def run(self) -> None:
        """Hands over until cancelled."""
        loop = asyncio.get_running_loop()
        reload_at = 0.0
        while True:
            try:
                if self._on_duty():
                    if self._look or loop.time() >= reload_at:
                        self._look = False
                        await self._reload()
                        reload_at = loop.time() + RELOAD_SECONDS
                    await self._release()
                    await self._hand_all()
            except PASSING as error:
                _log.warning("hand-over: %s", told(error))
                await Wakeup().wait(RETRY_SECONDS)
            await self.hint.wait(RETRY_SECONDS)

    def look(self) -> None:
        """Somebody else has recorded a text: it is not to wait for the next reload."""
        self._look = True
        self.hint.set()

    async def _release(self) -> None:
        """Texts whose time has come. Nobody has handed any of them over; should this process end now, a reload will."""
        while batch := await self._messages.release_due():
            for message in batch:
                self.offer(message)

    async def _reload(self) -> None:
        """What is queued though this process does not know of it: from before its start, or of an unsure commit."""
        after = -1
        while batch := await self._messages.pending_handover(after=after):
            for message in batch:
                if message.npro_id not in self._fresh:
                    self._reloaded.add(message.npro_id)
                    self._tried.setdefault(message.npro_id, message)
            after = batch[-1].npro_id

    async def _hand_all(self) -> None:
        self._tried |= self._stuck
        self._stuck.clear()
        while self._tried:
            batch = list(self._tried.values())[:BATCH]
            present = await self._present(batch)
            await self._hand([message for message in batch if message.npro_id not in present], batch)
        while self._fresh:
            batch = list(self._fresh.values())[:BATCH]
            for message in batch:
                self._tried[message.npro_id] = self._fresh.pop(message.npro_id)
            await self._hand(batch, batch)

    async def _present(self, batch: Sequence[OpenMessage]) -> set[int]:
        """npro_ids of those that are in MSG_DATA or a log already."""
        since = to_korean(min(message.received_at for message in batch))
        return set(await self._client.find([wanted(message) for message in batch], since))

    async def _hand(self, missing: Sequence[OpenMessage], batch: Sequence[OpenMessage]) -> None:
        """Inserts `missing`; then all of `batch` is there. What fails to be inserted stays in `_tried`.

        A message whose pictures cannot be written waits in `_stuck`, and the others do not wait for it.
        """
        refused: list[OpenMessage] = []
        paths = await self._written(missing)
        ready = [message for message in missing if message.npro_id not in self._stuck]
        try:
            await self._insert(ready, paths)
        except Rejected:
            for message in ready:
                try:
                    await self._insert([message], paths)
                except Rejected:
                    refused.append(message)
        await self._refuse(refused)
        handed = [message for message in batch if message not in refused and message.npro_id not in self._stuck]
        for message in handed:
            self._awaited(message)
        if handed:
            await self._messages.mark_handed([message.id for message in handed])
        for message in batch:
            self._tried.pop(message.npro_id, None)

    async def _written(self, messages: Sequence[OpenMessage]) -> dict[int, tuple[str, ...]]:
        """Paths of the pictures of those that have some, by npro_id. One message's at a time is held in memory."""
        paths: dict[int, tuple[str, ...]] = {}
        for message in messages:
            if message.kind is not Kind.MMS:
                continue
            pictures = await self._messages.pictures(message.id)
            try:
                if self._folder is None:
                    raise FileNotFoundError
                paths[message.npro_id] = await self._folder.write(message.id, pictures)
            except OSError as error:
                self._stuck[message.npro_id] = message
                _log.warning("pictures of a message cannot be written (%s): it waits", type(error).__name__)
        return paths

    async def _insert(self, messages: Sequence[OpenMessage], paths: Mapping[int, tuple[str, ...]]) -> None:
        if messages:
            await self._client.insert([self._row(one, paths.get(one.npro_id, ())) for one in messages])
            self._inserted()

    def _row(self, message: OpenMessage, pictures: tuple[str, ...]) -> NewRow:
        envelope = message.envelope
        return NewRow(
            userdata=message.npro_id,
            to=envelope.to,
            sender=envelope.sender,
            text=envelope.text,
            subject=None if message.kind is Kind.SMS else envelope.subject or self._subject,
            pictures=pictures,
        )

    async def _refuse(self, refused: Sequence[OpenMessage]) -> None:
        """The database cannot hold the text (its character set lacks a character)."""
        if not refused:
            return
        now = self._clock.now()
        code, reason = ResultCode.GATEWAY_FORMAT.value, Objection.NOT_ENCODABLE.value
        await self._messages.record_result(
            [Outcome(id=message.id, status=Status.FAILED, at=now, code=code, reason=reason) for message in refused]
        )


def wanted(message: OpenMessage) -> Wanted:
    """By what the row of a message is known."""
    envelope = message.envelope
    return Wanted(userdata=message.npro_id, to=envelope.to, sender=envelope.sender)
