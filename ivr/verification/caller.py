"""Makes the verification calls that have been asked for, and tells what became of them.

Every bridge does; a call belongs to the one that has claimed it. Whether that bridge lives on or not, Asterisk writes
the end of the attempt on disk, and any bridge reads it there.
"""

import asyncio
import logging

from ivr.ami.actions import Action, originate
from ivr.ami.connection import AmiUnavailable
from ivr.ami.records import RecordsFolder
from ivr.asterisks import Asterisk, Asterisks
from ivr.failures import GONE
from ivr.notices import listen
from ivr.verification.records import FOLDER, outcome_of
from vns.storage.clock import Clock
from vns.verifications.rules import CLAIM, LONGEST_RING, NOTICE, Claim, Failure, Outcome
from vns.verifications.service import Verifications

log = logging.getLogger(__name__)

CONTEXT = "vns-verify"  # of the dialplan
SCAN_EVERY = 5.0  # seconds; a notice lost with its connection is made good
READ_EVERY = 2.0  # seconds between looks at Asterisk's records


class VerificationCaller:
    """`run()` is a task of the bridge's."""

    def __init__(
        self,
        database_url: str,
        asterisks: Asterisks,
        verifications: Verifications,
        clock: Clock,
        *,
        bridge: str,
        ring_seconds: int,
    ) -> None:
        self._url = database_url
        self._asterisks = asterisks
        self._verifications = verifications
        self._clock = clock
        self._bridge = bridge
        self._ring_seconds = min(ring_seconds, round(LONGEST_RING.total_seconds()))
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listen(self._url, NOTICE, self._wanted.set))
            tasks.create_task(self._call())
            for asterisk in self._asterisks:
                tasks.create_task(self._hear(asterisk))
                tasks.create_task(self._read(RecordsFolder(asterisk.node.records / FOLDER)))

    async def _call(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self.call_all()
            except GONE as error:
                log.warning("verification calls wait: %s", type(error).__name__)
            try:
                async with asyncio.timeout(SCAN_EVERY):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def call_all(self) -> None:
        """Make every call that waits, unless no Asterisk can be told. Raises AmiUnavailable, Unavailable."""
        await self._verifications.expire(self._bridge)
        while (ami := self._asterisks.next_ready()) is not None:
            claim = await self._verifications.claim(self._bridge)
            if claim is None:
                break
            self._asterisks.had_its_turn(ami)
            try:
                reply = await ami.send(self._originate(claim))
            except AmiUnavailable:
                # Asterisk may have heard it all the same: until the claim runs out nobody calls again
                log.warning("verification call %s: nobody knows whether it was made", claim.id)
                raise
            if not reply.success:
                log.warning("verification call %s: Asterisk does not make it", claim.id)
                refused = Outcome(
                    id=claim.id, attempt=claim.attempt, ended_at=self._clock.now(), failure=Failure.UNREACHABLE
                )
                await self._verifications.finish(self._bridge, refused)

    def _originate(self, claim: Claim) -> Action:
        return originate(
            f"Local/call@{CONTEXT}/n",
            context=CONTEXT,
            extension="s",
            caller_id=claim.caller_id,
            timeout_ms=round(CLAIM.total_seconds() * 1_000),
            # the underscores: the phone's channel gets them too
            variables={
                "__VERIFY_ID": str(claim.id),
                "__VERIFY_ATTEMPT": str(claim.attempt),
                "__VERIFY_CODE": claim.code,
                "VERIFY_NUMBER": claim.number,
                "VERIFY_CALLER_ID": claim.caller_id,
                "VERIFY_RING": str(self._ring_seconds),
            },
        )

    async def _hear(self, asterisk: Asterisk) -> None:
        while True:
            event = await asterisk.ami.verifications.get()
            await self._finish([event.record])

    async def _read(self, folder: RecordsFolder) -> None:
        position = folder.start(self._clock.now())
        while True:
            try:
                lines, after, _ = await asyncio.to_thread(folder.read, position)
            except OSError as error:
                log.warning("records of verification calls wait: %s", type(error).__name__)
                lines, after = [], position
            if await self._finish(lines):
                position = after
            if not lines:
                await asyncio.sleep(READ_EVERY)

    async def _finish(self, lines: list[str]) -> bool:
        """False: the database is away, and the lines have to be read again."""
        for line in lines:
            try:
                outcome = outcome_of(line)
            except ValueError as error:
                log.warning("a record without sense: %s", error)
                continue
            try:
                await self._verifications.finish(self._bridge, outcome)
            except GONE as error:
                log.warning("the end of a verification call waits: %s", type(error).__name__)
                return False
        return True
