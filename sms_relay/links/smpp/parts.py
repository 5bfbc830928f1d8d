"""Parts of long incoming texts, kept until the last has come.

A part is acknowledged once it is kept here, so it is kept in a file: a process that dies between two parts
of a text loses neither. Without a file it is memory, for tests and for carriers that never divide. What
stays incomplete too long, or beyond the limit, is handed over as it is. Contents are erased when handed
over.
"""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

REPEATED_WITHIN = 120.0  # seconds in which a part of a text already handed over is a repetition

_T = TypeVar("_T")

_SCHEMA = """
PRAGMA journal_mode = TRUNCATE;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS part (
    key TEXT, epoch INTEGER, sequence INTEGER, data_coding INTEGER, raw BLOB, at REAL,
    PRIMARY KEY (key, epoch, sequence)
);
CREATE TABLE IF NOT EXISTS finished (digest BLOB PRIMARY KEY, at REAL);
"""


@dataclass(frozen=True, slots=True, repr=False)
class PartKey:
    """What parts of one text have in common; two senders may use the same reference at the same time."""

    link: str
    source: str
    destination: str
    bits: int
    reference: int
    total: int

    def column(self) -> str:
        """All of it in one column."""
        return json.dumps(
            [self.link, self.source, self.destination, self.bits, self.reference, self.total],
            ensure_ascii=False,
        )

    @classmethod
    def from_column(cls, column: str) -> "PartKey":
        link, source, destination, bits, reference, total = json.loads(column)
        return cls(str(link), str(source), str(destination), int(bits), int(reference), int(total))


@dataclass(frozen=True, slots=True, repr=False)
class Part:
    """One part as it came, header taken off."""

    sequence: int
    data_coding: int
    raw: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Gathered:
    """What is there of one text, in order. `epoch` tells texts apart that reuse a reference."""

    key: PartKey
    epoch: int
    parts: tuple[Part, ...]

    @property
    def missing(self) -> tuple[int, ...]:
        there = {part.sequence for part in self.parts}
        return tuple(number for number in range(1, self.key.total + 1) if number not in there)


class PartStore:
    """Calls run one after another in a thread of their own; times are seconds since the epoch."""

    def __init__(self, file: Path | None) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="parts")
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
        self._db = sqlite3.connect(file or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.executescript(_SCHEMA)

    async def add(self, key: PartKey, part: Part, now: float) -> Gathered | None:
        """Keeps a part. Returns the text when it is whole; None when parts lack, or it is a repetition."""
        return await self._run(lambda: self._add(key, part, now))

    async def finish(self, gathered: Gathered, now: float) -> None:
        """The text is handed over for good: its parts are erased, and repetitions of them recognised."""
        await self._run(lambda: self._finish(gathered, now))

    async def due(self, link: str, before: float, most: int) -> list[Gathered]:
        """A link's texts whose newest part came before `before`, and its oldest beyond `most` parts in all."""
        return await self._run(lambda: self._due(link, before, most))

    async def close(self) -> None:
        await self._run(self._db.close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _add(self, key: PartKey, part: Part, now: float) -> Gathered | None:
        with self._transaction():
            if self._repeated(key, part, now):
                return None
            epoch = self._epoch_for(key, part)
            self._db.execute(
                "INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?)",
                (key.column(), epoch, part.sequence, part.data_coding, part.raw, now),
            )
            gathered = self._gather(key, epoch)
        return None if gathered.missing else gathered

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield

    def _repeated(self, key: PartKey, part: Part, now: float) -> bool:
        row = self._db.execute("SELECT at FROM finished WHERE digest = ?", (_digest(key, part),)).fetchone()
        return row is not None and now - row[0] < REPEATED_WITHIN

    def _epoch_for(self, key: PartKey, part: Part) -> int:
        """The newest text under this key, or a new one where that already has another part in this place."""
        newest = self._db.execute("SELECT max(epoch) FROM part WHERE key = ?", (key.column(),)).fetchone()[0]
        if newest is None:
            return 0
        there = self._db.execute(
            "SELECT raw FROM part WHERE key = ? AND epoch = ? AND sequence = ?",
            (key.column(), newest, part.sequence),
        ).fetchone()
        return int(newest) + (there is not None and there[0] != part.raw)

    def _gather(self, key: PartKey, epoch: int) -> Gathered:
        rows = self._db.execute(
            "SELECT sequence, data_coding, raw FROM part WHERE key = ? AND epoch = ? ORDER BY sequence",
            (key.column(), epoch),
        )
        return Gathered(key, epoch, tuple(Part(*row) for row in rows))

    def _finish(self, gathered: Gathered, now: float) -> None:
        with self._transaction():
            self._db.execute("DELETE FROM part WHERE key = ? AND epoch = ?", (gathered.key.column(), gathered.epoch))
            self._db.executemany(
                "INSERT OR REPLACE INTO finished VALUES (?, ?)",
                [(_digest(gathered.key, part), now) for part in gathered.parts],
            )
            self._db.execute("DELETE FROM finished WHERE at < ?", (now - REPEATED_WITHIN,))

    def _due(self, link: str, before: float, most: int) -> list[Gathered]:
        rows = self._db.execute(
            "SELECT key, epoch, max(at), count(*) FROM part GROUP BY key, epoch ORDER BY 3"
        ).fetchall()
        texts = [(PartKey.from_column(key), *rest) for key, *rest in rows]
        texts = [text for text in texts if text[0].link == link]
        beyond = sum(count for *_, count in texts) - most
        chosen: list[Gathered] = []
        for key, epoch, newest, count in texts:
            if newest >= before and beyond <= 0:
                break
            chosen.append(self._gather(key, epoch))
            beyond -= count
        return chosen


def _digest(key: PartKey, part: Part) -> bytes:
    plain = f"{key.column()} {part.sequence} {part.data_coding} ".encode() + part.raw
    return hashlib.sha256(plain).digest()
