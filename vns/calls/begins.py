"""Begins of calls on their way into the records.

A caller does not wait for PostgreSQL to have written that the call has begun. The begin is appended to a file of the
bridge's own before anybody is connected, and moves into the records with others', a moment later. While
PostgreSQL is away, or after the bridge was killed, it waits in the file.
"""

import asyncio
import errno
import fcntl
import logging
import os
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

import asyncpg
import orjson

from vns.bindings.queries import NOTIFY_CUT
from vns.calls import queries
from vns.storage.database import AWAY, Database

log = logging.getLogger(__name__)

WRITE_EVERY: Final = 0.25  # seconds
TRY_AGAIN_EVERY: Final = 0.5  # seconds, while PostgreSQL does not take them
MOST_AT_ONCE: Final = 500  # rows of one statement
MOST_IN_MEMORY: Final = 20_000  # begins: what is more waits in the file alone
OWN_EVERY: Final = 0.1  # seconds, while another process has the file
OWN_WITHIN: Final = 10.0  # seconds: twice what a bridge may take to end
CLOSING: Final = 0.5  # seconds
LONGEST_FILE: Final = 256 * 1024  # bytes, from which on what has become a record is taken out
READ_AT_ONCE: Final = 256 * 1024  # bytes of a file that holds what is not in memory

# By PostgreSQL, or by asyncpg, which does not even send it.
NEVER_TAKEN: Final = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, ValueError)


class Begin(NamedTuple):
    """A call's record as it begins. Holds no number of a party, or encrypted: `caller`, for a text about a missed call.

    `from_copy`: decided without PostgreSQL. The defaults are for lines that older versions wrote.
    """

    id: UUID
    tenant_id: UUID | None
    binding_id: UUID | None
    vn: int
    direction: str
    from_index: bytes | None
    from_masked: str | None
    to_index: bytes | None
    to_masked: str | None
    arrived_at: datetime
    bridge: str
    channel: str
    result: str = "in_progress"
    cause: int | None = None
    missed_call_text: bool = False
    caller: bytes | None = None
    from_copy: bool = True

    def line(self) -> bytes:
        """For the file, without its line end."""
        return orjson.dumps(self._asdict(), _text)

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """Raises ValueError for a line that was cut in the middle."""
        try:
            found: dict[str, Any] = orjson.loads(line)
            for name in ("id", "tenant_id", "binding_id"):
                found[name] = UUID(found[name]) if found[name] is not None else None
            for name in ("from_index", "to_index", "caller"):
                found[name] = bytes.fromhex(found[name]) if found.get(name) is not None else None
            found["arrived_at"] = datetime.fromisoformat(found["arrived_at"])
            return cls(**found)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not the begin of a call") from error


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


