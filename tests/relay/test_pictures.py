"""Multimedia messages from handset to handset: MMSC, relay, tables and agent as processes, pictures looked at there."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from local.postgres import PostgresServer
from simulators.mmsc.delivers import HandsetFile, HandsetMessage
from simulators.mmsc.handset import send
from tests.core_world import COURIER, CUSTOMER, STRANGER
from tests.relay.conftest import Stage
from tests.relay.keeping_smsc import KeepingSmsc
from tests.relay.photos import OWNER, alike, drawn, encoded, photo
from tests.simulators.mmsc import RunningMmsc, mmsc
from vns.errors import Unavailable
from vns.messages.rules import left_out_note
from vns.numbering.rules import digits_of


class Multimedia:
    """A stage with an MMSC; `start` starts the relay with it, as often as it is killed."""

    def __init__(self, stage: Stage, centre: RunningMmsc, settings: dict[str, str], files: Path) -> None:
        self.stage, self.centre, self.files = stage, centre, files
        self._settings = settings

    async def start(self, **more: str) -> None:
        await self.stage.relay.start(**self._settings, **more)

    async def send(self, source: str, vn: str, *files: tuple[str, bytes], text: str = "", subject: str = "") -> None:
        """Files: content type and bytes. The handset calls them by its owner's number."""
        handed = tuple(
            HandsetFile(name=f"{source}.bin", content_type=kind, data=base64.b64encode(data).decode())
            for kind, data in files
        )
        message = HandsetMessage(source=source, destination=vn, subject=subject, text=text, files=handed)
        await send(self.centre.url, message)

    async def ended(self, count: int) -> list[dict[str, Any]]:
        """What reached handsets once so many messages have ended."""
        await self.stage.until(f"{count} ends", lambda: self.stage.all_final(count))
        return self.centre.outbox


@asynccontextmanager
async def staged(
    stage: Stage, smsc: KeepingSmsc, tmp_path: Path, port: int, **settings: Any
) -> AsyncIterator[Multimedia]:
    """The MMSC offers for twenty seconds what is not taken: that is longer than a relay needs to start."""
    files = tmp_path / "f"
    async with mmsc(tmp_path, f"http://127.0.0.1:{port}/mm7/mm7", **{"retry_seconds": 1.0, **settings}) as centre:
        named = {
            "VNS_SMPP_URL": f"smpp://vns:secret@127.0.0.1:{smsc.port}",
            "VNS_MM7_URL": centre.url,
            "VNS_MM7_LISTEN": f"127.0.0.1:{port}",
            "VNS_MMS_FILES_PATH": str(files),
        }
        yield Multimedia(stage, centre, named, files)


def pictures(record: dict[str, Any]) -> list[Path]:
    return [Path(one["path"]) for one in record["files"] if one["content_type"] == "image/jpeg"]


def everything_of(record: dict[str, Any]) -> bytes:
    """All that came to the handset: the line, and each file's name and bytes."""
    parts = [json.dumps(record).encode()] + [Path(one["path"]).read_bytes() for one in record["files"]]
    return b"\n".join(parts)


@pytest.mark.parametrize("in_base64", [False, True])
async def test_pictures_cross_a_pair_both_ways_and_nothing_else_comes_along(
    stage: Stage, keeping_smsc: KeepingSmsc, tmp_path: Path, new_port: Callable[[], int], *, in_base64: bool
) -> None:
    vn = digits_of((await stage.world.pair()).vn)
    door, turned = drawn(), drawn(200, 100, "green")
    sideways = turned.transpose(Image.Transpose.ROTATE_90)  # orientation 6: to be turned by 90° clockwise
    async with staged(stage, keeping_smsc, tmp_path, new_port(), deliver_in_base64=in_base64) as mms:
        await mms.start()
        await mms.send(
            COURIER, vn, ("image/jpeg", photo(door, COURIER)), text="문 앞에 두었습니다", subject="배송 사진"
        )
        await mms.send(CUSTOMER, vn, ("image/jpeg", photo(sideways, CUSTOMER, orientation=6)), text="여기요")
        arrived = {record["to"]: record for record in await mms.ended(2)}
        assert {(one["from"], one["to"], one["subject"], one["text"]) for one in arrived.values()} == {
            (vn, CUSTOMER, "배송 사진", "문 앞에 두었습니다"),
            (vn, COURIER, "안심번호 문자", "여기요"),
        }
        for receiver, sender, shown in ((CUSTOMER, COURIER, door), (COURIER, CUSTOMER, turned)):
            (picture,) = pictures(arrived[receiver])
            assert alike(picture, shown)
            with Image.open(picture) as opened:
                assert not opened.getexif()
                assert "comment" not in opened.info
            for hidden in (sender.lstrip("0"), OWNER, "Exif", "trailer", sender + ".bin"):
                assert hidden.encode() not in everything_of(arrived[receiver])
        assert [(one.kind, one.status, one.code) for one in await stage.listed()] == [("mms", "delivered", "0")] * 2
        async with stage.world.db.connection() as connection:
            assert await connection.fetchval("select count(*) from message_pictures") == 0
        log = stage.relay.log.read_text()
        assert not any(number in log for number in (COURIER, CUSTOMER, vn))
        assert await stage.relay.stop() == 0, log


