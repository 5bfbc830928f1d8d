"""Queued messages into MSG_DATA, each exactly once.

The intent stands in the platform's database before the row does. A message that this process has not tried before
cannot be in MSG_DATA; any other (after a crash, after a lost answer, from before this relay was on duty) is looked up
by USERDATA first.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sms_relay.agent.wakeup import Wakeup
from sms_relay.npro.client import NewRow, NproClient, Wanted
from sms_relay.npro.codes import ResultCode
from sms_relay.npro.database import Rejected
from sms_relay.npro.kst import to_korean
from sms_relay.relay.passing import PASSING, told
from sms_relay.relay.pictures import PictureFolder
from vns.crypto.errors import UNREADABLE
from vns.messages.rules import Kind, Objection, OpenMessage, Outcome, Status
from vns.messages.service import Messages
from vns.storage.clock import Clock

_log = logging.getLogger(__name__)

BATCH = 500
RETRY_SECONDS = 1.0
RELOAD_SECONDS = 30.0


class Held(Protocol):
    """A duty that this relay has, or had: vns.messages.duty.Duty."""

    async def confirm(self) -> None:
        """Raises Unavailable: it is lost."""


class Handover:
    """`awaited` gets every message that is in MSG_DATA now; `inserted` is called after each commit there.

    `duty`: the one that this relay has now, None where it has none; each duty is an object of its own.
    `folder`: where pictures are put for the agent before the row that names them is inserted.
    """

    def __init__(
        self,
        messages: Messages,
        client: NproClient,
        clock: Clock,
        *,
        subject: str,
        duty: Callable[[], Held | None],
        awaited: Callable[[OpenMessage], None],
        inserted: Callable[[], None],
        folder: PictureFolder | None = None,
    ) -> None:
        self.hint = Wakeup()
        self._messages = messages
        self._client = client
        self._clock = clock
        self._subject = subject
        self._duty = duty
        self._awaited = awaited
        self._inserted = inserted
        self._folder = folder
        self._stuck: dict[int, OpenMessage] = {}
        self._fresh: dict[int, OpenMessage] = {}
        self._tried: dict[int, OpenMessage] = {}
        self._taken_up: Held | None = None
        self._given = 0
        self._reload_at = 0.0
        self._look = False

    def offer(self, message: OpenMessage) -> None:
        """A message just recorded by this process. Off duty it is let go: the relay on duty finds it by a reload.

        What had its npro_id at the last reload may be in MSG_DATA: between its commit and this call that reload, or the
        relay that was on duty before, may have found it.
        """
        if self._taken_up is None or self._taken_up is not self._duty():
            return
        perhaps_there = message.npro_id <= self._given
        (self._tried if perhaps_there else self._fresh)[message.npro_id] = message
        self.hint.set()

    def _forget(self) -> None:
        """The duty was lost: another relay may have handed over what is known here."""
        self._taken_up, self._reload_at = None, 0.0
        self._tried.clear()
        self._fresh.clear()
        self._stuck.clear()

    async def run(self) -> None:
        """Hands over until cancelled."""
        while True:
            try:
                await self._round()
            except PASSING as error:
                _log.warning("hand-over: %s", told(error))
                await Wakeup().wait(RETRY_SECONDS)
            await self.hint.wait(RETRY_SECONDS)

    async def _round(self) -> None:
        duty, loop = self._duty(), asyncio.get_running_loop()
        if duty is not self._taken_up:
            self._forget()
        if duty is None:
            return
        if self._look or loop.time() >= self._reload_at:
            self._look, self._reload_at = False, 0.0  # at once again, should this one fail
            await self._reload(duty)
            self._reload_at = loop.time() + RELOAD_SECONDS
        await self._release()
        await self._hand_all(duty)

    def look(self) -> None:
        """Somebody else has recorded a text: it is not to wait for the next reload."""
        self._look = True
        self.hint.set()

    async def _release(self) -> None:
        """Texts whose time has come. Nobody has handed any of them over; should this process end now, a reload will."""
        while batch := await self._messages.release_due():
            self._fresh.update((message.npro_id, message) for message in batch)

    async def _reload(self, duty: Held) -> None:
        """What is queued though this process does not know of it: from before its duty, of others, of an unsure commit.

        What is offered before the npro_ids are known is found by what follows.
        """
        self._given = await self._messages.last_npro_id()
        self._taken_up = duty
        after = -1
        while batch := await self._messages.pending_handover(after=after):
            after = batch[-1].npro_id
            self._given = max(self._given, after)
            for message in batch:
                if message.npro_id not in self._fresh:
                    self._tried.setdefault(message.npro_id, message)

    async def _hand_all(self, duty: Held) -> None:
        self._tried |= self._stuck
        self._stuck.clear()
        while self._tried:
            batch = list(self._tried.values())[:BATCH]
            present = await self._present(batch)
            await self._hand([message for message in batch if message.npro_id not in present], batch, duty)
        while self._fresh:
            batch = list(self._fresh.values())[:BATCH]
            for message in batch:
                self._tried[message.npro_id] = self._fresh.pop(message.npro_id)
            await self._hand(batch, batch, duty)

    async def _present(self, batch: Sequence[OpenMessage]) -> set[int]:
        """npro_ids of those that are in MSG_DATA or a log already."""
        since = to_korean(min(message.received_at for message in batch))
        return set(await self._client.find([wanted(message) for message in batch], since))

    async def _hand(self, missing: Sequence[OpenMessage], batch: Sequence[OpenMessage], duty: Held) -> None:
        """Inserts `missing`; then all of `batch` is there. What fails to be inserted stays in `_tried`.

        A message whose pictures cannot be read or written waits, and the others do not wait for it.
        """
        refused: list[OpenMessage] = []
        paths, waiting = await self._written(missing)
        ready = [message for message in missing if message.npro_id not in waiting]
        try:
            await self._insert(ready, paths, duty)
        except Rejected:
            for message in ready:
                try:
                    await self._insert([message], paths, duty)
                except Rejected:
                    refused.append(message)
        await self._refuse(refused)
        handed = [message for message in batch if message not in refused and message.npro_id not in waiting]
        for message in handed:
            self._awaited(message)
        if handed:
            await self._messages.mark_handed([message.id for message in handed])
        for message in batch:
            self._tried.pop(message.npro_id, None)

    async def _written(self, messages: Sequence[OpenMessage]) -> tuple[dict[int, tuple[str, ...]], set[int]]:
        """Paths of the pictures of those that have some, by npro_id, and which have to wait for theirs.

        What cannot be written is tried again in the next round, what cannot be read after the next reload. One
        message's pictures at a time are held in memory.
        """
        paths: dict[int, tuple[str, ...]] = {}
        waiting: set[int] = set()
        for message in messages:
            if message.kind is not Kind.MMS:
                continue
            try:
                pictures = await self._messages.pictures(message.id)
            except UNREADABLE as error:
                waiting.add(message.npro_id)
                _log.error("pictures of text %s cannot be read (%s): it waits", message.id, type(error).__name__)
                continue
            try:
                if self._folder is None:
                    raise FileNotFoundError
                paths[message.npro_id] = await self._folder.write(message.id, pictures)
            except OSError as error:
                waiting.add(message.npro_id)
                self._stuck[message.npro_id] = message
                _log.warning("pictures of a message cannot be written (%s): it waits", type(error).__name__)
        return paths, waiting

    async def _insert(self, messages: Sequence[OpenMessage], paths: Mapping[int, tuple[str, ...]], duty: Held) -> None:
        """Asks for the duty last of all: another relay may have it since `messages` were looked up."""
        if messages:
            await duty.confirm()
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
