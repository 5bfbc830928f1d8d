"""MMS and BARCODE rows that people type in with MariaDB's own client, through the agent as a process and an MMSC."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from sqlalchemy import text

from sms_relay.npro.database import NproDatabase
from sms_relay.npro.kst import KoreanClock
from tests.npro.databases import MariaDb
from tests.npro.programs import PATIENCE, Program, smsc, write_conf
from tests.simulators.mmsc import mmsc
from tests.waiting import until

TYPED = """
INSERT INTO MMS_CONTENTS_INFO (CONT_SEQ, FILE_CNT, MMS_BODY, MMS_SUBJECT, FILE_TYPE1, FILE_NAME1, SERVICE_DEP1,
                               FILE_TYPE2, FILE_NAME2, SERVICE_DEP2)
VALUES (11, 3, '봄 세일을 알려 드립니다', '봄 세일', 'IMG', '{folder}/1.jpg', 'ALL', 'TXT', '{folder}/2.txt', 'ALL');
INSERT INTO MSG_DATA (CUR_STATE, REQ_DATE, CALL_TO, CALL_FROM, SMS_TXT, MSG_TYPE, CONT_SEQ)
VALUES (0, NOW(), '01055550001', '0215771234', '봄 세일', 6, 11);
INSERT INTO MMS_CONTENTS_INFO (CONT_SEQ, FILE_CNT, MMS_SUBJECT, FILE_TYPE1, FILE_NAME1, SERVICE_DEP1,
                               BAR_TYPE, BAR_MERGE_FILE, BAR_VALUE, BAR_VALUE_VIEW_YN, BAR_SIZE_WIDTH, BAR_SIZE_HEIGHT,
                               BAR_POSITION_X, BAR_POSITION_Y)