class BeginFile:
    """The file of one bridge, which alone writes it. What is in it survives the bridge, if not its machine."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when the folder cannot be made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._descriptor: int | None = None
        self._lock: int | None = None
        self._size = 0  # bytes

    def own(self) -> None:
        """Until `close`, nobody else's. Raises BlockingIOError while another process has it, OSError."""
        if self._lock is None:
            lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BaseException:
                os.close(lock)
                raise
            self._lock = lock

    @property
    def size(self) -> int:
        """Bytes, as far as it was opened here."""
        return self._size

    def append(self, begin: Begin) -> None:
        """Raises OSError, and then nothing of it is in the file."""
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            self._size = os.fstat(self._descriptor).st_size
            if self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n":
                # A machine that crashed left half a line: the next one is not to be lost with it.
                self._size += os.write(self._descriptor, b"\n")
        line = begin.line() + b"\n"
        written = os.write(self._descriptor, line)
        if written < len(line):
            os.ftruncate(self._descriptor, self._size)
            raise OSError(errno.ENOSPC, "no room for the begin of a call")
        self._size += written

    def read(self, start: int = 0, at_most: int = -1) -> tuple[list[Begin], int]:
        """What it holds from that byte on, in whole lines of `at_most` bytes together, and in how many bytes."""
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                content = file.read(at_most)
        except FileNotFoundError:
            return [], 0
        content = content[: content.rfind(b"\n") + 1]  # a line may be under way
        begins = []
        for line in content.splitlines():
            try:
                begins.append(Begin.parse(line))
            except ValueError:
                log.warning("a begun call was not written down whole")
        return begins, len(content)

    def replace(self, begins: Collection[Begin]) -> None:
        """Hold these and nothing else. Raises OSError, and then the file is as it was."""
        if begins:
            beside = self._path.with_suffix(".new")
            beside.touch(0o600)
            beside.write_bytes(b"".join(begin.line() + b"\n" for begin in begins))
            beside.replace(self._path)
        else:
            self._path.unlink(missing_ok=True)
        self._forget_descriptor()

    def close(self) -> None:
        self._forget_descriptor()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _forget_descriptor(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._size = 0


class Begins:
    """One process's. `run` is its owner's task. Without a file a begin is written before `keep` returns."""

    def __init__(self, db: Database, file: BeginFile | None = None) -> None:
        self._db = db
        self._file = file
        self._kept: deque[Begin] = deque()  # in the file too
        self._kept_any = asyncio.Event()
        self._read_file = file is not None  # it may hold more than is kept here: of an earlier life, to begin with
        self._moved = 0  # bytes at the file's start that are in the records, while it holds more
        self._writing = asyncio.Lock()

    async def own_file(self) -> None:
        """Wait until the file is this process's alone: one of the same name may still be leaving.

        Raises OSError, also where that one does not leave.
        """
        if self._file is None:
            return
        give_up_at = asyncio.get_running_loop().time() + OWN_WITHIN
        told = False
        while True:
            try:
                self._file.own()
            except BlockingIOError:
                if asyncio.get_running_loop().time() >= give_up_at:
                    raise
                if not told:
                    log.warning("another bridge of this name has not ended yet: waiting for it")
                    told = True
                await asyncio.sleep(OWN_EVERY)
            else:
                return

    async def keep(self, begin: Begin) -> None:
        """Once this returns, the call will have its record. Raises Unavailable where nothing takes it."""
        if self._file is not None:
            try:
                self.append(begin)
            except OSError as error:
                log.error("the begin of a call cannot be written down: %s", error.strerror)  # noqa: TRY400 - says it all
            else:
                return
        async with self._db.connection() as connection:
            await self.record(connection, [begin])

    def append(self, begin: Begin) -> None:
        """As `keep`, without waiting for anything. Raises OSError where the file does not take it, or there is none."""
        if self._file is None:
            raise OSError(errno.ENOENT, "there is no file for begins of calls")
        self._file.append(begin)
        if len(self._kept) < MOST_IN_MEMORY and not self._read_file:
            self._kept.append(begin)
        else:
            self._read_file = True
        self._kept_any.set()

    async def run(self) -> None:
        """Until cancelled."""
        told = False
        while True:
            try:
                await self.write()
                if self._read_file:
                    await self.write_file()
            except AWAY as error:
                if not told:
                    log.warning("begins of calls wait: %s", type(error).__name__)
                    told = True
                await asyncio.sleep(TRY_AGAIN_EVERY)
                continue
            told = False
            if not (self._kept or self._read_file):
                self._kept_any.clear()
                await self._kept_any.wait()
            await asyncio.sleep(WRITE_EVERY)

    async def close(self) -> None:
        """What PostgreSQL takes now need not wait for the next start."""
        with suppress(*AWAY):
            async with asyncio.timeout(CLOSING):
                await self.write()
            if self._file is not None and not (self._kept or self._read_file):
                self._file.replace([])
        if self._file is not None:
            self._file.close()

    async def write(self) -> None:
        """Write what was kept until now into the records. Raises what PostgreSQL does, and then it is all kept on."""
        if not self._kept:
            return
        async with self._writing:
            left = len(self._kept)
            while left:
                batch = list(islice(self._kept, min(left, MOST_AT_ONCE)))
                async with self._db.connection() as connection:
                    await self.record(connection, batch)
                left -= len(batch)
                for _ in batch:
                    self._kept.popleft()
            self._shorten()

    def _shorten(self) -> None:
        """What stays in the file is written again some day, which changes nothing."""
        if self._file is not None and self._file.size > LONGEST_FILE and not self._read_file:
            try:
                self._file.replace(self._kept)
            except OSError as error:
                log.error("the file of begun calls cannot be shortened: %s", error.strerror)  # noqa: TRY400 - says it all

    async def write_file(self) -> int:
        """Move what the file alone holds into the records; how many calls. Raises what PostgreSQL does."""
        if self._file is None:
            return 0
        async with self._writing:
            moved, more = 0, True
            while more:
                # no more than PostgreSQL has taken: a file of hours is not read again at each attempt
                begins, size = await asyncio.to_thread(self._file.read, self._moved, READ_AT_ONCE)
                for start in range(0, len(begins), MOST_AT_ONCE):
                    async with self._db.connection() as connection:
                        await self.record(connection, begins[start : start + MOST_AT_ONCE])
                self._moved += size
                moved += len(begins)
                more = size > READ_AT_ONCE // 2
            meanwhile, _ = self._file.read(self._moved)
            self._file.replace(meanwhile)
            self._kept = deque(meanwhile)
            self._moved, self._read_file = 0, False
        if moved:
            log.info("%d begun calls that had waited in the file are in the records", moved)
        return moved

    async def record(self, connection: asyncpg.Connection, begins: Sequence[Begin]) -> None:
        """Write them now. Of an attempt that was asked about twice the last one holds; it arrived with the first."""
        by_id = {begin.id: begin for begin in begins}
        if len(by_id) < len(begins):
            for begin in reversed(begins):
                by_id[begin.id] = by_id[begin.id]._replace(arrived_at=begin.arrived_at)
        last = list(by_id.values())
        try:
            cut = await connection.fetch(queries.WRITE_BEGINS, *zip(*last, strict=True))
        except NEVER_TAKEN as error:
            if len(last) > 1:
                for begin in last:
                    await self.record(connection, [begin])
                return
            log.error("the begin of call %s is no record: %s", last[0].id, type(error).__name__)  # noqa: TRY400 - may hold a number
            return
        for row in cut:
            await connection.execute(NOTIFY_CUT, str(row["binding_id"]))
