"""Hand-over and results where answers get lost, keys are shared with strangers, and another agent serves the tables."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert, select, update

from sms_relay.links.interface import Incoming, TryLater
from sms_relay.npro.client import FoundRow, NewRow, NproClient
from sms_relay.npro.database import NotReachable, NproDatabase, create_missing
from sms_relay.npro.kst import KoreanClock
from sms_relay.relay import results
from sms_relay.relay.handover import Handover, Held
from sms_relay.relay.inbound import Inbound
from sms_relay.relay.pictures import PictureFolder
from sms_relay.relay.results import Results, outcome_of
from sms_relay.relay.service import Relay
from tests.core_world import COURIER, CUSTOMER, World
from tests.messages.cutting import cut_the_duty
from tests.messages.spoiling import Spoil, each_way, of_a_lost_key, put_envelope, spoil_envelope
from tests.waiting import until
from vns.errors import Unavailable
from vns.messages.duty import sole_relay
from vns.messages.rules import Arrival, Envelope, Kind, OpenMessage, Outcome, Received, Status, Unencodable
from vns.messages.service import Messages
from vns.numbering.rules import digits_of
from vns.storage.clock import Clock

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)

PUT_PICTURE = "update message_pictures set content = $2 where message_id = $1"


class LosesAnswers(NproClient):
    """Commits, and then the line breaks before the answer is there, as often as `losses` says."""

    losses = 0

    async def insert(self, rows: Sequence[NewRow]) -> None:
        await super().insert(rows)
        if self.losses:
            self.losses -= 1
            raise NotReachable("the line broke")


class Undisputed:
    """A duty that nobody else can have."""

    async def confirm(self) -> None:
        pass


class Desk:
    """Messages, tables and the two tasks between them. `duty` is what it takes for its own."""

    def __init__(self, world: World, npro: NproDatabase, *, folder: PictureFolder | None = None) -> None:
        clock = Clock()
        self.duty: Held | None = Undisputed()
        world.clock.time = clock.now()
        self.world = world
        self.npro = npro
        self.messages = Messages(world.db, world.router, world.keyring, clock, policy=Unencodable.UCS2)
        self.client = LosesAnswers(npro)
        self.results = Results(self.messages, self.client, clock, duty=lambda: self.duty, life=timedelta(hours=1))
        self.handover = Handover(
            self.messages,
            self.client,
            clock,
            subject="문자",
            duty=lambda: self.duty,
            awaited=self.results.watch,
            inserted=lambda: None,
            folder=folder,
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

    async def text(self, vn: int, body: str, *pictures: bytes) -> OpenMessage:
        arrival = Arrival(
            id=uuid4(), link="l", session="s", sender=COURIER, dialled=digits_of(vn), text=body, pictures=pictures
        )
        _, message = await self.messages.receive(arrival)
        assert message is not None
        return message

    async def rows(self) -> list[Any]:
        async with self.npro.transaction() as connection:
            return list((await connection.execute(select(self.npro.tables.data))).all())

    async def done(self) -> None:
        """The agent's work: every row is delivered."""
        async with self.npro.transaction() as connection:
            await connection.execute(update(self.npro.tables.data).values(CUR_STATE=3, RSLT_CODE2="0"))

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


@each_way
async def test_a_text_that_cannot_be_read_holds_up_no_other_and_goes_once_it_can(desk: Desk, spoil: Spoil) -> None:
    vn = (await desk.world.pair()).vn
    lost, other = await desk.text(vn, "하나"), await desk.text(vn, "둘")
    sealed = await spoil_envelope(desk.world, lost.id, spoil)
    async with desk.working():
        await desk.until_handed(1)
        assert [row.SMS_TXT for row in await desk.rows()] == [other.envelope.text]
        await put_envelope(desk.world, lost.id, sealed)
        desk.handover.look()
        await desk.until_handed(2)


@each_way
async def test_the_result_of_a_text_that_cannot_be_read_is_read_once_it_can(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, spoil: Spoil
) -> None:
    monkeypatch.setattr(results, "RELOAD_SECONDS", 0.0)
    vn = (await desk.world.pair()).vn
    lost, _ = await desk.text(vn, "하나"), await desk.text(vn, "둘")
    async with desk.working():
        await desk.until_handed(2)
    sealed = await spoil_envelope(desk.world, lost.id, spoil)
    await desk.done()
    after_a_start = Desk(desk.world, desk.npro)
    async with after_a_start.working():
        await desk.until_status("delivered", "queued")
        await put_envelope(desk.world, lost.id, sealed)
        await desk.until_status("delivered", "delivered")


@each_way
async def test_a_message_whose_picture_cannot_be_read_waits_alone(desk: Desk, tmp_path: Path, spoil: Spoil) -> None:
    vn = (await desk.world.pair()).vn
    lost, other = await desk.text(vn, "하나", b"picture"), await desk.text(vn, "둘", b"picture")
    async with desk.world.db.connection() as connection:
        sealed = await connection.fetchval("select content from message_pictures where message_id = $1", lost.id)
        await connection.execute(PUT_PICTURE, lost.id, spoil(sealed))
    desk = Desk(desk.world, desk.npro, folder=PictureFolder(tmp_path / "f"))
    async with desk.working():
        await desk.until_handed(1)
        assert [row.USERDATA for row in await desk.rows()] == [other.npro_id]
        async with desk.world.db.connection() as connection:
            await connection.execute(PUT_PICTURE, lost.id, sealed)
        desk.handover.look()
        await desk.until_handed(2)


