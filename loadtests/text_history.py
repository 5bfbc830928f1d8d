"""What became of every text of a run with faults: the SMSC's record, the platform's and the tables', one against the
other. `check` names each breach of a promise; `plant` makes some, to see that it does.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import asyncpg
from sqlalchemy import text

from sms_relay.npro.database import NproDatabase
from sms_relay.relay.results import SENT_AGAIN
from vns.crypto.rules import KeyRing
from vns.messages.rules import Arrival
from vns.storage.database import plain_url

FINAL = {"delivered", "unknown"}
"""Every text of a run is for a live pair, and every submit that is answered is taken: nothing may fail."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A message as the platform has it."""

    npro_id: int
    status: str
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class History:
    """`submits`: how often the SMSC saw each text. `rows`: the platform's records of it. `logged`: npro_ids in the
    logs, how often; `left`: npro_ids still in MSG_DATA. `misdelivered`: texts that the SMSC saw going to somebody else.
    """

    count: int
    submits: Mapping[int, int]
    rows: Mapping[int, tuple[Row, ...]]
    logged: Mapping[int, int]
    left: frozenset[int] = frozenset()
    misdelivered: int = 0


def check(history: History) -> list[str]:
    """The breaches, each once. Empty: every text has exactly one end, none is lost, none was sent twice unreported."""
    found = [f"{history.misdelivered} texts went to somebody else"] if history.misdelivered else []
    for number in range(history.count):
        rows, submits = history.rows.get(number, ()), history.submits.get(number, 0)
        if len(rows) != 1:
            found.append(f"text {number}: {len(rows)} records")
            continue
        found += [f"text {number}: {why}" for why in _of_one(rows[0], submits, history)]
    return found


def _of_one(row: Row, submits: int, history: History) -> list[str]:
    found = []
    if row.status not in FINAL:
        found.append(f"ended as {row.status} ({row.reason})")
    if row.status == "delivered" and submits == 0:
        found.append("called delivered, and never submitted")
    if submits > 1 and row.status != "unknown" and row.reason != SENT_AGAIN:
        found.append(f"submitted {submits} times, and not reported")
    if submits > 2:
        found.append(f"submitted {submits} times")
    logged = history.logged.get(row.npro_id, 0)
    if logged + (row.npro_id in history.left) != 1:
        found.append(f"{logged} rows in the logs, {int(row.npro_id in history.left)} in MSG_DATA")
    elif row.npro_id in history.left:
        found.append("its row never left MSG_DATA")
    return found


def plant(history: History) -> list[tuple[str, History]]:
    """Histories with one breach each, made from a good one."""
    number, rows = next(
        (number, rows)
        for number, rows in history.rows.items()
        if rows and rows[0].status == "delivered" and not rows[0].reason and history.submits.get(number) == 1
    )
    row = rows[0]

    def with_rows(*changed: Row) -> History:
        return replace(history, rows={**history.rows, number: changed})

    return [
        ("a record is gone", with_rows()),
        ("a text is recorded twice", with_rows(row, replace(row, npro_id=-1))),
        ("a text never ends", with_rows(replace(row, status="sent"))),
        ("a text fails without a fault of its own", with_rows(replace(row, status="failed", reason="any_other"))),
        ("delivered, and never submitted", replace(history, submits={**history.submits, number: 0})),
        ("submitted twice, and called delivered", replace(history, submits={**history.submits, number: 2})),
        (
            "sent once more than is said",
            replace(
                with_rows(replace(row, reason=SENT_AGAIN)),
                submits={**history.submits, number: 3},
            ),
        ),
        ("its log row is gone", replace(history, logged={**history.logged, row.npro_id: 0})),
        ("logged twice", replace(history, logged={**history.logged, row.npro_id: 2})),
        ("logged, and still in MSG_DATA", replace(history, left=history.left | {row.npro_id})),
        ("given to somebody else", replace(history, misdelivered=1)),
    ]


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the records of a run are."""

    database_url: str
    npro_url: str
    keyring: KeyRing
    pairs: Sequence[tuple[str, str, str]]
    link: str = "smpp"


async def read(at: Places, count: int, submits: Mapping[int, int], misdelivered: int) -> History:
    """All of it, once nothing moves any more."""
    by_fingerprint = {at.keyring.index(_arrival(at, number).identity): number for number in range(count)}
    connection = await asyncpg.connect(plain_url(at.database_url))
    try:
        found = await connection.fetch("select fingerprint, npro_id, status, reason from messages")
    finally:
        await connection.close()
    rows: dict[int, tuple[Row, ...]] = {}
    for record in found:
        number = by_fingerprint[bytes(record["fingerprint"])]
        row = Row(npro_id=record["npro_id"], status=record["status"], reason=record["reason"])
        rows[number] = (*rows.get(number, ()), row)
    logged, left = await tables(at.npro_url)
    return History(
        count=count, submits=submits, rows=rows, logged=logged, left=frozenset(left), misdelivered=misdelivered
    )


async def tables(npro_url: str) -> tuple[Counter[int], set[int]]:
    database = NproDatabase.open(npro_url, size=1)
    logged: Counter[int] = Counter()
    try:
        async with database.transaction() as connection:
            for name in await database.existing_logs(connection):
                logged.update((await connection.execute(text(f"select USERDATA from {name}"))).scalars())  # noqa: S608 - a table's own name
            left = set((await connection.execute(text("select USERDATA from MSG_DATA"))).scalars())
    finally:
        await database.close()
    return logged, left


def _arrival(at: Places, number: int) -> Arrival:
    """The text as the link handed it over: loadtests.texts_smsc makes them."""
    sender, dialled, _ = at.pairs[number % len(at.pairs)]
    return Arrival(id=UUID(int=0), link=at.link, session="", sender=sender, dialled=dialled, text=text_of(number))


def text_of(number: int) -> str:
    return f"Your parcel #{number} is at the door, 1F"
