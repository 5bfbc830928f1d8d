"""Hand-over and results where answers get lost, keys are shared with strangers, and another agent serves the tables."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert, select, update

from sms_relay.links.interface import Incoming, TryLater
from sms_relay.npro.client import FoundRow, NewRow, NproClient
from sms_relay.npro.database import NotReachable, NproDatabase, create_missing
from sms_relay.npro.kst import KoreanClock
from sms_relay.relay.handover import Handover
from sms_relay.relay.inbound import Inbound
from sms_relay.relay.results import Results, outcome_of
from tests.core_world import COURIER, CUSTOMER, World
from vns.errors import Unavailable
from vns.messages.rules import Arrival, Envelope, Kind, OpenMessage, Outcome, Received, Status, Unencodable
from vns.messages.service import Messages
from vns.numbering.rules import digits_of
from vns.storage.clock import Clock

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)


class LosesAnswers(NproClient):
    """Commits, and then the line breaks before the answer is there, as often as `losses` says."""

    losses = 0

    async def insert(self, rows: Sequence[NewRow]) -> None:
        await super().insert(rows)
        if self.losses:
            self.losses -= 1
            raise NotReachable("the line broke")


class Desk:
    """Messages, tables and the two tasks between them."""

    def __init__(self, world: World, npro: NproDatabase) -> None:
        clock = Clock()
        world.clock.time = clock.now()
        self.world = world
        self.npro = npro
        self.messages = Messages(world.db, world.router, world.keyring, clock, policy=Unencodable.UCS2)
        self.client = LosesAnswers(npro)
        self.results = Results(self.messages, self.client, clock, life=timedelta(hours=1))
        self.handover = Handover(
            self.messages,
            self.client,
            clock,
            subject="문자",
            on_duty=lambda: True,
            awaited=self.results.watch,
            inserted=lambda: None,
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.handover.run()), asyncio.create_task(self.results.run())]
        try:
            yield
            assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def text(self, vn: int, body: str) -> OpenMessage:
        arrival = Arrival(id=uuid4(), link="l", session="s", sender=COURIER, dialled=digits_of(vn), text=body)
        _, message = await self.messages.receive(arrival)
        assert message is not None
        return message

    async def rows(self) -> list[Any]:
        async with self.npro.transaction() as connection:
            return list((await connection.execute(select(self.npro.tables.data))).all())

    async def until_handed(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(await self.messages.awaited()) < count:
                pass

    async def until_status(self, *expected: str) -> None:
        seen: list[str] = []
        try:
            async with asyncio.timeout(30):
                while seen != list(expected):
                    page = await self.messages.list(self.world.mall)
                    seen = sorted(one.status.value for one in page.items)
        except TimeoutError:
            pytest.fail(f"{seen}, expected {expected}")


@pytest.fixture
async def desk(world: World, npro_postgres_url: str) -> AsyncIterator[Desk]:
    npro = NproDatabase.open(npro_postgres_url, size=4)
    await npro.prepare(KoreanClock())
    yield Desk(world, npro)
    await npro.close()


async def test_a_lost_answer_makes_no_second_row(desk: Desk) -> None:
    vn = (await desk.world.pair()).vn
    desk.client.losses = 1
    async with desk.working():
        desk.handover.offer(await desk.text(vn, "하나"))
        await desk.until_handed(1)
    assert len(await desk.rows()) == 1


async def test_what_a_dead_process_left_is_found_in_the_table_in_the_log_or_inserted(desk: Desk) -> None:
    vn = (await desk.world.pair()).vn
    in_table, in_log, nowhere = [await desk.text(vn, body) for body in ("표", "기록", "없음")]
    for message, table in ((in_table, desk.npro.tables.data), (in_log, desk.npro.tables.log("MSG_LOG_209901"))):
        values = {
            "USERDATA": message.npro_id,
            "CUR_STATE": 3,
            "RSLT_CODE2": "0",
            "CALL_TO": CUSTOMER,
            "CALL_FROM": digits_of(vn),
            "SMS_TXT": message.envelope.text,
            "MSG_TYPE": 4,
            "MSG_SEQ": 1,
        }
        async with desk.npro.transaction() as connection:
            await create_missing(connection, table)
            await connection.execute(insert(table), values)
    async with desk.npro.transaction() as connection:  # MSG_SEQ 1 was given by hand
        await connection.exec_driver_sql("select setval('msg_data_msg_seq_seq', 1)")
    async with desk.working():
        await desk.until_status("delivered", "delivered", "queued")
    assert sorted(row.SMS_TXT for row in await desk.rows()) == sorted(["표", nowhere.envelope.text])


async def test_a_strangers_row_with_the_same_userdata_is_not_taken_for_ours(desk: Desk) -> None:
    """Not even where theirs stands in MSG_DATA and ours has moved to the log."""
    vn = (await desk.world.pair()).vn
    message = await desk.text(vn, "우리 것")
    stranger = {"CUR_STATE": 3, "RSLT_CODE2": "C", "CALL_TO": "01099998888", "CALL_FROM": "0212345678", "MSG_TYPE": 4}
    data, log = desk.npro.tables.data, desk.npro.tables.log("MSG_LOG_209901")
    async with desk.npro.transaction() as connection:
        await create_missing(connection, log)
        await connection.execute(insert(data), {**stranger, "USERDATA": message.npro_id})
    async with desk.working():
        await desk.until_handed(1)
        ours = data.columns["CALL_TO"].in_([CUSTOMER])
        names = [column.name for column in data.columns]
        async with desk.npro.transaction() as connection:
            await connection.execute(update(data).where(ours).values(CUR_STATE=3, RSLT_CODE2="0"))
            await connection.execute(insert(log).from_select(names, select(data).where(ours)))
            await connection.execute(delete(data).where(ours))
        desk.results.finished([message.npro_id])
        await desk.until_status("delivered")
    assert [row.RSLT_CODE2 for row in await desk.rows()] == ["C"]


async def test_a_row_the_database_cannot_hold_fails_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    vn = (await desk.world.pair()).vn
    async with desk.npro.transaction() as connection:  # as a EUC-KR column would refuse it
        await connection.exec_driver_sql("alter table msg_data add check (sms_txt not like '%😀%')")
    good, bad = await desk.text(vn, "좋음"), await desk.text(vn, "😀")
    async with desk.working():
        await desk.until_status("failed", "queued")
        await desk.until_handed(1)
    assert [row.SMS_TXT for row in await desk.rows()] == [good.envelope.text]
    page = await desk.messages.list(desk.world.mall)
    failed = next(one for one in page.items if one.id == bad.id)
    assert (failed.reason, failed.code) == ("not_encodable", "f")


async def test_a_row_that_stays_missing_is_given_up_in_the_end(desk: Desk) -> None:
    vn = (await desk.world.pair()).vn
    results = Results(desk.messages, desk.client, Clock(), life=timedelta())
    results.watch(await desk.text(vn, "사라짐"))
    task = asyncio.create_task(results.run())
    try:
        await desk.until_status("unknown")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


MESSAGE = OpenMessage(
    id=uuid4(),
    npro_id=7,
    kind=Kind.SMS,
    status=Status.QUEUED,
    envelope=Envelope(to=CUSTOMER, sender="07080000000", text="글"),
    received_at=NOW,
)
ROWS = [
    ({"state": 0}, None),
    ({"state": 1}, None),
    ({"state": 2}, ("sent", None, None)),
    ({"state": 3, "code": "0"}, ("delivered", None, "0")),
    ({"state": 3, "code": "A"}, ("failed", "busy", "A")),
    ({"state": 3, "code": "a"}, ("failed", "suspended", "a")),
    ({"state": 3, "code": "0", "detail": 904}, ("delivered", "sent_again", "0")),
    ({"state": 3, "code": "z", "detail": 901}, ("unknown", "outcome_lost", "z")),
    ({"state": 3, "code": "z", "detail": 902}, ("unknown", "outcome_lost", "z")),
    ({"state": 3, "code": "z", "detail": 111}, ("failed", "any_other", "z")),
    ({"state": 3, "code": "C", "detail": 901}, ("failed", "powered_off", "C")),
    ({"state": 3, "code": "?"}, ("failed", "any_other", "?")),
    ({"state": 3, "code": None}, ("failed", "any_other", "z")),
    ({"state": 2, "logged": True}, ("unknown", "no_receipt", None)),
    ({"state": 3, "code": "0", "logged": True}, ("delivered", None, "0")),
]


@pytest.mark.parametrize(("fields", "expected"), ROWS, ids=str)
def test_what_a_row_says(fields: dict[str, Any], expected: tuple[str, str | None, str | None] | None) -> None:
    values = {"logged": False, "sent_at": None, "result_at": None, "code": None, "detail": None, **fields}
    found = outcome_of(MESSAGE, Status.QUEUED, FoundRow(userdata=7, to="", sender="", **values), NOW)
    assert (None if found is None else (found.status.value, found.reason, found.code)) == expected


def test_dates_of_a_row_are_korean_local_time() -> None:
    noon = datetime(2026, 5, 4, 12, 0, 0)  # noqa: DTZ001 - as the tables have it
    row = FoundRow(
        userdata=7, to="", sender="", state=3, logged=False, sent_at=noon, result_at=noon, code="0", detail=0
    )
    found = outcome_of(MESSAGE, Status.SENT, row, NOW)
    assert isinstance(found, Outcome)
    assert (found.sent_at, found.at) == (NOW, NOW)


class Doorman:
    """Stands in for Messages: fails as often as told, remembering the ids it was given."""

    def __init__(self, *errors: BaseException) -> None:
        self.ids: list[Any] = []
        self._errors = list(errors)

    async def receive(self, arrival: Arrival) -> tuple[Received, None]:
        self.ids.append(arrival.id)
        if self._errors:
            raise self._errors.pop(0)
        return Received(id=arrival.id, status=Status.REFUSED, duplicate=False), None


def incoming(text: str = "글") -> Incoming:
    return Incoming(
        source=COURIER, destination="1", text=text, raw=text.encode(), data_coding=14, link="l", session_id="s"
    )


async def test_a_text_whose_commit_is_unsure_keeps_its_id_when_it_is_offered_again() -> None:
    doorman = Doorman(Unavailable("away"), asyncio.CancelledError())
    inbound = Inbound(doorman, lambda _: None)  # type: ignore[arg-type]  # the one method that it uses
    with pytest.raises(TryLater):
        await inbound.handle(incoming())
    with pytest.raises(asyncio.CancelledError):
        await inbound.handle(incoming())
    for _ in range(2):
        await inbound.handle(incoming())
    await inbound.handle(incoming("다른 글"))
    first, second, third, fourth, other = doorman.ids
    assert first == second == third
    assert len({third, fourth, other}) == 3