async def test_a_key_file_that_is_away_passes(desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    vn = (await desk.world.pair()).vn
    lost, _ = await desk.text(vn, "하나"), await desk.text(vn, "둘")
    await spoil_envelope(desk.world, lost.id, of_a_lost_key)
    moved = desk.world.keyring.path.rename(tmp_path / "elsewhere")

    async def told() -> bool:
        return "cannot be read" in caplog.text

    async with desk.working():
        await until(told)
        moved.rename(desk.world.keyring.path)
        await desk.until_handed(1)


async def test_what_another_relay_handed_over_meanwhile_makes_no_second_row(desk: Desk) -> None:
    vn = (await desk.world.pair()).vn
    other = Desk(desk.world, desk.npro)
    other.duty = None
    async with other.working():
        other.handover.offer(await other.text(vn, "하나"))
        async with desk.working():
            await desk.until_handed(1)
        other.duty = Undisputed()
        for count, body in enumerate(("둘", "셋"), 2):
            other.handover.offer(await other.text(vn, body))
            await desk.until_handed(count)
    assert sorted(row.SMS_TXT for row in await desk.rows()) == sorted(["하나", "둘", "셋"])


@pytest.mark.parametrize("by_another", [True, False])
async def test_what_is_offered_late_has_perhaps_been_handed_over(desk: Desk, *, by_another: bool) -> None:
    """By the relay that was on duty when it was recorded, or by a reload of this one."""
    vn = (await desk.world.pair()).vn
    other = Desk(desk.world, desk.npro)
    message = await desk.text(vn, "하나")
    if by_another:
        async with other.working():
            await desk.until_handed(1)
    async with desk.working():
        desk.handover.offer(await desk.text(vn, "둘"))
        await desk.until_handed(2)
        desk.handover.offer(message)
        desk.handover.offer(await desk.text(vn, "셋"))
        await desk.until_handed(3)
    assert sorted(row.SMS_TXT for row in await desk.rows()) == sorted(["하나", "둘", "셋"])


async def test_results_of_what_another_relay_handed_over_meanwhile_are_read(desk: Desk) -> None:
    vn = (await desk.world.pair()).vn
    other = Desk(desk.world, desk.npro)
    async with other.working():
        other.handover.offer(await other.text(vn, "하나"))
        await desk.until_handed(1)
        await desk.done()
        await desk.until_status("delivered")
        other.duty = None
        async with desk.working():
            desk.handover.offer(await desk.text(vn, "둘"))
            await desk.until_handed(1)
        await desk.done()
        other.duty = Undisputed()
        await desk.until_status("delivered", "delivered")


async def test_a_relay_whose_session_was_cut_inserts_nothing(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """It has not noticed: another may be on duty by now, and find the text by a reload."""
    vn = (await desk.world.pair()).vn

    async def told() -> bool:
        return "the session that held the relay's duty is gone" in caplog.text

    async with sole_relay(desk.world.db) as duty:
        desk.duty = duty
        async with desk.working():
            desk.handover.offer(await desk.text(vn, "하나"))
            await desk.until_handed(1)
            await cut_the_duty(desk.world)
            desk.handover.offer(await desk.text(vn, "둘"))
            await until(told)
            assert len(await desk.rows()) == 1
            desk.duty = Undisputed()
            await desk.until_handed(2)
    assert len(await desk.rows()) == 2


async def test_a_relay_whose_session_was_cut_goes_on_with_another(desk: Desk) -> None:
    pair = await desk.world.pair()
    relay = Relay(desk.world.db, desk.messages, desk.npro, Clock(), subject="문자", result_life=timedelta(hours=1))
    running = asyncio.create_task(relay.run())
    try:
        for count in (1, 2, 3):
            await relay.handle_incoming(replace(incoming(f"글 {count}"), destination=digits_of(pair.vn)))
            await desk.until_handed(count)
            await cut_the_duty(desk.world)
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert len(await desk.rows()) == 3


async def test_nothing_is_kept_of_what_was_handed_over(desk: Desk) -> None:
    vn = (await desk.world.pair()).vn
    for number in range(3):
        await desk.text(vn, f"글 {number}")

    async def nothing_kept() -> bool:
        return not any(value for value in vars(desk.handover).values() if isinstance(value, dict | set | list))

    async with desk.working():
        await desk.until_handed(3)
        desk.handover.offer(await desk.text(vn, "넷"))
        await desk.until_handed(4)
        await until(nothing_kept)


async def test_a_row_that_stays_missing_is_given_up_in_the_end(desk: Desk) -> None:
    vn = (await desk.world.pair()).vn
    results = Results(desk.messages, desk.client, Clock(), duty=lambda: None, life=timedelta())
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