async def test_what_carriers_do_not_take_is_made_so_or_left_out_with_a_word(
    stage: Stage, keeping_smsc: KeepingSmsc, tmp_path: Path, new_port: Callable[[], int]
) -> None:
    vn = digits_of((await stage.world.pair()).vn)
    wide = Image.effect_noise((1800, 1200), 60).convert("RGB")
    card = ("text/x-vcard", f"BEGIN:VCARD\nTEL:{COURIER}\nEND:VCARD".encode())
    async with staged(stage, keeping_smsc, tmp_path, new_port()) as mms:
        await mms.start()
        await mms.send(COURIER, vn, ("image/png", encoded(drawn(), "PNG")), ("image/jpeg", encoded(wide, "JPEG")))
        await mms.send(COURIER, vn, ("image/jpeg", b"no picture"), card, text="사진 보냅니다")
        await mms.send(COURIER, vn, *[("image/gif", encoded(drawn(40 + at), "GIF")) for at in range(5)], text="다섯 장")
        await mms.send(COURIER, vn, card)
        arrived = {len(one["files"]): one for one in await mms.ended(4)}
        made, three = arrived[2], arrived[4]
        assert alike(pictures(made)[0], drawn())
        with Image.open(pictures(made)[1]) as small:
            assert max(small.size) <= 1500
            assert abs(small.width / small.height - 1.5) < 0.01
        assert pictures(made)[1].stat().st_size <= 200 * 1024
        assert [one.text for one in keeping_smsc.submits] == ["사진 보냅니다\n" + left_out_note(2)]
        assert three["text"] == "다섯 장\n" + left_out_note(2)
        assert [alike(path, drawn(40 + at)) for at, path in enumerate(pictures(three))] == [True] * 3
        told = {(one.kind, one.status, one.reason, one.code) for one in await stage.listed()}
        assert told == {
            ("mms", "delivered", None, "0"),
            ("sms", "delivered", "files_left_out", "0"),
            ("mms", "delivered", "files_left_out", "0"),
            ("mms", "failed", "nothing_to_show", "g"),
        }


async def test_what_may_not_pass_is_refused_and_wishes_are_heard(
    stage: Stage, keeping_smsc: KeepingSmsc, tmp_path: Path, new_port: Callable[[], int]
) -> None:
    pair = await stage.world.pair()
    ended = await stage.world.pair(STRANGER, "01077778888")
    await stage.world.bindings.release(stage.world.mall, ended.id)
    picture = ("image/jpeg", photo(drawn(), STRANGER))
    async with staged(stage, keeping_smsc, tmp_path, new_port()) as mms:
        await mms.start()
        for count, (source, vn, text) in enumerate(
            (
                (STRANGER, digits_of(ended.vn), "끝난 연결"),
                (COURIER, digits_of(pair.vn), "(광고) 세일"),
                (CUSTOMER, digits_of(pair.vn), "수신거부"),
                (COURIER, digits_of(pair.vn), "그래도"),
            ),
            1,
        ):
            await mms.send(source, vn, picture, text=text)
            await mms.ended(count)
        assert await stage.all_statuses() == [
            ("refused", "ended", None),
            ("refused", "advertising_not_allowed", "m"),
            ("delivered", None, "0"),
            ("refused", "opted_out", "c"),
        ]
        assert {one.kind for one in await stage.listed()} == {"mms"}
        async with stage.world.db.connection() as connection:
            assert await connection.fetchval("select count(*) from message_pictures") == 0