VALUES (12, 1, '쿠폰', 'IMG', '{folder}/1.jpg', 'ALL', 'EAN13', 1, '8801234567893', 'Y', 200, 80, 10, 90);
INSERT INTO MSG_DATA (CUR_STATE, REQ_DATE, CALL_TO, CALL_FROM, SMS_TXT, MSG_TYPE, CONT_SEQ)
VALUES (0, NOW(), '01055550002', '0215771234', '쿠폰', 7, 12);
INSERT INTO MSG_DATA (CUR_STATE, REQ_DATE, CALL_TO, CALL_FROM, SMS_TXT, MSG_TYPE, CONT_SEQ)
VALUES (0, NOW(), '01055550003', '0215771234', '봄 세일', 6, 11);
"""


def keys(mmsc_url: str, listen: int, folder: Path) -> dict[str, object]:
    return {
        "vns_mm7_url": mmsc_url,
        "vns_mm7_listen": f"127.0.0.1:{listen}",
        "sknfile_path": folder / "skn",
        "barcode_files_path": folder / "barcodes",
        "vns_carrier": "KTF",
        "db_nomove": "ON",
    }


def a_background(folder: Path) -> None:
    Image.new("RGB", (220, 184), "white").save(folder / "1.jpg", "JPEG")
    (folder / "2.txt").write_bytes("둘째 글".encode("cp949"))


def _read_codes(path: str) -> list[tuple[str, str]]:
    with Image.open(path) as picture:
        return [(str(one.format), one.text) for one in zxingcpp.read_barcodes(picture)]


@pytest.mark.mariadb
async def test_rows_typed_in_arrive_with_their_files_and_a_barcode_that_can_be_read(
    mariadb: MariaDb, npro_mariadb_url: str, tmp_path: Path, new_port: Callable[[], int]
) -> None:
    name = npro_mariadb_url.rpartition("/")[2]
    tables = NproDatabase.open(npro_mariadb_url, size=1)
    await tables.prepare(KoreanClock())
    await tables.close()
    a_background(tmp_path)
    listen = new_port()
    rules = [{"destination": "01055550003", "mm_status": "Rejected", "report": "early"}]
    async with (
        smsc(tmp_path) as port,
        mmsc(tmp_path, f"http://127.0.0.1:{listen}/mm7/mm7", rules=rules) as centre,
    ):
        conf = write_conf(tmp_path / "npro.conf", npro_mariadb_url, port, **keys(centre.url, listen, tmp_path))
        async with Program(conf) as program:
            mariadb.query(TYPED.format(folder=tmp_path), name)

            async def all_done() -> bool:
                assert not program.ended, program.log.read_text()
                left = "SELECT count(*) FROM MSG_DATA WHERE CUR_STATE <> 3"
                return (await asyncio.to_thread(mariadb.query, left, name)).strip() == "0"

            await until(all_done, patience=PATIENCE)
            shown = "SELECT CUR_STATE, RSLT_CODE2, RSLT_CODE, RSLT_NET FROM MSG_DATA ORDER BY MSG_SEQ"
            rows = mariadb.query(shown, name).splitlines()
            contents = "SELECT CONT_SEQ, BUILD_YN, BAR_FILE_NAME FROM MMS_CONTENTS_INFO ORDER BY CONT_SEQ"
            built = [row.split("\t") for row in mariadb.query(contents, name).splitlines()]
            assert await program.stop() == 0
    assert rows == ["3\t0\t0\tKTF", "3\t0\t0\tKTF", "3\tc\t30000\tETC"]
    arrived = {one["to"]: one for one in centre.outbox}
    assert arrived["01055550001"]["subject"] == "봄 세일"
    assert arrived["01055550001"]["text"] == "봄 세일을 알려 드립니다\n둘째 글"
    (picture,) = [one["path"] for one in arrived["01055550002"]["files"]]
    assert [found[1] for found in _read_codes(picture)] == ["8801234567893"]
    assert built[0][:2] == ["11", "Y"]
    assert built[1][:2] == ["12", "Y"]
    assert [found[1] for found in _read_codes(built[1][2])] == ["8801234567893"]


@pytest.mark.parametrize(
    ("again", "end", "submits"),
    [("ON", (3, "0", 904), 2), ("OFF", (3, "z", 901), 1)],
    ids=["sent once more", "reported"],
)
async def test_kill_9_between_submit_and_answer(
    npro_url: str, tmp_path: Path, new_port: Callable[[], int], again: str, end: tuple[int, str, int], submits: int
) -> None:
    """The MMSC has taken it and keeps silent when the process is killed: nobody can know, and the row says so."""
    a_background(tmp_path)
    database = NproDatabase.open(npro_url, size=1)
    await database.prepare(KoreanClock())
    listen = new_port()
    faults = [{"kind": "silent", "taken": True}]
    try:
        async with (
            smsc(tmp_path) as port,
            mmsc(tmp_path, f"http://127.0.0.1:{listen}/mm7/mm7", faults=faults) as centre,
        ):
            conf = write_conf(
                tmp_path / "npro.conf", npro_url, port, vns_send_again=again, **keys(centre.url, listen, tmp_path)
            )
            async with Program(conf) as program:
                async with database.transaction() as connection:
                    for statement in TYPED.format(folder=tmp_path).split(";")[:2]:
                        await connection.execute(text(statement.replace("NOW()", "NULL")))

                async def taken() -> bool:
                    assert not program.ended, program.log.read_text()
                    return len(centre.outbox) == 1

                await until(taken, patience=PATIENCE)
                await program.kill()
                await program.start()

                async def reported() -> bool:
                    assert not program.ended, program.log.read_text()
                    async with database.transaction() as connection:
                        shown = await connection.execute(text("SELECT CUR_STATE, RSLT_CODE2, RSLT_CODE FROM MSG_DATA"))
                        return [tuple(row) for row in shown] == [end]

                await until(reported, patience=PATIENCE)
                assert await program.stop() == 0
            assert len(centre.outbox) == submits
    finally:
        await database.close()
