"""Whether a row that could be sent may be: the limits of `limits`, with what they need from the database."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sms_relay.agent.checks import Row, refusal
from sms_relay.agent.limits import QuietHours, SpamRule, lacks_word, spam
from sms_relay.agent.wakeup import Wakeup
from sms_relay.npro.codes import Detail, State
from sms_relay.npro.database import NproDatabase, NproError
from sms_relay.npro.tables import Tables

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`spam_seconds`: between looks at MSG_SPAM, None = it is not asked. `daily`: texts a recipient gets a day."""

    quiet: QuietHours | None = None
    word: str | None = None
    daily: int | None = None
    spam_seconds: float | None = None


class Admission:
    """Asked by the Sender about rows that nothing else is wrong with."""

    def __init__(self, database: NproDatabase, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._rules: tuple[SpamRule, ...] = ()

    async def run(self) -> None:
        """Looks at MSG_SPAM again and again until cancelled; while it cannot be read the last rules hold."""
        seconds = self._limits.spam_seconds
        while seconds is not None:
            await Wakeup().wait(seconds)
            try:
                await self.reload()
            except NproError as error:
                _log.warning("MSG_SPAM: %s", error)

    async def reload(self) -> None:
        """Reads MSG_SPAM, where it is asked at all. Raises NproError."""
        if self._limits.spam_seconds is None:
            return
        table = self._database.tables.spam
        async with self._database.transaction() as connection:
            found = (await connection.execute(select(table).order_by(table.c.SPAM_SEQ))).all()
        self._rules = tuple(
            SpamRule.of(userdata=row.SPAM_ID, to=row.SPAM_CALL_TO, sender=row.SPAM_CALL_FROM, text=row.SPAM_SMS_TXT)
            for row in found
        )
        _log.info("MSG_SPAM: %d rules", len(self._rules))

    def quiet(self, now: datetime) -> bool:
        """Whether nothing may be sent now."""
        return self._limits.quiet is not None and self._limits.quiet.holds(now)

    def pause(self, since: datetime | None, now: datetime) -> timedelta:
        """How much of the time a row has waited does not count for it."""
        if self._limits.quiet is None or since is None:
            return timedelta()
        return self._limits.quiet.within(since, now)

    async def objections(self, rows: Sequence[Row], now: datetime) -> Mapping[int, Detail]:
        """By MSG_SEQ. Whoever is not in it is counted for the day. Raises NproError: then nobody may be sent."""
        found: dict[int, Detail] = {}
        for row in rows:
            objection = spam(row, self._rules) or lacks_word(row, self._limits.word)
            if objection is not None:
                found[row.seq] = objection
        if self._limits.daily is not None:
            asked = [row for row in rows if row.seq not in found]
            over = await _count(self._database, asked, now, self._limits.daily)
            found |= dict.fromkeys(over, Detail.DAILY_COUNT)
        return found


async def _count(database: NproDatabase, rows: Sequence[Row], now: datetime, most: int) -> list[int]:
    """Counts each row once for its recipient and day, however often it is tried; returns those beyond `most`."""
    daily, day = database.tables.daily, f"{now:%Y%m%d}"
    over: list[int] = []
    fresh: list[dict[str, object]] = []
    async with database.transaction() as connection:
        recipients = {row.to for row in rows}
        known = select(daily.c.CALL_TO, daily.c.MSG_SEQ).where(daily.c.DAY.in_([day]), daily.c.CALL_TO.in_(recipients))
        counted: dict[str | None, set[int]] = {recipient: set() for recipient in recipients}
        for found in await connection.execute(known):
            counted[found.CALL_TO].add(found.MSG_SEQ)
        for row in rows:
            seqs = counted[row.to]
            if row.seq in seqs:
                continue
            if len(seqs) >= most:
                over.append(row.seq)
                continue
            seqs.add(row.seq)
            fresh.append({"DAY": day, "CALL_TO": row.to, "MSG_SEQ": row.seq})
        if fresh:
            await connection.execute(insert(daily), fresh)
        await connection.execute(delete(daily).where(day > daily.c.DAY))
    return over


async def end_duplicates(connection: AsyncConnection, tables: Tables, seqs: Iterable[int], now: datetime) -> set[int]:
    """Ends those due rows whose MSG_SEQ belongs to a message that is still under way: inserted a second time, or set
    back to state 0 by hand. The message under way keeps its outcome to itself.
    """
    wanted = list(seqs)
    under_way = union_all(
        *(select(one.c.MSG_SEQ).where(one.c.MSG_SEQ.in_(wanted)) for one in (tables.queue, tables.part))
    )
    found = set((await connection.execute(under_way)).scalars())
    if found:
        result = refusal(Detail.DUPLICATE_KEY, now)
        values = {"RSLT_CODE2": result.code.value, "RSLT_CODE": result.detail, "RSLT_NET": result.net}
        await connection.execute(
            update(tables.data)
            .where(tables.data.c.MSG_SEQ.in_(found))
            .values(CUR_STATE=State.DONE.value, SENT_DATE=now, RSLT_DATE=now, **values)
        )
    return found