async def test_one_offered_again_is_one_message_and_two_alike_are_two(
    stage: Stage, keeping_smsc: KeepingSmsc, tmp_path: Path, new_port: Callable[[], int]
) -> None:
    vn = digits_of((await stage.world.pair()).vn)
    async with staged(stage, keeping_smsc, tmp_path, new_port(), deliver_copies=3) as mms:
        await mms.start()
        for _ in range(2):
            await mms.send(COURIER, vn, ("image/jpeg", photo(drawn(), COURIER)), text="같은 사진")

        async def offered_again() -> bool:
            return stage.relay.log.read_text().count("had been recorded before came again") == 4

        await stage.until("four offers in vain", offered_again)
        assert len(await mms.ended(2)) == 2


async def test_nothing_is_lost_or_doubled_when_the_relay_is_killed(
    stage: Stage, keeping_smsc: KeepingSmsc, tmp_path: Path, new_port: Callable[[], int]
) -> None:
    """Each message ends in one row, whenever the relay ends. What becomes of a lost answer is the agent's matter."""
    vn = digits_of((await stage.world.pair()).vn)
    photos = [drawn(100 + at) for at in range(24)]
    async with staged(stage, keeping_smsc, tmp_path, new_port()) as mms:
        await mms.start()
        for at, picture in enumerate(photos):
            await mms.send(COURIER, vn, ("image/jpeg", photo(picture, COURIER)), text=f"{at}번")
        for least in (2, 6, 12):

            async def recorded(least: int = least) -> bool:
                return len(await stage.all_statuses()) >= least

            await stage.until(f"{least} records", recorded)
            await stage.relay.kill()
            await mms.start()
        arrived = await mms.ended(len(photos))

        async def moved() -> bool:
            return len(await stage.log_rows()) == len(photos)

        await stage.until("every row in the log", moved)
        assert len({row["USERDATA"] for row in await stage.log_rows()}) == len(photos)
        for one in arrived:
            assert alike(pictures(one)[0], photos[int(one["text"].removesuffix("번"))])
        statuses = [status for status, _, _ in await stage.all_statuses()]
        assert set(statuses) <= {"delivered", "unknown"}
        assert statuses.count("delivered") <= len({one["text"] for one in arrived})


async def test_while_the_database_is_away_the_mmsc_keeps_the_message(
    stage: Stage, keeping_smsc: KeepingSmsc, tmp_path: Path, new_port: Callable[[], int], postgres: PostgresServer
) -> None:
    vn = digits_of((await stage.world.pair()).vn)
    name = stage.relay.environment["VNS_DATABASE_URL"].rpartition("/")[2]
    async with staged(stage, keeping_smsc, tmp_path, new_port()) as mms:
        await mms.start()
        await mms.send(COURIER, vn, ("image/jpeg", photo(drawn(), COURIER)), text="먼저")
        await mms.ended(1)
        postgres.query(f"alter database {name} with allow_connections false")
        try:
            postgres.query(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")  # noqa: S608
            await mms.send(COURIER, vn, ("image/jpeg", photo(drawn(), COURIER)), text="나중")

            async def refused() -> bool:
                return "answered 4006" in stage.relay.log.read_text()

            await stage.until("a fault", refused)
        finally:
            postgres.query(f"alter database {name} with allow_connections true")

        async def there() -> bool:
            try:
                return await stage.all_final(2)
            except (Unavailable, OSError):
                return False

        await stage.until("both", there)
        assert [one["text"] for one in mms.centre.outbox] == ["먼저", "나중"]


async def test_files_are_erased_a_while_after_the_result_and_not_before(
    stage: Stage, keeping_smsc: KeepingSmsc, tmp_path: Path, new_port: Callable[[], int]
) -> None:
    vn = digits_of((await stage.world.pair()).vn)
    rules = [{"destination": CUSTOMER, "report": "missing"}]
    async with staged(stage, keeping_smsc, tmp_path, new_port(), rules=rules) as mms:
        await mms.start()
        await mms.send(COURIER, vn, ("image/jpeg", photo(drawn(), COURIER)), text="답이 없다")
        await mms.send(CUSTOMER, vn, ("image/jpeg", photo(drawn(), CUSTOMER)), text="닿았다")

        async def one_there() -> bool:
            return sorted(status for status, _, _ in await stage.all_statuses()) == ["delivered", "sent"]

        await stage.until("one result", one_there)
        assert len(list(mms.files.iterdir())) == 2
        await stage.relay.kill()
        await mms.start(VNS_MMS_FILE_LIFE_TIME="0")

        async def erased() -> bool:
            return len(await asyncio.to_thread(lambda: list(mms.files.iterdir()))) == 1

        await stage.until("the other file is gone", erased)
